"""A channel, a parameter, a rule or an operation that was added is in every list that names all of them."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

import smsc_async
from smsc_async import GetBalance, GetStatus, MessageRef, Operation, Rules, Send, Sms
from smsc_async._model import Channel, QueryOptions
from smsc_async._model.parameters import _MODELLED, Asked, Dispatch
from smsc_async._protocol.contract import CONTRACT
from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._service import METHODS
from tests.guards.planner import LIMITS, cost, planner, send
from tests.protocol.test_contract import ALL_OPTIONS, CHANNELS

T = TypeVar("T")

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = "".join(
    (ROOT / "docs" / path).read_text(encoding="utf-8") for path in ("reference/service.md", "reference/limits.md")
)
PARAMETERS: Final = sorted(Dispatch.model_fields.keys() - {"via"})


def _kinds(base: type[T]) -> list[type[T]]:
    """Return the public classes of the package below a class; tests define more."""
    below = [kind for child in base.__subclasses__() for kind in (child, *_kinds(child))]
    return [kind for kind in below if kind.__module__.startswith("smsc_async.") and not kind.__name__.startswith("_")]


OPERATIONS: Final[list[Any]] = [kind for kind in _kinds(Asked) if hasattr(kind, "methods")]  # type: ignore[type-abstract]


@pytest.mark.parametrize("kind", _kinds(Channel))
def test_a_channel_is_exported_documented_and_checked_against_the_schema(kind: type[Channel]) -> None:
    assert kind.__name__ in smsc_async.__all__
    assert f"{kind.__name__}(" in DOCS or kind is Sms
    assert kind in map(type, CHANNELS)


@pytest.mark.parametrize("channel", [channel for channel in CHANNELS if type(channel) is not Sms], ids=repr)
def test_the_parameters_of_a_channel_are_read_by_the_sandbox_and_refused_in_extra(channel: Channel) -> None:
    assert ServiceChannel.read(channel.parameters()) is not ServiceChannel.SMS
    assert channel.parameters().keys() <= _MODELLED


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_a_keyword_documented_and_written_to_query(name: str) -> None:
    assert name in QueryOptions.__annotations__
    assert re.search(rf"`{name}[`=]", DOCS)
    if name != "extra":
        assert name in _MODELLED
        assert name in Send(to=("+79991234567",), text="Hi", **ALL_OPTIONS).parameters()


def test_every_keyword_is_a_parameter() -> None:
    assert sorted(QueryOptions.__annotations__) == PARAMETERS


@pytest.mark.parametrize("rule", [field.name for field in fields(Rules)])
def test_a_rule_is_in_the_table_of_the_readme_and_described(rule: str) -> None:
    assert f"| `{rule}` |" in DOCS
    assert f"\n    {rule}: " in (inspect.getdoc(Rules) or "")


@pytest.mark.parametrize("rule", LIMITS)
def test_a_rule_is_reserved_by_some_request(rule: str) -> None:
    requests: list[Operation[Any]] = [send(), cost(), GetStatus(ref=MessageRef("+79991234567", "a1")), GetBalance()]
    assert rule in {demand.rule for request in requests for demand in planner().demands(request)}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_exported_and_calls_methods_of_the_contract(operation: Any) -> None:
    assert operation.__name__ in smsc_async.__all__
    assert {method for method in operation.methods if method} <= set(CONTRACT.operations)


@pytest.mark.parametrize("method", CONTRACT.operations)
def test_a_method_of_the_contract_is_called_documented_and_served_by_the_sandbox(method: str) -> None:
    assert any(method in operation.methods for operation in OPERATIONS)
    assert f"`{method}`" in DOCS
    assert {*METHODS[method]} == {field.name for field in CONTRACT.operations[method].fields}
