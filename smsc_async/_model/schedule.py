"""Schedules: the four formats of the `time` parameter as values."""

import re
from abc import abstractmethod
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, NaiveDatetime, model_validator

from .frozen import Choice, kind_of
from .types import Whole

__all__ = ["After", "At", "Between", "LocalTime", "Schedule"]


_ELEVEN_CHARACTERS: Final = datetime.fromtimestamp(1_000_000_000, UTC)
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
        moment: An aware datetime, not before 9 September 2001; fractions of a second are dropped. A moment in the past
            means at once.
    """

    moment: Annotated[AwareDatetime, BeforeValidator(_moment)]

    def __init__(self, moment: datetime) -> None:
        BaseModel.__init__(self, moment=moment)

    @model_validator(mode="after")
    def _of_eleven_characters(self) -> Self:
        # `0` and nine digits are ten digits, which are also DDMMYYhhmm: a moment of 1998 could be read as one of 2031.
        if self.moment < _ELEVEN_CHARACTERS:
            raise ValueError("moment must be later than 2001: the service may read an earlier one as another date")
        return self

    def wire(self) -> str:
        """Return format 3 of soap-api: `0` and the Unix time."""
        return f"0{int(self.moment.timestamp())}"


class LocalTime(Schedule):
    """A wall clock time, in the `tz` of the send or of the message, else in the account's time zone.

    This is the only schedule that a batch can apply in the time zone of each message.

    Attributes:
        moment: A naive datetime from 2000 to 2099, as the service takes two digits of the year; seconds are dropped. A
            moment in the past means at once.
    """

    moment: Annotated[NaiveDatetime, BeforeValidator(_moment)]

    def __init__(self, moment: datetime) -> None:
        BaseModel.__init__(self, moment=moment)

    @model_validator(mode="after")
    def _of_this_century(self) -> Self:
        if self.moment.year // 100 != 20:  # noqa: PLR2004 - the century
            raise ValueError("moment must be in 2000 to 2099: the service takes only the last two digits of the year")
        return self

    def wire(self) -> str:
        """Return format 1 of soap-api: DDMMYYhhmm."""
        return self.moment.strftime("%d%m%y%H%M")


class Between(Schedule):
    """A range of hours, for example to avoid the night: inside it the message goes at once, else when it next begins.

    A range over midnight, such as Between(22, 6), is passed on as it is, and what the service makes of it is not
    verified. Read literally, soap-api's "h1-h2" has no hour in it then, so a message waits for the next 22:00, even at
    23:00 and at 5:00; the sandbox does so. The service may as well let the range go on after midnight.

    Attributes:
        start: The first hour, 0 to 23, in the `tz` of the send, else in the account's time zone.
        end: The hour at which the range ends, 1 to 24 (midnight), other than `start`.
    """

    start: Annotated[Whole, Field(ge=0, le=23)]
    end: Annotated[Whole, Field(ge=0, le=24)]

    def __init__(self, start: int, end: int) -> None:
        BaseModel.__init__(self, start=start, end=end)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end == 0:
            raise ValueError("end must be at least 1; midnight is 24, as in Between(22, 24)")
        if self.start == self.end:
            raise ValueError("start and end must be different hours, such as Between(9, 21)")
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
