"""The common part of sends, batches and price requests: the recipients, the channel and the parameters of `query`."""

import ipaddress
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from inspect import cleandoc
from ipaddress import IPv4Address, IPv6Address
from textwrap import indent
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, TypedDict, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, SerializeAsAny, StrictBool, model_validator

from .channels import Channel, Email, Sms, Telegram, TelegramBot
from .frozen import FrozenModel, kind_of
from .messages import Message, check_once, each_recipient, one_by_one
from .types import (
    MessageRef,
    Recipient,
    Text,
    TimeZoneOffset,
    Whole,
    XmlText,
    is_email,
    is_group,
    is_phone,
    no_bool,
)

__all__ = [
    "CREDENTIALS",
    "Asked",
    "Dispatch",
    "Extra",
    "MessageList",
    "QueryOptions",
    "ToRecipients",
    "checked_extra",
    "listing_options",
]

CREDENTIALS: Final = frozenset({"login", "psw", "apikey"})
# The parameters of `query` that have a keyword or a channel of their own; naming one in `extra` would set it twice.
_MODELLED: Final = frozenset(
    {
        *("tz", "period", "freq", "flash", "bin", "push", "hlr", "ping", "mms", "mail", "soc", "viber", "whatsapp"),
        *("tg", "bot", "smsreq", "fileurl", "call", "voice", "param", "subj", "cost", "list", "valid", "tinyurl"),
        *("maxsms", "imgcode", "userip", "err", "op", "pp", "query", "phones", "mes", "id", "sender", "time"),
    }
)


class QueryOptions(TypedDict, total=False):
    """The remaining parameters of `query`, under the service's own names; each is checked before anything is sent.

    Attributes:
        tz: The time zone of `LocalTime` and `Between`, in hours relative to Moscow; None for the account's zone.
        period: Spread the messages over `period` hours, 0.1 to 720.
        freq: Minutes between two groups of messages, 1 to 1440; needs `period`.
        smsreq: Hide the text if the subscriber's number was last confirmed more than `smsreq` days ago, 10 to 999.
        valid: How long the operator tries to deliver: 1 to 24 hours, "hh:mm" from 00:01 to 24:00, or a timedelta.
        tinyurl: Shorten the links in the text and count the clicks.
        maxsms: The largest number of SMS for a long text; the service cuts off the rest.
        imgcode: The code that a person typed in from a captcha; needs `userip`.
        userip: The IP address of the person on whose behalf this is sent, for the account's limit per IP address.
        err: List the refused recipients in `errors`; None to do so if there may be more than one recipient.
        op: Ask for `details` of each recipient; whether the service sends them over SOAP is not verified.
        pp: The id of the partner that this request is counted for.
        extra: Parameters that have no keyword argument, by their wire names; one that has raises a ValueError.
    """

    tz: float | None
    period: float | None
    freq: int | None
    smsreq: int | None
    valid: int | str | timedelta | None
    tinyurl: bool
    maxsms: int | None
    imgcode: str | None
    userip: str | IPv4Address | IPv6Address | None
    err: bool | None
    op: bool
    pp: str | int | None
    extra: Mapping[str, str | int | float | Decimal | bool] | None


F = TypeVar("F", bound=Callable[..., object])


def listing_options(method: F) -> F:
    """List the parameters of `QueryOptions` in the docstring of a method that takes them."""
    # Cleaned, because the compiler removes the indentation only from Python 3.13 on.
    _, _, listed = cleandoc(QueryOptions.__doc__ or "").partition("Attributes:\n")
    line = "    **options: The other parameters:\n"
    method.__doc__ = cleandoc(method.__doc__ or "").replace(line, line + indent(listed + "\n", " " * 4))
    return method


class Asked(FrozenModel):
    """The base of all operations, without fields of its own."""

    @abstractmethod
    def fields(self) -> dict[str, str]:
        """Return the fields of the envelope, without credentials and `query`."""

    def parameters(self) -> dict[str, str]:
        """Return the parameters of `query`, decoded; without any the plain method is used."""
        return {}

    def lines(self) -> tuple[Message, ...]:
        """Return the messages for the parameter `list`."""
        return ()

    def refs(self) -> tuple[MessageRef, ...]:
        """Return one reference for each message that this sends."""
        return ()


def checked_extra(value: Any, modelled: frozenset[str]) -> Any:
    """Return the parameters of `extra` as strings.

    Raises:
        ValueError: A name or a value is not valid, or the parameter has an argument of its own.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return value
    for name, item in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,39}", name):
            raise ValueError("the names of `extra` must consist of letters, digits and _")
        if name in modelled:
            raise ValueError(f"{name!r} has an argument of its own; `extra` is for parameters that have none")
        if not isinstance(item, (str, int, float, Decimal)):
            raise ValueError(f"the value of {name!r} in `extra` must be a string or a number")  # noqa: TRY004 - pydantic expects it
    return {name: str(int(item)) if isinstance(item, bool) else str(item) for name, item in value.items()}


def _recipients(value: Any) -> Any:
    if value == "":
        raise ValueError("must not be empty")
    if isinstance(value, str):
        return each_recipient(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping, FrozenModel)):
        return tuple(each for item in value for each in (each_recipient(item) if isinstance(item, str) else (item,)))
    raise ValueError(f"must be a string of recipients, or a list of such strings, not {kind_of(value)}")


def _validity(value: Any) -> Any:
    if isinstance(value, timedelta):
        minutes, rest = divmod(value, timedelta(minutes=1))
        value = f"{minutes // 60:02d}:{minutes % 60:02d}" if minutes > 0 and not rest else ""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 24:  # noqa: PLR2004 - soap-api: "from 1 to 24 hours"
        return str(value)
    if (
        isinstance(value, str)
        and re.fullmatch(r"([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00", value)
        and value not in {"0:00", "00:00"}
    ):
        return value
    if isinstance(value, str) and re.fullmatch(r"[1-9]|1[0-9]|2[0-4]", value):
        return value
    raise ValueError(
        "must be 1 to 24 hours, 'hh:mm' from 00:01 to 24:00, or a timedelta of whole minutes in that range"
    )


def _ip(value: Any) -> Any:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None


def _partner(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Extra: TypeAlias = dict[str, XmlText]
Recipients: TypeAlias = Annotated[tuple[Recipient, ...], Field(min_length=1), BeforeValidator(_recipients)]


class Dispatch(Asked):
    """The channel and the other parameters of `query`; the attributes are described at `Client.send`."""

    allowed_extra: ClassVar[frozenset[str]] = frozenset()
    via: Annotated[SerializeAsAny[InstanceOf[Channel]], BeforeValidator(Channel.revive)] = Sms()
    tz: TimeZoneOffset | None = None
    period: Annotated[float, BeforeValidator(no_bool), Field(ge=0.1, le=720, allow_inf_nan=False)] | None = None
    freq: Annotated[Whole, Field(ge=1, le=1440)] | None = None
    smsreq: Annotated[Whole, Field(ge=10, le=999)] | None = None
    valid: Annotated[str, BeforeValidator(_validity)] | None = None
    tinyurl: StrictBool = False
    maxsms: Annotated[Whole, Field(ge=1)] | None = None
    imgcode: Annotated[XmlText, Field(min_length=1)] | None = None
    userip: Annotated[str, BeforeValidator(_ip)] | None = None
    err: StrictBool | None = None
    op: StrictBool = False
    pp: Annotated[XmlText, Field(min_length=1), BeforeValidator(_partner)] | None = None
    extra: Extra = {}

    @model_validator(mode="before")
    @classmethod
    def _check_extra(cls, data: Any) -> Any:
        if isinstance(data, dict) and "extra" in data:
            return {**data, "extra": checked_extra(data["extra"], (CREDENTIALS | _MODELLED) - cls.allowed_extra)}
        return data

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.freq is not None and self.period is None:
            raise ValueError("freq needs period: the service ignores freq without it")
        if self.imgcode is not None and self.userip is None:
            raise ValueError("imgcode needs userip, the IP address of the person who typed the code")
        return self

    @abstractmethod
    def content(self) -> dict[str, str]:
        """Return `phones` and `mes`."""

    def fields(self) -> dict[str, str]:
        """Return the fields of the envelope, without credentials and `query`."""
        return self.content()

    def parameters(self) -> dict[str, str]:
        """Return the parameters of `query`."""
        given = {
            "tz": _plain(self.tz),
            "period": _plain(self.period),
            "freq": _plain(self.freq),
            "smsreq": _plain(self.smsreq),
            "valid": self.valid,
            "tinyurl": "1" if self.tinyurl else None,
            "maxsms": _plain(self.maxsms),
            "imgcode": self.imgcode,
            "userip": self.userip,
            "err": "1" if self.err else None,
            "op": "1" if self.op else None,
            "pp": self.pp,
        }
        return {
            **self.via.parameters(),
            **{name: value for name, value in given.items() if value is not None},
            **self.extra,
        }


def _plain(value: float | None) -> str | None:
    return None if value is None else f"{value:.15g}"


def _check_recipients(via: Channel, recipients: Sequence[str]) -> None:
    fits: Callable[[str], bool]
    if isinstance(via, Email):
        fits, wanted = is_email, "an e-mail address"
    elif isinstance(via, (Telegram, TelegramBot)):
        fits, wanted = _is_for_telegram, "a phone, or #ID or a nickname of Telegram"
    else:
        fits, wanted = is_phone, "a phone in international format (digits, with or without +, no spaces)"
    for number, to in enumerate(recipients, 1):
        if not fits(to) and not is_group(to):
            raise ValueError(f"recipient {number}: {type(via).__name__} needs {wanted}, or a group code G<number>")
    check_once(recipients)


def _is_for_telegram(recipient: str) -> bool:
    return not is_email(recipient)


class ToRecipients(Dispatch):
    """One text for one or many recipients."""

    to: Recipients
    text: Text | None = None

    @model_validator(mode="after")
    def _check_channel(self) -> Self:
        self.via.check_text(self.text)
        _check_recipients(self.via, self.to)
        return self

    def content(self) -> dict[str, str]:
        """Return `phones` and `mes`."""
        # The contract requires `mes`, so a channel that does not use it sends it empty.
        return {"phones": ",".join(self.to), "mes": self.via.fields().get("mes", self.text or "")}


def _each_message(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(each for message in messages for each in one_by_one(message))


class MessageList(Dispatch):
    """One message for each recipient, in the parameter `list`."""

    messages: Annotated[tuple[Message, ...], Field(min_length=1), AfterValidator(_each_message)]

    @model_validator(mode="after")
    def _check_channel(self) -> Self:
        self.via.check_text(self.messages[0].text)
        phones = [message.phone for message in self.messages]
        if any(map(is_group, phones)):
            raise ValueError("a group code needs a request of its own; pass it to `send` or `send_batch`")
        _check_recipients(self.via, phones)
        return self

    def content(self) -> dict[str, str]:
        """Return `phones` and `mes`, empty: the contract requires them, but the messages are in `list`."""
        return {"phones": "", "mes": ""}

    def lines(self) -> tuple[Message, ...]:
        """Return the messages."""
        return self.messages
