"""A journal for code without an event loop."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar, Unpack

from smsc_async import (
    Channel,
    Guards,
    JournalError,
    JournalRow,
    Message,
    PlannedMessage,
    QueryOptions,
    Rules,
    Schedule,
    SentMessage,
    Sms,
    Summary,
    UnresolvedSend,
)
from smsc_async import Client as AsyncClient
from smsc_async import Journal as AsyncJournal

from ._call import PortalCall, check_no_event_loop, items_of, noted_by_caller
from ._client import Client
from ._mirror import mirrors
from ._portal import Portal
from ._process import Lease, process
from ._types import OnProgress

__all__ = ["Journal"]

T = TypeVar("T")

_SMS: Final = Sms()
_RULES: Final = Rules()


class Journal:
    """A bulk job in an SQLite file, as `smsc_async.Journal`, for code without an event loop.

    It has the methods of the asynchronous journal. Use it with `with`; its methods take a `smsc_async.sync.Client`:

        with Journal("job.db") as journal, Client(guards=journal.guards()) as client:
            journal.plan(messages)
            journal.send(client)
            journal.follow(client)

    The child of a fork can't use a journal that its parent has opened.

    Args:
        path: The file; created if it does not exist, readable by its owner only.
        trust: Whether to send what was planned by an earlier process even if no status can prove that the service does
            not have it, because the service may store the phones in another form.

    Raises:
        ValueError: The path can't be that of a file, or `trust` is not True or False.
    """

    @mirrors(AsyncJournal.__init__)
    def __init__(self, path: str | Path, *, trust: bool = False) -> None:
        self._journal = AsyncJournal(path, trust=trust)
        self._lease: Lease | None = None

    def __repr__(self) -> str:
        return repr(self._journal).replace("<smsc_async.", "<smsc_async.sync.", 1)

    @property
    @mirrors(AsyncJournal.files)
    def files(self) -> tuple[Path, ...]:
        """The file, and those that are or may be beside it while the journal is in use."""
        return self._journal.files

    @mirrors(AsyncJournal.__aenter__)
    def __enter__(self) -> Self:
        """Open and lock the file."""
        check_no_event_loop()
        if self._lease is not None:
            raise RuntimeError("this journal is already open")
        journal = self._journal
        with process.lock:
            lease = process.lease(self, lambda: journal.__aexit__(None, None, None))
        try:
            PortalCall(lease.portal, journal.__aenter__).result()
        except BaseException:
            lease.release()
            raise
        self._lease = lease
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is None or lease.portal.is_inherited:
            return
        try:
            PortalCall(lease.portal, lambda: self._journal.__aexit__(None, None, None)).result()
        finally:
            lease.release()

    @mirrors(AsyncJournal.plan)
    def plan(
        self,
        messages: Iterable[Message | PlannedMessage],
        *,
        source: str | None = None,
        batch_size: int = 49,
        sender: str | None = None,
        at: Schedule | datetime | None = None,
        via: Channel = _SMS,
        **options: Unpack[QueryOptions],
    ) -> bool:
        """Store the messages to be sent; do nothing if the journal already contains the same job."""
        return self._run(
            lambda: self._journal.plan(
                items_of(messages), source=source, batch_size=batch_size, sender=sender, at=at, via=via, **options
            )
        )

    @mirrors(AsyncJournal.send)
    def send(self, client: Client, *, workers: int = 4, on_progress: OnProgress | None = None) -> None:
        """Reconcile the requests that an earlier process attempted, and send the planned ones."""
        note = noted_by_caller(on_progress)
        self._run_with(client, lambda behind: self._journal.send(behind, workers=workers, on_progress=note))

    @mirrors(AsyncJournal.follow)
    def follow(
        self,
        client: Client,
        *,
        timeout: float | None = 86_400.0,
        delay_per_request: float | Literal["auto"] = "auto",
        on_progress: OnProgress | None = None,
    ) -> None:
        """Follow all accepted messages until their status is final, and record it."""
        note = noted_by_caller(on_progress)
        self._run_with(
            client,
            lambda behind: self._journal.follow(
                behind, timeout=timeout, delay_per_request=delay_per_request, on_progress=note
            ),
        )

    @mirrors(AsyncJournal.quote)
    def quote(self, client: Client) -> Decimal:
        """Return the cost of the messages that have no answer yet, without sending anything."""
        return self._run_with(client, self._journal.quote)

    @mirrors(AsyncJournal.rows)
    def rows(self) -> list[JournalRow]:
        """Return all messages with their states, in the order of their rows."""
        return self._run(self._journal.rows)

    @mirrors(AsyncJournal.summary)
    def summary(self) -> Summary:
        """Return the number of messages in each state, and their cost."""
        return self._run(self._journal.summary)

    @mirrors(AsyncJournal.erase)
    def erase(self, older_than: timedelta) -> int:
        """Remove the phones and texts of the messages that have been final, refused or skipped for `older_than`."""
        return self._run(lambda: self._journal.erase(older_than))

    @mirrors(AsyncJournal.guards)
    def guards(self, *, rules: Rules = _RULES, margin: float = 1.2, late_arrival: float = 5.0) -> Guards:
        """Return guards for the client of this job whose histories survive a restart."""
        return self._journal.guards(rules=rules, margin=margin, late_arrival=late_arrival)

    @mirrors(AsyncJournal.keep_unresolved)
    def keep_unresolved(self, unresolved: UnresolvedSend) -> None:
        """Store an unresolved send that is not part of the job: `Client(on_unresolved=journal.keep_unresolved)`."""
        self._journal.keep_unresolved(unresolved)

    @mirrors(AsyncJournal.unresolved_sends)
    def unresolved_sends(self) -> list[UnresolvedSend]:
        """Return the stored unresolved sends."""
        return self._run(self._journal.unresolved_sends)

    @mirrors(AsyncJournal.resolve)
    def resolve(self, client: Client) -> list[tuple[UnresolvedSend, SentMessage | None]]:
        """Reconcile the stored unresolved sends one after the other; keep those that can't be reconciled."""
        return self._run_with(client, self._journal.resolve)

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        return PortalCall(self._portal(), work).result()

    def _run_with(self, client: Client, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
        given: object = client
        if not isinstance(given, Client):
            raise ValueError(f"client must be a smsc_async.sync.Client, not {type(given).__name__}")  # noqa: TRY004
        portal = self._portal()
        _, behind = given._behind.use()  # noqa: SLF001 - of this package
        return PortalCall(portal, lambda: work(behind)).result()

    def _portal(self) -> Portal:
        check_no_event_loop()
        if self._lease is None:
            raise RuntimeError("a journal can only be used inside its `with` block")
        if self._lease.portal.is_inherited:
            raise JournalError("this journal was opened before a fork; open it in this process")
        return self._lease.portal
