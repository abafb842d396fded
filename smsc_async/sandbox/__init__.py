"""An emulator of SMS Center with its limits, prices and delivery statuses: try and test without an account.

    sandbox = Sandbox()
    client = smsc_async.Client(apikey="demo", transport=sandbox.transport())

The default account has the login, the password and the apikey `demo`. Some numbers have a fixed delivery result: see
`MAGIC_NUMBERS`. `smsc-async sandbox` serves it over HTTP for other programs, which find its WSDL at `?wsdl`.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import httpx

try:
    from starlette.applications import Starlette

    from ._app import make_app
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own, without the extra
    if _error.name != "starlette":
        raise
    raise ModuleNotFoundError("the sandbox needs an extra package: pip install 'smsc-async[sandbox]'") from None

from smsc_async._model import is_seconds, wrong
from smsc_async._protocol import CONTRACT

from ._accounts import Account
from ._channels import ServiceChannel
from ._connection import InProcessTransport, Traffic
from ._delivery import MAGIC_NUMBERS, Change, DeliveryPlan, MagicNumber, Share
from ._event_log import EventLog
from ._fault import Fault, FaultKind
from ._faults import Faults, InjectedFault, ScriptEntry
from ._limits import Block, Limits, Streak, Window
from ._messages import AcceptedMessage
from ._sandbox_clock import SandboxClock, clock_after
from ._sent import newest_sent
from ._service import Service
from ._shared_server import SandboxServer, open_server

__all__ = [
    "MAGIC_NUMBERS",
    "AcceptedMessage",
    "Account",
    "Block",
    "Change",
    "DeliveryPlan",
    "Fault",
    "FaultKind",
    "Faults",
    "InjectedFault",
    "Limits",
    "MagicNumber",
    "Sandbox",
    "SandboxServer",
    "ScriptEntry",
    "ServiceChannel",
    "Share",
    "Streak",
    "Window",
]

_LIMITS = Limits()
_DELIVERY = DeliveryPlan()


class Sandbox:
    """The emulated service, in this process.

    Args:
        accounts: The customers; by default one whose login, password and apikey are `demo`.
        limits: The limits enforced with errors 9 and 4; `Limits.off()` for none.
        delivery: The delivery results of accepted messages, and their delays.
        seed: Seed of the random numbers: the same seed and the same calls give the same answers.
        clock: Returns the Unix time; None for the real time, which goes on when the wall clock is set.
        latency: Seconds between the arrival of a request and its answer.
        namespace: The only namespace of requests and answers; None for that of the service,
            `https://smscentre.com/sys/soap.php`, and the URL of the request.
        state: A file for the event log, from which a later sandbox with the same accounts, limits, delivery and seed
            continues, even if this one was killed. Only one sandbox may use it at a time.
        faults: The faults to inject, such as `["lose_answer operation=send times=1"]`; see `Fault`.

    Raises:
        ValueError: An argument is wrong, or the file is not the state of a sandbox with these arguments.

    Attributes:
        app: The ASGI application, for any server; it answers on every path.
        accounts: The customers.
        clock: The clock, for `Client(clock=)` and `Guards(clock=)`; its `speed` is how many of its seconds pass in a
            real second.
        faults: The faults that are injected into requests: `sandbox.faults.add("lose_answer", operation="send")`.
    """

    def __init__(
        self,
        *,
        accounts: Iterable[Account] | None = None,
        limits: Limits = _LIMITS,
        delivery: DeliveryPlan = _DELIVERY,
        seed: int = 0,
        clock: Callable[[], float] | None = None,
        latency: float = 0.0,
        namespace: str | None = None,
        state: str | os.PathLike[str] | None = None,
        faults: Iterable[Fault | str] = (),
    ) -> None:
        customers = (Account.demo(),) if accounts is None else _checked(accounts)
        _check(limits=limits, delivery=delivery, seed=seed, clock=clock, latency=latency, state=state)
        _check(namespace=namespace)
        event_log = None if state is None else EventLog(Path(state), seed)
        self._service = Service(
            accounts=customers,
            limits=limits,
            delivery=delivery,
            seed=seed,
            event_log=None if event_log is None else event_log.write,
        )
        self._event_log = event_log
        last = 0.0 if event_log is None else self._service.replay(event_log.read())
        base = clock_after(event_log, last) if clock is None else clock
        # Time that was skipped before a restart stays skipped.
        skipped = max(0.0, last - base()) if last else 0.0
        self._traffic = traffic = Traffic()
        self.faults = Faults(seed)
        for fault in _listed(faults):
            self.faults.add(fault)
        self.accounts: tuple[Account, ...] = customers
        self.clock: SandboxClock = SandboxClock(base, skipped, is_busy=traffic.is_busy, calm=traffic.calm)
        self.app: Starlette = make_app(
            self._service, self.clock, traffic, self.faults, latency=latency, namespace=namespace
        )

    @property
    def messages(self) -> Sequence[AcceptedMessage]:
        """The messages accepted so far, in order."""
        return self._service.messages

    @property
    def counts(self) -> Counter[tuple[str, int]]:
        """How many requests were answered, by method and error code (0 for none)."""
        return self._service.counts

    @property
    def script(self) -> Sequence[ScriptEntry]:
        """What happened to the last 10,000 requests, in order; the same seed and the same requests give the same."""
        return self.faults.script

    def now(self) -> float:
        """Return the sandbox's Unix time."""
        return self.clock.now()

    def advance(self, seconds: float) -> Awaitable[None]:
        """Move the clock forward by `seconds`, so that a test sees a message delivered without sleeping.

        The waits, limits, deadlines and watches of the clients of `smsc_async.testing.client(sandbox)` move with it.
        The clock jumps: a call whose wait is over wakes at the new time. Await the result to go step by step instead:
        each wait ends at its own time, and so does what the woken calls then wait for within these seconds, such as
        the further requests of a watch. It returns when all of them wait again.

        Raises:
            ValueError: The seconds are no number, or less than 0.
        """
        if not is_seconds(seconds):
            raise wrong("seconds", "a number, at least 0, because time moves forward only", seconds)
        return self.clock.advance(seconds)

    def assert_sent(self, phone: str, *, contains: str | None = None) -> AcceptedMessage:
        """Return the newest message to this recipient whose text contains this.

        Args:
            phone: The recipient: a number in any notation, an e-mail address or a Telegram name.
            contains: A part of the text; None for any text.

        Raises:
            AssertionError: There is none; it says what was sent and refused instead.
            ValueError: An argument is not a string.
        """
        __tracebackhide__ = True
        return newest_sent(phone, contains, self.messages, self.script)

    def close(self) -> None:
        """Close the state file, if there is one; a later request opens it again."""
        if self._event_log is not None:
            self._event_log.close()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for `Client(transport=)`: complete HTTP messages without a network."""
        return InProcessTransport(self.app)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Return a context in which the sandbox is served over HTTP, on a thread of its own; it is entered as the URL.

            with sandbox.serve() as url:
                async with testing.client(sandbox, url=url) as client: ...

        Args:
            host: The host name or IP address to listen on.
            port: The port, 0 for any free port.

        Raises:
            OSError: The port is in use, or the host is not an address of this machine.
        """
        self._traffic.is_served = True
        return open_server(self.app, host, port)


_MUST: Final[Mapping[str, tuple[Callable[[object], object], str]]] = {
    "limits": (lambda value: isinstance(value, Limits), "a Limits object"),
    "delivery": (lambda value: isinstance(value, DeliveryPlan), "a DeliveryPlan object"),
    "seed": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "clock": (lambda value: value is None or callable(value), "a function that returns the Unix time, or None"),
    "latency": (is_seconds, "a number of seconds, at least 0"),
    "namespace": (
        lambda value: value is None or (isinstance(value, str) and value.isprintable() and value and " " not in value),
        f"'{CONTRACT.namespace}' or another URI without spaces, or None",
    ),
    "state": (lambda value: value is None or isinstance(value, str | os.PathLike), "the path of a file, or None"),
}


def _check(**values: object) -> None:
    for name, value in values.items():
        is_right, form = _MUST[name]
        if not is_right(value):
            raise wrong(name, form, value)


def _listed(faults: object) -> Iterable[Fault | str]:
    if not isinstance(faults, Iterable) or isinstance(faults, str | Mapping):
        raise wrong("faults", "a list such as ['lose_answer operation=send times=1']", faults)
    return faults


def _checked(accounts: object) -> tuple[Account, ...]:
    if not isinstance(accounts, Iterable):
        raise wrong("accounts", "a list of Account objects", accounts)
    given = tuple(accounts)
    for account in given:
        if not isinstance(account, Account):
            raise wrong("each item of accounts", "an Account, such as Account.demo()", account)
    return given
