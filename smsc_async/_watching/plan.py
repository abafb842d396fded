"""Which message to ask next, and when. Pure: no clock, no I/O, no tasks; every time is given, in seconds.

The server answers for one message a request, so requests are the scarce good. Messages last found undecided at about
the same age stand in one line: what is learnt of the curve then moves a whole line at once and no message.
"""

import heapq
import math
from collections import deque
from typing import Final

from .buckets import Bucket, MessageTable, Position
from .curve import BINS, EDGES, Curve, bin_at, edge_near

_FIRST_CAPACITY: Final = 20.0  # requests a second, until measured
_SPREAD: Final = 0.5  # waits differ by up to a quarter either way, so that what was asked together parts
_GOLDEN: Final = 0.6180339887498949
_FAIR_TURN: Final = 16  # each so-many-th choice goes to the line that is overdue the longest
_SHORTEST_TURN: Final = 0.05
_LONGEST_TURN: Final = 1.0
_TURN_SHARE: Final = 0.02  # of the time its first message waited, a line is asked without a look at the others
_SLACK: Final = 0.1  # of that time, messages may be younger than the first
_PAUSE: Final = 2.0  # seconds after a failure, doubled with each more
_LONGEST_PAUSE: Final = 60.0
_NEWS: Final = 0.5
_SURGE_PACE: Final = 0.2
_SCOUTS: Final = 8  # in the time that messages wait between requests, at least one is asked so many times,
_SCOUTED: Final = 20  # if so many messages wait for each
_SURGE: Final = 0.3  # of the answers about long-undecided messages, beyond what was expected: an outage ended


def _size(bucket: Bucket) -> int:
    return bucket.size


class Plan:
    """Which of many messages to ask for its status next, and when.

    Args:
        delay_per_request: The one trade-off: how many seconds of delay between a final status and its discovery one
            request is worth. 1 asks often, 100 seldom; a message that becomes final once an hour on average, at any
            moment alike, is asked about every sqrt(2 x 3600 x delay_per_request) seconds: 4.5 minutes at 10. Where more
            is worth asking than the capacity allows, it no longer matters, and the order alone does.
        interval_limit: At most so many requests for one message in so many seconds, counted from answer to start.
        curve: What an earlier plan learnt (its `curve`), to go on from; a new one starts from a prior.

    Raises:
        ValueError: delay_per_request or the limit is out of range.
    """

    def __init__(
        self,
        *,
        delay_per_request: float = 10.0,
        interval_limit: tuple[int, float] = (5, 61.2),
        curve: Curve | None = None,
    ) -> None:
        if not 0 < delay_per_request < math.inf:
            raise ValueError(f"delay_per_request must be a number of seconds above 0, not {delay_per_request}")
        if interval_limit[0] < 1 or not interval_limit[1] >= 0:
            raise ValueError(f"interval_limit must be (1 or more requests, 0 or more seconds), not {interval_limit}")
        self._most, self._interval = interval_limit
        self.requests_a_second = _FIRST_CAPACITY
        self._table = MessageTable()
        self._size = 0
        # What few messages have at a time stands beside the roll.
        self._asks: dict[int, int] = {}  # how many requests count against the limit of each
        self._failures: dict[int, int] = {}  # in a row
        self._hinted: set[int] = set()
        self._buckets = [Bucket(number, self._table) for number in range(BINS + 1)]
        self._front: deque[int] = deque()
        self._later: list[tuple[float, int]] = []
        self._recent: deque[tuple[float, int]] = deque()  # what counts against limits
        self._held = 0
        self.curve = Curve() if curve is None else curve
        self._delay_per_request = delay_per_request
        self._lessons = self.curve.lessons
        self._schedule = self.curve.schedule(delay_per_request)
        self._phase = 0.0
        self._surge = 0.0
        self._surge_began = -math.inf
        self._scouted = -math.inf  # when a message once found undecided was last asked
        self._turns = 0
        self._bucket = self._buckets[0]  # the line being asked,
        self._bucket_from = -math.inf  # those that wait since then or longer,
        self._bucket_until = -math.inf  # until then
        self._wake = math.inf  # before this, no message of a line is worth asking

    def __len__(self) -> int:
        return self._size

    def add(self, key: int, now: float, *, sent_at: float | None = None) -> None:
        """Follow a message sent at `sent_at` (now, unless given; it may lie ahead).

        Keys are small numbers from 0 on, and best used again: a plan takes memory up to the largest it ever had.

        Raises:
            ValueError: The key is followed already, or below 0.
        """
        if key < 0 or self._table.has(key):
            raise ValueError(f"{key!r} is followed already, or below 0")
        self._table.add(key, now if sent_at is None else sent_at)
        self._size += 1
        self._enqueue(key)

    def capacity(self, requests_a_second: float) -> None:
        """Say how many requests a second can be made, as measured; 0 or less is ignored.

        Only noted: the order does not depend on it, and to raise the price with the backlog made delays longer than
        the requests it saved were worth.
        """
        if requests_a_second > 0:
            self.requests_a_second = requests_a_second

    def pick(self, now: float) -> int | None:
        """Return the message to ask now, or None if none is worth a request; `answered` or `failed` must follow."""
        if self._recent and self._recent[0][0] <= now - self._interval:
            self._expire(now)
        if self._later and self._later[0][0] <= now:
            self._retry(now)
        while self._front:
            key = self._front.popleft()
            if self._table.position[key] == Position.FRONT:
                self._table.position[key] = Position.ASKED
                self._hinted.discard(key)
                return key
        if now < self._wake:
            return None
        chosen = self._bucket.take(self._bucket_from) if now < self._bucket_until else None
        if chosen is None:
            chosen = self._choose(now)
        return chosen

    def next_at(self, now: float) -> float:
        """Return when `pick`, having returned None, may next return something.

        Infinity if that takes an answer, a hint or an addition. Where `pick` was not called since, it may say now.
        """
        if self._front:
            return now
        at = self._wake
        if self._later:
            at = min(at, self._later[0][0])
        if self._held:
            at = min(at, self._recent[0][0] + self._interval)
        return max(now, at)

    def answered(
        self, key: int, now: float, *, final: bool, changed: bool = False, final_at: float | None = None
    ) -> None:
        """Learn from an answer. A decided message is forgotten, an unknown key ignored.

        Args:
            key: The message.
            now: When the answer came.
            final: Whether its status is final.
            changed: Whether an undecided status differs from an earlier one: then its clock starts anew.
            final_at: The service's own time of the decision, if known; an impossible one is taken for the nearest
                possible.
        """
        if not self._table.has(key):
            return
        self._leave(key)
        start, age = self._table.bucket[key], now - self._table.sent[key]
        end = max(edge_near(age), start)
        if start:
            chance = -math.expm1(self.curve.cumulative[start] - self.curve.pending_to(age))
            self._expect(now, final=final, chance=chance)
        if final:
            if final_at is None:
                self.curve.final(start, end)
            else:
                self.curve.final_in(start, bin_at(min(final_at - self._table.sent[key], age)))
            self._forget(key)
        else:
            self.curve.survived(start, end)
            self._pending(key, now, 0 if changed and start else end)
        self.curve.answered()
        if self.curve.lessons != self._lessons:  # by this answer, or by those of another plan
            self._lessons = self.curve.lessons
            self._schedule = self.curve.schedule(self._delay_per_request)
            self._wake = -math.inf

    def failed(self, key: int, now: float) -> None:
        """Ask again later: after 2 s, doubled with each failure in a row up to a minute. An unknown key is ignored."""
        if not self._table.has(key):
            return
        self._leave(key)
        self._count(key, now)
        failures = self._failures.get(key, 0)
        pause = min(_PAUSE * 2.0 ** min(failures, 10), _LONGEST_PAUSE)
        self._failures[key] = failures + 1
        self._table.position[key] = Position.LATER
        heapq.heappush(self._later, (now + pause, key))

    def hint(self, key: int, now: float) -> None:
        """Ask a message before all others, as soon as its limit allows. An unknown key is ignored."""
        if not self._table.has(key):
            return
        self._expire(now)
        self._hinted.add(key)
        if self._table.position[key] in {Position.BUCKET, Position.LATER}:
            self._leave(key)
            self._wait(key)

    def remove(self, key: int) -> None:
        """Follow a message no longer. An unknown key is ignored.

        What was asked under this key goes on counting against its limit.
        """
        if self._table.has(key):
            self._leave(key)
            self._forget(key)

    def _forget(self, key: int) -> None:
        self._size -= 1
        self._failures.pop(key, None)
        self._hinted.discard(key)
        self._table.position[key] = Position.NOWHERE

    def _leave(self, key: int) -> None:
        """Take a message out of where it waits; entries left behind are skipped when met."""
        position = self._table.position[key]
        if position == Position.BUCKET:
            self._buckets[self._table.bucket[key]].size -= 1
        elif position == Position.HELD:
            self._held -= 1
        self._table.position[key] = Position.ASKED

    def _pending(self, key: int, now: float, bucket: int) -> None:
        self._count(key, now)
        self._failures.pop(key, None)
        self._table.bucket[key] = bucket
        since = now
        if bucket:
            self._phase = (self._phase + _GOLDEN) % 1.0
            since += (self._phase - 0.5) * _SPREAD * self._schedule.waits[bucket]
        else:
            self._table.sent[key] = now
        self._table.since[key] = since
        self._wait(key)

    def _wait(self, key: int) -> None:
        """Let a message wait where it belongs: at the front, in its line, or for its limit."""
        if self._asks.get(key, 0) >= self._most:
            self._table.position[key] = Position.HELD
            self._held += 1
        elif key in self._hinted:
            self._table.position[key] = Position.FRONT
            self._front.append(key)
        else:
            self._enqueue(key)

    def _enqueue(self, key: int) -> None:
        bucket = self._table.bucket[key]
        self._buckets[bucket].put(key)
        self._wake = min(self._wake, self._table.since[key] + self._schedule.waits[bucket])

    def _count(self, key: int, now: float) -> None:
        """Count a request that ended now against the message's limit."""
        self._asks[key] = self._asks.get(key, 0) + 1
        self._recent.append((now, key))

    def _expire(self, now: float) -> None:
        """Let requests count no longer that ended an interval ago."""
        recent = self._recent
        while recent and recent[0][0] <= now - self._interval:
            key = recent.popleft()[1]
            self._asks[key] -= 1
            if not self._asks[key]:
                del self._asks[key]
            if self._table.position[key] == Position.HELD:
                self._leave(key)
                self._wait(key)

    def _retry(self, now: float) -> None:
        """Let messages whose request failed wait again, their pause being over."""
        while self._later and self._later[0][0] <= now:
            key = heapq.heappop(self._later)[1]
            if self._table.position[key] == Position.LATER:
                self._wait(key)

    def _choose(self, now: float) -> int | None:
        """Turn to the line whose first message has gathered most hazard beyond what makes it worth a request."""
        self._turns += 1
        fair = self._turns % _FAIR_TURN == 0
        best, best_rank, best_first, best_wait, wake = None, -math.inf, 0.0, 0.0, math.inf
        for bucket in self._buckets:
            if bucket.size:
                first, wait = bucket.first(), self._schedule.waits[bucket.number]
                if first + wait > now and not self._surges(bucket.number, first, now):
                    wake = min(wake, first + wait)
                    continue
                rank = now - first - wait if fair else self._rank(bucket.number, now - first)
                if rank > best_rank:
                    best, best_rank, best_first, best_wait = bucket, rank, first, wait
        if best is None:
            self._bucket_until = -math.inf
            return self._scout(now, wake)
        waited = now - best_first
        self._bucket, self._wake = best, -math.inf
        self._bucket_from = max(best_first, min(now - best_wait, best_first + _SLACK * waited))
        self._bucket_until = now + min(max(_TURN_SHARE * waited, _SHORTEST_TURN), _LONGEST_TURN)
        return best.take(self._bucket_from)

    def _scout(self, now: float, wake: float) -> int | None:
        """Ask one of many messages before its time, for all others: what was asked together would wait together."""
        buckets = self._buckets[1:]
        most = max(buckets, key=_size)
        scouts = min(sum(map(_size, buckets)) // _SCOUTED, _SCOUTS)
        if scouts:
            due = self._scouted + self._schedule.waits[most.number] / scouts
            if due <= now:
                self._scouted = now
                return most.take(math.inf)
            wake = min(wake, due)
        self._wake = wake
        return None

    def _rank(self, number: int, waited: float) -> float:
        """Return the hazard a message gathered since it was asked, less what makes it worth a request."""
        age = EDGES[number] + max(waited, 0.0)
        return self.curve.pending_to(age) - self.curve.cumulative[number] - self._schedule.thresholds[bin_at(age)]

    def _expect(self, now: float, *, final: bool, chance: float) -> None:
        """Notice when messages undecided for long are decided far more often than expected: an outage ended."""
        before = self._surge
        excess = final - chance if before < _SURGE else final  # a surge lasts as long as decisions come
        self._surge += _SURGE_PACE * (excess - before)
        self._scouted = -math.inf if excess > _NEWS else now  # one more at once, if this is news
        if before < _SURGE <= self._surge:
            self._surge_began = now
            self._wake = -math.inf

    def _surges(self, number: int, first: float, now: float) -> bool:
        """Return whether a message not asked since a surge began is worth asking before its time."""
        if self._surge < _SURGE or number == 0 or first >= self._surge_began:
            return False
        return self._surge * (first + self._schedule.waits[number] - now) >= self._delay_per_request
