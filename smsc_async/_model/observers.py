"""The events of a client's calls, for its observers; they hold no private values."""

import inspect
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from hashlib import blake2b
from typing import ClassVar, Final

from .outcome import Outcome
from .types import is_phone

__all__ = [
    "CallAttempted",
    "CallFinished",
    "CallRetried",
    "CallStarted",
    "CallWaited",
    "MessageDelivered",
    "Observer",
    "SendReconciled",
    "is_observer",
    "is_plain_function",
    "masked",
    "text_hash",
]

_SHOWN: Final = 2  # digits; with more of them, one of a company's few customers could be recognised


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    """A call started. There is one `CallFinished` for it, however it ends.

    Attributes:
        call: A number that all events of this call have, and no other call of this process.
        operation: The method of the service, such as `send_sms`, without the `2` of its variant.
        host: The host of the URL.
        port: The port of the URL.
        id: The id of the message, None where there is none.
        recipients: The recipients, masked.
        texts: A hash of each text under `Observer.text_key`: BLAKE2b of its UTF-8, with 16 bytes, in hex.
    """

    call: int
    operation: str
    host: str
    port: int
    id: str | None
    recipients: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWaited:
    """A call waited for the limits of the guards.

    Attributes:
        call: See `CallStarted`.
        operation: See `CallStarted`.
        seconds: How long it waited.
    """

    call: int
    operation: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAttempted:
    """A request of a call left, and was answered or failed.

    Attributes:
        call: See `CallStarted`.
        operation: See `CallStarted`.
        method: The method of the service, such as `send_sms2`.
        host: The host to which it was sent.
        number: The number of the attempt, from 1.
        seconds: How long it took.
        status_code: The HTTP status, None if there was no answer.
        size: The bytes of the answer.
        error: The class of the error, None for a success.
        code: The error code of the service, None if there was none.
        outcome: Whether it may have been executed, None for a success.
    """

    call: int
    operation: str
    method: str
    host: str
    number: int
    seconds: float
    status_code: int | None
    size: int
    error: str | None
    code: int | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRetried:
    """A call makes another attempt after a pause.

    Attributes:
        call: See `CallStarted`.
        operation: See `CallStarted`.
        number: The number of the attempt that failed, from 1.
        error: The class of its error.
        seconds: The pause.
    """

    call: int
    operation: str
    number: int
    error: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReconciled:
    """The status was requested of a send that may have been executed.

    Attributes:
        call: The call of the send, None for `Client.resolve`.
        id: The id of the message.
        recipients: The recipients, masked.
        is_sent: Whether the service has it, None if that is still unknown.
        seconds: How long it took.
    """

    call: int | None
    id: str
    recipients: tuple[str, ...]
    is_sent: bool | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished:
    """A call ended: it returned, raised, or was cancelled.

    Attributes:
        call: See `CallStarted`.
        operation: See `CallStarted`.
        host: See `CallStarted`.
        id: See `CallStarted`.
        seconds: How long it took, with all waits and pauses.
        waited: How long it waited for the guards.
        attempts: The number of its requests, without those for its reconciliation.
        error: The class of the error, None for a success.
        code: The error code of the service, None if there was none.
        outcome: Whether it may have been executed, None for a success.
        is_refused: Whether the guards refused it.
        cost: What a send cost, None unless the service returned it.
    """

    call: int
    operation: str
    host: str
    id: str | None
    seconds: float
    waited: float
    attempts: int
    error: str | None
    code: int | None
    outcome: Outcome | None
    is_refused: bool
    cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDelivered:
    """A watch found that the status of a message is final.

    Attributes:
        id: The id of the message.
        recipient: The recipient, masked.
        status: The status.
        is_delivered: Whether the message was delivered.
        seconds: From its sending to its last change of status, by the service's times; None if it returned only one.
    """

    id: str
    recipient: str
    status: int
    is_delivered: bool
    seconds: float | None


class Observer:
    """What `Client(observers=)` takes: derive a class from it, and override what you need.

    The methods must return at once, and must not call the client. An exception is logged and changes no call. `started`
    and `finished` of a call run in the same task.

    Attributes:
        defaults: The observers of each client that is made from now on, beside its own. Instrumentation sets it.
        text_key: The key of the hashes in `CallStarted.texts`, of 1 to 64 bytes. None for a random key of the client:
            equal texts then have equal hashes until the client is made anew.
    """

    defaults: ClassVar[tuple["Observer", ...]] = ()
    text_key: bytes | None = None

    def started(self, event: CallStarted, /) -> None:
        """Note that a call started."""

    def waited(self, event: CallWaited, /) -> None:
        """Note that a call waited for the guards."""

    def attempted(self, event: CallAttempted, /) -> None:
        """Note that a request was answered or failed."""

    def retried(self, event: CallRetried, /) -> None:
        """Note that a call makes another attempt."""

    def reconciled(self, event: SendReconciled, /) -> None:
        """Note that a send was reconciled, or could not be."""

    def finished(self, event: CallFinished, /) -> None:
        """Note that a call ended."""

    def delivered(self, event: MessageDelivered, /) -> None:
        """Note that the status of a watched message is final."""


_METHODS: Final = ("started", "waited", "attempted", "retried", "reconciled", "finished", "delivered")


def is_observer(value: object) -> bool:
    """Return whether this is an object with the methods of `Observer`, none of which has to be awaited."""
    methods = [getattr(value, name, None) for name in _METHODS]
    return not isinstance(value, type) and all(map(is_plain_function, methods))


def is_plain_function(value: object) -> bool:
    """Return whether a value can be called without being awaited or iterated over."""
    while isinstance(value, partial):
        value = value.func
    asynchronous = inspect.iscoroutinefunction, inspect.isasyncgenfunction
    return callable(value) and not any(check(each) for check in asynchronous for each in (value, type(value).__call__))


def text_hash(text: str, key: bytes) -> str:
    """Return the hash of a text that is in `CallStarted.texts`."""
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()


def masked(recipient: str) -> str:
    """Return what observers see of a recipient: the last digits of a phone, nothing of an e-mail address or name."""
    return f"***{recipient[-_SHOWN:]}" if is_phone(recipient) else "***"
