"""The statuses of an accepted message over time: drawn once when it is accepted, then looked up by the clock.

There are no timers: `DeliveryPlan.draw` returns all changes of status with their times, and a look-up finds the last
one so far. `MAGIC_NUMBERS` are subscribers with a fixed delivery result, for tests that need one.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from smsc_async._model import is_seconds, wrong

__all__ = [
    "ERRORS",
    "MAGIC_NUMBERS",
    "STATUS_NAMES",
    "Change",
    "DeliveryPlan",
    "Life",
    "MagicNumber",
    "Share",
    "flat",
    "life_of",
    "status_in",
]

_VIRTUAL_ERROR = 200
_EXPIRED = 3
_DELIVERED = 1
_READ = 2
_UNDELIVERABLE = 20

STATUS_NAMES: Mapping[int, str] = MappingProxyType(
    {
        -3: "Отсутствует",
        -2: "Приостановлено",
        -1: "Ждёт отправки",
        0: "Передано оператору",
        1: "Доставлено",
        2: "Прочитано",
        3: "Просрочено",
        4: "Ссылка открыта",
        20: "Доставить невозможно",
        22: "Неверный номер",
        23: "Запрещено",
        24: "Недостаточно денег",
        25: "Номер недоступен",
    }
)
# The default delivery error of each status; the others have none.
ERRORS: Mapping[int, int] = MappingProxyType({3: 6, 20: 1, 22: 249, 23: 244, 25: 6})


class Change(NamedTuple):
    """A change of status.

    Attributes:
        at: Unix time of the change.
        status: The status from then on.
        err: The delivery error from then on, 0 for none.
    """

    at: float
    status: int
    err: int = 0


Life: TypeAlias = tuple[Change, ...]


def flat(life: Life) -> tuple[float, ...]:
    """Return the times, statuses and errors of changes in a row, which takes half as much memory."""
    return tuple(value for change in life for value in change)


def life_of(timeline: tuple[float, ...]) -> Life:
    """Return the changes that `flat` has put in a row."""
    values = iter(timeline)
    return tuple(Change(at, int(status), int(err)) for at, status, err in zip(values, values, values, strict=True))


def status_in(timeline: tuple[float, ...], now: float) -> int:
    """Return the status at a time."""
    if timeline[-3] <= now:  # a search asks for the status of each message, most of which are final
        return int(timeline[-2])
    return next((change.status for change in reversed(life_of(timeline)) if change.at <= now), int(timeline[1]))


class Share(NamedTuple):
    """A delivery result and its share.

    Attributes:
        status: The final status.
        err: The delivery error.
        share: Its weight among all results.
    """

    status: int
    err: int
    share: float


class MagicNumber(NamedTuple):
    """A subscriber with a fixed delivery result.

    Attributes:
        phone: The number, its digits.
        meaning: What happens to it, in one sentence.
        status: The status that a message takes when it is due, and keeps; `None` when the send is refused.
        refusal: The error code with which a send to this number is refused; 0 when it is accepted.
    """

    phone: str
    meaning: str
    status: int | None = None
    refusal: int = 0


def _magic_numbers() -> Mapping[str, MagicNumber]:
    numbers = (
        MagicNumber("79000000000", "passed to the operator, never gets a final status", 0),
        MagicNumber("79000000001", "delivered at once", 1),
        MagicNumber("79000000002", "read at once", 2),
        MagicNumber("79000000003", "expired at once", 3),
        MagicNumber("79000000004", "its short link clicked at once", 4),
        MagicNumber("79000000020", "impossible to deliver, at once", 20),
        MagicNumber("79000000022", "wrong number, at once", 22),
        MagicNumber("79000000023", "forbidden, at once", 23),
        MagicNumber("79000000024", "not enough money, at once", 24),
        MagicNumber("79000000025", "unavailable, at once", 25),
        MagicNumber("79000001001", "waits for ever", -1),
        MagicNumber("79000001002", "held back for ever", -2),
        MagicNumber("79000001003", "accepted, but its status says that there is no such message", -3),
        MagicNumber("79000009001", "refused at send: error in the parameters", refusal=1),
        MagicNumber("79000009002", "refused at send: wrong credentials", refusal=2),
        MagicNumber("79000009003", "refused at send: not enough money", refusal=3),
        MagicNumber("79000009004", "refused at send: the IP address is blocked", refusal=4),
        MagicNumber("79000009005", "refused at send: wrong date", refusal=5),
        MagicNumber("79000009006", "refused at send: forbidden", refusal=6),
        MagicNumber("79000009007", "refused at send: wrong number", refusal=7),
        MagicNumber("79000009008", "refused at send: can't be delivered", refusal=8),
        MagicNumber("79000009009", "refused at send: too often", refusal=9),
    )
    return MappingProxyType({number.phone: number for number in numbers})


MAGIC_NUMBERS = _magic_numbers()
"""By phone: 7900000 00SS takes status SS, 7900000 10SS status -SS, 7900000 90EE is refused with error EE, 01 to 09.

Errors 1, 2, 4 and 5 refuse the whole request, also one that has other recipients; they block nothing.
"""

_DEFAULT_OUTCOMES = (
    Share(1, 0, 0.92),
    Share(3, 6, 0.02),
    Share(20, 6, 0.01),
    Share(20, 1, 0.02),
    Share(22, 249, 0.005),
    Share(23, 244, 0.005),
    Share(25, 6, 0.02),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPlan:
    """The shares of the delivery results, and the delays.

    Durations are drawn log-normally: half of them are shorter than the median, and two thirds lie within a factor of
    e to the power of `spread` of it.

    Attributes:
        outcomes: The delivery results, with their shares.
        to_operator: Median of the seconds until a message that is due is passed to the operator (status 0).
        to_decision: Median of the seconds from then to the final status.
        spread: How far durations scatter; 0 makes each the median.
        read_share: Share of the delivered Viber and WhatsApp messages that are read as well (status 2 after 1).
        to_reading: Median of the seconds from delivered to read.
    """

    outcomes: tuple[Share, ...] = _DEFAULT_OUTCOMES
    to_operator: float = 0.5
    to_decision: float = 4.0
    spread: float = 0.5
    read_share: float = 0.5
    to_reading: float = 5.0

    def __post_init__(self) -> None:
        given: object = self.outcomes
        if not isinstance(given, tuple) or not all(isinstance(each, Share) for each in given):
            raise wrong("outcomes", "a tuple of Share objects", given)
        for name in ("to_operator", "to_decision", "spread", "read_share", "to_reading"):
            value: object = getattr(self, name)
            if not is_seconds(value):
                raise wrong(name, "a number, at least 0", value)
        shares = [outcome.share for outcome in self.outcomes]
        if not shares or min(shares) < 0 or not sum(shares):
            raise ValueError("outcomes must have shares, none negative and not all 0")

    @classmethod
    def instant(cls, status: int = _DELIVERED, err: int = 0) -> "DeliveryPlan":
        """Return a plan in which each message takes this status as soon as it is due."""
        return cls(outcomes=(Share(status, err, 1),), to_operator=0, to_decision=0, spread=0, read_share=0)

    @classmethod
    def delivered(cls) -> "DeliveryPlan":
        """Return a plan in which every message is delivered as soon as it is due."""
        return cls.instant()

    @classmethod
    def undelivered(cls) -> "DeliveryPlan":
        """Return a plan in which no message is delivered: each takes status 20, undeliverable, as soon as it is due."""
        return cls.instant(_UNDELIVERABLE, ERRORS[_UNDELIVERABLE])

    def draw(
        self,
        dice: random.Random,
        *,
        phone: str,
        accepted_at: float,
        send_at: float,
        validity: float,
        reports_reading: bool = False,
        virtual: bool = False,
    ) -> Life:
        """Draw the changes of status of a message.

        Args:
            dice: The random numbers; each message takes the same number of draws, also one to a magic number.
            phone: The subscriber.
            accepted_at: When the service accepted the message.
            send_at: When it is due.
            validity: Seconds after which a pending message expires.
            reports_reading: Whether the channel reports that a message was read.
            virtual: Whether the account is in test mode, where nothing is delivered.

        Returns:
            The changes in chronological order; the first is status -1 (waiting), at acceptance.
        """
        ending = dice.choices(self.outcomes, [outcome.share for outcome in self.outcomes])[0]
        to_operator, to_final, to_read = (
            median * dice.lognormvariate(0, self.spread)
            for median in (self.to_operator, self.to_decision, self.to_reading)
        )
        is_read = dice.random() < self.read_share
        waiting = Change(accepted_at, -1)
        magic = MAGIC_NUMBERS.get(phone)
        if magic and magic.status is not None:
            return waiting, _fixed(magic.status, send_at if magic.status >= 0 else accepted_at, virtual=virtual)
        if virtual:
            ending = Share(20, _VIRTUAL_ERROR, 1)
        if to_operator + to_final > validity:
            to_operator, to_final = min(to_operator, validity), max(0.0, validity - to_operator)
            ending = Share(_EXPIRED, 6, 1)
        sent_at = send_at + to_operator
        life = waiting, Change(sent_at, 0), Change(sent_at + to_final, ending.status, ending.err)
        if reports_reading and is_read and ending.status == _DELIVERED:
            return *life, Change(sent_at + to_final + to_read, _READ)
        return life


def _fixed(status: int, at: float, *, virtual: bool) -> Change:
    err = ERRORS.get(status, 0)
    return Change(at, status, _VIRTUAL_ERROR if virtual and status > 0 else err)
