"""The rooms of the package, the imports between them, and the form of a module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parent.parent / "smsc_async"
MODULES: Final = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
}
ARROWS: Final = {
    "_model": "",
    "_protocol": "_model",
    "_network": "_model",
    "guards": "_model",
    "_watching": "_model",
    "_tasks": "_model",
    "sandbox": "_protocol _model",
    "_call": "guards _network _protocol _model",
    "_sending": "_call _network _protocol _model",
    "_base_client": "_watching _sending _call _network guards _model",
    "_client": "_base_client _watching _sending _call _network guards _model",
    "callbacks": "_protocol _model",
    "_web": "callbacks _client _model",
    "_journal": "_client _watching _sending _call _network guards _protocol _model",
    "testing": "_client _watching guards sandbox _model",
    "pytest_plugin": "sync testing sandbox __init__",
    "sync": "__init__ testing sandbox callbacks guards",
    "taskiq": "_tasks _client _watching _sending _call _network guards _protocol _model",
    "fastapi": "_web callbacks __init__",
    "aiohttp": "_web callbacks __init__",
    "otel": "__init__",
    "audit": "__init__",
    "__init__": "_journal _client _watching _sending _network guards _model",
    "_cli": "_journal _client _watching _sending _call _network guards _protocol _model sandbox",
    "__main__": "_cli",
}
"""Each room, and the rooms it may import. A room is a folder, or a module beside the folders."""
LEAVES: Final = {"_version", "_clock", "_movable_clock", "_frames", "_private_file", "_thread", "_notebook"}
"""Modules that any room may import."""
FLOORS: Final = 10

TASKS: Final = {"taskiq", "_tasks"}
PURE: Final = {"_model", "_protocol", "guards._limits", "guards._rules", "guards._demands", "guards._refusals"} | {
    "_watching.plan",
    "_watching.curve",
    "_watching.buckets",
    "_watching.updates",
    "_watching.worth",
    "_sending.chunks",
    "_sending.evidence",
    "_journal.rows",
    "_journal.requests",
    "_cli.messages_csv",
    "_cli.spreadsheet",
    "sandbox",
}
"""Rooms and modules without network, clock and log."""
IMPURE: Final = {
    "sandbox.__init__",
    "sandbox._access",
    "sandbox._api.app",
    "sandbox._api.callbacks",
    "sandbox._app",
    "sandbox._callbacks.delivery",
    "sandbox._callbacks.poster",
    "sandbox._callbacks.queue",
    "sandbox._changes",
    "sandbox._connection",
    "sandbox._damage",
    "sandbox._desk",
    "sandbox._exchanges",
    "sandbox._found",
    "sandbox._lookup",
    "sandbox._pages.answers",
    "sandbox._pages.app",
    "sandbox._pages.instruments",
    "sandbox._pages.live",
    "sandbox._pages.render",
    "sandbox._sandbox",
    "sandbox._server",
    "sandbox._service",
    "sandbox._shared_server",
    "sandbox._soap",
    "sandbox._status_schedule",
}
ONLY_IN: Final = {
    "redis": {"guards._redis", *TASKS},
    "taskiq": {"taskiq", "_tasks.queue", "_tasks.private"},
    "taskiq_redis": {"taskiq", "_tasks.queue"},
    "lxml": {"_protocol.envelope"},
    "opentelemetry": {"otel", "_tasks.tracing"},
    # The other modules use its types in annotations, or make one of its transports on demand.
    "httpx": {
        "_network.httpx",
        "_network.pool",
        "_base_client",
        "_call.config",
        "sandbox._callbacks.poster",
        "sandbox._connection",
        "sandbox._sandbox",
        "sync._session",
    },
    "aiohttp": {"_network.aiohttp", "_network.connector", "aiohttp"},
    "yarl": {"_network.aiohttp"},
    "certifi": {"_network.tls"},
    "sqlite3": {"_journal.database"},
    "phonenumbers": {"_model.phone"},
    "typer": {"__main__", "_cli"},
    "rich": {"__main__", "_cli", "_notebook"},
    "tqdm": {"_notebook"},
    "fastapi": {"sandbox._api", "fastapi"},
    "jinja2": {"sandbox._pages.render"},
    "starlette": {*IMPURE, "_cli", "fastapi"},
    "uvicorn": {*IMPURE, "_cli"},
}
UNWORLDLY: Final = {"asyncio", "anyio", "trio", "logging", "time", "socket", "threading"}
"""What a pure module must not import: the event loop, the network, the clock, the log."""


def _room(name: str) -> str:
    return name.partition(".")[0]


def _modules(room: str) -> list[str]:
    return [name for name in MODULES if _room(name) == room]


def _is_in(name: str, modules: set[str]) -> bool:
    """Return whether a module is one of these modules, or inside one of these packages."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def _imports(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each import: the absolute name of the module, and the names that are imported from it."""
    here = ["smsc_async", *name.split(".")[:-1]]
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            found.extend((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = here[: len(here) - node.level + 1] if node.level else []
            path = ".".join([*up, *(node.module or "").split(".")]).strip(".")
            found.append((path, tuple(alias.name for alias in node.names)))
    return tuple(found)


def _own(name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for path, names in _imports(name):
        if _room(path) == "smsc_async":
            yield path.removeprefix("smsc_async").removeprefix("."), names


def _foreign(name: str) -> set[str]:
    return {_room(path) for path, _ in _imports(name)} - {"smsc_async"}


def _neighbours(name: str) -> set[str]:
    """Return the other rooms that a module imports."""
    rooms = {_room(path) if path else "__init__" for path, _ in _own(name)}
    return rooms - {_room(name)} - LEAVES


def _exports(room: str) -> set[str]:
    tree = _tree(f"{room}.__init__" if f"{room}.__init__" in MODULES else room)
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return set(ast.literal_eval(lists[0]))


def _floor(room: str) -> int:
    return 1 + max((_floor(below) for below in ARROWS[room].split()), default=0)


def _undocumented(node: ast.AST, path: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            if not ast.get_docstring(child):
                yield f"{path}.{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from _undocumented(child, f"{path}.{child.name}")


ROOMS: Final = sorted({_room(name) for name in MODULES})


def test_every_module_is_in_a_room_of_the_table() -> None:
    assert {_room(name) for name in MODULES} == {*ARROWS, *LEAVES}
    assert len(ARROWS) <= 26  # a dozen rooms of the client, and the public ones at its edge: frameworks, tests, traces


def test_arrows_point_down_only() -> None:
    rooms = list(ARROWS)
    for room, below in ARROWS.items():
        assert set(below.split()) <= set(rooms), f"{room} points to a room that does not exist"
        assert _floor(room) <= FLOORS, f"{room} is too high up"  # a cycle would never return


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_imports_only_what_its_room_may(room: str) -> None:
    for name in _modules(room):
        if room in LEAVES:
            assert list(_own(name)) == []
        else:
            assert _neighbours(name) <= set(ARROWS[room].split()), name


@pytest.mark.parametrize("room", ARROWS)
def test_no_arrow_of_the_table_is_unused_by_the_lower_rooms(room: str) -> None:
    # The upper rooms may import everything below them; in the lower ones each arrow must be used.
    used = set().union(*(_neighbours(name) for name in _modules(room)))
    if _floor(room) <= 4:
        assert used == set(ARROWS[room].split())


@pytest.mark.parametrize("room", ROOMS)
def test_another_room_is_used_through_what_it_exports(room: str) -> None:
    for name in _modules(room):
        for path, names in _own(name):
            if _room(path) in {room, *LEAVES}:
                continue
            assert "." not in path, f"{name} reaches into {path}"
            lazy = {"RedisAdmin", "RedisStore"} if path == "guards" else set()
            said = f"{name} takes from {path} what it does not export"
            assert set(names) <= _exports(path or "__init__") | lazy, said


@pytest.mark.parametrize("name", sorted(name for name in MODULES if _is_in(name, PURE) and name not in IMPURE))
def test_a_pure_module_imports_neither_network_nor_clock_nor_log(name: str) -> None:
    third_party = {"pydantic", "pydantic_core", "lxml", "phonenumbers"}
    assert _foreign(name) <= (sys.stdlib_module_names | third_party) - UNWORLDLY
    nodes = list(ast.walk(_tree(name)))
    assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    attributes = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    assert attributes.isdisjoint({"datetime.now", "datetime.utcnow", "datetime.today", "date.today"})


@pytest.mark.parametrize("name", sorted(name for name in MODULES if _room(name) == "guards"))
def test_only_guards_that_wait_import_the_event_loop(name: str) -> None:
    waiting = {"guards._guards", "guards._waiters", "guards._redis"}
    assert _is_in(name, waiting) or _foreign(name).isdisjoint({"anyio", "asyncio", "trio"})


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    assert [name for name in MODULES if library in _foreign(name) and not _is_in(name, ONLY_IN[library])] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_has_a_telling_name_and_a_readable_size(room: str) -> None:
    empty = {"util", "utils", "helper", "helpers", "common", "base", "misc"}
    for name in _modules(room):
        assert name.rpartition(".")[2].strip("_") not in empty
        assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 350, name


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_has_a_docstring(room: str) -> None:
    for name in _modules(room):
        assert ast.get_docstring(_tree(name)), name
        assert list(_undocumented(_tree(name), name)) == []


def test_importing_the_package_imports_no_optional_library() -> None:
    # Nor httpx, which imports rich for its own command where rich and click are installed.
    code = (
        "import sys; from smsc_async import *; "
        "print(*{'typer', 'rich', 'starlette', 'uvicorn', 'fastapi', 'redis', 'taskiq', 'zeep', 'httpx', 'aiohttp', "
        "'phonenumbers', 'opentelemetry', 'tqdm', 'smsc_async._notebook'} "
        "& set(sys.modules))"
    )
    ran = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "", "")
