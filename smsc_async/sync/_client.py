"""The synchronous client: each method calls that of the asynchronous client on the thread with the event loop."""

from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from typing import Final, Literal, Unpack

from smsc_async import (
    UNSET,
    Channel,
    ChunkCost,
    Cost,
    DeliveryReport,
    Message,
    MessageOutcome,
    QueryOptions,
    Reports,
    SentMessage,
    Sms,
    SmscError,
    Timeout,
    UnresolvedSend,
    Unset,
)
from smsc_async import Client as AsyncClient
from smsc_async import Watcher as AsyncWatcher
from smsc_async.callbacks import StatusPush

from ._call import PortalCall, asking_of, items_of, noted_by_caller
from ._iterating import each, list_of, soon
from ._mirror import mirrors
from ._session import BlockingSession
from ._types import AnyRef, AskStatus, Id, Many, OnProgress, Source, When, Workers
from ._watcher import Watcher

__all__ = ["Client"]

_DAY: Final = 86_400.0
_SMS: Final = Sms()


class Client(BlockingSession):
    """A synchronous client for the SOAP service of SMS Center, for code without an event loop.

    It has the methods of `smsc_async.Client` with the same arguments, results, exceptions, limits and environment
    variables. Use it as a context manager, or call `close` when it is no longer needed:

        with Client(apikey="...") as client:
            sent = client.send("+79991234567", "Hello")
            report = client.wait_delivered(sent.ref)

    One client may be used by many threads at once. All clients and journals of a process run on one thread with an
    event loop, which starts at the first call and ends with the last client. Iterables are read, and `on_progress` is
    called, on the thread that calls the method; `credentials`, `on_unresolved` and the observers are called on the
    thread with the event loop, so they must return at once. Ctrl-C cancels the call: the outcome of a send is then
    unknown, and `on_unresolved` is called with it.

    In the child of a fork, a client makes new connections and new guards at its next call. Each process then has the
    limits for itself, of which a `RuntimeWarning` tells, unless the processes share them in a `RedisStore`.

    In a thread that runs an event loop, each call raises `WrongEventLoop`.
    """

    @mirrors(AsyncClient.send)
    def send(
        self,
        to: str | Iterable[str],
        text: str | None = None,
        *,
        id: Id = None,  # noqa: A002 - the service's own word
        sender: str | None = None,
        at: When = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        allow_duplicate: bool = False,
        attempt: int = 1,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> SentMessage:
        """Send one text to one or many recipients (`send_sms`, `send_sms2`)."""
        phones = tuple(to) if isinstance(to, Iterator) else to
        return self._run(
            lambda client: client.send(
                phones,
                text,
                id=id,
                sender=sender,
                at=at,
                via=via,
                cost=cost,
                allow_duplicate=allow_duplicate,
                attempt=attempt,
                timeout=timeout,
                deadline=deadline,
                **options,
            )
        )

    @mirrors(AsyncClient.send_batch)
    def send_batch(
        self,
        messages: Many[Message],
        *,
        sender: str | None = None,
        at: When = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        allow_duplicate: bool = False,
        workers: Workers = "auto",
        progress: bool = False,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> Generator[MessageOutcome, None, None]:
        """Send a different message to each recipient, many in one request (`send_sms2` with `list`)."""
        return each(
            self._behind,
            lambda client: client.send_batch(
                items_of(messages),
                sender=sender,
                at=at,
                via=via,
                cost=cost,
                allow_duplicate=allow_duplicate,
                workers=workers,
                progress=progress,
                timeout=timeout,
                deadline=deadline,
                **options,
            ),
        )

    @mirrors(AsyncClient.cost_batch)
    def cost_batch(
        self,
        messages: Many[Message],
        *,
        via: Channel = _SMS,
        workers: Workers = "auto",
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> Generator[ChunkCost, None, None]:
        """Yield the cost of a batch, one result for each request that `send_batch` would make; sends nothing."""
        return each(
            self._behind,
            lambda client: client.cost_batch(
                items_of(messages), via=via, workers=workers, timeout=timeout, deadline=deadline, **options
            ),
        )

    @mirrors(AsyncClient.resolve)
    def resolve(
        self,
        send: AnyRef | UnresolvedSend | SmscError,
        *,
        since: datetime | None = None,
        ask: AskStatus | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> SentMessage | None:
        """Reconcile a send whose outcome is unknown; return None if it was definitely not executed."""
        asking = asking_of(ask)
        return self._run(
            lambda client: client.resolve(send, since=since, ask=asking, timeout=timeout, deadline=deadline)
        )

    @mirrors(AsyncClient.cost)
    def cost(
        self,
        to: str | Iterable[str],
        text: str | None = None,
        *,
        via: Channel = _SMS,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> Cost:
        """Return the cost of a send without sending (`get_sms_cost`, `get_sms_cost2`)."""
        phones = tuple(to) if isinstance(to, Iterator) else to
        return self._run(
            lambda client: client.cost(phones, text, via=via, timeout=timeout, deadline=deadline, **options)
        )

    @mirrors(AsyncClient.status)
    def status(
        self,
        message: AnyRef,
        *,
        detail: Literal[0, 1, 2] = 0,
        extra: dict[str, str] | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> DeliveryReport:
        """Return the status of a message (`get_status`, or `get_status2` with `extra`)."""
        return self._run(
            lambda client: client.status(message, detail=detail, extra=extra, timeout=timeout, deadline=deadline)
        )

    @mirrors(AsyncClient.statuses)
    def statuses(
        self,
        messages: Many[AnyRef],
        *,
        detail: Literal[0, 1, 2] = 0,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Reports[DeliveryReport | SmscError]:
        """Request the status of each message once, a few at a time; return reports and errors in the same order."""
        note = noted_by_caller(on_progress)
        return self._run(
            lambda client: client.statuses(items_of(messages), detail=detail, progress=progress, on_progress=note)
        )

    @mirrors(AsyncClient.watch)
    def watch(
        self,
        messages: Source,
        *,
        timeout: float | None = _DAY,
        grace: float = 30.0,
        delay_per_request: float | Literal["auto"] = "auto",
        confirm_pushes: bool = False,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Watcher:
        """Follow the delivery of many messages until their status is final; see `Watcher` for its use."""
        portal, client = self._behind.use()
        refs = list_of(messages)

        def make() -> AsyncWatcher:
            return client.watch(
                refs,
                timeout=timeout,
                grace=grace,
                delay_per_request=delay_per_request,
                confirm_pushes=confirm_pushes,
                progress=progress,
                on_progress=None if callable(on_progress) else on_progress,  # the thread that takes the update does
            )

        return Watcher(portal, PortalCall(portal, soon(make)).result(), on_progress)

    @mirrors(AsyncClient.notify)
    def notify(self, push: StatusPush) -> None:
        """Pass the status that a callback reported to every watch of this client; see `Watcher.notify`."""
        self._run(lambda client: soon(lambda: client.notify(push))())

    @mirrors(AsyncClient.wait_final)
    def wait_final(self, message: AnyRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until the status of one message is final, delivered or not, and return the report."""
        return self._run(lambda client: client.wait_final(message, timeout))

    @mirrors(AsyncClient.wait_delivered)
    def wait_delivered(self, message: AnyRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until one message is delivered, and return the report."""
        return self._run(lambda client: client.wait_delivered(message, timeout))
