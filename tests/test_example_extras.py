"""An example says which extras it needs."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
NEEDS: Final = {
    "smsc-async sandbox": "cli sandbox",
    "smsc_async.sandbox": "sandbox",
    "smsc_async.fastapi": "fastapi",
    "smsc_async.otel": "otel",
    "smsc_async.taskiq": "taskiq",
    "import .*RedisStore": "redis",
    r"\bPhone\b": "phones",
}
DOCUMENTS: Final = {
    path: document
    for path in EXAMPLES.rglob("*.py")
    if "pip install" in (document := ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_installs_what_it_needs(path: Path) -> None:
    files = path.parent.glob("[!t]*.py") if path.stem == "__init__" else [path]
    program = "".join(file.read_text(encoding="utf-8") for file in files)
    needed = {extra for words, extras in NEEDS.items() if re.search(words, program) for extra in extras.split()}
    found = re.search(r"pip install 'smsc-async\[([a-z,]+)\]'", DOCUMENTS[path])
    assert found is not None
    installed = set(found[1].replace("taskiq", "taskiq,redis").split(","))
    assert needed <= installed
