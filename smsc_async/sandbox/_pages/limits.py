"""What the page of limits shows: how full each is, which requests fill it, and until when."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final
from zlib import crc32

from smsc_async.sandbox._exchanges import Exchange
from smsc_async.sandbox._limits import Limits, LimitUse
from smsc_async.sandbox._messages import AcceptedMessage
from smsc_async.sandbox._outbox import MessageFilter

from .requests import RequestRow, row_of
from .strip import RULES, Gauge, gauge_of, unused
from .words import instant, phone_words, span

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["Behind", "LimitCard", "LimitsPage", "limits_page"]

Find = Callable[[MessageFilter], list[AcceptedMessage]]
_EACH: Final = 6  # cards of a limit
_SHOWN: Final = 12  # requests behind a limit
_DOTS: Final = 60
_BLOCKS: Final = {"login_failures", "bad_sends"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCard:
    """A limit and how full it is for one account, message, phone or IP address.

    Attributes:
        gauge: How full it is.
        id: Identifies the card on the page.
        level: The level in words.
        period: The period in words.
        free: When it ends, in words.
        about: What it is about.
        dots: When the requests came, in percent of the window.
        start: The words at the start of the window, empty for no window.
        rows: The requests behind it, the newest first.
        more: How many more there are.
    """

    gauge: Gauge
    id: str
    level: str
    period: str
    free: str = ""
    about: str = field(default="", repr=False)
    dots: Sequence[float] = ()
    start: str = ""
    rows: Sequence[RequestRow] = ()
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsPage:
    """What the page shows.

    Attributes:
        cards: The limits, the fullest first.
        off: The names of the limits that are switched off.
        hidden: How many uses of limits have no card.
        is_moving: Whether anything on it changes with time.
    """

    cards: Sequence[LimitCard]
    off: Sequence[str]
    hidden: int
    is_moving: bool


class Behind:
    """Finds the requests behind a limit.

    Args:
        requests: The requests that are kept.
        find: Finds messages, the newest first.
    """

    def __init__(self, requests: Sequence[Exchange], find: Find) -> None:
        self._by_number = {each.number: each for each in requests}
        self._requests = requests
        self._find = find

    def of(self, use: LimitUse) -> list[Exchange]:
        """Return them in the order of their arrival, as far as they are kept."""
        if use.rule != "subscriber":
            return [self._by_number[number] for number in use.requests if number in self._by_number]
        # Its streaks know no requests, but the messages do; those that were refused have the limit as their reason.
        wanted = MessageFilter(phone=use.phone, login=use.login)
        numbers = {message.request for message in self._find(wanted)[: use.used]}
        numbers |= {each.number for each in self._requests if each.excess is not None and is_same(each.excess, use)}
        kept = [self._by_number[number] for number in sorted(numbers) if number in self._by_number]
        return kept[-use.used :]


def limits_page(sandbox: "Sandbox", limits: Limits, behind: Behind, now: float) -> LimitsPage:
    """Return what the page shows."""
    uses = sandbox.limits()
    shown = [use for rule in RULES for use in _fullest([each for each in uses if each.rule == rule])]
    idle = [unused(rule, getattr(limits, rule)) for rule in RULES if not any(use.rule == rule for use in shown)]
    cards = [_card(use, behind, now) for use in shown]
    cards.sort(key=lambda card: ["blocked", "full", "near", ""].index(card.gauge.level))
    return LimitsPage(
        cards=[*cards, *(_card(use, behind, now) for use in idle if use is not None)],
        off=[name for rule, (_, name) in RULES.items() if getattr(limits, rule) is None],
        hidden=len(uses) - len(shown),
        is_moving=bool(uses) and bool(sandbox.clock.speed),
    )


def _fullest(uses: Sequence[LimitUse]) -> Sequence[LimitUse]:
    """Return the fullest uses of a limit; of those that are one of one, as each send makes one, the first at most."""
    return [use for use in uses if use.limit > 1 or use.used > 1][:_EACH] or uses[:1]


def is_same(one: LimitUse, other: LimitUse) -> bool:
    """Return whether both are the same limit of the same account, message, phone or IP address."""
    if one.rule in {"identical_send", "identical_cost"} and not set(one.requests) & set(other.requests):
        return False
    return (one.rule, one.login, one.phone, one.id, one.source) == (
        other.rule,
        other.login,
        other.phone,
        other.id,
        other.source,
    )


def period_words(use: LimitUse) -> str:
    """Return the period of a limit in words."""
    if use.seconds is None:
        return "at once"
    return f"in a row, pauses under {span(use.seconds)}" if use.rule == "subscriber" else f"in {span(use.seconds)}"


def about_words(use: LimitUse, rows: Sequence[RequestRow] = ()) -> str:
    """Return what a limit is about in words; the newest request says it for identical ones."""
    words = [f"Message {use.id}"] if use.id else []
    words += [phone_words(use.phone)] if use.phone else []
    words += [f"to {rows[0].about}"] if rows and rows[0].about and use.rule.startswith("identical") else []
    words += [f"account {use.login}"] if use.login else []
    words += [f"address {use.source}"] if use.source else []
    said = " \N{MIDDLE DOT} ".join(words)
    return said[:1].upper() + said[1:]


def clock_words(at: float) -> str:
    """Return the first whole second of a day that is not before a Unix time."""
    return f"{instant(ceil(at)):%H:%M:%S}"


def _card(use: LimitUse, behind: Behind, now: float) -> LimitCard:
    gauge = gauge_of(use)
    found = behind.of(use) if use.used else []
    rows = [row_of(each) for each in found[: -_SHOWN - 1 : -1]]
    start = found[0].at if use.rule == "subscriber" and found else now - (use.seconds or 0.0)
    about = about_words(use, rows)
    return LimitCard(
        gauge=gauge,
        id=f"{use.rule}-{crc32(repr((use.login, use.phone, use.id, use.source, use.requests[:1])).encode())}",
        level=_level(gauge),
        period=period_words(use),
        free=_free(use, now),
        about=about,
        dots=[round(100 * (each.at - start) / (now - start), 1) for each in found[-_DOTS:] if start < each.at <= now],
        start=_start(use, start) if found else "",
        rows=rows,
        more=len(found) - len(rows),
    )


_LEVELS: Final[Mapping[str, str]] = {"near": "Nearly full", "full": "Full, error 9", "blocked": "Blocked, error 4"}


def _level(gauge: Gauge) -> str:
    return _LEVELS.get(gauge.level, "") or ("In use" if gauge.used else "")


def _free(use: LimitUse, now: float) -> str:
    if use.free_at is None or use.free_at <= now:
        return ""
    words = "blocked until" if use.rule in _BLOCKS else "free at"
    return f"{words} {clock_words(use.free_at)}"


def _start(use: LimitUse, start: float) -> str:
    if use.seconds is None:
        return ""
    return f"since {instant(start):%H:%M:%S}" if use.rule == "subscriber" else f"{span(use.seconds)} ago"


def leaving(use: LimitUse, found: Sequence[Exchange]) -> Iterator[tuple[Exchange, float]]:
    """Yield the requests that have to leave a window until it admits one more, and when each leaves."""
    if use.rule in _BLOCKS or use.rule == "subscriber" or use.seconds is None:
        return
    counted = set(use.requests)
    inside = [each for each in found if each.number in counted]
    yield from ((each, each.at + use.seconds) for each in inside[: max(0, use.used - use.limit + 1)])
