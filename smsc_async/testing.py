"""For the tests of an application: a client of a sandbox on the sandbox's clock, and a clock that tests advance."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ._client import Client
from ._model import AnyRef
from ._movable_clock import MovableClock
from ._thread import is_thread_at_work
from ._watching import Source, Unfinished, Watched, Watcher, source_of
from .guards import Guards

with suppress(ModuleNotFoundError):  # the extra [sandbox]; a `ManualClock` doesn't need it
    from .sandbox import Account, Sandbox

__all__ = ["ManualClock", "ServedSandbox", "client"]

_URL: Final = "https://smscentre.com/sys/soap.php"
_LATEST: Final = 1e12  # seconds; later ones would be too coarse for short waits


class ManualClock(MovableClock):
    """A clock that stands still until it is advanced, for `Client(clock=)` and `Guards(clock=)`.

    Waits for limits, pauses before retries, deadlines and watches of such a client pass as soon as the clock has
    been advanced far enough. All other timers of the application, and the timeouts of the network, use real time:

        clock = ManualClock()
        async with Client(transport=..., clock=clock) as client:
            ...  # a task that waits for the limit of one message
            clock.advance(62)  # the task continues

    Use a clock on the event loop of its clients.

    Args:
        start: The initial time, in seconds.

    Raises:
        ValueError: It is not a number, less than 0, or too large.
    """

    def __init__(self, start: float = 0.0) -> None:
        time = _checked("start", start, _LATEST)
        super().__init__(lambda: time, speed=0.0, is_busy=is_thread_at_work)

    def advance(self, seconds: float) -> Awaitable[None]:
        """Move the clock forward, and wake all waiting tasks whose time has come, in order of time.

        Await the result to go step by step: each wait ends at its own time, and so do those that the woken tasks then
        begin within these seconds. It returns when all of them wait again.

        Raises:
            ValueError: The seconds are less than 0, not finite, or too many.
        """
        return super().advance(_checked("seconds", seconds, _LATEST - self.now()))


@dataclass(frozen=True, slots=True)
class ServedSandbox:
    """A sandbox that is served over HTTP, as the pytest fixture `smsc_sandbox_server` returns it.

    Attributes:
        sandbox: The sandbox.
        url: The URL of its SOAP service.
    """

    sandbox: "Sandbox"
    url: str

    @property
    def account(self) -> "Account":
        """Its first account, with the `apikey`, `login` and `password` to pass to the application."""
        return self.sandbox.accounts[0]

    @property
    def environment(self) -> dict[str, str]:
        """The variables `SMSC_URL` and `SMSC_APIKEY`, for an application whose client takes no arguments."""
        return {"SMSC_URL": self.url, "SMSC_APIKEY": self.account.apikey}


def client(sandbox: "Sandbox", **options: Any) -> Client:
    """Return a client of a sandbox, on the clock of the sandbox.

    `sandbox.advance(120)` moves its limits, waits, deadlines and watches: a call that waits wakes, and no test needs to
    sleep. All other timers of the application use real time. Two more things differ from `Client`: a lost answer is
    reconciled at once, without waiting for a request that may still arrive, and a watch begins with a request for each
    message.

        sandbox = Sandbox()
        async with testing.client(sandbox) as client:
            await client.send("+79991234567", "Your code is 4821")
            await sandbox.advance(62)
            await client.send("+79991234567", "Your code is 4821")  # no DuplicateSend

    Args:
        sandbox: The sandbox.
        **options: Arguments of `Client`. By default: the credentials of the sandbox's first account, guards on its
            clock, its transport and the service's URL. With `url=`, that of a served sandbox, the client uses HTTP.

    Raises:
        ValueError: An argument is wrong.
    """
    given = dict(options)
    if given.keys().isdisjoint({"apikey", "login", "password", "credentials"}):
        account = sandbox.accounts[0]
        own = {"apikey": account.apikey} if account.apikey else {"login": account.login, "password": account.password}
        given.update(own)
    if given.keys().isdisjoint({"url", "transport"}):
        given.update(transport=sandbox.transport(), url=_URL)
    guards = {} if "guards" in given else {"guards": Guards(clock=sandbox.clock, late_arrival=0.0)}
    return _SandboxClient(**{"fallback_urls": (), "clock": sandbox.clock, **guards, **given})


class _SandboxClient(Client):
    """A client whose watches begin with a request for each message, because a test may have advanced the clock."""

    def watch(self, messages: Source, **options: Any) -> Watcher:
        def hint(message: AnyRef) -> None:
            watcher.hint(message)

        watcher = super().watch(_hinted(messages, hint), **options)
        return watcher


def _hinted(messages: Source, hint: Callable[[AnyRef], None]) -> Iterable[Watched] | AsyncIterable[Watched]:
    """Return the messages; `hint` is called with each of them as soon as it is watched."""
    source = source_of(messages)

    def each() -> Iterator[Watched]:
        assert isinstance(source, Iterable)  # noqa: S101 - for the type checker
        for message in source:
            yield message
            hint(message.ref if isinstance(message, Unfinished) else message)

    async def each_later() -> AsyncIterator[Watched]:
        assert isinstance(source, AsyncIterable)  # noqa: S101 - for the type checker
        async for message in source:
            yield message
            hint(message.ref if isinstance(message, Unfinished) else message)

    return each_later() if isinstance(source, AsyncIterable) else each()


def _checked(name: str, seconds: object, most: float) -> float:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        kind = "None" if seconds is None else type(seconds).__name__
        raise ValueError(f"{name} must be a number of seconds, not {kind}")  # noqa: TRY004 - as everywhere
    if not 0.0 <= seconds <= most:
        raise ValueError(f"{name} must be at least 0 and finite, at most {_LATEST:g} in all: a clock only goes forward")
    return seconds
