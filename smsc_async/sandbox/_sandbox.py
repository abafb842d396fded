"""The sandbox as its users see it: the service with its clock, its faults, and what tests ask and change."""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from ._access import Access, is_loopback
from ._accounts import Account
from ._app import make_app
from ._arguments import check, checked_accounts, checked_faults
from ._callbacks import SandboxCallbacks
from ._changes import ALL_MESSAGES, Changes
from ._connection import InProcessTransport, Traffic
from ._delivery import ERRORS, STATUS_NAMES, DeliveryPlan
from ._event_log import EventLog
from ._events import Event
from ._exchanges import Exchange, Exchanges
from ._fault import Fault
from ._faults import Faults, ScriptEntry
from ._limits import Limits, LimitUse
from ._lookup import Lookup
from ._messages import AcceptedMessage
from ._sandbox_clock import SandboxClock, clock_after
from ._sent import SentAssertions
from ._service import Service
from ._soap import SoapEndpoint

__all__ = ["Sandbox"]

_LIMITS = Limits()
_DELIVERY = DeliveryPlan()
_LONG: Final = 1_000  # events


class Sandbox(SentAssertions):
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
        keep: How many of the newest messages are kept, at least, in memory and in the file.
        faults: The faults to inject, such as `["lose_answer operation=send times=1"]`; see `Fault`.
        token: The token for `/_sandbox/`; None for none.
        allowed_hosts: Further host names by which `/_sandbox/` may be used, such as the name of a container.

    Raises:
        ValueError: An argument is wrong, or the file is not the state of a sandbox with these arguments.

    Attributes:
        app: The ASGI application, for any server; it answers on every path.
        clock: The clock, for `Client(clock=)` and `Guards(clock=)`; its `speed` is how many of its seconds pass in a
            real second.
        faults: The faults that are injected into requests: `sandbox.faults.add("lose_answer", operation="send")`.
        callbacks: What is reported to the URL of your application, see `SandboxCallbacks`.
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
        keep: int = 100_000,
        faults: Iterable[Fault | str] = (),
        token: str | SecretStr | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        customers = (Account.demo(),) if accounts is None else checked_accounts(accounts)
        check(limits=limits, delivery=delivery, seed=seed, clock=clock, latency=latency, state=state)
        check(namespace=namespace, keep=keep)
        self._access = Access(token, allowed_hosts)
        self._seed, self._keep = seed, keep
        self.faults: Faults = Faults(seed)
        self._first_faults = tuple(checked_faults(faults))
        self.faults.reset(self._first_faults, seed)
        self._event_log = event_log = None if state is None else EventLog(Path(state), seed)
        self._service = Service(
            accounts=customers,
            limits=limits,
            delivery=delivery,
            seed=seed,
            keep=keep,
            event_log=None if event_log is None else self._write,
        )
        last = 0.0 if event_log is None else self._service.replay(event_log.read())
        base = clock_after(event_log, last) if clock is None else clock
        # Time that was skipped before a restart stays skipped.
        skipped = max(0.0, last - base()) if last else 0.0
        self._traffic = traffic = Traffic()
        self._changes = changes = Changes()
        self.clock: SandboxClock = SandboxClock(
            base, skipped, is_busy=traffic.is_busy, calm=traffic.calm, moved=changes.notify
        )
        self.callbacks: SandboxCallbacks = SandboxCallbacks(self._service, self.clock, changes, self.faults, traffic)
        self._lookup = lookup = Lookup(self._service, self.clock, changes)
        self._exchanges = Exchanges()
        soap = SoapEndpoint(
            self._service,
            self.clock,
            traffic,
            self.faults,
            self._exchanges,
            changes=changes,
            latency=latency,
            namespace=namespace,
        )
        self.app: Starlette = make_app(self, soap, traffic, self._access, lookup, limits=limits)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The customers; the balance of each is its initial one, see `balances`."""
        return tuple(self._service.accounts)

    @property
    def balances(self) -> Mapping[str, Decimal]:
        """The remaining balance of each login."""
        return self._service.balances

    @property
    def messages(self) -> Sequence[AcceptedMessage]:
        """The messages accepted so far, in order, but for old ones of more than `keep`."""
        return self._service.messages

    @property
    def requests(self) -> Sequence[Exchange]:
        """The last requests and their answers, at most 10,000, without credentials."""
        return self._exchanges.all()

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

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821", at=After(minutes=30))
            >>> await sandbox.advance(1800)
            >>> (await client.status(sent)).status.phrase
            'delivered'

        Args:
            seconds: How far the clock moves.

        Raises:
            ValueError: The seconds are no number, less than 0, or too many.
        """
        return self.clock.advance(seconds)

    def set_status(self, key: int, status: int, err: int | None = None) -> AcceptedMessage:
        """Give a message a status from now on, in place of all later changes.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> message = sandbox.set_status(sandbox.message().key, 25)
            >>> (await client.status(sent)).status.phrase
            'number unavailable'

        Args:
            key: The key of the message.
            status: The status, -3 to 4 or 20 to 25.
            err: The delivery error, by default that of the status.

        Raises:
            LookupError: There is no such message.
            ValueError: There is no such status.
        """
        if status not in STATUS_NAMES:
            raise ValueError(f"status must be one of {', '.join(map(str, STATUS_NAMES))}")
        given = ERRORS.get(status, 0) if err is None else err
        with self._service.lock:
            message = self._service.set_status(key, status, given, self.clock.now())
        if message is None:
            raise LookupError(f"there is no message with the key {key}; {self._accepted()}")
        self._changes.notify(key)
        return message

    def put_account(self, login: str, **values: Any) -> Account:
        """Change some attributes of a customer, such as `balance`, or add one, and return it with its present balance.

        Example:
            >>> account = sandbox.put_account("demo", balance=Decimal(3))
            >>> (await client.balance()).amount
            Decimal('3')

        Args:
            login: The login.
            **values: Attributes of `Account`; a new one needs a password. `top_up` is added to the balance.

        Raises:
            ValueError: A value is wrong or missing, or another customer has this apikey.
        """
        with self._service.lock:
            account = self._service.change_account(login, values)
        self._changes.notify()
        return account

    def limits(self) -> list[LimitUse]:
        """Return how far each limit is used that something counts under at the moment, the fullest first.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> sandbox.limits()[0].limit
            1
        """
        with self._service.lock:
            uses = self._service.uses(self.clock.now())
        return sorted(uses, key=lambda use: use.used / max(1, use.limit), reverse=True)

    def delete_messages(self) -> None:
        """Forget all messages, also in the state file; balances, limits and ids stay.

        Example:
            >>> sandbox.delete_messages()
            >>> len(sandbox.messages)
            0
        """
        with self._service.lock:
            self._service.delete_messages()
            self._prune()
        self._changes.notify(ALL_MESSAGES)

    def reset(self) -> None:
        """Begin anew, as after the start: no messages, requests and counts, the first accounts and faults.

        Only keys, numbers, the time and the URL of callbacks go on; the clock runs at its normal speed.

        Example:
            >>> sandbox.reset()
            >>> sandbox.balances["demo"]
            Decimal('10000')
        """
        with self._service.lock:
            self._service.reset()
            self.faults.reset(self._first_faults, self._seed)
            self._exchanges.clear()
            self.callbacks.clear()
            self._prune()
        self.clock.speed = 1.0
        self._changes.notify(ALL_MESSAGES)

    def _write(self, event: Event) -> None:
        assert self._event_log is not None  # noqa: S101 - otherwise nothing is written
        self._event_log.write(event)
        if self._event_log.lines > self._keep or self._event_log.is_long:
            self._prune()

    def _prune(self) -> None:
        if self._event_log is not None:
            self._event_log.rewrite(self._service.snapshot())

    def close(self) -> None:
        """Close the state file, if there is one, and shorten it if it is long; a later request opens it again."""
        if self._event_log is not None:
            with self._service.lock:
                if self._event_log.lines > _LONG:
                    self._prune()
                self._event_log.close()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for `Client(transport=)`: complete HTTP messages without a network.

        Example:
            >>> async with Client(apikey="demo", transport=sandbox.transport()) as client:
            ...     sent = await client.send("+79991234567", "Your code is 4821")
        """
        return InProcessTransport(self.app)

    def serve(self, host: str = "127.0.0.1", port: int = 0, *, no_token: bool = False) -> AbstractContextManager[str]:
        """Return a context in which the sandbox is served over HTTP, on a thread of its own; it is entered as the URL.

        Example:
            >>> with sandbox.serve() as url:
            ...     async with Client(apikey="demo", url=url) as client:
            ...         sent = await client.send("+79991234567", "Your code is 4821")

        Args:
            host: The host name or IP address to listen on.
            port: The port, 0 for any free port.
            no_token: Allow a host that other machines can connect to, although the sandbox has no token.

        Raises:
            ValueError: Other machines can connect to the host, and there is neither a token nor `no_token`.
            OSError: The port is in use, or the host is not an address of this machine.
        """
        from ._server import serve  # noqa: PLC0415 - uvicorn, which a sandbox in this process does not need

        self.bind(host, no_token=no_token)
        return serve(self.app, host, port, self.callbacks)

    def bind(self, host: str, *, no_token: bool = False) -> None:
        """Prepare for a server of your own, which serves `app` on this host; see `serve`."""
        if not (no_token or self._access.has_token or is_loopback(host)):
            raise ValueError("other machines can connect to this host: pass a token, or no_token (--no-token) for none")
        self._traffic.is_served = True
        self._access.bind(host)
