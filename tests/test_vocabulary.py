"""One word for one thing: names and phrases that were retired stay away, and no two classes share a name."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
HERE: Final = Path(__file__)
CODE: Final = sorted(
    path for folder in ("smsc_async", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
)
TEXTS: Final = [
    *CODE,
    *sorted((ROOT / "smsc_async").rglob("*.lua")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]

IDENTIFIERS: Final = {
    "is_decided",
    "decided",
    "undecided",
    "decided_at",
    "DECIDED",
    "Doubt",
    "doubt",
    "doubts",
    "doubt_of",
    "in_doubt",
    "IN_DOUBT",
    "keep_doubt",
    "Settlement",
    "Settler",
    "settle",
    "settled",
    "settlement",
    "is_settled",
    "Fate",
    "fate",
    "Verdict",
    "verdict",
    "verdicts",
    "Mark",
    "Lanes",
    "lanes",
    "lane",
    "Pending",
    "Book",
    "book",
    "Roll",
    "roll",
    "Do",
    "_do",
    "Diary",
    "diary",
    "_crew",
    "crew",
    "_hire",
    "hire",
    "_fret",
    "Tally",
    "tally",
    "Place",
    "Places",
    "Sending",
    "Patience",
}
"""Names that the glossary replaced."""
PHRASES: Final = (
    r"\bdoubts?\b|\bdoubtful\b",
    r"\bundecided\b|\bdecided\b",
    r"\b(un)?settl(e|es|ed|ing|ement)\b",
    r"\bverdicts?\b",
    r"\bfates?\b",
    r"\blanes?\b",
    r"\bcrew\b|\bhires?\b|\bhired\b",
    r"\bdiary\b|\bdiaries\b",
    r"\btally\b|\btallies\b",
    r"\bwhoever\b",
    r"\bblanks\b",
    r"\bso many seconds\b",
    r"\bplaces? in flight\b|\bplaces? under\b|gives? (its|the) places? back|\bno place\b",
    r"^\W*Do it\.|^\W*End that\.|\"\"\"Tell ",
)
"""Words of prose that the glossary replaced: in comments, docstrings, messages and documents."""
PHRASE: Final = re.compile("|".join(PHRASES), re.IGNORECASE | re.MULTILINE)

MIRRORED: Final = {"Client", "Journal", "Watcher"}
"""Classes of `smsc_async.sync`, which are named after those whose methods they have."""


def _names(path: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def _retired_phrases(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8").replace("_", " ")
    if path.name == "CHANGELOG.md":  # it says in backticks what a name was before
        text = re.sub(r"`[^`\n]*`", "", text)
    for match in PHRASE.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        yield f"{path.relative_to(ROOT)}:{number}: {match[0]!r}"


def test_no_retired_name_is_used() -> None:
    assert [(path, names) for path in CODE if path != HERE and (names := _names(path) & IDENTIFIERS)] == []


def test_no_retired_phrase_is_used() -> None:
    assert [found for path in TEXTS if path != HERE for found in _retired_phrases(path)] == []


def test_no_two_classes_of_the_package_share_a_name() -> None:
    found = defaultdict(list)
    for path in CODE:
        if path.is_relative_to(ROOT / "smsc_async"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(path.name)
                elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
                    found[ast.unparse(node.target)].append(path.name)
    assert {name: files for name, files in found.items() if len(files) > 1 and name not in MIRRORED} == {}
    assert all(len(found[name]) == 2 for name in MIRRORED)
