"""The JSON of the API."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr, StringConstraints, model_validator

from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._delivery import STATUS_NAMES, Change
from smsc_async.sandbox._exchanges import Exchange
from smsc_async.sandbox._fault import FaultKind, OperationName
from smsc_async.sandbox._faults import InjectedFault
from smsc_async.sandbox._fields import plain
from smsc_async.sandbox._limits import LimitUse
from smsc_async.sandbox._messages import AcceptedMessage

__all__ = [
    "AccountChange",
    "AccountState",
    "AccountStates",
    "ClockChange",
    "ClockState",
    "ExchangeState",
    "ExchangeStates",
    "FaultRequest",
    "FaultState",
    "FaultStates",
    "LimitState",
    "LimitStates",
    "MessageState",
    "MessageStates",
    "Problem",
    "ServiceMethod",
    "ShortText",
    "StatusChange",
    "instant",
]

_LATEST = 253_402_300_799.0  # the last second of the year 9999
MoneyText: TypeAlias = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
ShortText: TypeAlias = Annotated[str, StringConstraints(max_length=200)]


def instant(time: float) -> datetime:
    """Return a Unix time as an aware datetime, at most the last one of the year 9999."""
    return datetime.fromtimestamp(min(max(time, 0.0), _LATEST), UTC)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Problem(_Model):
    """Why a request was refused."""

    error: str


class ChangeState(_Model):
    """A change of status."""

    at: datetime
    status: int
    name: str = Field(description="In words, as the service says it.")
    err: int = Field(description="The delivery error, 0 for none.")

    @classmethod
    def of(cls, change: Change) -> Self:
        """Return the JSON of a change."""
        name = STATUS_NAMES.get(change.status, str(change.status))
        return cls(at=instant(change.at), status=change.status, name=name, err=change.err)


class MessageState(_Model):
    """A message that the service has accepted, with its status at this moment."""

    key: int = Field(description="Its number in this sandbox; unlike the id it is unique.")
    id: str = Field(description="The message id; the messages of one request share it.")
    phone: str = Field(description="A number's digits, an e-mail address or a Telegram name.")
    text: str
    sender: str
    channel: ServiceChannel
    login: str = Field(description="The account.")
    accepted_at: datetime
    send_at: datetime = Field(description="When it is due.")
    parts: int = Field(description="How many SMS it is.")
    cost: MoneyText
    status: int
    status_name: str
    err: int = Field(description="The delivery error, 0 for none.")
    history: list[ChangeState] = Field(description="The changes of status so far.")
    codes: list[str] = Field(description="The codes in the text, such as one-time passwords, the most likely first.")
    request: int = Field(description="The number of the request that sent it.")

    @classmethod
    def of(cls, message: AcceptedMessage, now: float) -> Self:
        """Return the JSON of a message."""
        life = message.life
        history = [ChangeState.of(change) for change in life if change.at <= now] or [ChangeState.of(life[0])]
        last = ChangeState.of(message.change_at(now))
        return cls(
            key=message.key,
            id=message.id,
            phone=message.phone,
            text=message.text,
            sender=message.sender,
            channel=message.channel,
            login=message.login,
            accepted_at=instant(message.accepted_at),
            send_at=instant(message.send_at),
            parts=message.parts,
            cost=message.cost,
            status=last.status,
            status_name=last.name,
            err=last.err,
            history=history,
            codes=list(message.codes),
            request=message.request,
        )


class MessageStates(_Model):
    """The newest messages that match."""

    messages: list[MessageState] = Field(description="The newest first, at most `limit`.")
    total: int = Field(description="How many match.")


class StatusChange(_Model):
    """A status for a message."""

    status: int = Field(strict=True, description="-3 to 4, or 20, 22 to 25.")
    err: int | None = Field(
        default=None, strict=True, ge=0, le=999, description="The delivery error; by default that of the status."
    )


class ClockState(_Model):
    """The clock of the sandbox."""

    now: datetime
    speed: float = Field(description="How many of its seconds pass in a real second; 0 if it stands still.")


class ClockChange(_Model):
    """What to change in the clock: `advance` it, or its `speed`, or both."""

    advance: Annotated[float, Field(strict=True, ge=0, le=315_360_000)] | None = Field(
        default=None, description="Seconds by which to move it forward, at most ten years."
    )
    speed: Annotated[float, Field(strict=True, ge=0, le=86_400)] | None = Field(
        default=None, description="How many of its seconds pass in a real second; 0 to stop it."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.advance is None and self.speed is None:
            raise ValueError("pass advance or speed")
        return self


class FaultState(_Model):
    """A fault in the list: its parameters, and what it has done."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    id: int
    kind: str
    seen: int = Field(description="How many requests have matched it.")
    used: int = Field(description="How many requests it has affected.")

    @classmethod
    def of(cls, fault: InjectedFault) -> Self:
        """Return the JSON of a fault."""
        return cls(**fault.as_json())


class FaultRequest(_Model):
    """A fault to inject; which parameters it has depends on its kind, see docs/howto/testing.md."""

    kind: FaultKind
    operation: OperationName | None = Field(default=None, description="Only requests of this operation.")
    phone: ShortText | None = Field(default=None, description="Only requests about this phone.")
    times: int | None = Field(default=None, strict=True, ge=1, description="How many requests are affected.")
    after: int = Field(default=0, strict=True, ge=0, description="How many matching requests are unaffected at first.")
    probability: float = Field(default=1.0, strict=True, gt=0, le=1)
    seconds: float | None = Field(default=None, strict=True, ge=0, le=86_400, description="Of delays, block, slow_drip")
    at: int | None = Field(default=None, strict=True, ge=0, description="Of cut: how many bytes of the body arrive.")
    status: int | None = Field(default=None, strict=True, ge=200, le=599, description="Of http: the HTTP status.")
    code: int | None = Field(default=None, strict=True, ge=1, le=9, description="Of error: the error of the service.")
    faultcode: Literal["Server", "Client"] | None = Field(default=None, description="Of soap_fault.")
    namespace: ShortText | None = Field(default=None, description="Of drifted_namespace: the new namespace.")
    executed: bool | None = Field(
        default=None, description="Of http, empty and soap_fault: whether the service executes the request."
    )


class FaultStates(_Model):
    """The faults, in order."""

    faults: list[FaultState]


class LimitState(_Model):
    """How far a limit is used."""

    rule: str
    text: str = Field(description='In words: "status of this message 4 in 60 s".')
    used: int
    limit: int = Field(description="How many are admitted; of login_failures and bad_sends, how many start the block.")
    seconds: float | None = Field(description="The window, or the gap that ends a streak; null for requests in flight.")
    login: str | None
    phone: str | None
    id: str | None
    source: str | None = Field(description="The IP address, if the limit is about one.")
    free_at: datetime | None = Field(description="From when one more is admitted; null if it is now.")
    requests: list[int] = Field(description="The numbers of the requests that count, as far as they are known.")

    @classmethod
    def of(cls, use: LimitUse) -> Self:
        """Return the JSON of a limit."""
        return cls(
            rule=use.rule,
            text=use.text,
            used=use.used,
            limit=use.limit,
            seconds=use.seconds,
            login=use.login or None,
            phone=use.phone or None,
            id=use.id or None,
            source=use.source or None,
            free_at=None if use.free_at is None else instant(use.free_at),
            requests=list(use.requests),
        )


class LimitStates(_Model):
    """The limits that something counts under at the moment."""

    limits: list[LimitState] = Field(description="The fullest first, at most `limit`.")
    total: int


class ExchangeState(_Model):
    """A request and its answer, without credentials."""

    number: int
    at: datetime
    method: str = Field(description="Empty if the request can't be read.")
    source: str = Field(description="The IP address it came from.")
    login: str | None = Field(description="The account; null where the credentials were not accepted.")
    outcome: str = Field(description='In words: "error 9: status of this message 6 in 60 s".')
    fault: str | None = Field(description="The kind of the injected fault.")
    executed: bool
    error: int = Field(description="The error of the service, 0 for none.")
    limit: LimitState | None = Field(description="The limit that was exceeded.")
    messages: list[int] = Field(description="The keys of the messages that it sent.")
    request: str = Field(description="The XML; empty if it can't be read or has more than 65,536 bytes.")
    status: int | None = Field(description="The HTTP status of the answer; null if there is none.")
    answer: str = Field(description="The body of the answer.")
    milliseconds: float | None = Field(description="How long it took; null if it is not finished.")

    @classmethod
    def of(cls, exchange: Exchange) -> Self:
        """Return the JSON of an exchange."""
        return cls(
            number=exchange.number,
            at=instant(exchange.at),
            method=exchange.method,
            source=exchange.source,
            login=exchange.login,
            outcome=exchange.outcome,
            fault=exchange.fault,
            executed=exchange.executed,
            error=exchange.error,
            limit=None if exchange.excess is None else LimitState.of(exchange.excess),
            messages=list(exchange.messages),
            request=exchange.request,
            status=exchange.status,
            answer=exchange.answer,
            milliseconds=None if exchange.seconds is None else round(exchange.seconds * 1000, 3),
        )


class ExchangeStates(_Model):
    """The last requests that match."""

    requests: list[ExchangeState] = Field(description="The newest first, at most `limit`.")
    total: int


class AccountState(_Model):
    """An account, without its password and apikey."""

    login: str
    balance: MoneyText
    prices: dict[str, MoneyText] = Field(description="The price of one part by the number's leading digits.")
    sender: str
    zone: float = Field(description="The local time, in hours from Moscow time.")
    virtual: bool = Field(description="Test mode: every message ends undelivered.")

    @classmethod
    def of(cls, account: Account, balance: Decimal) -> Self:
        """Return the JSON of an account."""
        return cls(
            login=account.login,
            balance=balance,
            prices=dict(account.prices),
            sender=account.sender,
            zone=account.zone,
            virtual=account.virtual,
        )


class AccountStates(_Model):
    """The accounts."""

    accounts: list[AccountState]


_Amount: TypeAlias = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=4)]


class AccountChange(_Model):
    """What to change in an account; what is left out stays as it is. A new account needs a password."""

    password: Annotated[SecretStr, Field(min_length=1, max_length=200)] | None = None
    apikey: Annotated[SecretStr, Field(max_length=200)] | None = Field(default=None, description="Empty for none.")
    balance: _Amount | None = None
    prices: Annotated[dict[Annotated[str, Field(pattern=r"^[0-9]{0,15}$")], _Amount], Field(max_length=1000)] | None = (
        Field(default=None, description='By the leading digits; the longest match counts, "" is the default.')
    )
    sender: Annotated[str, Field(pattern=r"^[ -~]{1,15}$")] | None = None
    zone: Annotated[float, Field(strict=True, ge=-15, le=12)] | None = None
    virtual: bool | None = None

    def changes(self) -> Mapping[str, Any]:
        """Return the arguments of an `Account` that were given."""
        given = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in given.items()
        }


ServiceMethod: TypeAlias = Literal[
    "send_sms", "send_sms2", "get_sms_cost", "get_sms_cost2", "get_status", "get_status2", "get_balance"
]
