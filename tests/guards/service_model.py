"""A model of the service that counts what arrives, to judge clients by.

It shares neither code nor numbers with the client. Where the service's documentation leaves a choice, it takes the
hardest: each arrival counts under all of its limits, refused or not; windows slide; a request counts as in flight from
its arrival until its answer leaves; the failure that makes a limit full is answered with the block.
"""

import math
import re
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ["LIMITS", "Arrival", "Count", "Request", "Service", "counts_of"]

LIMITS: Final[Mapping[str, tuple[int, float]]] = {
    "identical send": (1, 60.0),
    "identical cost": (5, 60.0),
    "status of a message": (5, 60.0),
    "balance": (10, 60.0),
    "to one subscriber": (50, 120.0),
    "at once": (14, 0.0),
    "statuses at once": (4, 0.0),
    "wrong passwords": (4, 1800.0),
    "bad sends in a row": (99, 600.0),
}
"""The most that is allowed under each name, and in how many seconds; one more is error 9, or 4 for the last two."""

_BLOCKS: Final = {"wrong passwords": 1800.0, "bad sends in a row": 600.0}
_GATES: Final = {"at once", "statuses at once"}
_SHAPE_OF_ANSWER: Final = {"err", "op", "cost"}

Key: TypeAlias = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What reaches the service.

    Attributes:
        account: Whose it is.
        password: What proves that.
        method: The first of the method's two names.
        fields: The fields of the envelope.
        parameters: Those of `query`.
        lines: Phone, text and sender of each line of `list`.
        address: Where it comes from.
    """

    account: str
    password: str
    method: str
    fields: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[tuple[str, str, str | None]] = ()
    address: str = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Count:
    """One slot that a request takes under a limit."""

    name: str
    key: Key


@dataclass(slots=True, eq=False)
class Arrival:
    """One request that has arrived.

    Attributes:
        at: When, in seconds.
        request: What.
        code: The error number of its answer, 0 for none.
        bad: How many of its messages are bad sends.
        good: Whether one of its messages is accepted.
        gone: Whether its answer has left.
    """

    at: float
    request: Request
    code: int = 0
    bad: int = 0
    good: bool = False
    gone: bool = False


def counts_of(request: Request) -> list[Count]:
    """Return the slots that a request takes: one of each kind, and one for each recipient."""
    account, fields = request.account, request.fields
    counts = [Count("at once", (account,))]
    if request.method == "get_status":
        message = (account, _digits(fields["phone"]), fields["id"])
        return [*counts, Count("statuses at once", (account,)), Count("status of a message", message)]
    if request.method == "get_balance":
        return [*counts, Count("balance", (account,))]
    if request.method == "get_sms_cost":
        return [*counts, Count("identical cost", (account, _content(request)))]
    people = [phone for phones, *_ in _messages(request) for phone in phones]
    return [
        *counts,
        Count("identical send", (account, _content(request))),
        *(Count("to one subscriber", (account, person)) for person in people),
    ]


class Service:
    """Counts arrivals, and refuses what is over a limit.

    Args:
        passwords: The right password of each account.
        whole_seconds: Whether it rounds instants down to seconds and counts both ends of a window.

    Attributes:
        arrivals: All of them, in order.
        highest: The most that was ever counted under each name of `LIMITS`.
    """

    def __init__(self, passwords: Mapping[str, str], *, whole_seconds: bool = False) -> None:
        self.passwords = dict(passwords)
        self.arrivals: list[Arrival] = []
        self.highest: Counter[str] = Counter()
        self._whole_seconds = whole_seconds
        self._times: defaultdict[Count, deque[float]] = defaultdict(deque)
        self._rows: dict[Count, tuple[float, int]] = {}
        self._in_flight: Counter[Count] = Counter()
        self._blocked_until: dict[str, float] = {}

    @property
    def codes(self) -> Counter[int]:
        """How many answers had which error number, 0 for none."""
        return Counter(arrival.code for arrival in self.arrivals)

    @property
    def broken(self) -> dict[str, int]:
        """The highest count of each limit that was not kept."""
        return {name: count for name, count in self.highest.items() if count > LIMITS[name][0]}

    def arrive(self, request: Request, now: float) -> Arrival:
        """Take a request; its answer is fixed when it arrives."""
        arrival = Arrival(now, request)
        self.arrivals.append(arrival)
        over = [count.name for count in counts_of(request) if self._add(count, now) > LIMITS[count.name][0]]
        if now < self._blocked_until.get(request.address, -math.inf):
            arrival.code = 4
        elif self.passwords.get(request.account) != request.password:
            arrival.code = 4 if self._fails("wrong passwords", request.address, now) else 2
        elif over:
            arrival.code = 9
        elif request.method == "send_sms":
            self._send(arrival)
        return arrival

    def leave(self, arrival: Arrival) -> None:
        """Let the answer of a request leave."""
        if arrival.gone:
            raise ValueError("the answer has left already")
        arrival.gone = True
        self._in_flight.subtract(count for count in counts_of(arrival.request) if count.name in _GATES)

    def _send(self, arrival: Arrival) -> None:
        request, now = arrival.request, arrival.at
        messages = _messages(request)
        codes = [6 if "forbidden" in text else 7 if all(map(_is_wrong, phones)) else 0 for phones, text, _ in messages]
        arrival.bad = sum(map(bool, codes))
        arrival.good = arrival.bad < len(codes)
        if arrival.good:
            self._times.pop(Count("bad sends in a row", (request.address,)), None)
        else:
            arrival.code = codes[0]
        # The good ones of a list may come before the bad ones, which then begin a row.
        if sum(self._fails("bad sends in a row", request.address, now) for _ in range(arrival.bad)):
            arrival.code = 4

    def _fails(self, name: str, address: str, now: float) -> bool:
        """Note a failure; return whether that blocks the address."""
        if self._add(Count(name, (address,)), now) <= LIMITS[name][0]:
            return False
        self._blocked_until[address] = now + _BLOCKS[name]
        return True

    def _add(self, count: Count, now: float) -> int:
        seconds = LIMITS[count.name][1]
        if count.name in _GATES:
            self._in_flight[count] += 1
            total = self._in_flight[count]
        elif count.name == "to one subscriber":
            last, row = self._rows.get(count, (-math.inf, 0))
            total = row + 1 if self._is_within(last, now, seconds) else 1
            self._rows[count] = now, total
        else:
            times = self._times[count]
            while times and not self._is_within(times[0], now, seconds):
                times.popleft()
            times.append(now)
            total = len(times)
        self.highest[count.name] = max(self.highest[count.name], total)
        return total

    def _is_within(self, then: float, now: float, seconds: float) -> bool:
        if self._whole_seconds and then > -math.inf:
            return math.floor(now) - math.floor(then) <= seconds
        return now - then < seconds


def _messages(request: Request) -> list[tuple[tuple[str, ...], str, str | None]]:
    """Return recipients, text and sender of each message."""
    sender = request.fields.get("sender")
    if request.lines:
        return [((_digits(phone),), text, own or sender) for phone, text, own in request.lines]
    phones = tuple(sorted({_digits(phone) for phone in request.fields["phones"].split(",")}))
    return [(phones, request.fields["mes"], sender)]


def _content(request: Request) -> Key:
    """Return what identical requests have in common."""
    parameters = {name: value for name, value in request.parameters.items() if name not in _SHAPE_OF_ANSWER}
    return (*sorted(_messages(request), key=repr), request.fields.get("time"), *sorted(parameters.items()))


def _digits(phone: str) -> str:
    """Return a phone number as the service knows it: digits, with the country's code."""
    digits = re.sub(r"\D", "", phone)
    return f"7{digits[1:]}" if len(digits) == 11 and digits[0] == "8" else digits


def _is_wrong(digits: str) -> bool:
    """Return whether this service takes a number for wrong: those that begin with 70."""
    return digits.startswith("70")
