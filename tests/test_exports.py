"""The root exports what it imports, sorted, and each exported class and function is documented."""

import ast
import inspect
from pathlib import Path

import pytest

import smsc_async


def test_all_is_sorted_and_is_what_the_root_imports() -> None:
    tree = ast.parse(Path(smsc_async.__file__).read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    imported = [alias.asname or alias.name for node in imports for alias in node.names]
    # The order that ruff's RUF022 asks for: constants, classes, the rest.
    assert smsc_async.__all__ == sorted(imported, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


@pytest.mark.parametrize("name", smsc_async.__all__)
def test_a_public_name_has_a_docstring(name: str) -> None:
    value = getattr(smsc_async, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)
