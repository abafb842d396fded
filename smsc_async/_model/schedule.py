"""Schedules: the four formats of the `time` parameter as values."""

import re
from abc import abstractmethod
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, NaiveDatetime, model_validator

from .frozen import Choice, kind_of
from .types import Whole

__all__ = ["After", "At", "Between", "LocalTime", "Schedule"]


_WRITTEN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].+")


def _moment(value: object) -> object:
    # pydantic takes numbers and dates too; the text is that of JSON.
    if isinstance(value, datetime) or (isinstance(value, str) and _WRITTEN.fullmatch(value)):
        return value
    raise ValueError(f"must be a datetime, not {kind_of(value)}")


class Schedule(Choice):
    """The base of `At`, `LocalTime`, `Between` and `After`."""

    examples: ClassVar[str] = "a datetime with a time zone, LocalTime(...), Between(...), After(...) or None"

    @abstractmethod
    def wire(self) -> str:
        """Return the value of `time`."""


class At(Schedule):
    """An instant.

    Attributes:
        moment: An aware datetime; fractions of a second are dropped. A moment in the past means at once.
    """

    moment: Annotated[AwareDatetime, BeforeValidator(_moment)]

    def __init__(self, moment: datetime) -> None:
        BaseModel.__init__(self, moment=moment)

    @model_validator(mode="after")
    def _after_1970(self) -> Self:
        if self.moment < datetime(1970, 1, 2, tzinfo=UTC):
            raise ValueError("the service counts seconds since 1970; pass a later moment")
        return self

    def wire(self) -> str:
        """Return format 3 of soap-api: `0` and the Unix time."""
        return f"0{int(self.moment.timestamp())}"


class LocalTime(Schedule):
    """A wall clock time, in the `tz` of the send or of the message, else in the account's time zone.

    This is the only schedule that a batch can apply in the time zone of each message.

    Attributes:
        moment: A naive datetime; seconds are dropped.
    """

    moment: Annotated[NaiveDatetime, BeforeValidator(_moment)]

    def __init__(self, moment: datetime) -> None:
        BaseModel.__init__(self, moment=moment)

    def wire(self) -> str:
        """Return format 1 of soap-api: DDMMYYhhmm."""
        return self.moment.strftime("%d%m%y%H%M")


class Between(Schedule):
    """A range of hours, for example to avoid the night: inside it the message goes at once, else when it next begins.

    Attributes:
        start: The first hour, 0 to 23, in the `tz` of the send, else in the account's time zone.
        end: The hour at which the range ends, 1 to 24, later than `start`.
    """

    start: Annotated[Whole, Field(ge=0, le=23)]
    end: Annotated[Whole, Field(ge=1, le=24)]

    def __init__(self, start: int, end: int) -> None:
        BaseModel.__init__(self, start=start, end=end)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end, on the same day: Between(9, 21)")
        return self

    def wire(self) -> str:
        """Return format 2 of soap-api: `h1-h2`."""
        return f"{self.start}-{self.end}"


class After(Schedule):
    """A delay from the moment the service accepts the message.

    Attributes:
        minutes: 1 or more.
    """

    minutes: Annotated[Whole, Field(ge=1, le=525_600)]

    def __init__(self, minutes: int) -> None:
        BaseModel.__init__(self, minutes=minutes)

    def wire(self) -> str:
        """Return format 4 of soap-api: `+m`, not percent-encoded, as it is not in a URL."""
        return f"+{self.minutes}"
