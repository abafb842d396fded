"""Channels: one value in place of the service's thirteen flags, so that no two can be set at once.

Files can't be attached over SOAP; the service fetches a file from `file_url` itself.
"""

import re
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer, Strict, model_validator

from .channel_base import Channel, TextUse, given
from .types import SingleLine, Text, Url, Whole, XmlText

__all__ = [
    "Binary",
    "Channel",
    "Email",
    "Flash",
    "Hlr",
    "Mms",
    "Ping",
    "Sms",
    "Social",
    "Telegram",
    "TelegramBot",
    "TextUse",
    "Viber",
    "Voice",
    "WapPush",
    "WhatsApp",
]


def _bot_name(value: str) -> str:
    if not re.fullmatch(r"@[A-Za-z0-9_]{3,40}", value):
        raise ValueError("must be the name of a bot, such as '@name_bot'")
    return value


def _language(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2}", value):
        raise ValueError("must be two small letters, such as 'en'")
    return value


def _email_address(value: str) -> str:
    if not re.fullmatch(r"[^\s@,;]+@[^\s@,;]+", value):
        raise ValueError("must be an e-mail address, such as name@example.com")
    return value


class Sms(Channel):
    """An ordinary SMS."""


class Flash(Channel):
    """An SMS that the phone shows at once and does not store."""

    flag: ClassVar[str] = "flash"


def _octets(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("must be bytes, or a string of hexadecimal digits, two for each byte") from None


Octets: TypeAlias = Annotated[
    bytes, Field(min_length=1), BeforeValidator(_octets), PlainSerializer(bytes.hex, when_used="json")
]


class Binary(Channel):
    """A binary SMS; sent in hexadecimal (`bin=2`), because XML can't carry bytes (`bin=1`).

    Attributes:
        data: The octets; may be given in hexadecimal.
        udh: The user data header with its length in the first byte; may be given in hexadecimal. None for none.
        pid: Protocol identifier, 0 to 255; needs `dcs`.
        dcs: Data coding scheme, 0 to 255; needs `pid`.
    """

    _text_use: ClassVar[TextUse] = TextUse.REFUSED

    data: Octets
    udh: Octets | None = None
    pid: Annotated[Whole, Field(ge=0, le=255)] | None = None
    dcs: Annotated[Whole, Field(ge=0, le=255)] | None = None

    def __init__(
        self,
        data: bytes | str,
        *,
        udh: bytes | str | None = None,
        pid: int | None = None,
        dcs: int | None = None,
        file_url: str | None = None,
    ) -> None:
        BaseModel.__init__(self, data=data, udh=udh, pid=pid, dcs=dcs, file_url=file_url)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.udh is not None and self.udh[0] != len(self.udh) - 1:
            raise ValueError("the first byte of udh must be the number of bytes that follow it")
        if (self.pid is None) != (self.dcs is None):
            raise ValueError("pid and dcs go together; pass both or none")
        return self

    def parameters(self) -> dict[str, str]:
        """Return `bin=2`, as the message is hexadecimal, and `fileurl`."""
        return {"bin": "2", **super().parameters()}

    def fields(self) -> dict[str, str]:
        """Return `mes`: the header, or a null byte if there is none, the data, and the tail with pid and dcs."""
        mes = ((self.udh or b"\0") + self.data).hex().upper()
        if self.pid is not None:
            # soap-api: "line feed, 3 tilde characters, and again line feed", and "exact preservation of spaces".
            mes += f"\n~~~\npid: {self.pid}, dcs: {self.dcs}"
        return {"mes": mes}


class WapPush(Channel):
    """A WAP push: a link for the phone.

    Attributes:
        url: The link, http://... or https://...
        title: The title that the phone shows, one line.
    """

    _text_use: ClassVar[TextUse] = TextUse.REFUSED
    flag: ClassVar[str] = "push"

    url: Url
    title: SingleLine

    def __init__(self, url: str, title: str, *, file_url: str | None = None) -> None:
        BaseModel.__init__(self, url=url, title=title, file_url=file_url)

    def fields(self) -> dict[str, str]:
        """Return `mes`: "the link and title through a line feed" (soap-api)."""
        return {"mes": f"{self.url}\n{self.title}"}


def _no_file(value: object) -> object:
    if value is not None:
        raise ValueError("must be left out, because this channel sends no message")
    return value


NoFile: TypeAlias = Annotated[None, BeforeValidator(_no_file)]


class Hlr(Channel):
    """A look-up of the number in the operator's database; sends nothing to the phone."""

    _text_use: ClassVar[TextUse] = TextUse.REFUSED
    flag: ClassVar[str] = "hlr"

    file_url: NoFile = None


class Ping(Channel):
    """An invisible SMS whose delivery status shows whether the phone is on."""

    _text_use: ClassVar[TextUse] = TextUse.REFUSED
    flag: ClassVar[str] = "ping"

    file_url: NoFile = None


class Mms(Channel):
    """An MMS; needs a subject or a text.

    Attributes:
        subject: The subject; None for the sender's name.
    """

    _text_use: ClassVar[TextUse] = TextUse.OPTIONAL
    flag: ClassVar[str] = "mms"

    subject: SingleLine | None = None

    def check_text(self, text: str | None) -> None:
        """Raise a `ValueError` if there is neither a text nor a subject."""
        if text is None and self.subject is None:
            raise ValueError("Mms needs a text or a subject")

    def parameters(self) -> dict[str, str]:
        """Return `mms`, `subj` and `fileurl`."""
        return {**super().parameters(), **given(subj=self.subject)}


class Email(Channel):
    """An e-mail; its recipients are e-mail addresses.

    Attributes:
        sender: The address of the sender.
        subject: The subject.
    """

    _text_use: ClassVar[TextUse] = TextUse.REQUIRED  # soap-api: "specify the subject, text, and address of the sender"
    flag: ClassVar[str] = "mail"

    sender: Annotated[XmlText, AfterValidator(_email_address)]
    subject: SingleLine

    def __init__(self, sender: str, subject: str, *, file_url: str | None = None) -> None:
        BaseModel.__init__(self, sender=sender, subject=subject, file_url=file_url)

    def parameters(self) -> dict[str, str]:
        """Return `mail`, `subj` and `fileurl`."""
        return {**super().parameters(), "subj": self.subject}

    def fields(self) -> dict[str, str]:
        """Return `sender`: the address of the sender."""
        return {"sender": self.sender}


class Social(Channel):
    """A message to a user of Odnoklassniki, VKontakte or Mail.Ru Agent."""

    flag: ClassVar[str] = "soc"


class Viber(Channel):
    """A Viber message."""

    flag: ClassVar[str] = "viber"


class WhatsApp(Channel):
    """A WhatsApp message."""

    flag: ClassVar[str] = "whatsapp"


class Telegram(Channel):
    """A confirmation code by Telegram.

    Attributes:
        code: The code.
    """

    _text_use: ClassVar[TextUse] = TextUse.REFUSED
    flag: ClassVar[str] = "tg"

    code: Text

    def __init__(self, code: str, *, file_url: str | None = None) -> None:
        BaseModel.__init__(self, code=code, file_url=file_url)

    def fields(self) -> dict[str, str]:
        """Return `mes`: the code."""
        return {"mes": self.code}


class TelegramBot(Channel):
    """A message from a Telegram bot.

    Attributes:
        name: The bot's name, `@botname_bot`.
    """

    name: Annotated[str, Strict(), AfterValidator(_bot_name)]

    def __init__(self, name: str, *, file_url: str | None = None) -> None:
        BaseModel.__init__(self, name=name, file_url=file_url)

    def parameters(self) -> dict[str, str]:
        """Return `bot` and `fileurl`."""
        return {**super().parameters(), "bot": self.name}


class Voice(Channel):
    """A voice call that reads the text, or plays the file of `file_url`.

    Attributes:
        voice: m, m2, m3, m4 for a man's voice, w, w2, w3, w4 for a woman's; None for the service's choice (m3).
        language: The language of the text, two letters such as "en"; None for the service's choice.
        answer_wait: Seconds to wait for an answer, 0 to 99; the service takes less than 10 for 10, more than 35 for 35.
        repeat_interval: Seconds between two attempts, 0 to 3600; the service takes less than 10 for 10.
        attempts: Attempts in all, 0 to 9; the service takes 0 for 1. Pass all three or none: it resets all if one is
            invalid.
    """

    flag: ClassVar[str] = "call"

    voice: Literal["m", "m2", "m3", "m4", "w", "w2", "w3", "w4"] | None = None
    language: Annotated[str, Strict(), AfterValidator(_language)] | None = None
    answer_wait: Annotated[Whole, Field(ge=0, le=99)] | None = None
    repeat_interval: Annotated[Whole, Field(ge=0, le=3600)] | None = None
    attempts: Annotated[Whole, Field(ge=0, le=9)] | None = None

    @model_validator(mode="after")
    def _all_three_or_none(self) -> Self:
        given = [value is not None for value in (self.answer_wait, self.repeat_interval, self.attempts)]
        if any(given) and not all(given):
            raise ValueError("answer_wait, repeat_interval and attempts go together; pass all three or none")
        return self

    def check_text(self, text: str | None) -> None:
        """Raise a `ValueError` if there is neither a text nor a file."""
        if text is None and self.file_url is None:
            raise ValueError("Voice needs a text or a file_url")

    def parameters(self) -> dict[str, str]:
        """Return `call`, `voice`, `param` and `fileurl`."""
        # soap-api documents the language only after a voice ("m,en"), and m3 as the default voice.
        voice = self.voice if self.language is None else f"{self.voice or 'm3'},{self.language}"
        param = None if self.attempts is None else f"{self.answer_wait},{self.repeat_interval},{self.attempts}"
        return {**super().parameters(), **given(voice=voice, param=param)}
