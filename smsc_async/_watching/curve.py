"""When messages become final, estimated from the answers, and when to request a status again; no I/O.

The chance that a message which is pending becomes final within the next second (the hazard) is kept for each bin of
age; bins grow with age. A status is requested again when the delay expected since the last answer is as long
as a request is worth: the less likely a change is, the longer the wait.
"""

import itertools
import math
from typing import Final

from .worth import Worth

PER_OCTAVE: Final = 6
FIRST: Final = 0.5
"""Seconds: the first bin ends here, each further one is 2 ** (1 / PER_OCTAVE) times as long as the one before."""
OCTAVES: Final = 21
BINS: Final = 1 + PER_OCTAVE * OCTAVES
EDGES: Final = (0.0, *(FIRST * 2 ** (number / PER_OCTAVE) for number in range(BINS)))
"""The ages, in seconds, between which the bins lie: one more than there are bins; the last is 12 days."""

_PRIOR_WEIGHT: Final = 1.5  # the prior counts as this many messages in each bin
_KERNEL: Final = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)
_MEMORY: Final = 30_000.0  # answers; beyond that, older ones lose weight
_FADE: Final = 0.7
_MAX_SHARE: Final = 0.98  # of the messages that reach a bin, no more become final in it
_LONGEST_WAIT: Final = 6 * 3600.0  # no wait is longer, whatever the curve,
_EVER_ALLOWED: Final = 900.0  # nor longer than the age of the message, or than this if it is younger
_FIRST_LESSON: Final = 8  # answers
_LONGEST_LESSON: Final = 500
_KEPT_WAITS: Final = 16
_FEW_PENDING: Final = 0.5
_MOSTLY_FINAL: Final = 0.9  # if this share of the messages is final before such a first request, it is made earlier


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


def _prior(age: float) -> float:
    """Return the share of messages pending at this age according to the prior."""
    return 0.9 / (1 + (age / 4) ** 2) + 0.1 / (1 + age / 1100)


_PRIOR: Final = [1 - _prior(later) / _prior(earlier) for earlier, later in itertools.pairwise(EDGES)]


def _smooth(values: list[float]) -> list[float]:
    """Return the values, each averaged with its neighbours; beyond the ends the last value repeats."""
    padded = [values[0], values[0], *values, values[-1], values[-1]]
    return [sum(map(float.__mul__, _KERNEL, padded[number : number + 5])) for number in range(len(values))]


class Curve:
    """The distribution of the age at which messages become final. Edges and bins are given by their numbers.

    Several plans may share one curve and learn from each other's answers.
    """

    def __init__(self) -> None:
        self._risk = [0.0] * (BINS + 1)  # differences: how many more messages reach this bin than the one before
        self._events = [0.0] * BINS
        self._between: dict[tuple[int, int], float] = {}  # final somewhere between two edges; counted by `learn`
        self._weight = 0.0
        self._answers = 0
        self._next_lesson = _FIRST_LESSON
        self.lessons: int = 0
        """How often the curve was updated from answers."""
        self.hazards: list[float] = []
        """For each bin, the messages that become final per second and pending message."""
        self.pending: list[float] = []
        """For each edge, the share of messages pending there."""
        self._waits: dict[Worth, list[float]] = {}
        self._publish(_PRIOR)

    def survived(self, start: int, end: int) -> None:
        """Record that a message pending at edge `start` was still pending at edge `end`."""
        self._risk[start] += 1.0
        self._risk[end] -= 1.0
        self._weight += 1.0

    def final(self, start: int, end: int) -> None:
        """Record that a message pending at edge `start` was final by edge `end`, at an unknown time."""
        if end > start + 1:
            self._between[start, end] = self._between.get((start, end), 0.0) + 1.0
            self._weight += 1.0
        else:
            self.final_in(start, start)

    def final_in(self, start: int, number: int) -> None:
        """Record that a message pending at edge `start` became final in the bin of this number."""
        number = min(max(number, start), BINS - 1)
        self._events[number] += 1.0
        self._risk[min(start, number)] += 1.0
        self._risk[number + 1] -= 1.0
        self._weight += 1.0

    def chance(self, start: int, age: float) -> float:
        """Return the chance that a message pending at edge `start` is final at this age in seconds."""
        number = bin_at(age)
        pending = self.pending[number] * math.exp(-self.hazards[number] * (age - EDGES[number]))
        return 1.0 - min(pending / self.pending[start], 1.0)

    def answered(self) -> None:
        """Count an answer, and call `learn` after enough of them: often at first, later after every 500."""
        self._answers += 1
        if self._answers >= self._next_lesson:
            self._next_lesson = self._answers + min(max(self._answers // 4, _FIRST_LESSON), _LONGEST_LESSON)
            self.learn()

    def learn(self) -> None:
        """Update the curve from the answers since the last call; reduce the weight of old answers."""
        for (start, end), count in self._between.items():
            self._spread(start, end, count)
        self._between.clear()
        reached = _smooth([risk + _PRIOR_WEIGHT for risk in itertools.accumulate(self._risk[:BINS])])
        events = _smooth([seen + _PRIOR_WEIGHT * share for seen, share in zip(self._events, _PRIOR, strict=True)])
        self._publish([seen / risk for seen, risk in zip(events, reached, strict=True)])
        if self._weight > _MEMORY:
            self._weight *= _FADE
            self._risk = [value * _FADE for value in self._risk]
            self._events = [value * _FADE for value in self._events]
        self.lessons += 1

    def _spread(self, start: int, end: int, count: float) -> None:
        """Distribute messages that became final between two edges as the current curve predicts."""
        whole = self.pending[start] - self.pending[end]
        self._risk[start] += count
        for number in range(start, end):
            share = count * (self.pending[number] - self.pending[number + 1]) / whole
            self._events[number] += share
            self._risk[number + 1] -= share

    def _publish(self, shares: list[float]) -> None:
        steps = [-math.log1p(-min(share, _MAX_SHARE)) for share in shares]
        self.hazards = [step / (EDGES[number + 1] - EDGES[number]) for number, step in enumerate(steps)]
        self.pending = [math.exp(-total) for total in itertools.accumulate(steps, initial=0.0)]
        self._waits.clear()

    def waits(self, worth: Worth) -> list[float]:
        """Return, for each edge, the seconds from a pending answer at this age to the next request.

        After that wait, the expected time since the final status is as long as a request is worth.
        """
        found = self._waits.get(worth)
        if found is None:
            if len(self._waits) >= _KEPT_WAITS:
                self._waits.clear()
            seconds = [worth.at(edge) for edge in EDGES]
            waits = [self._wait(start, seconds) for start in range(BINS)]
            found = self._waits[worth] = [
                self._bounded(number, wait, worth.shortest(EDGES[number]))
                for number, wait in enumerate([*waits, waits[-1]])
            ]
        return found

    def _bounded(self, start: int, wait: float, shortest: float) -> float:
        wait = min(wait, _LONGEST_WAIT, max(_EVER_ALLOWED, EDGES[start]))
        if not start and self.chance(0, shortest) > _MOSTLY_FINAL:
            return wait
        return max(wait, shortest)

    def _wait(self, start: int, seconds: list[float]) -> float:
        """Return how long the expected delay takes to reach the seconds of its age."""
        delay = 0.0
        for number in range(start, BINS):
            width, hazard = EDGES[number + 1] - EDGES[number], self.hazards[number]
            pending = self.pending[number] / self.pending[start]
            final, missing = 1 - pending, max(seconds[number + 1] - delay, 0.0)
            waited = EDGES[number] - EDGES[start]
            if pending < _FEW_PENDING and final > pending * hazard * (waited + seconds[number]):
                return waited  # this request is probably the last, and waiting longer hardly raises the chance
            # The delay grows by `final` each second, and this share by `hazard * pending`.
            passed = 2 * missing / (final + math.sqrt(final * final + 2 * hazard * pending * missing))
            if passed < width:
                return waited + passed
            delay += width - (pending - self.pending[number + 1] / self.pending[start]) / hazard
        return math.inf
