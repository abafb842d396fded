"""The pages: no link is dead, all are in the index, and figures are those of the code. The site: tests/browser."""

import dataclasses
import re
from pathlib import Path
from typing import Any, Final

import pytest

from smsc_async.guards import Rules

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


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Why not a plain SOAP client")[2].partition("[The benchmarks]")[0]
    figures = re.findall(r"\d[\d,]+", table)
    assert len(figures) > 10
    known = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8").replace(",", "")
    assert [each for each in figures if not re.search(rf"\b{each.replace(',', '')}\b", known)] == []


@pytest.mark.parametrize("rule", [each.name for each in dataclasses.fields(Rules) if each.name != "spend"])
def test_the_table_of_the_limits_has_the_numbers_of_the_rules(rule: str) -> None:
    limits = (ROOT / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
    row = next(line for line in limits.splitlines() if line.startswith(f"| `{rule}` |"))
    number: Any = getattr(Rules(), rule)
    period = f"{number.seconds:g} s" if number.seconds < 600 else f"{number.seconds / 60:g} min"
    assert number.seconds == 0 or re.search(rf"\b{period}\b", row)
    assert rule == "blocked" or re.search(rf"\b{number.count}\b", row)


def test_each_variable_is_in_the_reference() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "smsc_async").rglob("*.py"))
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bSMSC_[A-Z_]+[A-Z]\b", sources)) == set(re.findall(r"`(SMSC_\w+)`", page))
