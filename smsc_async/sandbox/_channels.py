"""How the server reads the channel flags: which kind of message a request asks for."""

import re
from collections.abc import Mapping
from enum import StrEnum

from smsc_async._model import parts

from ._fields import refuse

__all__ = ["BIN_TAIL", "ServiceChannel", "count_parts"]

_SMS_OCTETS = 140
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
# "\n~~~\n" and "pid: value1, dcs: value2" may follow a binary message (soap-api.txt, `bin`).
BIN_TAIL = "\n~~~\n"


class ServiceChannel(StrEnum):
    """The kind of a message; the value is the name of its flag in `query`."""

    SMS = "sms"
    FLASH = "flash"
    BINARY = "bin"
    PUSH = "push"
    HLR = "hlr"
    PING = "ping"
    MMS = "mms"
    MAIL = "mail"
    SOCIAL = "soc"
    VIBER = "viber"
    WHATSAPP = "whatsapp"
    TELEGRAM = "tg"
    TELEGRAM_BOT = "bot"
    VOICE = "call"

    @classmethod
    def read(cls, params: Mapping[str, str]) -> "ServiceChannel":
        """Return the channel that the flags select, SMS without any.

        Raises:
            ServiceError: Error 1 for an unknown value or for two channels at once.
        """
        asked = [channel for channel in cls if channel is not cls.SMS and _is_asked(channel, params)]
        if len(asked) > 1:
            refuse(1)
        return asked[0] if asked else cls.SMS

    @property
    def ignores_text(self) -> bool:
        """Whether `mes` is not used ("The mes parameter is not used", `hlr` and `ping`)."""
        return self in {ServiceChannel.HLR, ServiceChannel.PING}

    @property
    def is_telegram(self) -> bool:
        """Whether a recipient may be a nickname or `#ID`."""
        return self in {ServiceChannel.TELEGRAM, ServiceChannel.TELEGRAM_BOT}

    @property
    def reports_reading(self) -> bool:
        """Whether status 2 (read) may follow status 1 (delivered)."""
        return self in {ServiceChannel.VIBER, ServiceChannel.WHATSAPP}

    def check_text(self, text: str, sender: str, params: Mapping[str, str]) -> None:
        """Refuse with error 1 a text that is missing or that this channel can't carry."""
        if not self._has_enough(text, sender, params):
            refuse(1)

    def _has_enough(self, text: str, sender: str, params: Mapping[str, str]) -> bool:
        if self is ServiceChannel.MAIL:  # "you must specify the subject, text, and address of the sender"
            return bool(text and sender and params.get("subj"))
        if self is ServiceChannel.MMS:  # "it is mandatory to specify the subject or text"
            return bool(text or params.get("subj"))
        if self is ServiceChannel.PUSH:  # "the link and title through a line feed"
            return "\n" in text.strip()
        if self is ServiceChannel.BINARY and params.get("bin") == "2":
            return _HEX.fullmatch(text.split(BIN_TAIL, 1)[0]) is not None
        return bool(text or self.ignores_text or params.get("fileurl"))


def _is_asked(channel: ServiceChannel, params: Mapping[str, str]) -> bool:
    value = params.get(channel.value, "")
    if channel is ServiceChannel.TELEGRAM_BOT:  # its value is the bot's name
        return bool(value)
    if value in {"", "0"}:
        return False
    return value == "1" or (channel is ServiceChannel.BINARY and value == "2") or refuse(1)


def count_parts(channel: ServiceChannel, text: str, params: Mapping[str, str]) -> int:
    """Return how many SMS are charged for this text; 1 for channels that do not use SMS."""
    if channel in {ServiceChannel.SMS, ServiceChannel.FLASH}:
        return parts(text).count
    if channel is ServiceChannel.BINARY:
        payload = text.split(BIN_TAIL, 1)[0]
        octets = len(payload) // 2 if params.get("bin") == "2" else len(payload.encode())
        return max(1, -(-octets // _SMS_OCTETS))
    return 1
