"""What the strip on all pages shows: the clock, the fullest limits, and whether faults are injected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from smsc_async.sandbox._limits import Block, Limits, LimitUse, Streak, Window

from .words import instant, span

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["RULES", "SPEEDS", "ClockView", "Gauge", "clock_of", "gauge_of", "gauges_of", "unused"]

SPEEDS: Final = (1, 10, 60, 600)
_CELLS: Final = 15
_NEAR: Final = 0.8
_SHOWN: Final = 5
_ALWAYS: Final = ("status", "subscriber", "balance", "in_flight")
_AHEAD: Final = 1.0  # seconds, from which people notice
RULES: Final[Mapping[str, tuple[str, str]]] = {
    "identical_send": ("Identical", "Identical sends"),
    "identical_cost": ("Same cost", "Identical cost requests"),
    "status": ("Status", "Status of one message"),
    "balance": ("Balance", "Balance requests"),
    "subscriber": ("One phone", "Messages to one phone"),
    "in_flight": ("In flight", "Requests in flight"),
    "status_in_flight": ("Status at once", "Status requests in flight"),
    "login_failures": ("Logins", "Wrong logins from one IP address"),
    "bad_sends": ("Bad sends", "Bad sends from one IP address"),
}
"""The name of each limit, short and in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockView:
    """The clock.

    Attributes:
        now: Unix time.
        speed: How many of its seconds pass in a real second.
        time: The time of day.
        date: The date.
        iso: Both, as in an attribute `datetime`.
        note: How it differs from the real time, "real time" if it does not.
    """

    now: float
    speed: float
    time: str
    date: str
    iso: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How full a limit is.

    Attributes:
        rule: The name of the limit, an attribute of `Limits`.
        short: What it is called in the strip.
        name: What it is called.
        used: How many arrivals count.
        limit: How many are admitted.
        level: "near", "full" or "blocked", empty below that.
        words: The fill for those who can't see it.
        until: The time of day until which it is full, empty for none.
    """

    rule: str
    short: str
    name: str
    used: int
    limit: int
    level: str
    words: str
    until: str = ""

    @property
    def has_cells(self) -> bool:
        """Whether each arrival is drawn."""
        return self.limit <= _CELLS

    @property
    def percent(self) -> float:
        """How much of the limit is used, at most 100."""
        return min(100.0, round(100 * self.used / max(1, self.limit), 1))


def clock_of(sandbox: "Sandbox") -> ClockView:
    """Return what the clock shows."""
    now, speed, ahead = sandbox.now(), sandbox.clock.speed, sandbox.clock.ahead
    moment = instant(now)
    notes = [f"{span(ahead)} ahead"] if ahead >= _AHEAD else [f"{span(-ahead)} behind"] if ahead <= -_AHEAD else []
    if speed != 1:
        notes.append("paused" if not speed else f"\N{MULTIPLICATION SIGN}{speed:g}")
    return ClockView(
        now=now,
        speed=speed,
        time=f"{moment:%H:%M:%S}",
        date=f"{moment:%a} {moment.day} {moment:%b %Y}",
        iso=moment.isoformat(timespec="seconds"),
        note=", ".join(notes) or "real time",
    )


def gauge_of(use: LimitUse) -> Gauge:
    """Return how full a limit is."""
    short, name = RULES[use.rule]
    is_block = use.rule in {"login_failures", "bad_sends"}
    is_near = use.used >= _NEAR * use.limit and (use.limit > 1 or use.used > 1)  # one of one is what a request makes
    level = "" if not is_near else "near" if use.used < use.limit else "blocked" if is_block else "full"
    until = "" if use.free_at is None else f"{instant(ceil(use.free_at)):%H:%M:%S}"
    period = "" if use.seconds is None else f" in {span(use.seconds)}"
    said = {"": "", "near": ", nearly full", "full": ", full", "blocked": ", blocked"}[level]
    words = f"{use.used} of {use.limit}{period}{said}" + (f" until {until}" if level and until else "")
    return Gauge(
        rule=use.rule, short=short, name=name, used=use.used, limit=use.limit, level=level, words=words, until=until
    )


def gauges_of(uses: Sequence[LimitUse], limits: Limits) -> list[Gauge]:
    """Return how full each limit is at its fullest use, the fullest first; some are shown even if they are unused.

    Args:
        uses: The limits that something counts under, the fullest first.
        limits: All limits.
    """
    fullest: dict[str, LimitUse] = {}
    for use in uses:
        if use.limit > 1 or use.used > 1:  # one of one is what each request makes of it
            fullest.setdefault(use.rule, use)
    for rule in _ALWAYS:
        idle = unused(rule, getattr(limits, rule))
        if idle is not None and len(fullest) < _SHOWN:
            fullest.setdefault(rule, idle)
    return [gauge_of(use) for use in list(fullest.values())[:_SHOWN]]


def unused(rule: str, limit: Window | Streak | Block | int | None) -> LimitUse | None:
    """Return a limit that nothing counts under, None if it is switched off."""
    if limit is None:
        return None
    if isinstance(limit, int):
        return LimitUse(rule=rule, used=0, limit=limit, seconds=None)
    if isinstance(limit, Block):
        return LimitUse(rule=rule, used=0, limit=limit.failures, seconds=limit.seconds)
    return LimitUse(
        rule=rule, used=0, limit=limit.count, seconds=limit.seconds if isinstance(limit, Window) else limit.gap
    )
