"""Which message's status to request next, and when. No clock, no I/O, no tasks: every time is an argument, in seconds.

The service answers about one message per request, so requests are the limited resource. Messages last found pending at
about the same age are in one bucket: a change of the curve then affects whole buckets, and no message has to be moved.
"""

import heapq
import math
from collections import deque
from typing import Final

from smsc_async._model import Backoff, is_seconds

from .buckets import Bucket, MessageTable, Position
from .curve import BINS, EDGES, Curve, bin_at, edge_near

_FIRST_CAPACITY: Final = 20.0  # requests per second, until measured
_SPREAD: Final = 0.5  # waits vary by up to a quarter either way, to spread messages requested together
_GOLDEN: Final = 0.6180339887498949
_FAIR_TURN: Final = 16  # every 16th choice is the bucket that is overdue the longest
_SHORTEST_TURN: Final = 0.05
_LONGEST_TURN: Final = 1.0
_TURN_SHARE: Final = 0.02  # of the wait of its first message, a bucket is used without comparing it with the others
_SLACK: Final = 0.1  # of that wait, messages may be younger than the first
_BACKOFF: Final = Backoff(2.0, 60.0)
_NEWS: Final = 0.5
_SURGE_PACE: Final = 0.2
_SCOUTS: Final = 8  # single messages requested early within one wait, at most,
_SCOUTED: Final = 20  # one for each 20 waiting messages
_SURGE: Final = 0.3  # of the answers about long-pending messages, beyond what was expected: an outage ended


def _size(bucket: Bucket) -> int:
    return bucket.size


class Plan:
    """Chooses which of many messages to request next, and when.

    Args:
        delay_per_request: The seconds of delay between a final status and its discovery that one request is worth.
            1 means frequent requests, 100 rare ones. If messages become final after an hour on average, with a constant
            hazard, a status is requested every sqrt(2 x 3600 x delay_per_request) seconds: 4.5 minutes at 10. If more
            requests are worth making than the capacity allows, only the order of the messages matters.
        interval_limit: How many requests are allowed for one message, and in how many seconds, from an answer to the
            next request.
        curve: The `curve` of an earlier plan, with what it learnt. None for a new one, which starts from a prior.

    Raises:
        ValueError: delay_per_request or the limit is out of range.
    """

    def __init__(
        self,
        *,
        delay_per_request: float = 10.0,
        interval_limit: tuple[int, float],
        curve: Curve | None = None,
    ) -> None:
        if not is_seconds(delay_per_request) or not delay_per_request:
            raise ValueError("delay_per_request must be a number of seconds above 0, and finite")
        if interval_limit[0] < 1 or not interval_limit[1] >= 0:
            raise ValueError(f"interval_limit must be (1 or more requests, 0 or more seconds), not {interval_limit}")
        self._most: int = interval_limit[0]
        self.interval: float = interval_limit[1]
        self.requests_a_second: float = _FIRST_CAPACITY
        self._table = MessageTable()
        self._size = 0
        # Only a few messages have these at a time, so they are not columns of the table.
        self._asks: dict[int, int] = {}  # how many requests count towards the limit of each message
        self._failures: dict[int, int] = {}  # consecutive failures
        self._hinted: set[int] = set()
        self._buckets = [Bucket(number, self._table) for number in range(BINS + 1)]
        self._front: deque[int] = deque()
        self._later: list[tuple[float, int]] = []
        self._recent: list[tuple[float, int]] = []  # requests that count towards limits, as a heap by time
        self._held = 0
        self.curve: Curve = Curve() if curve is None else curve
        self._delay_per_request = delay_per_request
        self._lessons = self.curve.lessons
        self._schedule = self.curve.schedule(delay_per_request)
        self._phase = 0.0
        self._surge = 0.0
        self._surge_began = -math.inf
        self._scouted = -math.inf  # when a message found pending before was last requested
        self._turns = 0
        self._bucket = self._buckets[0]  # the chosen bucket,
        self._bucket_from = -math.inf  # for messages that wait since this time or longer,
        self._bucket_until = -math.inf  # until this time
        self._wake = math.inf  # before this time, no message of a bucket is worth a request

    def __len__(self) -> int:
        return self._size

    def add(self, key: int, now: float, *, sent_at: float | None = None) -> None:
        """Add a message sent at `sent_at` (default `now`; it may be in the future).

        Keys are small numbers from 0 on. Reuse them: the memory of a plan grows with the largest key.

        Raises:
            ValueError: The key is in use already, or below 0.
        """
        if key < 0 or self._table.has(key):
            raise ValueError(f"key must be 0 or more and not in use, not {key!r}")
        self._table.add(key, now if sent_at is None else sent_at)
        self._size += 1
        self._enqueue(key)

    def capacity(self, requests_a_second: float) -> None:
        """Set the measured number of requests per second that can be made; 0 or less is ignored.

        It is only recorded. Raising `delay_per_request` with the backlog made delays longer than that was worth.
        """
        if requests_a_second > 0:
            self.requests_a_second = requests_a_second

    def pick(self, now: float) -> int | None:
        """Return the message to request now, None if none is worth it; `answered` or `failed` must be called next."""
        if self._recent and self._recent[0][0] <= now - self.interval:
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
        """Return when `pick`, after it returned None, may return a message again.

        Infinity if that requires an answer, a hint or an added message. If `pick` was not called first, it may be now.
        """
        if self._front:
            return now
        at = self._wake
        if self._later:
            at = min(at, self._later[0][0])
        if self._held:
            at = min(at, self._recent[0][0] + self.interval)
        return max(now, at)

    def answered(
        self, key: int, now: float, *, final: bool, changed: bool = False, final_at: float | None = None
    ) -> None:
        """Learn from an answer. A final message is removed, an unknown key is ignored.

        Args:
            key: The message.
            now: When the answer came.
            final: Whether its status is final.
            changed: Whether a pending status differs from an earlier one. If so, the age of the message restarts at 0.
            final_at: When the status became final according to the service, if known. An impossible time is replaced by
                the nearest possible one.
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
        if self.curve.lessons != self._lessons:  # from this answer, or from those of another plan
            self._lessons = self.curve.lessons
            self._schedule = self.curve.schedule(self._delay_per_request)
            self._wake = -math.inf

    def failed(self, key: int, now: float, *, arrival: float | None = None, pause: float = 0.0) -> None:
        """Retry after 2 s, doubled with each consecutive failure up to a minute. An unknown key is ignored.

        Args:
            key: The message.
            now: When the request failed.
            arrival: Until when the request may arrive at the service, None if it did not leave.
            pause: The seconds for which a retry would be useless.
        """
        if not self._table.has(key):
            return
        self._leave(key)
        if arrival is not None:
            self._count(key, arrival)
        failures = self._failures.get(key, 0)
        pause = max(pause, _BACKOFF.pause(failures))
        self._failures[key] = failures + 1
        self._table.position[key] = Position.LATER
        heapq.heappush(self._later, (now + pause, key))

    def hint(self, key: int, now: float) -> None:
        """Request a message before all others, as soon as its limit allows. An unknown key is ignored."""
        if not self._table.has(key):
            return
        self._expire(now)
        self._hinted.add(key)
        if self._table.position[key] in {Position.BUCKET, Position.LATER}:
            self._leave(key)
            self._wait(key)

    def remove(self, key: int) -> None:
        """Remove a message. An unknown key is ignored.

        Requests made under this key still count towards its limit.
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
        """Take a message out of the place where it waits; its old entry there is skipped later."""
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
        """Let a message wait at the front, in its bucket, or for its limit."""
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
        """Count a request that arrived by now, or at the latest then, towards the limit of the message."""
        self._asks[key] = self._asks.get(key, 0) + 1
        heapq.heappush(self._recent, (now, key))

    def _expire(self, now: float) -> None:
        """Stop counting requests that arrived an interval ago."""
        recent = self._recent
        while recent and recent[0][0] <= now - self.interval:
            key = heapq.heappop(recent)[1]
            self._asks[key] -= 1
            if not self._asks[key]:
                del self._asks[key]
            if self._table.position[key] == Position.HELD:
                self._leave(key)
                self._wait(key)

    def _retry(self, now: float) -> None:
        """Return messages whose pause after a failure is over to where they wait."""
        while self._later and self._later[0][0] <= now:
            key = heapq.heappop(self._later)[1]
            if self._table.position[key] == Position.LATER:
                self._wait(key)

    def _choose(self, now: float) -> int | None:
        """Choose the bucket whose first message is furthest beyond its threshold; return a message of it."""
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
        """Return one of many messages early, as a sample: messages requested together would all wait together."""
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
        """Return the hazard summed up since the last request, minus the threshold for another request."""
        age = EDGES[number] + max(waited, 0.0)
        return self.curve.pending_to(age) - self.curve.cumulative[number] - self._schedule.thresholds[bin_at(age)]

    def _expect(self, now: float, *, final: bool, chance: float) -> None:
        """Detect that messages pending for long become final far more often than expected: an outage ended."""
        before = self._surge
        excess = final - chance if before < _SURGE else final  # a surge lasts as long as messages become final
        self._surge += _SURGE_PACE * (excess - before)
        self._scouted = -math.inf if excess > _NEWS else now  # one more at once after an unexpected final status
        if before < _SURGE <= self._surge:
            self._surge_began = now
            self._wake = -math.inf

    def _surges(self, number: int, first: float, now: float) -> bool:
        """Return whether a message not requested since a surge began is worth an early request."""
        if self._surge < _SURGE or number == 0 or first >= self._surge_began:
            return False
        return self._surge * (first + self._schedule.waits[number] - now) >= self._delay_per_request
