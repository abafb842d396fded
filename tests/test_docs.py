"""The documentation: no link is dead, the site is built without a warning, and its reference has every public name."""

import importlib
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Final

import pytest

from tests.parts import is_installed, missing

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = [
    *ROOT.glob("*.md"),
    ROOT / "benchmarks" / "README.md",
    *(path for path in (ROOT / "docs").rglob("*.md") if "_generated" not in path.parts),
]


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-")


def _links(page: Path) -> list[str]:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_within_the_repository_is_dead(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, link


def test_each_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs").with_suffix(""))
        assert name == "index" or "_generated" in name or f"\n{name}\n" in index, name


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_its_reference_has_every_public_name(tmp_path: Path) -> None:
    if not all(map(is_installed, ("sphinx", "furo", "myst_parser"))):
        missing("Sphinx is not installed: pip install --group docs .")
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        modules = importlib.import_module("generated").MODULES
    finally:
        sys.path.remove(str(ROOT / "docs"))
    ran = subprocess.run(  # noqa: S603 - our own documentation
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(ROOT / "docs"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    inventory = zlib.decompress((tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    known = {line.split()[0] for line in inventory.splitlines()}
    public = {f"{module}.{name}" for module in modules for name in importlib.import_module(module).__all__}
    assert public <= known
    assert len((tmp_path / "llms.txt").read_text(encoding="utf-8").splitlines()) > 30
    assert "DuplicateSend" in (tmp_path / "llms-full.txt").read_text(encoding="utf-8")
