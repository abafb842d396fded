"""A plugin of pytest, loaded wherever this package is installed: a sandbox, a client and a server for each test.

The fixtures are not async, so that tests on asyncio, anyio and trio, and tests that are not async, use them alike.
"""

import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:  # an entry point is imported in all runs of pytest, also in those that do not test with it
    from smsc_async import Client
    from smsc_async.sandbox import Sandbox, SandboxServer
    from smsc_async.sync import Client as SyncClient
    from smsc_async.testing import ServedSandbox

__all__ = ["smsc_client", "smsc_sandbox", "smsc_sandbox_server", "smsc_sync_client"]

_ARGUMENTS: Final = ("delivery", "faults", "balance", "at", "allow_unused_faults")
_SANDBOX: Final = pytest.StashKey["Sandbox"]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "smsc(*, delivery, faults, balance, at, allow_unused_faults): the sandbox of this test: 'delivered', "
        "'undelivered' or a DeliveryPlan; faults such as ['lose_answer operation=send times=1']; the balance of the "
        "account; the time at which the clock starts, an aware datetime; whether a fault may remain unused.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test whose marker has no effect, or that has passed although a fault of its sandbox was never used."""
    with _in_one_sentence():
        _check_effect(item)
    result = yield
    # The fixture of a user's own, of the same name, is not in the stash.
    sandbox: Any = item.stash.get(_SANDBOX, None) or (getattr(item, "funcargs", None) or {}).get("smsc_sandbox")
    unused = getattr(getattr(sandbox, "faults", None), "unused", ())
    with _in_one_sentence():
        is_allowed = not unused or _given(item).get("allow_unused_faults", False)
    if not is_allowed:
        lines = [f"  {each.fault.text} ({each.seen} requests matched it)" for each in unused]
        words = "these faults were never used; if that is right, use @pytest.mark.smsc(allow_unused_faults=True):"
        pytest.fail("\n".join([words, *lines]), pytrace=False)
    return result


@pytest.fixture
def smsc_sandbox(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    """A new `smsc_async.sandbox.Sandbox` for each test, as `@pytest.mark.smsc` describes it.

    It has two accounts: the first, `smsc_sandbox.accounts[0]`, has random credentials; the login, password and API key
    of the other are `demo`. A fault that is never used fails the test.
    """
    with _in_one_sentence():
        sandbox = _made(_given(request.node))
    request.node.stash[_SANDBOX] = sandbox
    yield sandbox
    del request.node.stash[_SANDBOX]


@pytest.fixture
def smsc_client(smsc_sandbox: "Sandbox") -> "Client":
    """A `smsc_async.Client` of `smsc_sandbox` in this process, on its clock; it need not be closed."""
    from smsc_async.testing import client  # noqa: PLC0415 - see above

    return client(smsc_sandbox)


@pytest.fixture
def smsc_sync_client(smsc_sandbox: "Sandbox") -> "Iterator[SyncClient]":
    """A `smsc_async.sync.Client` of `smsc_sandbox`, on its clock, for tests of code without an event loop."""
    from smsc_async.sync import sandbox_client  # noqa: PLC0415 - see above

    with sandbox_client(smsc_sandbox) as client:
        yield client


@pytest.fixture
def smsc_sandbox_server(smsc_sandbox: "Sandbox", _smsc_server: "SandboxServer") -> "Iterator[ServedSandbox]":
    """`smsc_sandbox` over HTTP, with `url`, `account` and `environment`: for other programs, threads and languages.

    All tests of a process share one server; each has a URL and an account of its own.
    """
    from smsc_async.testing import ServedSandbox  # noqa: PLC0415 - see above

    with _smsc_server.serve(smsc_sandbox) as url:
        yield ServedSandbox(smsc_sandbox, url)


@pytest.fixture(scope="session")
def _smsc_server() -> "Iterator[SandboxServer]":
    with _in_one_sentence():
        from smsc_async.sandbox import SandboxServer  # noqa: PLC0415 - see above

        server = SandboxServer()
    with server:
        yield server


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Report a wrong argument or a missing extra without a traceback."""
    try:
        yield
    except (ValueError, ModuleNotFoundError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _given(item: pytest.Item) -> Mapping[str, Any]:
    """Return the arguments of all markers of a test; the closest one counts."""
    given: dict[str, Any] = {}
    for mark in item.iter_markers("smsc"):
        unknown = [*map(repr, mark.args), *sorted(mark.kwargs.keys() - set(_ARGUMENTS))]
        if unknown:
            names = ", ".join(_ARGUMENTS)
            raise ValueError(f"@pytest.mark.smsc has the keyword arguments {names}, and not {', '.join(unknown)}")
        given = {**mark.kwargs, **given}
    return given


def _check_effect(item: pytest.Item) -> None:
    """Refuse arguments that describe the sandbox of a test whose fixture `smsc_sandbox` is the user's own."""
    if _SANDBOX in item.stash or "smsc_sandbox" not in (getattr(item, "funcargs", None) or {}):
        return
    names = ", ".join(name for name in _ARGUMENTS if name in _given(item) and name != "allow_unused_faults")
    if names:
        raise ValueError(
            f"@pytest.mark.smsc: {names} has no effect on a fixture smsc_sandbox of your own: pass it there"
        )


def _made(given: Mapping[str, Any]) -> "Sandbox":
    """Return the sandbox that a marker describes."""
    from smsc_async.sandbox import Account, DeliveryPlan, Sandbox  # noqa: PLC0415 - see above

    options: dict[str, Any] = {}
    plans = {"delivered": DeliveryPlan.delivered, "undelivered": DeliveryPlan.undelivered}
    if "delivery" in given:
        delivery = given["delivery"]
        options["delivery"] = plans[delivery]() if isinstance(delivery, str) and delivery in plans else delivery
        if not isinstance(options["delivery"], DeliveryPlan):
            raise _wrong("delivery", "'delivered', 'undelivered' or a DeliveryPlan", delivery)
    balance: object = given.get("balance", Account.demo().balance)
    if not isinstance(balance, Decimal | int) or isinstance(balance, bool) or not Decimal(balance).is_finite():
        raise _wrong("balance", "a Decimal or a whole number", balance)
    if "at" in given:
        options["clock"] = _clock_from(given["at"])
    if not isinstance(given.get("allow_unused_faults", False), bool):
        raise _wrong("allow_unused_faults", "True or False", given["allow_unused_faults"])
    key = secrets.token_hex(8)
    own = Account(login=f"test-{key}", password=key, apikey=key)
    options["accounts"] = [replace(account, balance=Decimal(balance)) for account in (own, Account.demo())]
    try:
        return Sandbox(faults=given.get("faults", ()), **options)
    except ValueError as error:
        raise ValueError(f"@pytest.mark.smsc: {error}") from None


def _clock_from(at: object) -> Callable[[], float]:
    """Return a clock that starts at this time and runs in real time."""
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise _wrong("at", "an aware datetime, such as datetime(2031, 5, 1, 10, tzinfo=UTC)", at)
    start = at.timestamp() - time.monotonic()
    return lambda: start + time.monotonic()


def _wrong(name: str, form: str, value: object) -> ValueError:
    return ValueError(f"@pytest.mark.smsc: {name} must be {form}, not {value!r}")
