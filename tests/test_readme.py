"""Every Python block of the README runs as it stands, against a sandbox that listens on loopback."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from smsc_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    config = uvicorn.Config(
        Sandbox().app,
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_level="error",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/sys/soap.php"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
async def test_a_block_of_the_readme_runs(block: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_URL", address)
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {}
    result = eval(code, names)  # noqa: S307 - our own README
    if inspect.iscoroutine(result):
        await result
    assert names


def test_the_two_command_lines_are_there() -> None:
    """Set-up is one line each: the main job, and the tests."""
    assert "pip install '.[cli,sandbox]' && smsc-async demo" in README
    assert "pip install '.[cli,sandbox,test]' && python -m pytest" in README
