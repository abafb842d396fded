"""The documentation in Chromium: nothing is wider than the window, axe finds nothing, and the search works offline."""

import os
import subprocess
import sys
import threading
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
LOOKS: Final[tuple[tuple[int, Theme], ...]] = tuple(zip(SIZES, reversed(THEMES), strict=True))
"""Each width in one theme: the theme changes only colors, which all pages have in common."""


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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not all(map(is_installed, ("sphinx", "furo", "myst_parser"))):
        missing("Sphinx is not installed: pip install --group docs .")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", str(ROOT / "docs"), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=500)  # noqa: S603 - our own documentation
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_fits_the_window_and_axe_finds_nothing(
    folder: Path, site: str, chromium: Browser, width: int, theme: Theme
) -> None:
    script = os.environ.get("AXE_CORE") or missing("AXE_CORE does not say where axe-core is, see CONTRIBUTING.md")
    with window(chromium, width, theme) as context:
        page = context.new_page()
        pages = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.html"))]
        assert len(pages) > 40
        for name in pages:
            page.goto(f"{site}/{name}")
            excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(excess) <= 0, name
            page.evaluate(Path(script).read_text(encoding="utf-8"))
            found: Any = page.evaluate(
                "axe.run().then(ran => ran.violations.map(each => [each.id, each.nodes[0].html]))"
            )
            assert found == [], name


def test_the_search_works_without_a_server_and_loads_nothing_from_elsewhere(folder: Path, chromium: Browser) -> None:
    with window(chromium, 1440, "light") as context:
        page = context.new_page()
        loaded: list[str] = []
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(f"{(folder / 'search.html').as_uri()}?q=DuplicateSend")
        page.wait_for_selector("#search-results li")
        assert "smsc_async.DuplicateSend" in page.inner_text("#search-results")
        assert [url for url in loaded if not url.startswith("file:")] == []
