"""Every Python block of the README and docs/ runs, as a script or as a test, and no example can reach the service."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from httpx import ASGITransport

from smsc_async import MessageStatus
from smsc_async.sandbox import DeliveryPlan, HttpxPoster, Sandbox
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
DJANGO: Final = "docs/howto/django.md"
CAMPAIGN: Final = "docs/howto/campaign.md"
FILE: Final = re.compile(r"# (\w+)\.py\n")
FILES: Final = {
    name: {found[1]: block for block in blocks if (found := FILE.match(block))} for name, blocks in BLOCKS.items()
}
"""The applications of each page and their tests: blocks that begin with the name of a file."""
RUN: Final = {
    name: scripts for name, blocks in BLOCKS.items() if (scripts := [each for each in blocks if not FILE.match(each)])
}
SERVED: Final = 'os.environ["SMSC_URL"]'
"""A script with this is tried on a sandbox that is served over HTTP."""
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


def _run(*blocks: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scripts one after the other as a reader would who has real credentials in the environment."""
    runner = f"{OFFLINE}\nimport runpy\n"
    for number, code in enumerate(blocks):
        script = folder / f"script{number}.py"
        script.write_text(code, encoding="utf-8")
        runner += f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMSC_")}
    environment |= (variables or {"SMSC_APIKEY": "a-real-key"}) | {"PYTHONPATH": str(ROOT)}
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
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Client", "smsc_async.Client", "sync.Client"}:
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
    if SERVED not in PAGES[page]:
        ran = _run(*RUN[page], folder=tmp_path)
    else:
        with Sandbox().serve() as url:
            ran = _run(*RUN[page], folder=tmp_path, SMSC_URL=url, SMSC_LOGIN="demo", SMSC_PASSWORD="demo")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, blocks in RUN.items() if "def test_" in "".join(blocks)])
def test_the_test_files_of_a_page_pass(page: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n\n".join(block for block in RUN[page] if "def test_" in block)
    plugged = Plugged(pytester, monkeypatch)
    plugged.write(code)
    plugged.passes(2 * code.count("def test_"))  # on asyncio and on trio


@pytest.mark.parametrize(
    ("page", "files", "needed"),
    [
        (WEB, ("shop", "test_shop"), "phonenumbers"),
        (WEB, ("parcels", "test_parcels"), "pytest_aiohttp"),
        (DJANGO, ("sms", "views", "test_views"), "django"),
    ],
)
def test_an_application_of_the_documentation_passes_its_test(
    page: str, files: tuple[str, ...], needed: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(needed)
    plugged = Plugged(pytester, monkeypatch)
    plugged.configure(filterwarnings="ignore", asyncio_mode="auto")  # about the version of httpx
    for file in files:
        plugged.write(FILES[page][file], file)
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{os.environ['PYTHONPATH']}")
    monkeypatch.setenv("SMSC_APIKEY", "a-real-key")
    plugged.passes(1)


async def test_the_campaign_of_the_page_has_each_status_from_callbacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMSC_CALLBACK_SECRET", "secret")
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    rows = [f"+79161{number:06};Hello {number}" for number in range(100)]
    (tmp_path / "messages.csv").write_text("\n".join(["\ufeffphone;text", *rows]), encoding="utf-8")
    names: dict[str, Any] = {}
    exec(FILES[CAMPAIGN]["campaign"], names)  # noqa: S102 - our own page
    app = names["app"]
    sandbox = Sandbox(delivery=DeliveryPlan.delivered())
    sandbox.callbacks.set("http://app/smsc/callback", secret="secret", poster=HttpxPoster(ASGITransport(app)))
    with sandbox.serve() as url:
        monkeypatch.setenv("SMSC_URL", url)
        async with app.router.lifespan_context(app), sandbox.callbacks:
            await app.state.run
            assert {row.status for row in await app.state.journal.rows()} == {MessageStatus.DELIVERED}
    assert {each.state for each in sandbox.callbacks.all} == {"accepted"}
    assert len(sandbox.messages) == len(rows)


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
