"""The site: no warning, no dead link, every public name, and in Chromium no overflow and no violation."""

import importlib
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import CHROMIUM, Theme, browser, window
from tests.parts import is_installed, missing

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent
AXE: Final = "rules => axe.run(rules).then(ran => ran.violations.map(each => [each.id, each.nodes[0].html]))"
COLORS: Final = {"runOnly": ["color-contrast"]}
"""What a change of the theme can change."""


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
def site(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Page(HTMLParser):
    """The links and the anchors of a page of the site."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str | None] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id"))
        self.links += [link for link in (given.get("href"), given.get("src")) if link and not urlsplit(link).scheme]


def _dead_links(site: Path) -> list[tuple[str, str]]:
    pages = {path.resolve(): _Page(path) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            is_there = unquote(url.fragment) in pages[target].anchors if target in pages else target.is_file()
            found += [] if is_there else [(path.name, link)]
    return found


def test_no_link_within_the_site_is_dead(folder: Path) -> None:
    assert _dead_links(folder) == []


def test_the_reference_has_every_public_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    modules = importlib.import_module("generated").MODULES
    inventory = zlib.decompress((folder / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    known = {line.split()[0] for line in inventory.splitlines()}
    assert {f"{module}.{name}" for module in modules for name in importlib.import_module(module).__all__} <= known


def test_there_are_texts_for_language_models(folder: Path) -> None:
    assert len((folder / "llms.txt").read_text(encoding="utf-8").splitlines()) > 30
    full = (folder / "llms-full.txt").read_text(encoding="utf-8")
    assert "class smsc_async.DuplicateSend" in full
    assert "# Tutorial" in full


@pytest.mark.parametrize(("width", "theme", "rules"), [(360, "light", {}), (1440, "dark", COLORS)])
def test_every_page_fits_the_window_and_axe_finds_nothing(
    folder: Path, site: str, chromium: Browser, *, width: int, theme: Theme, rules: dict[str, list[str]]
) -> None:
    script = Path(os.environ.get("AXE_CORE") or missing("AXE_CORE does not say where axe-core is, see CONTRIBUTING.md"))
    with window(chromium, width, theme) as context:
        page = context.new_page()
        pages = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.html"))]
        assert len(pages) > 50
        for name in pages:
            page.goto(f"{site}/{name}")
            excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(excess) <= 0, name
            page.evaluate(script.read_text(encoding="utf-8"))
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(255, 255, 255)") == (theme == "light"), name
            assert page.evaluate(AXE, rules) == [], name


def test_the_search_works_without_a_server_and_loads_nothing_from_elsewhere(folder: Path, chromium: Browser) -> None:
    with window(chromium, 1440, "light") as context:
        page = context.new_page()
        loaded: list[str] = []
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(f"{(folder / 'search.html').as_uri()}?q=DuplicateSend")
        page.wait_for_selector("#search-results li")
        assert "smsc_async.DuplicateSend" in page.inner_text("#search-results")
        assert [url for url in loaded if not url.startswith("file:")] == []
