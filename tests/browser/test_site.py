"""The site of the documentation: no warning, every public name, and in Chromium no overflow and no violation."""

import importlib
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import CHROMIUM, SIZES, THEMES, Theme, browser, window
from tests.parts import is_installed, missing

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent
PAGES: Final = ("index", "tutorial", "reference/limits", "_generated/codes", "howto/web", "explanation/architecture")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} is not here: apt install chromium")
    with browser() as started:
        yield started


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; it does not count as a test of what is imported for it."""
    if not all(map(is_installed, ("sphinx", "furo", "myst_parser"))):
        missing("Sphinx is not installed: pip install --group docs .")
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(  # noqa: S603 - our own documentation
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(ROOT / "docs"), str(folder)],
        env={name: value for name, value in os.environ.items() if "COV" not in name},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def site(built: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(built))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_reference_has_every_public_name(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    modules = importlib.import_module("generated").MODULES
    inventory = zlib.decompress((built / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    known = {line.split()[0] for line in inventory.splitlines()}
    assert {f"{module}.{name}" for module in modules for name in importlib.import_module(module).__all__} <= known
    assert len((built / "llms.txt").read_text(encoding="utf-8").splitlines()) > 30
    assert "DuplicateSend" in (built / "llms-full.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", SIZES)
def test_a_page_fits_the_window_and_axe_finds_nothing(site: str, chromium: Browser, width: int, theme: Theme) -> None:
    script = os.environ.get("AXE_CORE") or missing("AXE_CORE does not say where axe-core is, see CONTRIBUTING.md")
    with window(chromium, width, theme) as context:
        page = context.new_page()
        for name in PAGES:
            page.goto(f"{site}/{name}.html")
            excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(excess) <= 0, name
            page.evaluate(Path(script).read_text(encoding="utf-8"))
            found: Any = page.evaluate(
                "axe.run().then(ran => ran.violations.map(each => [each.id, each.nodes[0].html]))"
            )
            assert found == [], name


def test_the_search_finds_a_page_without_a_network(site: str, chromium: Browser) -> None:
    with window(chromium, 1440, "light") as context:
        page = context.new_page()
        page.goto(f"{site}/search.html?q=lost")
        page.wait_for_selector("#search-results li")
        assert "lost" in page.inner_text("#search-results")
