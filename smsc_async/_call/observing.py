"""Notify the observers of a client about its calls."""

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

from smsc_async._model import (
    ApiError,
    CallAttempted,
    CallFinished,
    CallRetried,
    CallStarted,
    CallWaited,
    DeliveryReport,
    GetCost,
    GetStatus,
    GuardError,
    MessageDelivered,
    MessageList,
    Observer,
    Operation,
    Outcome,
    Result,
    Send,
    SendReconciled,
    SentMessage,
    SmscError,
    UnresolvedSend,
    masked,
    text_hash,
)

from .attempt import Attempt
from .closing import Closing

__all__ = ["Observing", "Recording"]

_log = logging.getLogger("smsc_async")
_LEAST_WAIT: Final = 0.001
_numbers: Final = count(1)


class _Log(Observer):
    """Writes the requests to the log, at level DEBUG."""

    def attempted(self, event: CallAttempted, /) -> None:
        """Log an answer; an error is raised, so it need not be logged too."""
        if event.status_code is not None:
            _log.debug("%s: HTTP %d, %d bytes, %.3f s", event.method, event.status_code, event.size, event.seconds)

    def retried(self, event: CallRetried, /) -> None:
        """Log a retry."""
        _log.debug("%s: %s; again in %.2f s", event.operation, event.error, event.seconds)


_LOG: Final = _Log()


class Observing:
    """The observers of a client; at level DEBUG the log is an additional one.

    Args:
        observers: The observers.
        url: The first URL of the client.
        closing: The end of the client, which has its clock.
    """

    def __init__(self, observers: Iterable[Observer], url: str, closing: Closing) -> None:
        self._observers = tuple(observers)
        self._host, self._port = host_of(url), _port_of(url)
        self._closing = closing
        self._key = secrets.token_bytes(32)

    def start(self, operation: Operation[Result]) -> "Recording | None":
        """Return the recording of a call that starts, None without observers."""
        observers = self._present()
        if not observers:
            return None
        to, texts = _content(operation)
        started = CallStarted(
            call=next(_numbers),
            operation=operation.methods[0],
            host=self._host,
            port=self._port,
            id=getattr(operation, "id", None),
            recipients=tuple(map(masked, to)),
            texts=(),
        )
        hashes: dict[bytes, tuple[str, ...]] = {}
        events = []
        for each in observers:
            key = getattr(each, "text_key", None)
            key = key if isinstance(key, bytes) and key else self._key
            if key not in hashes:
                hashes[key] = tuple(text_hash(text, key) for text in texts)
            events.append(replace(started, texts=hashes[key]))
        return Recording(observers, events, self._closing)

    def reconciled(self, call: "Recording | None", send: UnresolvedSend, *, is_sent: bool | None, start: float) -> None:
        """Report the reconciliation of a send that began at a time of the clock."""
        observers = self._present()
        if observers:
            event = SendReconciled(
                call=None if call is None else call.number,
                id=send.id,
                recipients=tuple(masked(ref.phone) for ref in send.refs),
                is_sent=is_sent,
                seconds=self._closing.clock.now() - start,
            )
            _tell([each.reconciled for each in observers], event)

    def delivered(self, report: DeliveryReport) -> None:
        """Report the final status of a message that is watched."""
        observers = self._present()
        if observers:
            ref = report.ref
            event = MessageDelivered(
                id=ref.id,
                recipient=masked(ref.phone),
                status=int(report.status),
                is_delivered=report.is_delivered,
                seconds=_delivery_seconds(report),
            )
            _tell([each.delivered for each in observers], event)

    def _present(self) -> tuple[Observer, ...]:
        return (*self._observers, _LOG) if _log.isEnabledFor(logging.DEBUG) else self._observers


class Recording:
    """The events of one call.

    Args:
        observers: The observers.
        started: The first event of each of them; only the hashes of the texts differ.
        closing: The end of the client, which has its clock.
    """

    __slots__ = ("_attempts", "_closing", "_cost", "_observers", "_start", "_started", "_waited")

    def __init__(self, observers: tuple[Observer, ...], started: Sequence[CallStarted], closing: Closing) -> None:
        self._cost: Decimal | None = None
        self._observers = observers
        self._started = started[0]
        self._closing = closing
        self._start = closing.clock.now()
        self._waited = 0.0
        self._attempts = 0
        for each, event in zip(observers, started, strict=True):
            _tell([each.started], event)

    @property
    def number(self) -> int:
        """The number of the call."""
        return self._started.call

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for the guards, see `Closing.waiting`, and report how long."""
        clock = self._closing.clock
        start = clock.now()
        try:
            with self._closing.waiting():
                yield
        finally:
            seconds = clock.now() - start
            self._waited += seconds
            if seconds >= _LEAST_WAIT:  # otherwise it was refused at once
                event = CallWaited(call=self.number, operation=self._started.operation, seconds=seconds)
                _tell([each.waited for each in self._observers], event)

    def attempted(self, attempt: Attempt, error: BaseException | None) -> None:
        """Report a request that was answered or failed."""
        self._attempts += 1
        if isinstance(attempt.result, SentMessage):
            self._cost = attempt.result.cost
        event = CallAttempted(
            call=self.number,
            operation=self._started.operation,
            method=attempt.method,
            host=host_of(attempt.url),
            number=self._attempts,
            seconds=self._closing.clock.now() - attempt.start,
            status_code=attempt.status_code,
            size=attempt.size,
            error=_name(error),
            code=_code(error),
            outcome=_outcome(error, may_have_left=True),
        )
        _tell([each.attempted for each in self._observers], event)

    def retried(self, error: SmscError, pause: float) -> None:
        """Report that another attempt follows after a pause."""
        event = CallRetried(
            call=self.number,
            operation=self._started.operation,
            number=self._attempts,
            error=type(error).__name__,
            seconds=pause,
        )
        _tell([each.retried for each in self._observers], event)

    def finished(self, error: BaseException | None, *, may_have_left: bool = False) -> None:
        """Report the end of the call."""
        started = self._started
        event = CallFinished(
            call=started.call,
            operation=started.operation,
            host=started.host,
            id=started.id,
            seconds=self._closing.clock.now() - self._start,
            waited=self._waited,
            attempts=self._attempts,
            error=_name(error),
            code=_code(error),
            outcome=_outcome(error, may_have_left=may_have_left),
            is_refused=isinstance(error, GuardError),
            cost=self._cost,
        )
        _tell([each.finished for each in self._observers], event)


def host_of(url: str) -> str:
    """Return the host of a URL."""
    return urlsplit(url).hostname or ""


def _delivery_seconds(report: DeliveryReport) -> float | None:
    if report.sent_at is None or report.changed_at is None:
        return None
    return max(0.0, (report.changed_at - report.sent_at).total_seconds())


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (80 if parts.scheme == "http" else 443)


def _tell(methods: Sequence[Callable[[Any], None]], event: object) -> None:
    for method in methods:
        try:
            method(event)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the caller's own code, `CancelledError` too; the call goes on
            _log.error("an observer failed in %s (%s)", type(event).__name__, type(error).__name__)


def _content(operation: Operation[Result]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the recipients and the texts of an operation; none for an operation unknown to this package."""
    if isinstance(operation, MessageList):
        return [message.phone for message in operation.messages], [message.text for message in operation.messages]
    if isinstance(operation, Send | GetCost):
        return operation.to, () if operation.text is None else (operation.text,)
    return (operation.ref.phone,) if isinstance(operation, GetStatus) else (), ()


def _name(error: BaseException | None) -> str | None:
    return None if error is None else type(error).__name__


def _code(error: BaseException | None) -> int | None:
    return error.code if isinstance(error, ApiError) else None


def _outcome(error: BaseException | None, *, may_have_left: bool) -> Outcome | None:
    if isinstance(error, SmscError):
        return error.outcome
    if error is None:
        return None
    return Outcome.UNKNOWN if may_have_left else Outcome.NOT_SENT
