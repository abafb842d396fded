"""Each verb of the clients, the watches and the sandbox describes its parameters, and has an example that runs."""

import ast
import doctest
import inspect
import re
from collections.abc import Callable, Coroutine
from contextlib import redirect_stdout
from decimal import Decimal
from io import StringIO
from typing import Any, Final

import pytest

import smsc_async
from smsc_async import sync, testing
from smsc_async.guards import Guards
from smsc_async.sandbox import DeliveryPlan, Sandbox

NAMES: Final = {name: getattr(smsc_async, name) for name in smsc_async.__all__} | {"Decimal": Decimal}
OPTIONS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _verbs(cls: type, *without: str) -> list[Any]:
    """Return the public methods of a class, also those that it inherits."""
    return [
        pytest.param(getattr(cls, name), id=f"{cls.__name__}.{name}")
        for name in dir(cls)
        if not name.startswith("_") and inspect.isfunction(inspect.getattr_static(cls, name)) and name not in without
    ]


ASYNCHRONOUS: Final = [
    *_verbs(smsc_async.Client),
    *_verbs(smsc_async.Watcher),
    pytest.param(Guards.snapshot, id="Guards.snapshot"),
    *_verbs(Sandbox, "now", "to_rows", "close", "bind"),
]
SYNCHRONOUS: Final = [*_verbs(sync.Client), *_verbs(sync.Watcher)]


def _examples(verb: Callable[..., object]) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(inspect.getdoc(verb) or "")


async def _run(example: doctest.Example, names: dict[str, Any]) -> str:
    """Run an example as `python -m asyncio` does; return what it prints."""
    code = compile(example.source, "<docstring>", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(StringIO()) as printed:
        result = eval(code, names)  # noqa: S307 - our own docstrings
        if isinstance(result, Coroutine):
            await result
    return printed.getvalue()


def _check(example: doctest.Example, printed: str) -> None:
    checker = doctest.OutputChecker()
    assert checker.check_output(example.want, printed, OPTIONS), checker.output_difference(example, printed, OPTIONS)


@pytest.mark.parametrize("verb", ASYNCHRONOUS)
async def test_the_example_of_a_verb_runs(verb: Callable[..., object]) -> None:
    examples = _examples(verb)
    assert examples
    sandbox = Sandbox(delivery=DeliveryPlan.delivered())
    async with testing.client(sandbox) as client:
        names = {**NAMES, "client": client, "sandbox": sandbox}
        for example in examples:
            _check(example, await _run(example, names))


@pytest.mark.parametrize("verb", SYNCHRONOUS)
def test_the_example_of_a_synchronous_verb_runs(verb: Callable[..., object]) -> None:
    examples = _examples(verb)
    assert examples
    sandbox = Sandbox(delivery=DeliveryPlan.delivered())
    with sync.sandbox_client(sandbox) as client:
        names = {**NAMES, "client": client, "sandbox": sandbox}
        for example in examples:
            with redirect_stdout(StringIO()) as printed:
                exec(compile(example.source, "<docstring>", "single"), names)  # noqa: S102 - our own docstrings
            _check(example, printed.getvalue())


@pytest.mark.parametrize("verb", [*ASYNCHRONOUS, *SYNCHRONOUS])
def test_each_parameter_of_a_verb_is_described(verb: Callable[..., object]) -> None:
    described = set(re.findall(r"^ {4}\*{0,2}(\w+): ", inspect.getdoc(verb) or "", re.MULTILINE))
    assert inspect.signature(verb).parameters.keys() - {"self"} - described == set()


async def test_a_wrong_example_is_found_out() -> None:
    example = doctest.Example("1 + 1\n", "3\n")
    with pytest.raises(AssertionError, match="Expected"):
        _check(example, await _run(example, {}))
