"""Dividing a stream of messages into requests, and one outcome for each message; no I/O."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from smsc_async._model import (
    ApiError,
    BreakerOpen,
    Cost,
    Dispatch,
    GetCost,
    GetListCost,
    LocalTime,
    Message,
    MessageRef,
    Outcome,
    Refusals,
    Scope,
    Send,
    Sender,
    SendList,
    SendOutcomeUnknown,
    SentMessage,
    Shown,
    SmscError,
    TableRow,
    When,
    about,
    capitalized,
    check_cost,
    counted,
    failure_columns,
    is_email,
    is_group,
    is_phone,
    one_by_one,
    own_errors,
    recipient_error,
    recipient_key,
    wrong,
)
from smsc_async._protocol import fits_in_list

__all__ = [
    "BatchTerms",
    "Chunk",
    "ChunkCost",
    "Chunker",
    "CostTerms",
    "MessageOutcome",
    "SendTerms",
    "check_made",
    "failed",
    "fitting",
    "left_out",
    "sent",
    "to_cost",
    "to_send",
]


@dataclass(frozen=True, slots=True)
class MessageOutcome(Shown):
    """The outcome of one message of a batch, to one recipient: a reference or an error.

    Attributes:
        message: The message. One with several recipients has an outcome for each of them.
        ref: Its reference, if the service accepted it; a group code has none, but `sent` and no error.
        error: Otherwise, the error. If its `outcome` is UNKNOWN, the message may have been sent: `error.refs` names it.
        sent: The answer to the whole request that contained the message, with its cost, if there was an answer.
    """

    message: Message
    ref: MessageRef | None = None
    error: SmscError | ValueError | None = None
    sent: SentMessage | None = field(default=None, repr=False)

    def to_rows(self) -> list[TableRow]:
        """Return one row."""
        found = self.ref.id if self.ref else getattr(self.error, "id", None) or (self.sent.id if self.sent else None)
        return [
            {
                "phone": self.ref.phone if self.ref else self.message.phone,
                "id": found,
                "accepted": self.error is None,
                "text": self.message.text,
                "sender": self.message.sender,
                **failure_columns(self.error),
            }
        ]

    def _sentence(self) -> str:
        if self.error is not None:
            return f"{capitalized(about(self.message.phone))}: {type(self.error).__name__}: {self.error}."
        (row,) = self.to_rows()
        return f"The service accepted the {about(row['phone'], row['id'])}."


@dataclass(frozen=True, slots=True)
class ChunkCost(Shown):
    """The cost of the messages of a batch that would be sent in one request.

    Attributes:
        messages: The messages.
        cost: Their cost, if the service returned it.
        error: Otherwise, the error.
    """

    messages: tuple[Message, ...]
    cost: Cost | None = None
    error: SmscError | ValueError | None = None

    def to_rows(self) -> list[TableRow]:
        """Return one row."""
        cost = self.cost
        return [
            {
                "messages": len(self.messages),
                "amount": None if cost is None else cost.amount,
                "sms_count": None if cost is None else cost.sms_count,
                **failure_columns(self.error),
            }
        ]

    def _sentence(self) -> str:
        result = f"{type(self.error).__name__}: {self.error}." if self.cost is None else str(self.cost)
        return f"{counted(len(self.messages), 'message')}: {result}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages for one request.

    Attributes:
        messages: The messages, in the order in which they came.
        is_list: Whether they are sent as lines of `list`. If not, it is one message that does not fit in a line.
        recipients: The key of each recipient.
    """

    messages: tuple[Message, ...]
    is_list: bool = True
    recipients: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


class BatchTerms(Dispatch):
    """The arguments that all requests of a batch share; no recipient, text or id."""

    def content(self) -> dict[str, str]:
        """Return the fields of the envelope that do not depend on the messages."""
        return {**self.via.fields()}


class SendTerms(BatchTerms):
    """The arguments of a batch of sends."""

    sender: Sender | None = None
    at: When = None
    cost: Literal[2, 3] | None = None

    _check_cost = model_validator(mode="before")(check_cost)


class CostTerms(BatchTerms):
    """The arguments of a batch of price requests."""

    allowed_extra: ClassVar[frozenset[str]] = GetListCost.allowed_extra


class Chunker:
    """Divides messages into chunks of a limited size, in order, none with the same recipient twice.

    Args:
        size: The most messages in one chunk.
        fits: Returns whether a message can be a line of the `list` of this batch.
    """

    def __init__(self, size: int, fits: Callable[[Message], bool] = fits_in_list) -> None:
        self._size = size
        self._fits = fits
        self._held: dict[str, Message] = {}

    def add(self, message: Message) -> list[Chunk]:
        """Add a message, or one for each of its recipients; return the chunks that this completes.

        Raises:
            ValueError: It is not a message. The messages held so far are dropped, so that none of them is sent.
        """
        given: object = message
        if not isinstance(given, Message):
            self._held = {}
            raise wrong("each item of messages", "a Message, such as Message('+79991234567', 'Hi')", given)
        check_made(message)
        return [chunk for each in one_by_one(message) for chunk in self._add(each)]

    def _add(self, message: Message) -> list[Chunk]:
        key = recipient_key(message.phone)
        if not self._fits(message):
            return [*self.rest(), Chunk((message,), is_list=False, recipients=frozenset((key,)))]
        # An answer names a refused number by its digits, so two messages to one number could not be distinguished.
        full = self.rest() if key in self._held else []
        self._held[key] = message
        return full + (self.rest() if len(self._held) >= self._size else [])

    def rest(self) -> list[Chunk]:
        """Return the messages held so far as a chunk, or nothing if there are none."""
        held, self._held = self._held, {}
        return [Chunk(tuple(held.values()), recipients=frozenset(held))] if held else []


def check_made(message: Message) -> None:
    """Raise a `ValueError` if values have wrong types; a copy of a message is not validated."""
    phone: object = message.phone
    text: object = message.text
    sender: object = message.sender
    tz: object = message.tz
    is_named = sender is None or isinstance(sender, str)
    if not (isinstance(phone, str) and isinstance(text, str) and is_named and (tz is None or isinstance(tz, float))):
        raise ValueError(
            "each item of messages must be a valid Message; make it with Message(...), model_copy checks nothing"
        )


def left_out(error: Exception) -> SmscError | None:
    """Return the error of requests that are not made because of this one, None if the job can continue."""
    if not isinstance(error, SmscError) or error.scope is not Scope.ALL:
        return None
    words = f"not sent, because an earlier request of this job failed ({type(error).__name__})"
    if isinstance(error, ApiError):
        return BreakerOpen(words)
    return error.replace(f"{words}: {error}", outcome=Outcome.NOT_SENT, id=None, refs=(), unresolved=None)


def to_send(chunk: Chunk, options: Mapping[str, Any]) -> Send | SendList:
    """Return the operation that sends a chunk, with the arguments of the batch.

    Raises:
        ValueError: The messages and the arguments contradict each other.
    """
    if chunk.is_list:
        return SendList.model_validate({**options, "messages": chunk.messages})
    message = chunk.messages[0]
    if message.tz is not None and not isinstance(options.get("at"), LocalTime):
        raise ValueError("a message's own tz needs at=LocalTime(...); the service ignores it with other schedules")
    return Send.model_validate({**options, **_alone(message, sender=True)})


def to_cost(chunk: Chunk, options: Mapping[str, Any]) -> GetCost | GetListCost:
    """Return the operation that requests the cost of a chunk.

    Raises:
        ValueError: The messages and the arguments contradict each other.
    """
    if chunk.is_list:
        return GetListCost.model_validate({**options, "messages": chunk.messages})
    return GetCost.model_validate({**options, **_alone(chunk.messages[0], sender=False)})


def fitting(
    make: Callable[[Chunk, Mapping[str, Any]], object], options: Mapping[str, Any]
) -> Callable[[Message], bool]:
    """Return a function that tells whether a message can be a line of this batch; one that can't must not fail others.

    One message of each kind is tried: besides its kind, nothing of a valid message can contradict the arguments.
    """
    known: dict[tuple[bool, ...], bool] = {}

    def fits(message: Message) -> bool:
        if not fits_in_list(message):
            return False
        phone = message.phone
        kind = is_phone(phone), is_email(phone), message.sender is None, message.tz is None
        if kind not in known:
            try:
                known[kind] = make(Chunk((message,)), options) is not None
            except ValueError:
                known[kind] = False
        return known[kind]

    return fits


def _alone(message: Message, *, sender: bool) -> dict[str, Any]:
    own = {"sender": message.sender if sender else None, "tz": message.tz}
    return {
        "to": message.phone,
        "text": message.text,
        **{name: value for name, value in own.items() if value is not None},
    }


def sent(chunk: Chunk, result: SentMessage) -> list[MessageOutcome]:
    """Return the outcome of each message of a chunk that the service accepted, in full or in part."""
    refusals = Refusals(result.errors, [message.phone for message in chunk.messages])
    refs = {ref.phone: ref for ref in result.refs}
    outcomes = []
    for message in chunk.messages:
        if is_group(message.phone):
            outcomes.append(MessageOutcome(message, sent=result))
            continue
        ref = refs.get(message.phone) or MessageRef(message.phone, result.id)
        refusal = refusals.find(message.phone)
        error = None if refusal is None else recipient_error(refusal)
        if ref in result.missing:
            error = ApiError("the service refused this recipient only; the answer with the reason is lost")
        if error is None:
            outcomes.append(MessageOutcome(message, ref=ref, sent=result))
        else:
            own = error.replace(id=result.id, refs=(ref,))
            outcomes.append(MessageOutcome(message, error=own, sent=result))
    return outcomes


def failed(chunk: Chunk, error: SmscError | ValueError) -> list[MessageOutcome]:
    """Return the outcome of each message of a chunk that failed as a whole, each with its own error.

    See `own_errors` for what differs between them.
    """
    if not isinstance(error, SmscError):
        return [MessageOutcome(message, error=copy.copy(error)) for message in chunk.messages]
    if is_group(chunk.messages[0].phone):  # it is the only message, and `errors` lists its members
        return [MessageOutcome(chunk.messages[0], error=error.replace())]
    own = own_errors(error, [message.phone for message in chunk.messages])
    return [_failed(message, each) for message, each in zip(chunk.messages, own, strict=True)]


def _failed(message: Message, error: SmscError) -> MessageOutcome:
    if error.id is None:
        return MessageOutcome(message, error=error)
    ref = MessageRef(message.phone, error.id)
    own = error.replace(refs=(ref,), unresolved=None if error.unresolved is None else error.unresolved.about(ref))
    if isinstance(own, SendOutcomeUnknown):
        if ref in own.accepted:
            return MessageOutcome(message, ref=ref)
        unsent, others = ref in own.unsent, own.accepted
        own = own.replace(accepted=(), unsent=())
        if unsent:
            # The service executes a request as a whole: if it knows other messages of it but not this one, this one was
            # refused.
            own = own.replace(
                "not sent: the answer to the request is lost, and the service does not know this message",
                outcome=Outcome.REJECTED if others else Outcome.NOT_SENT,
                unresolved=None,
            )
    return MessageOutcome(message, error=own)
