"""The root exports what it imports, sorted and documented, and imports each name when it is first used."""

import ast
import inspect
import pickle
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

import smsc_async

ROOT: Final = Path(__file__).parent.parent
IMPORTS: Final = [
    node
    for node in ast.walk(ast.parse(Path(smsc_async.__file__).read_text(encoding="utf-8")))
    if isinstance(node, ast.ImportFrom) and node.level
]
MODULES: Final = {alias.name: node.module for node in IMPORTS for alias in node.names}
"""Each name, and the module from which a type checker imports it."""


def _run(code: str) -> str:
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.strip()


def test_all_is_sorted_and_is_what_the_root_imports() -> None:
    assert all(alias.asname is None for node in IMPORTS for alias in node.names)
    # The order that ruff's RUF022 asks for: constants, classes, the rest.
    assert smsc_async.__all__ == sorted(MODULES, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


@pytest.mark.parametrize("name", smsc_async.__all__)
def test_a_public_name_has_a_docstring(name: str) -> None:
    value = getattr(smsc_async, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", smsc_async.__all__)
def test_a_name_is_the_one_that_type_checkers_see(name: str) -> None:
    module = f"smsc_async.{MODULES[name]}"
    assert getattr(smsc_async, name) is getattr(sys.modules[module], name)


def test_importing_the_root_imports_none_of_its_rooms() -> None:
    code = "import sys, smsc_async; print(*sorted(name for name in sys.modules if name.startswith('smsc_async')))"
    assert _run(code) == "smsc_async smsc_async._version"


def test_a_value_is_imported_without_what_sends() -> None:
    code = "import sys; from smsc_async import Message; print({'anyio', 'lxml', 'smsc_async._client'} & {*sys.modules})"
    assert _run(code) == "set()"


def test_the_help_of_the_command_line_is_shown_without_what_a_command_needs() -> None:
    pytest.importorskip("typer", reason="pip install 'smsc-async[cli]'")
    code = """
import atexit, sys
from smsc_async.__main__ import main
needless = {"httpx", "httpcore", "starlette", "uvicorn", "redis"}
atexit.register(lambda: print("imported:", *sorted(needless & {*sys.modules})))
sys.argv = ["smsc-async", "--help"]
main()
"""
    assert _run(code).splitlines()[-1] == "imported:"


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted({*MODULES.values()} - {"_version"}, key=str))
def test_the_names_of_each_module_can_be_the_first_that_is_imported(module: str) -> None:
    name = next(name for name in MODULES if MODULES[name] == module)
    code = f"""
import smsc_async
assert "{name}" not in vars(smsc_async)
value = smsc_async.{name}
assert vars(smsc_async)["{name}"] is value
from smsc_async import {name}
assert {name} is value
"""
    assert _run(code) == ""


def test_a_name_can_be_patched_before_its_first_use() -> None:
    code = """
from unittest import mock
with mock.patch("smsc_async.Client") as fake:
    import smsc_async
    assert smsc_async.Client is fake
print(smsc_async.Client.__name__)
"""
    assert _run(code) == "Client"


def test_a_star_import_has_all_names() -> None:
    assert _run("from smsc_async import *; import smsc_async; print({*smsc_async.__all__} - {*globals()})") == "set()"


def test_the_guards_are_an_attribute_of_the_root() -> None:
    assert _run("import smsc_async; print(smsc_async.guards.MemoryStore.__name__)") == "MemoryStore"


def test_another_name_is_an_error_that_suggests_one() -> None:
    with pytest.raises(AttributeError, match=r"^module 'smsc_async' has no attribute 'Cliemt'$") as caught:
        getattr(smsc_async, "Cliemt")  # noqa: B009 - mypy knows as well
    assert (caught.value.name, caught.value.obj) == ("Cliemt", smsc_async)
    assert not hasattr(smsc_async, "__wrapped__")
    code = "try:\n    from smsc_async import Cliemt\nexcept ImportError as error:\n    print(error.name)"
    assert _run(code) == "smsc_async"


def test_dir_help_and_inspect_know_all_names() -> None:
    code = "import smsc_async; print({*smsc_async.__all__} - {*dir(smsc_async)})"
    assert _run(code) == "set()"
    assert {*smsc_async.__all__} <= {name for name, _ in inspect.getmembers(smsc_async)}
    shown = pydoc.plain(pydoc.render_doc(smsc_async))
    for name in ("class Client(", "class SmscError(", "parts(text"):
        assert name in shown


def test_what_was_pickled_is_read_by_a_program_that_has_only_imported_the_root() -> None:
    message = smsc_async.Message("+79991234567", "Hello")
    code = f"import pickle, smsc_async; print(pickle.loads({pickle.dumps(message)!r}).text)"
    assert _run(code) == "Hello"


def test_several_threads_can_be_the_first_that_use_a_class() -> None:
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from smsc_async import Send, Viber
sys.setswitchinterval(1e-6)
def make(_):
    return Send(to=("+79991234567",), text="Hi", via=Viber(), id="1")
with ThreadPoolExecutor(8) as threads:
    print(all(each == make(0) for each in threads.map(make, range(64))))
"""
    assert _run(code) == "True"


class Letter(BaseModel):
    """A model with a forward reference to a name of the root."""

    message: "smsc_async.Message"


def test_a_model_refers_to_a_name_forward() -> None:
    message = smsc_async.Message("+79991234567", "Hello")
    assert Letter(message=message).message == message
