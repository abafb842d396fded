"""The operations of the service as frozen values, checked before anything is sent.

Each has its wire names, its result and its own table of errors: 3 is "no money" on a send, "not found" on a status.
"""

import re
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, Self, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, InstanceOf, SerializeAsAny, model_validator

from .codes import MessageStatus
from .exceptions import (
    AddressBlocked,
    ApiError,
    AuthenticationFailed,
    InsufficientFunds,
    InvalidDate,
    InvalidParameters,
    InvalidPhone,
    MessageForbidden,
    MessageNotFound,
    Outcome,
    SmscError,
    TooManyRequests,
    Undeliverable,
)
from .messages import Message
from .parameters import CREDENTIALS, Asked, Dispatch, Extra, MessageList, ToRecipients, checked_extra
from .refusals import RecipientError, Refusals
from .reports import DeliveryReport
from .result_base import Result, Wire
from .results import Balance, Cost, SentMessage
from .schedule import At, LocalTime, Schedule
from .types import MessageId, MessageRef, Sender, is_aware, is_group, whole

__all__ = [
    "BALANCE_ERRORS",
    "SENDING_ERRORS",
    "STATUS_ERRORS",
    "AnySend",
    "GetBalance",
    "GetCost",
    "GetListCost",
    "GetStatus",
    "Operation",
    "Send",
    "SendList",
    "When",
    "api_error",
    "check_cost",
    "is_own_id",
    "new_id",
    "own_errors",
    "recipient_error",
]

R_co = TypeVar("R_co", bound=Result, covariant=True)
ErrorTable: TypeAlias = Mapping[int, type[ApiError]]

_ANY_ERRORS: Final[ErrorTable] = {1: InvalidParameters, 2: AuthenticationFailed, 4: AddressBlocked, 9: TooManyRequests}
BALANCE_ERRORS: Final = _ANY_ERRORS
STATUS_ERRORS: Final[ErrorTable] = {**_ANY_ERRORS, 3: MessageNotFound}
SENDING_ERRORS: Final[ErrorTable] = {
    **_ANY_ERRORS,
    3: InsufficientFunds,
    5: InvalidDate,
    6: MessageForbidden,
    7: InvalidPhone,
    8: Undeliverable,
}


def api_error(errors: ErrorTable, code: int) -> ApiError:
    """Return the exception for an error number of an operation."""
    kind = errors.get(code, ApiError)
    return kind(f"error {code}: {kind.advice}", code=code)


def recipient_error(refusal: RecipientError) -> ApiError:
    """Return the exception for one refused recipient of a send."""
    if refusal.code is None:
        error = ApiError("the service refused this recipient without an error number")
    else:
        error = api_error(SENDING_ERRORS, refusal.code)
    return error.replace(errors=(refusal,))


def new_id() -> str:
    """Return a new message id: 32 hexadecimal digits, not all of them decimal, which the service takes for a number."""
    while (new := uuid.uuid4().hex).isdecimal():
        pass
    return new


def is_own_id(id: str) -> bool:  # noqa: A002 - the service's own word
    """Return whether an id looks like one of `new_id`."""
    return re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", id) is not None and not id.isdecimal()


def own_errors(error: SmscError, recipients: Sequence[str]) -> list[SmscError]:
    """Return the exception for each recipient of a send that failed as a whole.

    If the service returned an error number for the recipient, that counts, not the number of the request.
    """
    if not isinstance(error, ApiError) or error.outcome is not Outcome.REJECTED:
        return [error.replace() for _ in recipients]
    refusals = Refusals(error.errors, recipients)
    return [_own_error(error, refusals.find(recipient)) for recipient in recipients]


def _own_error(error: ApiError, refusal: RecipientError | None) -> ApiError:
    if refusal is None or refusal.code is None:
        return error.replace(errors=() if refusal is None else (refusal,))
    return recipient_error(refusal).replace(id=error.id, refs=error.refs)


class Operation(Protocol[R_co]):
    """A request to the service; `Client.call` executes it."""

    @property
    def methods(self) -> tuple[str, str | None]:
        """The service's two method names: the plain one, and the one with `query`."""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing at the service, so that it can be repeated after a lost answer."""

    @property
    def errors(self) -> ErrorTable:
        """The exception class of each error number of this operation."""

    @property
    def result(self) -> type[Result]:
        """The class of the result."""

    def fields(self) -> dict[str, str]:
        """Return the fields of the envelope, without credentials and `query`."""

    def parameters(self) -> dict[str, str]:
        """Return the parameters of `query`, decoded; without any the plain method is used."""

    def lines(self) -> tuple[Message, ...]:
        """Return the messages for the parameter `list`."""

    def refs(self) -> tuple[MessageRef, ...]:
        """Return one reference for each message that this sends."""

    def read(self, wire: Wire, timezone: tzinfo) -> R_co:
        """Return the result from an answer's fields; local times in it are in `timezone`."""


def _schedule(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, datetime):
        return Schedule.revive(value)
    if not is_aware(value):
        raise ValueError(
            "a datetime without a time zone is ambiguous; give it one (datetime.now(UTC)), or pass LocalTime(...) for "
            "a wall clock time in the account's zone"
        )
    return At(value)


When: TypeAlias = Annotated[SerializeAsAny[InstanceOf[Schedule]] | None, BeforeValidator(_schedule)]


def check_cost(data: Any) -> Any:
    """Return the arguments of a send, or raise a `ValueError` if its cost means that nothing is to be sent."""
    if isinstance(data, dict) and data.get("cost") == 1:
        raise ValueError(
            "cost=1 means 'do not send'; use `Client.cost` for a price, cost=2 or cost=3 for the cost of a send"
        )
    return data


class _Sending(Dispatch):
    """The common part of sends: an id, a sender, a schedule."""

    methods: ClassVar[tuple[str, str | None]] = ("send_sms", "send_sms2")
    is_read: ClassVar[bool] = False
    errors: ClassVar[ErrorTable] = SENDING_ERRORS
    result: ClassVar[type[Result]] = SentMessage

    id: MessageId = Field(default_factory=new_id)
    sender: Sender | None = None
    at: When = None
    cost: Annotated[Literal[2, 3], BeforeValidator(whole)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _explain(cls, data: Any) -> Any:
        data = check_cost(data)
        if isinstance(data, dict) and data.get("id", "") is None:
            return {name: value for name, value in data.items() if name != "id"}
        return data

    @model_validator(mode="after")
    def _check_sender(self) -> Self:
        if self.sender is not None and "sender" in self.via.fields():
            raise ValueError(f"the sender of an e-mail is an address: {type(self.via).__name__}(sender=...)")
        return self

    def fields(self) -> dict[str, str]:
        """Return all fields of the envelope."""
        sender = self.via.fields().get("sender", self.sender)
        optional = {"id": self.id, "sender": sender, "time": self.at.wire() if self.at else None}
        return {**self.content(), **{name: value for name, value in optional.items() if value is not None}}

    def parameters(self) -> dict[str, str]:
        """Return the parameters of `query`."""
        # With many recipients the answer must show which number is wrong.
        wanted = {"err": "1"} if self.err is None and self._is_many() else {}
        return {**wanted, **super().parameters(), **({} if self.cost is None else {"cost": str(self.cost)})}

    @abstractmethod
    def _is_many(self) -> bool:
        """Whether there may be more than one recipient."""


class Send(_Sending, ToRecipients):
    """One text to one or many recipients (`send_sms`, `send_sms2`)."""

    def read(self, wire: Wire, timezone: tzinfo) -> SentMessage:  # noqa: ARG002 - other answers hold local times
        """Return the result from an answer's fields."""
        return SentMessage.from_wire(wire, id=self.id, recipients=self.to)

    def refs(self) -> tuple[MessageRef, ...]:
        """Return one reference for each recipient that the client knows."""
        return tuple(MessageRef.of_checked(to, self.id) for to in self.to if not is_group(to))

    def _is_many(self) -> bool:
        return len(self.to) > 1 or is_group(self.to[0])


class SendList(_Sending, MessageList):
    """A chunk of individual messages in one request (`send_sms2` with `list`); they share one id."""

    @model_validator(mode="after")
    def _check_lines(self) -> Self:
        if "sender" in self.via.fields() and any(message.sender is not None for message in self.messages):
            raise ValueError(f"the sender of an e-mail is an address: {type(self.via).__name__}(sender=...)")
        if any(message.tz is not None for message in self.messages) and not isinstance(self.at, LocalTime):
            raise ValueError("a message's own tz needs at=LocalTime(...); the service ignores it with other schedules")
        return self

    def read(self, wire: Wire, timezone: tzinfo) -> SentMessage:  # noqa: ARG002 - other answers hold local times
        """Return the result from an answer's fields."""
        return SentMessage.from_wire(wire, id=self.id, recipients=[message.phone for message in self.messages])

    def refs(self) -> tuple[MessageRef, ...]:
        """Return one reference for each message."""
        return tuple(MessageRef.of_checked(message.phone, self.id) for message in self.messages)

    def _is_many(self) -> bool:
        return True


class _Pricing(Dispatch):
    """The common part of price requests."""

    methods: ClassVar[tuple[str, str | None]] = ("get_sms_cost", "get_sms_cost2")
    is_read: ClassVar[bool] = True
    errors: ClassVar[ErrorTable] = SENDING_ERRORS
    result: ClassVar[type[Result]] = Cost
    # Price requests have no fields for these, so they may be passed in `extra`.
    allowed_extra: ClassVar[frozenset[str]] = frozenset({"id", "sender", "time"})

    def parameters(self) -> dict[str, str]:
        """Return the parameters of `query`; an e-mail's sender is one, as this method has no field for it."""
        sender = self.via.fields().get("sender")
        return {**super().parameters(), **({} if sender is None else {"sender": sender})}

    def read(self, wire: Wire, timezone: tzinfo) -> Cost:  # noqa: ARG002 - other answers hold local times
        """Return the result from an answer's fields."""
        return Cost.parse(wire)


class GetCost(_Pricing, ToRecipients):
    """The price of one text to one or many recipients (`get_sms_cost`, `get_sms_cost2`); sends nothing."""


class GetListCost(_Pricing, MessageList):
    """The price of a chunk of individual messages (`get_sms_cost2` with `list`); sends nothing."""


class GetStatus(Asked):
    """The status of a message (`get_status`, `get_status2`).

    Attributes:
        ref: The message.
        detail: 0 the status, 1 also the message and its cost, 2 also the operator and the region.
        extra: Parameters for `query`.
    """

    methods: ClassVar[tuple[str, str | None]] = ("get_status", "get_status2")
    is_read: ClassVar[bool] = True
    errors: ClassVar[ErrorTable] = STATUS_ERRORS
    result: ClassVar[type[Result]] = DeliveryReport

    ref: MessageRef
    detail: Annotated[Literal[0, 1, 2], BeforeValidator(whole)] = 0
    extra: Annotated[
        Extra, BeforeValidator(lambda value: checked_extra(value, CREDENTIALS | {"phone", "id", "all", "query"}))
    ] = {}

    def fields(self) -> dict[str, str]:
        """Return `phone`, `id` and `all`."""
        return {"phone": self.ref.phone, "id": self.ref.id, "all": str(self.detail)}

    def parameters(self) -> dict[str, str]:
        """Return the parameters of `query`."""
        return dict(self.extra)

    def read(self, wire: Wire, timezone: tzinfo) -> DeliveryReport:
        """Return the result from an answer's fields.

        Raises:
            MessageNotFound: The status is -3, which means the same as error 3.
        """
        report = DeliveryReport.from_wire(wire, ref=self.ref, timezone=timezone)
        if report.status is MessageStatus.NOT_FOUND:
            raise api_error(self.errors, 3)
        return report


class GetBalance(Asked):
    """The account's balance (`get_balance`)."""

    methods: ClassVar[tuple[str, str | None]] = ("get_balance", None)
    is_read: ClassVar[bool] = True
    errors: ClassVar[ErrorTable] = BALANCE_ERRORS
    result: ClassVar[type[Result]] = Balance

    def fields(self) -> dict[str, str]:
        """Return no fields: the credentials are all it needs."""
        return {}

    def read(self, wire: Wire, timezone: tzinfo) -> Balance:  # noqa: ARG002 - other answers hold local times
        """Return the result from an answer's fields."""
        return Balance.parse(wire)


AnySend: TypeAlias = Send | SendList
"""One text to one or many recipients, or a chunk of individual messages."""
