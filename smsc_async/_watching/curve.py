"""When messages become final, learnt from the answers, and when to request a status again; no I/O.

The chance that a message which is pending becomes final within the next second (the hazard) is kept for each bin of
age, bins growing with age. `Curve` learns it; `PollingSchedule` turns it and `delay_per_request` into waits: the
classical problem of optimal inspection, solved backwards over the bins.
"""

import itertools
import math
from typing import Final

PER_OCTAVE: Final = 6
FIRST: Final = 0.5
"""Seconds: the first bin ends here, each further one is 2 ** (1 / PER_OCTAVE) times as long as the one before."""
OCTAVES: Final = 21
BINS: Final = 1 + PER_OCTAVE * OCTAVES
EDGES: Final = (0.0, *(FIRST * 2 ** (number / PER_OCTAVE) for number in range(BINS)))
"""The ages, in seconds, between which the bins lie: one more than there are bins; the last is 12 days."""

_PRIOR_MEDIAN: Final = 6.0
_PRIOR_SHAPE: Final = 0.7  # log-logistic: 83 % within a minute, 99 % within an hour, a tail of days
_PRIOR_WEIGHT: Final = 8.0  # the prior counts as this many messages in each bin
_KERNEL: Final = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)
_MEMORY: Final = 30_000.0  # answers; with more, older ones fade
_FADE: Final = 0.7
_FORGOTTEN: Final = 0.01  # of an answer
_EM_STEPS: Final = 6
_MAX_SHARE: Final = 0.98  # of the messages that reach a bin, no more become final in it
_LONGEST_WAIT: Final = 6 * 3600.0  # no wait is longer, whatever is learnt,
_EVER_ALLOWED: Final = 900.0  # nor longer than the age of the message, or than this if it is younger
_NEWTON_STEPS: Final = 5
_FIRST_LESSON: Final = 8  # answers
_LONGEST_LESSON: Final = 500
_KEPT_SCHEDULES: Final = 8


def bin_at(age: float) -> int:
    """Return the number of the bin in which this age (seconds) lies."""
    if age < FIRST:
        return 0
    return min(BINS - 1, 1 + int(math.log2(age / FIRST) * PER_OCTAVE))


def edge_near(age: float) -> int:
    """Return the number of the edge nearest to this age, never 0, which stands for a message never requested."""
    if age < FIRST:
        return 1
    return min(BINS, int(math.log2(age / FIRST) * PER_OCTAVE + 1.5))


def _prior() -> list[float]:
    """Return the share of messages reaching each bin that become final in it, before anything is learnt."""
    alive = [1 / (1 + (edge / _PRIOR_MEDIAN) ** _PRIOR_SHAPE) for edge in EDGES]
    return [1 - later / earlier for earlier, later in itertools.pairwise(alive)]


def _smooth(values: list[float]) -> list[float]:
    """Return the values, each averaged with its neighbours; beyond the ends the last value repeats."""
    padded = [values[0], values[0], *values, values[-1], values[-1]]
    far, near, here = _KERNEL[0], _KERNEL[1], _KERNEL[2]
    return [
        far * (padded[i] + padded[i + 4]) + near * (padded[i + 1] + padded[i + 3]) + here * padded[i + 2]
        for i in range(len(values))
    ]


class Curve:
    """The distribution of the age at which messages become final. Edges and bins are given by their numbers.

    Several plans may share one curve and learn from each other's answers.
    """

    __slots__ = (
        "_answers",
        "_between",
        "_events",
        "_next_lesson",
        "_prior",
        "_risk",
        "_schedules",
        "_weight",
        "cumulative",
        "hazards",
        "lessons",
    )

    def __init__(self) -> None:
        self._prior = _prior()
        self._risk = [0.0] * (BINS + 1)  # differences: how many more messages reach this bin than the one before
        self._events = [0.0] * BINS
        self._between: dict[tuple[int, int], float] = {}
        self._weight = 0.0
        self._answers = 0
        self._next_lesson = _FIRST_LESSON
        self._schedules: dict[float, PollingSchedule] = {}
        self.lessons: int = 0
        """How often `hazards` was updated from answers. When it grows, `schedule` returns a different schedule."""
        self.hazards: list[float] = []
        """For each bin, the messages that become final per second and pending message."""
        self.cumulative: list[float] = []
        """The hazard summed up to each edge: exp(-value) is the share still pending there."""
        self._publish(self._prior)

    def survived(self, start: int, end: int) -> None:
        """Learn that a message pending at edge `start` was still pending at edge `end`."""
        self._risk[start] += 1.0
        self._risk[end] -= 1.0
        self._weight += 1.0

    def final(self, start: int, end: int) -> None:
        """Learn that a message pending at edge `start` was final by edge `end`, at an unknown time."""
        if end > start + 1:
            self._between[start, end] = self._between.get((start, end), 0.0) + 1.0
            self._weight += 1.0
        else:
            self.final_in(start, start)

    def final_in(self, start: int, number: int) -> None:
        """Learn that a message pending at edge `start` became final in the bin of this number."""
        number = min(max(number, start), BINS - 1)
        self._events[number] += 1.0
        self._risk[min(start, number)] += 1.0
        self._risk[number + 1] -= 1.0
        self._weight += 1.0

    def pending_to(self, age: float) -> float:
        """Return the hazard summed up to this age in seconds."""
        number = bin_at(age)
        return self.cumulative[number] + self.hazards[number] * (age - EDGES[number])

    def answered(self) -> None:
        """Count an answer, and call `learn` after enough of them: often at first, later after every 500."""
        self._answers += 1
        if self._answers >= self._next_lesson:
            self._next_lesson = self._answers + min(max(self._answers // 4, _FIRST_LESSON), _LONGEST_LESSON)
            self.learn()

    def schedule(self, delay_per_request: float) -> "PollingSchedule":
        """Return the schedule for the present curve; callers with the same `delay_per_request` share one."""
        found = self._schedules.get(delay_per_request)
        if found is None:
            if len(self._schedules) >= _KEPT_SCHEDULES:
                self._schedules.clear()
            found = self._schedules[delay_per_request] = PollingSchedule(self, delay_per_request)
        return found

    def learn(self) -> None:
        """Update `hazards` and `cumulative` from the answers since the last call; let old answers fade."""
        reached, total = [], 0.0
        for change in self._risk[:BINS]:
            total += change
            reached.append(total + _PRIOR_WEIGHT)
        events = [seen + _PRIOR_WEIGHT * share for seen, share in zip(self._events, self._prior, strict=True)]
        for _ in range(_EM_STEPS if self._between else 1):
            self._publish(self._shares(events, reached))
        if self._weight > _MEMORY:
            self._fade()
        self.lessons += 1
        self._schedules.clear()

    def _shares(self, events: list[float], reached: list[float]) -> list[float]:
        """Return the share that becomes final in each bin; intervals are distributed by the present curve."""
        if self._between:
            events, reached = self._spread(events, reached)
        return [e / r for e, r in zip(_smooth(events), _smooth(reached), strict=True)]

    def _spread(self, events: list[float], reached: list[float]) -> tuple[list[float], list[float]]:
        """Return events and numbers at risk, including the interval-censored messages (expectation step)."""
        alive = [math.exp(-value) for value in self.cumulative]
        rate, after = [0.0] * (BINS + 1), [0.0] * (BINS + 1)
        for (start, end), count in self._between.items():
            share = count / (alive[start] - alive[end])
            rate[start] += share
            rate[end] -= share
            after[start] += share * alive[end]
            after[end] -= share * alive[end]
        spread_events, spread_reached, rates, afters = [], [], 0.0, 0.0
        for number in range(BINS):
            rates += rate[number]
            afters += after[number]
            spread_events.append(events[number] + max(0.0, rates * (alive[number] - alive[number + 1])))
            spread_reached.append(reached[number] + max(0.0, rates * alive[number] - afters))
        return spread_events, spread_reached

    def _publish(self, shares: list[float]) -> None:
        steps = [-math.log1p(-min(share, _MAX_SHARE)) for share in shares]
        self.hazards = [step / (EDGES[number + 1] - EDGES[number]) for number, step in enumerate(steps)]
        total, cumulative = 0.0, [0.0]
        for step in steps:
            total += step
            cumulative.append(total)
        self.cumulative = cumulative

    def _fade(self) -> None:
        self._weight *= _FADE
        self._risk = [value * _FADE for value in self._risk]
        self._events = [value * _FADE for value in self._events]
        self._between = {pair: count * _FADE for pair, count in self._between.items() if count > _FORGOTTEN}


def steady_gap(hazard: float, delay_per_request: float) -> float:
    """Return the best gap g between two requests at a constant hazard h: exp(h g) = 1 + h (g + delay_per_request)."""
    aim = hazard * delay_per_request
    guess = min(math.sqrt(2 * aim), math.log1p(aim) + 1)
    for _ in range(_NEWTON_STEPS):
        grown = math.expm1(guess)
        guess -= (grown - guess - aim) / grown
    return guess / hazard


class PollingSchedule:
    """When to request a status next, if one request is worth `delay_per_request` seconds of delay of one message."""

    __slots__ = ("delay_per_request", "thresholds", "waits")

    def __init__(self, curve: Curve, delay_per_request: float) -> None:
        self.delay_per_request: float = delay_per_request
        self.waits: list[float] = _waits(curve, delay_per_request)
        """For each edge, the best number of seconds until the next request after a pending answer at this age."""
        self.thresholds: list[float] = [
            math.log1p(hazard * ((self.waits[number] + self.waits[number + 1]) / 2 + delay_per_request))
            for number, hazard in enumerate(curve.hazards)
        ]
        """For each bin, the hazard summed up since the last request from which another request is worth its cost."""


def _waits(curve: Curve, delay_per_request: float) -> list[float]:
    """Minimise, from the last edge back, the sum over all requests of pending share x (gap + delay_per_request)."""
    alive = [math.exp(-value) for value in curve.cumulative]
    cost = [0.0] * (BINS + 1)
    waits = [0.0] * BINS + [steady_gap(curve.hazards[-1], delay_per_request)]
    furthest = BINS
    for start in range(BINS - 1, -1, -1):
        age, share = EDGES[start], alive[start]
        best, best_end = math.inf, start + 1
        for end in range(start + 1, furthest + 1):  # the best next age never decreases as the present age grows
            value = share * (EDGES[end] - age + delay_per_request) + cost[end]
            if value < best:
                best, best_end = value, end
        waits[start], furthest = _refine(start, best_end, share, cost, delay_per_request), best_end
        hazard, width = curve.hazards[start], EDGES[start + 1] - age
        gap = steady_gap(hazard, delay_per_request)
        several = (gap + delay_per_request) * (share - alive[start + 1]) / -math.expm1(-hazard * gap) + cost[start + 1]
        if gap < width and several < best:  # several requests within the bin instead of one at its end or later
            best, waits[start] = several, gap
        cost[start] = best
    return [min(wait, _LONGEST_WAIT, max(_EVER_ALLOWED, age)) for age, wait in zip(EDGES, waits, strict=True)]


def _refine(start: int, end: int, share: float, cost: list[float], delay_per_request: float) -> float:
    """Return the wait until the minimum of the parabola through the best edge and its neighbours."""
    if start + 1 < end < BINS:
        left, here, right = (share * (EDGES[i] + delay_per_request) + cost[i] for i in (end - 1, end, end + 1))
        down, up = EDGES[end] - EDGES[end - 1], EDGES[end + 1] - EDGES[end]
        below, above = (left - here) / down, (right - here) / up
        bend = below + above
        shift = (below * up - above * down) / (2 * bend) if bend > 0 else 0.0
        return EDGES[end] + min(max(shift, -down / 2), up / 2) - EDGES[start]
    return EDGES[end] - EDGES[start]
