"""The package keeps the table of DESIGN.md, section 3: who may import whom, and what a module may look like."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parent.parent / "smsc_async"
MODULES: Final = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
}
LAYERS: Final = {
    0: "_model.types _model.unresolved _model.exceptions _model.codes _model.credentials "
    "_model.schedule _model.channels _model.text _version _journal.rows",
    1: "_model.results _model.parameters _model.operations _model.options _cli.messages_csv",
    2: "_protocol.query _protocol.envelope _protocol.contract _protocol.wsdl _protocol.binding "
    "_sending.chunks _watching.plan _watching.curve _watching.buckets _sending.evidence "
    "_journal.requests",
    3: "guards.__init__ guards._limits guards._rules guards._store _clock guards._memory guards._redis.store "
    "guards._redis.link guards._redis.scripts guards._redis.snapshot guards._demands "
    "guards._refusals guards._waiters "
    "guards._guards",
    4: "_network.transport _network.body _network.proxy _network.tls _network.pool _network.httpx "
    "_network.aiohttp _journal.file _journal.store _journal.wal",
    5: "_client _base_client _call.caller _sending.bulk _call.namespaces _call.config "
    "_sending.reconcile _watching.watcher _watching.registry _journal.journal "
    "_journal.guard_store _journal.sender",
}
LAYER_OF: Final = {name: layer for layer, names in LAYERS.items() for name in names.split()}
TASKS: Final = {"taskiq", "_tasks.claims", "_tasks.queue", "_tasks.results"}
ROOMS: Final = {name for name in MODULES if name.startswith("_") and name.endswith(".__init__")} | {
    "guards._redis.__init__"
}
EDGES: Final = {
    "__init__",
    *ROOMS,
    "__main__",
    "_cli.doctor",
    *TASKS,
    *(name for name in MODULES if name.startswith("_cli.")),
}
SANDBOX_EDGES: Final = {"sandbox.__init__", "sandbox._app"}
SANDBOX: Final = {name for name in MODULES if name.startswith("sandbox.")} - SANDBOX_EDGES
CORE: Final = {name for name in MODULES if LAYER_OF.get(name, 9) <= 2}
CLI: Final = {"__main__", "_cli.doctor", *(name for name in MODULES if name.startswith("_cli."))}
PURE_GUARDS: Final = {"guards._limits", "guards._rules", "guards._demands", "guards._refusals"}
ONLY_IN: Final = {
    "redis": {"guards._redis.store", "guards._redis.link", "guards._redis.snapshot", *TASKS},
    "taskiq": {"taskiq", "_tasks.queue"},
    "taskiq_redis": {"taskiq", "_tasks.queue"},
    "lxml": {"_protocol.envelope"},
    "httpx": {"_network.httpx", "_network.pool", "_base_client", "_call.config", "sandbox.__init__"},
    "aiohttp": {"_network.aiohttp"},
    "yarl": {"_network.aiohttp"},
    "certifi": {"_network.tls"},
    "sqlite3": {"_journal.file", "_journal.store", "_cli.watch_state"},
    "typer": CLI,
    "rich": CLI,
    "starlette": {*SANDBOX_EDGES, *CLI},
    "uvicorn": {*SANDBOX_EDGES, *CLI},
}
UNWORLDLY: Final = {"asyncio", "anyio", "trio", "logging", "time", "socket", "threading"}
"""What layers 0 to 2 must not know: the network, the clock, the log."""


def _tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def _imports(name: str) -> Iterator[str]:
    """Yield what a module imports: `._types` for our own modules, the first name for those of others."""
    here = ["smsc_async", *name.split(".")[:-1]]
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = here[: len(here) - node.level + 1] if node.level else []
            path = ".".join([*up, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                found = (
                    f"{path}.{alias.name}" if f"{path}.{alias.name}".removeprefix("smsc_async.") in MODULES else path
                )
                yield found.removeprefix("smsc_async") if found.startswith("smsc_async.") else found.partition(".")[0]


def _own(name: str) -> set[str]:
    own = {imported.removeprefix(".") for imported in _imports(name) if imported.startswith(".")}
    return {f"{module}.__init__" if f"{module}.__init__" in MODULES else module for module in own}


def _foreign(name: str) -> set[str]:
    return {imported for imported in _imports(name) if not imported.startswith(".")}


def _undocumented(node: ast.AST, path: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            if not ast.get_docstring(child):
                yield f"{path}.{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from _undocumented(child, f"{path}.{child.name}")


def test_every_module_has_its_place_in_the_table() -> None:
    assert set(MODULES) - set(LAYER_OF) - EDGES - SANDBOX - SANDBOX_EDGES == set()
    assert set(LAYER_OF) - set(MODULES) == set(), "the table names a module that doesn't exist"


@pytest.mark.parametrize("name", sorted(set(LAYER_OF) & set(MODULES)))
def test_a_module_imports_only_its_own_layer_and_those_below(name: str) -> None:
    allowed = {other for other, layer in LAYER_OF.items() if layer <= LAYER_OF[name]}
    if LAYER_OF[name] == 4:  # it moves bytes and knows no operations
        allowed = {other for other, layer in LAYER_OF.items() if layer in {0, 4}}
    if LAYER_OF[name] == 3:  # nor anything of the wire
        allowed = {other for other, layer in LAYER_OF.items() if layer in {0, 1, 3}}
    assert _own(name) <= allowed


@pytest.mark.parametrize("name", sorted(CORE | PURE_GUARDS | SANDBOX))
def test_a_pure_module_knows_neither_network_nor_clock_nor_log(name: str) -> None:
    third_party = {"pydantic", "pydantic_core", "lxml"}
    assert _foreign(name) <= (sys.stdlib_module_names | third_party) - UNWORLDLY
    nodes = list(ast.walk(_tree(name)))
    assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    attributes = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    assert attributes.isdisjoint({"datetime.now", "datetime.utcnow", "datetime.today", "date.today"})


@pytest.mark.parametrize("name", sorted(SANDBOX))
def test_the_emulator_shares_only_the_protocol_with_the_client(name: str) -> None:
    assert _own(name) <= CORE | SANDBOX | {"guards._rules"}


@pytest.mark.parametrize("name", sorted(name for name, layer in LAYER_OF.items() if layer == 3))
def test_only_those_guards_that_wait_or_have_a_clock_know_the_event_loop(name: str) -> None:
    waiting = {"guards._guards", "guards._waiters", "_clock", "guards._redis.store", "guards._redis.link"}
    assert name in waiting or _foreign(name).isdisjoint({"anyio", "asyncio", "trio"})


def test_no_part_of_the_sandbox_knows_the_client() -> None:
    for name in SANDBOX | SANDBOX_EDGES & set(MODULES):
        assert _own(name).isdisjoint({module for module, layer in LAYER_OF.items() if layer >= 4} | {"__init__"})


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_only_where_it_belongs(library: str) -> None:
    assert {name for name in MODULES if library in _foreign(name)} <= ONLY_IN[library]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_a_telling_name_and_a_readable_size(name: str) -> None:
    assert name.rpartition(".")[2].strip("_") not in {"util", "utils", "helper", "helpers", "common", "base", "misc"}
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name: str) -> None:
    tree = _tree(name)
    assert ast.get_docstring(tree)
    assert list(_undocumented(tree, name)) == []


def test_import_brings_no_optional_part() -> None:
    # Nor httpx, which imports rich for a command of its own, wherever rich and click are installed.
    code = (
        "import sys, smsc_async; "
        "print(*{'typer', 'rich', 'starlette', 'uvicorn', 'redis', 'taskiq', 'zeep', 'httpx', 'aiohttp'} "
        "& set(sys.modules))"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "", "")
