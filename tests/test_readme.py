"""Every Python block of the README and docs/ runs, as a script or as a test, and no example can reach the service."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.parts import need
from tests.plugged import Plugged

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "_generated" not in path.parts
}
BLOCKS: Final = {
    name: list(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)) for name, text in PAGES.items()
}
WEB: Final = "docs/howto/web.md"
FILES: Final = dict(re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", PAGES[WEB], re.MULTILINE | re.DOTALL))
"""The applications of that page and their tests."""
RUN: Final = {name: blocks for name, blocks in BLOCKS.items() if blocks and name != WEB}
EXAMPLES: Final = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").rglob("*.py"))
}
OFFLINE: Final = '''
import sys

def refuse(event, arguments):
    """Let nothing look a name up, and nothing connect but to loopback."""
    host = arguments[0] if event == "socket.getaddrinfo" else arguments[1] if event == "socket.connect" else None
    host = host[0] if isinstance(host, tuple) else host
    host = host.decode() if isinstance(host, bytes) else host
    if host not in {None, "127.0.0.1", "::1", "localhost"}:
        sys.stderr.write(f"{event} of {host}")
        sys.stderr.flush()
        __import__("os")._exit(99)

sys.addaudithook(refuse)
'''


def _run(*blocks: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run scripts one after the other as a reader would who has real credentials in the environment."""
    runner = f"{OFFLINE}\nimport runpy\n"
    for number, code in enumerate(blocks):
        script = folder / f"script{number}.py"
        script.write_text(code, encoding="utf-8")
        runner += f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMSC_")}
    environment |= {"SMSC_APIKEY": "a-real-key", "PYTHONPATH": str(ROOT)}
    return subprocess.run(  # noqa: S603 - our own pages
        [sys.executable, "-W", "error", "-c", runner],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def _clients(code: str) -> Iterator[set[str | None]]:
    """Yield the keyword arguments of each client that is made."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Client":
            yield {keyword.arg for keyword in node.keywords}


def test_the_pages_have_examples() -> None:
    assert len(RUN) > 10
    assert sum(len(list(_clients(block))) for blocks in RUN.values() for block in blocks) > 20
    assert len(README.split()) <= 900


@pytest.mark.parametrize(
    "page", [name if name == "README.md" else pytest.param(name, marks=pytest.mark.slow) for name in RUN]
)
def test_the_blocks_of_a_page_run_as_scripts_and_reach_nothing_but_loopback(page: str, tmp_path: Path) -> None:
    for block in RUN[page]:
        need(block.lower())
        need("phonenumbers" if re.search(r"\bPhone\b", block) else "")  # the type of the integrations
    ran = _run(*RUN[page], folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "def test_" in text and name != WEB])
def test_the_test_files_of_a_page_pass(page: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n\n".join(block for block in BLOCKS[page] if "def test_" in block)
    plugged = Plugged(pytester, monkeypatch)
    plugged.write(code)
    plugged.passes(2 * code.count("def test_"))  # on asyncio and on trio


@pytest.mark.parametrize("name", ["shop", "parcels"])
def test_an_application_of_the_documentation_passes_its_test(
    name: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    need({"shop": "phonenumbers", "parcels": "pytest_aiohttp"}[name])
    plugged = Plugged(pytester, monkeypatch)
    plugged.configure(filterwarnings="ignore", asyncio_mode="auto")  # about the version of httpx
    for file in (name, f"test_{name}"):
        plugged.write(FILES[file], file)
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{os.environ['PYTHONPATH']}")
    plugged.passes(1)


@pytest.mark.parametrize("name", [*RUN, *EXAMPLES])
def test_a_client_of_an_example_says_where_it_goes(name: str) -> None:
    # `Client()` alone would take the credentials of the environment to the real service.
    for code in RUN.get(name) or [EXAMPLES[name]]:
        assert all(given & {"transport", "url"} for given in _clients(code))


def test_a_block_that_would_reach_the_service_is_found_out(tmp_path: Path) -> None:
    careless = "import asyncio, smsc_async\nasyncio.run(smsc_async.Client(apikey='demo').balance())\n"
    ran = _run(careless, folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (99, "socket.getaddrinfo of smscentre.com")


def test_the_two_command_lines_are_there() -> None:
    """Set-up is one line each: the main job, and the tests."""
    assert "pip install '.[cli,sandbox]' && smsc-async demo" in README
    assert "pip install '.[cli,sandbox,test]' && python -m pytest -n auto" in README
