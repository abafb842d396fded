"""What the page of limits says of a request that was refused: the rule, the requests behind it, and until when."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from smsc_async.sandbox._exchanges import Exchange
from smsc_async.sandbox._limits import LimitUse

from .limits import Behind, about_words, clock_words, is_same, leaving
from .requests import RequestRow, row_of
from .words import instant, span

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["ExcessView", "excess_of", "refused"]

_SHOWN: Final = 12
_OTHERS: Final = 8
_TITLES: Final[Mapping[str, str]] = {
    "identical_send": "{nth} identical send in {period}",
    "identical_cost": "{nth} identical cost request in {period}",
    "status": "{nth} status request for one message in {period}",
    "balance": "{nth} balance request in {period}",
    "subscriber": "{nth} message to one phone without a pause of {period}",
    "in_flight": "{nth} request in flight at once",
    "status_in_flight": "{nth} status request in flight at once",
    "login_failures": "Blocked after {used} wrong logins in {period}",
    "bad_sends": "Blocked after {used} bad sends in a row in {period}",
}
_ADVICE: Final[Mapping[str, str]] = {
    "identical_send": "After a lost answer, ask for the status by the id that you gave the message, do not send again.",
    "identical_cost": "Keep the price of a text, or ask for the cost when the message is sent.",
    "status": "Ask every {pace} or slower, take the callback as the hint, or let Client.watch() do the pacing.",
    "balance": "Ask every {pace} or slower, or keep the last balance and subtract what was sent.",
    "subscriber": "Leave {period} without a message to this phone; a loop that sends to one phone ends here.",
    "in_flight": "Open fewer requests at once: Guards keep all processes of an account below this together.",
    "status_in_flight": "Ask for fewer statuses at once, or for those of many messages in one request.",
    "login_failures": "Check login and password in your settings; each further attempt counts.",
    "bad_sends": "Check phones and texts before sending: errors 6, 7 and 8 count, and a good send ends the row.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A request in the drawing of the window: its position in percent, and "hit", "leaving" or "over"."""

    x: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRequest:
    """A request in the table, with what becomes of it."""

    row: RequestRow
    note: str
    is_refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The window.

    Attributes:
        dots: The requests.
        start: The time at which it starts.
        mark: The position of the moment, in percent.
        moment: What the moment is, and its time.
        end: What the end is, and its time; empty if the moment is the end.
        words: All of it in words.
    """

    dots: Sequence[Dot]
    start: str
    mark: float
    moment: str
    end: str
    words: str

    @property
    def anchor(self) -> str:
        """How the words for the moment are placed, so that they stay inside."""
        return "start" if self.mark < 20 else "middle" if self.mark <= 80 else "end"  # noqa: PLR2004 - percent


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcessView:
    """A request that was refused, and why.

    Attributes:
        row: The request.
        title: The rule in words.
        about: What the limit is about.
        counted: How many count now, or counted then.
        limit: How many are admitted.
        free: The time of day at which one more is admitted, empty if that depends on other requests.
        is_over: Whether one more is admitted now.
        leaving: How many have to leave until then.
        advice: What to do about it.
        until: Unix time to which the clock can be skipped, 0 for none.
        skip: How far that is, in words.
        drawing: The window, None for a limit without one.
        lines: The requests behind it, the newest first.
        more: How many more there are.
        others: The other requests that were refused last, the newest first.
    """

    row: RequestRow
    title: str
    about: str = field(repr=False)
    counted: int
    limit: int
    free: str
    is_over: bool
    leaving: int
    advice: str
    until: int
    skip: str
    drawing: Drawing | None
    lines: Sequence[CountedRequest]
    more: int
    others: Sequence[RequestRow]


def refused(requests: Sequence[Exchange], number: str) -> Exchange | None:
    """Return the request with this number that has exceeded a limit, the last one for an empty number."""
    excesses = (each for each in reversed(requests) if each.excess is not None)
    return next((each for each in excesses if number in {"", str(each.number)}), None)


def excess_of(sandbox: "Sandbox", exchange: Exchange, behind: Behind, now: float) -> ExcessView:
    """Return why a request was refused, and what becomes of that."""
    then = exchange.excess
    assert then is not None  # noqa: S101 - it was chosen for it
    present = next((use for use in sandbox.limits() if is_same(use, then)), None)
    is_over = present is None or present.used < present.limit
    use = then if is_over or present is None else present
    moment = exchange.at if is_over else now
    found = _with(exchange, behind.of(use))
    going = {each.number: at for each, at in leaving(use, found)} if not is_over else {}
    lines = list(_lines(found, exchange, going))
    free_at = use.free_at
    return ExcessView(
        row=row_of(exchange),
        title=_title(then),
        about=about_words(then, [row_of(exchange)]),
        counted=use.used,
        limit=use.limit,
        free="" if free_at is None else clock_words(free_at),
        is_over=is_over,
        leaving=len(going),
        advice=_advice(then),
        until=0 if is_over or free_at is None else ceil(free_at),
        skip="" if is_over or free_at is None else span(max(1, ceil(free_at - now))),
        drawing=_drawing(use, found, going, moment, is_over=is_over) if use.seconds is not None else None,
        lines=lines[:_SHOWN],
        more=len(lines) - len(lines[:_SHOWN]),
        others=[
            row_of(each) for each in reversed(sandbox.requests) if each.excess is not None and each is not exchange
        ][:_OTHERS],
    )


def _with(exchange: Exchange, found: list[Exchange]) -> list[Exchange]:
    return found if exchange in found else sorted([*found, exchange], key=lambda each: each.number)


def _title(use: LimitUse) -> str:
    nth = f"{use.used}{_ending(use.used)}"
    return _TITLES[use.rule].format(nth=nth, used=use.used, period=span(use.seconds or 0))


def _ending(number: int) -> str:
    if number % 100 in {11, 12, 13}:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _advice(use: LimitUse) -> str:
    return _ADVICE[use.rule].format(pace=span((use.seconds or 0) / max(1, use.limit)), period=span(use.seconds or 0))


def _lines(found: Sequence[Exchange], exchange: Exchange, going: Mapping[int, float]) -> Iterator[CountedRequest]:
    for each in reversed(found):
        note = f"leaves at {clock_words(going[each.number])}" if each.number in going else ""
        if each is exchange:
            note = "the one too many" + (f", {note}" if note else "")
        elif each.excess is not None:
            note = "refused, counts too" + (f", {note}" if note else "")
        yield CountedRequest(row=row_of(each), note=note, is_refused=each.excess is not None)


def _drawing(
    use: LimitUse, found: Sequence[Exchange], going: Mapping[int, float], moment: float, *, is_over: bool
) -> Drawing:
    first = min((each.at for each in found), default=moment)
    is_window = use.rule in {"identical_send", "identical_cost", "status", "balance"}
    start = moment - (use.seconds or 0.0) if is_window else min(first, moment)
    end = max(moment, use.free_at or moment)
    length = (end - start) or 1.0
    dots = [
        Dot(x=round(100 * (each.at - start) / length, 1), kind=_kind(each, going))
        for each in found
        if start <= each.at <= end
    ]
    said = f"{'refused' if is_over else 'now'} {instant(moment):%H:%M:%S}"
    ending = f"free {clock_words(end)}" if end > moment else ""
    return Drawing(
        dots=dots,
        start=f"{instant(start):%H:%M:%S}",
        mark=round(100 * (moment - start) / length, 1),
        moment=said,
        end=ending,
        words=f"From {instant(start):%H:%M:%S}: {len(dots)} requests; {said}{'; ' if ending else ''}{ending}",
    )


def _kind(exchange: Exchange, going: Mapping[int, float]) -> str:
    if exchange.excess is not None:
        return "over"
    return "leaving" if exchange.number in going else "hit"
