"""The synchronous classes have the methods of the asynchronous ones: the same arguments, results and documentation."""

import inspect
import types
import typing
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, Final

import pytest

from smsc_async import Client, DeliveryReport, GetStatus, Journal, Watcher, sync
from smsc_async.guards import Guards
from smsc_async.sync._mirror import without_await

PAIRS: Final[dict[type, type]] = {sync.Client: Client, sync.Journal: Journal, sync.Watcher: Watcher}
NAMES: Final = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}
NAMES_OF_PYTHON: Final = {"__aiter__": "__iter__", "__anext__": "__next__"}
ONLY_SYNC: Final = {(sync.Client, "guards_snapshot"): Guards.snapshot, (sync.Client, "clock_skew"): None}
OWN_WORDS: Final = {(sync.Client, "guards")}
"""What is documented in words of its own."""


def _members(cls: type) -> dict[str, Any]:
    """Return the public methods and properties of a class, and those of its blocks and loops."""
    special = {*NAMES, *NAMES_OF_PYTHON, *NAMES.values(), *NAMES_OF_PYTHON.values(), "__init__"}
    names = {name for base in cls.__mro__[:-1] for name in vars(base) if not name.startswith("_") or name in special}
    return {name: inspect.getattr_static(cls, name) for name in sorted(names)}


PAIRED: Final = [
    pytest.param(mine, name, id=f"{mine.__name__}.{name}")
    for mine, other in PAIRS.items()
    for name in _members(other)
    if not (mine is sync.Watcher and name == "__init__")  # only `Client.watch` makes one
]


def _pair(mine: type, name: str) -> tuple[Any, Any]:
    """Return a method or the getter of a property, and the original."""
    members = _members(PAIRS[mine])[name], _members(mine)[{**NAMES, **NAMES_OF_PYTHON}.get(name, name)]
    original, own = (getattr(member, "fget", None) or member for member in members)
    return own, original


def _blocking(hint: Any) -> Any:
    """Return the type of an argument or a result, as it is without an event loop."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint == Callable[[GetStatus], Awaitable[DeliveryReport]] | None:
        return Callable[[GetStatus], DeliveryReport] | None
    if origin is AsyncGenerator:
        return types.GenericAlias(Generator, (inner[0], None, None))
    if origin is Coroutine:
        return inner[2]
    return {Client: sync.Client, Watcher: sync.Watcher}.get(hint, hint)


def _signature(function: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def _hints(function: Any) -> dict[str, Any]:
    unwrapped = inspect.unwrap(function)
    names = {**vars(inspect.getmodule(unwrapped)), "httpx": __import__("httpx")}
    return typing.get_type_hints(unwrapped, names)


@pytest.mark.parametrize(("mine", "name"), PAIRED)
def test_a_method_has_the_parameters_and_defaults_of_the_asynchronous_one(mine: type, name: str) -> None:
    own, original = _pair(mine, name)
    assert _signature(own) == _signature(original)


@pytest.mark.parametrize(("mine", "name"), PAIRED)
def test_a_method_has_the_types_of_the_asynchronous_one(mine: type, name: str) -> None:
    own, original = _pair(mine, name)
    if name in NAMES_OF_PYTHON:
        return
    expected = {each: str(_blocking(hint)) for each, hint in _hints(original).items()}
    if name == "__aexit__":
        expected["return"] = str(type(None))  # no block hides an exception
    assert {each: str(hint) for each, hint in _hints(own).items()} == expected  # a `TypeVar` is another one


@pytest.mark.parametrize(("mine", "name"), PAIRED)
def test_a_method_has_the_documentation_of_the_asynchronous_one(mine: type, name: str) -> None:
    own, original = _pair(mine, name)
    if (mine, name) in OWN_WORDS or (name.startswith("__") and not inspect.getdoc(original)):
        assert name.startswith("__") or inspect.getdoc(own)
        return
    if name not in {"__aenter__", "__aexit__"} or (mine is sync.Journal and name == "__aenter__"):
        assert inspect.getdoc(own) == without_await(original.__doc__)
        assert "await" not in (own.__doc__ or "")


@pytest.mark.parametrize("mine", PAIRS, ids=lambda mine: mine.__name__)
def test_there_are_no_other_methods(mine: type) -> None:
    others = {{**NAMES, **NAMES_OF_PYTHON}.get(name, name) for name in _members(PAIRS[mine])}
    assert {(mine, name) for name in _members(mine).keys() - others} == {
        (cls, name) for cls, name in ONLY_SYNC if cls is mine
    }


def test_help_is_complete() -> None:
    shown = inspect.getdoc(sync.Client.send) or ""
    for words in (
        "Args:",
        "    text: 1 to 1000 characters",
        "    tinyurl: Shorten the links",
        "Raises:",
        "DuplicateSend:",
    ):
        assert words in shown
    assert "sync.Client" not in shown
