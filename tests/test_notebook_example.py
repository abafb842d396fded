"""The example runs in a real kernel, and cells that are run again, and kernels that are restarted, print nothing."""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from smsc_async.sandbox import Limits, Sandbox
from tests.parts import need_libraries

need_libraries("ipykernel", "nbclient", "matplotlib", "pandas", "tqdm")
import nbformat  # noqa: E402 - as above
from nbclient import NotebookClient  # noqa: E402 - after the check that it is there

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # of the kernel's client
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT: Final = Path(__file__).parent.parent
EXAMPLE: Final = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
NOISE: Final = "Unclosed", "unclosed", "never awaited", "never retrieved", "Traceback", "smsc_async"


def _notebook(*cells: str) -> dict[str, Any]:
    code: dict[str, Any] = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [{**code, "id": f"cell-{number}", "source": cell} for number, cell in enumerate(cells)],
    }


def _run(notebook: dict[str, Any], stderr: Path) -> list[Any]:
    """Run a notebook in a kernel of its own, and return the outputs of its cells."""
    read: Any = nbformat.reads
    client = NotebookClient(read(json.dumps(notebook), 4), timeout=120, kernel_name="python3", coalesce_streams=True)
    client.resources = {"metadata": {"path": str(stderr.parent)}}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMSC_")}
    environment |= {"PYTHONPATH": str(ROOT), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with stderr.open("w") as written:
        done = client.execute(env=environment, stderr=written)
    said = stderr.read_text()
    assert [word for word in NOISE if word in said] == []
    return [cell["outputs"] for cell in done["cells"] if cell["cell_type"] == "code"]


def _html(outputs: list[Any]) -> str:
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


def test_the_example_is_stored_without_outputs() -> None:
    assert all(cell.get("outputs", []) == [] for cell in EXAMPLE["cells"])


def test_the_example_sends_follows_and_plots(tmp_path: Path) -> None:
    outputs = _run(EXAMPLE, tmp_path / "stderr")
    flat = [output for each in outputs for output in each]
    assert [output for output in flat if output.get("name") == "stderr"] == []
    (failure,) = [output for output in flat if output["output_type"] == "error"]
    assert failure["ename"] == "DuplicateSend"
    lines = "\n".join(failure["traceback"]).splitlines()
    assert "DuplicateSend" in lines[0]
    assert lines[1].startswith("Nothing was sent.")
    assert lines[-1].startswith("Cell In[")
    assert "client.send(" in lines[-1]
    assert len(lines) == 4
    printed = "".join(output.get("text", "") for output in flat)
    assert "120/120" in printed
    assert "delivered" in printed
    assert sum("image/png" in output.get("data", {}) for output in flat) == 1
    drawn = "".join(_html([output]) for output in flat if "120" not in str(output.get("text", "")))
    assert "+799*****67" in drawn
    assert "79991234567" not in drawn
    assert "A sandbox with 121 messages" in drawn


CLIENT = "from smsc_async import Client\nclient = Client(apikey='demo', url={url!r}, transport={transport!r})"


@pytest.mark.parametrize("transport", [None, "aiohttp"])
def test_cells_that_are_run_again_and_a_restart_print_nothing(tmp_path: Path, transport: str | None) -> None:
    with Sandbox(limits=Limits.off()).serve() as url:
        make = CLIENT.format(url=url, transport=transport)
        use = "import gc\nresult = await client.balance()\n_ = gc.collect()"
        cells = [
            make,
            use,
            use,
            make,
            use,
            f"{make}\n{use}",
            f"{make}\n{use}",
            "del client, result",
            use.partition("\n")[0] + "\n_ = gc.collect()",
        ]
        for number in range(2):  # the second kernel is the restarted one
            assert _run(_notebook(*cells), tmp_path / f"stderr{number}") == [[]] * len(cells)
