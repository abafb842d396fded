"""Every type that a public signature mentions can be imported from a public module."""

import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import pytest

import smsc_async
import smsc_async.callbacks
import smsc_async.guards
import smsc_async.sandbox
import smsc_async.sync
import smsc_async.taskiq
import smsc_async.testing
from smsc_async import Balance, Client, DeliveryReport, MessageRef, MessageStatus, QueryOptions, Result, SentMessage

MODULES: Final = (
    smsc_async,
    smsc_async.callbacks,
    smsc_async.guards,
    smsc_async.sandbox,
    smsc_async.sync,
    smsc_async.taskiq,
    smsc_async.testing,
)
PUBLIC: Final = [(module, name) for module in MODULES for name in module.__all__]
REF: Final = MessageRef("+79991234567", "a1")
MADE_BY_US: Final = ("Watcher.__init__", "SandboxCallbacks.__init__")  # by `Client.watch` and by a `Sandbox`
EXPORTED: Final = {id(getattr(module, name)) for module, name in PUBLIC}


def _types(annotation: object) -> Iterator[type]:
    """Yield the classes in an annotation."""
    if isinstance(annotation, list | tuple):
        for each in annotation:
            yield from _types(each)
    elif typing.get_args(annotation):
        yield from _types(typing.get_origin(annotation))
        yield from _types(typing.get_args(annotation))
    elif isinstance(annotation, type):
        yield annotation


def _signatures(value: object) -> Iterator[tuple[str, Any]]:
    """Yield what has annotations: a function, or the public attributes and methods of a class."""
    if isinstance(value, types.FunctionType):
        yield value.__name__, value
    elif isinstance(value, type):
        yield value.__name__, value
        for name, member in list(vars(value).items()):  # a class may be built meanwhile
            found = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
            if (not name.startswith("_") or name == "__init__") and inspect.isfunction(found):
                yield f"{value.__name__}.{name}", inspect.unwrap(found)


def _mentioned(value: object) -> Iterator[tuple[str, type]]:
    """Yield each type of this package in the annotations of a public object, with the place of it."""
    for where, owner in _signatures(value):
        own = vars(owner).get("__annotations__", {}) if isinstance(owner, type) else owner.__annotations__
        for name, hint in typing.get_type_hints(owner, vars(sys.modules[owner.__module__])).items():
            if name in own and not name.startswith("_"):
                yield from ((f"{where}({name})", each) for each in _types(hint))


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[f"{module.__name__}.{name}" for module, name in PUBLIC])
def test_each_type_of_a_public_signature_can_be_imported(module: types.ModuleType, name: str) -> None:
    hidden = {
        where: each
        for where, each in _mentioned(getattr(module, name))
        if each.__module__.startswith("smsc_async") and id(each) not in EXPORTED and not where.startswith(MADE_BY_US)
    }
    assert hidden == {}


@pytest.mark.parametrize("method", [Client.send, Client.cost, Client.send_batch], ids=lambda method: method.__name__)
def test_the_help_of_a_send_lists_every_option_with_its_meaning(method: Callable[..., object]) -> None:
    listed = dict(re.findall(r"^ {4,8}\*{0,2}(\w+): (.+)", inspect.getdoc(method) or "", re.MULTILINE))
    own = {name for name in inspect.signature(method).parameters if name != "self"}
    assert listed.keys() >= own | QueryOptions.__annotations__.keys()
    assert listed["tinyurl"] == "Shorten the links in the text and count the clicks."


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (SentMessage(id="a1", refs=(REF,)), {*SentMessage.model_fields, "ref"}),
        (
            DeliveryReport(ref=REF, status=MessageStatus.SENT),
            {*DeliveryReport.model_fields, "is_final", "is_delivered", "phrase"},
        ),
        (Balance(amount=Decimal(1)), {"amount"}),
        (REF, {"phone", "id"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_completion_shows_what_a_result_has_and_not_what_its_library_has(value: object, names: set[str]) -> None:
    extra = {"extra", "to_rows"} if isinstance(value, Result) else set()
    assert set(dir(value)) == names | extra | {"model_dump", "model_dump_json"}
    assert all(hasattr(value, name) for name in dir(value))
