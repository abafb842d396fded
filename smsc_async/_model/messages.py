"""The messages of a batch."""

from pydantic import BaseModel

from .frozen import FrozenModel
from .types import Sender, Subscriber, Text, TimeZoneOffset

__all__ = ["Message"]


class Message(FrozenModel):
    """One message of a batch.

    Attributes:
        phone: One recipient.
        text: 1 to 1000 characters.
        sender: The sender's name, None for the batch's or the account's.
        tz: The time zone of the batch's `LocalTime` for this message, in hours relative to Moscow.
    """

    phone: Subscriber
    text: Text
    sender: Sender | None = None
    tz: TimeZoneOffset | None = None

    def __init__(self, phone: str, text: str, sender: str | None = None, tz: float | None = None) -> None:
        BaseModel.__init__(self, phone=phone, text=text, sender=sender, tz=tz)
