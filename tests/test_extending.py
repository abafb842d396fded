"""A channel, a parameter, a rule or an operation that was added is in every list that names all of them."""

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

import smsc_async
from smsc_async import Rules
from smsc_async._model import Channel, QueryOptions
from smsc_async._model.parameters import _MODELLED, Asked, Dispatch
from smsc_async._protocol.contract import CONTRACT
from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._service import METHODS

T = TypeVar("T")

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
DEFAULT: Final = "Sms"
PARAMETERS: Final = sorted(Dispatch.model_fields.keys() - {"via"})


def _kinds(base: type[T]) -> list[type[T]]:
    """Return the public classes of the package below a class; tests define more."""
    below = [kind for child in base.__subclasses__() for kind in (child, *_kinds(child))]
    return [kind for kind in below if kind.__module__.startswith("smsc_async.") and not kind.__name__.startswith("_")]


def _names_of_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


CHANNELS: Final = [kind for kind in _kinds(Channel) if kind.__name__ != DEFAULT]
OPERATIONS: Final[list[Any]] = [kind for kind in _kinds(Asked) if hasattr(kind, "methods")]  # type: ignore[type-abstract]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_is_exported_documented_and_tested(channel: type[Channel]) -> None:
    name = channel.__name__
    assert name in smsc_async.__all__
    assert f"{name}(" in README
    assert name in _names_of_tests("tests/model/test_channels.py")
    assert name in _names_of_tests("tests/protocol/test_contract.py")


@pytest.mark.parametrize("channel", [channel for channel in CHANNELS if channel.flag])
def test_the_flag_of_a_channel_is_known_to_the_sandbox_and_refused_in_extra(channel: type[Channel]) -> None:
    assert channel.flag in set(ServiceChannel)
    assert channel.flag in _MODELLED


def test_every_channel_of_the_sandbox_is_one_of_the_client() -> None:
    assert len(ServiceChannel) == len(CHANNELS) + 1


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_a_keyword_and_documented(name: str) -> None:
    assert name in QueryOptions.__annotations__
    assert re.search(rf"`{name}[`=]", README)
    assert name in _MODELLED or name == "extra"


def test_every_keyword_is_a_parameter() -> None:
    assert sorted(QueryOptions.__annotations__) == PARAMETERS


@pytest.mark.parametrize("rule", [field.name for field in fields(Rules)])
def test_a_rule_is_in_the_table_of_the_readme_and_described(rule: str) -> None:
    assert f"| `{rule}` |" in README
    assert f"        {rule}: " in (Rules.__doc__ or "")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_exported_and_calls_methods_of_the_contract(operation: Any) -> None:
    assert operation.__name__ in smsc_async.__all__
    assert {method for method in operation.methods if method} <= set(CONTRACT.operations)


@pytest.mark.parametrize("method", CONTRACT.operations)
def test_a_method_of_the_contract_is_called_documented_and_served_by_the_sandbox(method: str) -> None:
    assert any(method in operation.methods for operation in OPERATIONS)
    assert f"`{method}`" in README
    assert {*METHODS[method]} == {field.name for field in CONTRACT.operations[method].fields}
