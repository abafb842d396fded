"""Which message's status to request next, and when. No clock, no I/O, no tasks: every time is an argument, in seconds.

The service answers about one message per request, so requests are the limited resource. Messages last found pending at
about the same age are in one bucket: a change of the curve then affects whole buckets, and no message has to be moved.
"""

import heapq
import math
from bisect import insort
from collections import deque
from typing import Final, Literal

from smsc_async._model import Backoff, is_seconds

from .buckets import Bucket, MessageTable, Position, scouts_of
from .curve import EDGES, Curve, bin_at, edge_near
from .worth import Worth

_FIRST_CAPACITY: Final = 20.0  # requests per second, before it is measured
_SHARED: Final = 2  # if its limit is larger, a young message leaves one request to others
_TURN: Final = 16  # requests from one bucket without comparing it with the others
_BACKOFF: Final = Backoff(2.0, 60.0)
_NEWS: Final = 0.5
_PACE: Final = 0.2
_SURGE: Final = 0.3  # more of the last answers were final than expected by this share: an outage ended
_SURGE_WAIT: Final = 5.0


class Plan:
    """Chooses which of many messages to request next, and when.

    Args:
        delay_per_request: The seconds of delay between a final status and its discovery that one request is worth.
            1 means frequent requests, 100 rare ones. If messages become final after an hour on average, with a constant
            hazard, a status is requested every sqrt(2 x 3600 x delay_per_request) seconds: 4.5 minutes at 10. "auto"
            requests young messages often, old ones rarely, and all rarely with a backlog; while a message is younger
            than the interval of the limit, it leaves one request of the limit to others.
        interval_limit: How many requests are allowed for one message, and in how many seconds, from an answer to the
            next request.
        curve: The `curve` of an earlier plan, with its estimates. None for a new one, which starts from a prior.

    Raises:
        ValueError: delay_per_request or the limit is out of range.
    """

    def __init__(
        self,
        *,
        delay_per_request: float | Literal["auto"] = "auto",
        interval_limit: tuple[int, float],
        curve: Curve | None = None,
    ) -> None:
        self._auto = delay_per_request == "auto"
        if not self._auto and (not is_seconds(delay_per_request) or not delay_per_request):
            raise ValueError('delay_per_request must be "auto" or a number of seconds above 0, and finite')
        if interval_limit[0] < 1 or not interval_limit[1] >= 0:
            raise ValueError(f"interval_limit must be (1 or more requests, 0 or more seconds), not {interval_limit}")
        self._limit = interval_limit if interval_limit[1] else None  # None: there is no limit to spread over
        self._most: int = interval_limit[0]
        self.interval: float = interval_limit[1]
        self.requests_a_second: float = _FIRST_CAPACITY
        self.curve: Curve = Curve() if curve is None else curve
        self._table = MessageTable()
        self._size = 0
        # Only a few messages have these at a time, so they are not columns of the table.
        self._asked: dict[int, list[float]] = {}  # the requests that count towards the limit of each message, in order
        self._failures: dict[int, int] = {}  # consecutive failures
        self._hinted: set[int] = set()
        self._until: dict[int, float] = {}
        self._buckets: dict[int, Bucket] = {}
        self._front: deque[int] = deque()
        self._later: list[tuple[float, int]] = []
        self._recent: list[tuple[float, int]] = []  # requests that count towards limits, as a heap by time
        self._surge = 0.0
        self._scouted = -math.inf  # when a message found pending before was last requested
        self._bucket: Bucket | None = None
        self._turn = 0  # how many more requests are made from this bucket
        self._wake = math.inf  # before this time, no message in a bucket is due
        if delay_per_request == "auto":
            self._worth = Worth.auto(self._limit)
        else:
            self._worth = Worth(delay_per_request)
        self._lessons = self.curve.lessons
        self._waits = self.curve.waits(self._worth)

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
        self._reschedule()

    def capacity(self, requests_a_second: float) -> None:
        """Set the measured number of requests per second that can be made; 0 or less is ignored."""
        if requests_a_second > 0:
            self.requests_a_second = requests_a_second

    def pick(self, now: float) -> int | None:
        """Return the message to request now, None if none is due; `answered` or `failed` must be called next."""
        self._expire(now)
        while self._later and self._later[0][0] <= now:
            self._retry(*heapq.heappop(self._later), now)
        while self._front:
            key = self._front.popleft()
            if self._table.position[key] == Position.FRONT:
                self._table.position[key] = Position.ASKED
                self._hinted.discard(key)
                return key
        if now < self._wake:
            return None
        self._turn -= 1
        bucket = self._bucket
        if self._turn > 0 and bucket and bucket.size and bucket.first() + self._waits[bucket.number] <= now:
            return bucket.take()
        return self._choose(now)

    def next_at(self, now: float) -> float:
        """Return when `pick`, after it returned None, may return a message again.

        Infinity if that requires an answer, a hint or an added message. If `pick` was not called first, it may be now.
        """
        if self._front:
            return now
        return max(now, min(self._wake, self._later[0][0] if self._later else math.inf))

    def answered(
        self, key: int, now: float, *, final: bool, changed: bool = False, final_at: float | None = None
    ) -> None:
        """Record an answer. A final message is removed, an unknown key is ignored.

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
            self._expect(now, final=final, chance=self.curve.chance(start, age))
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
        self._reschedule()

    def reported(self, key: int, now: float) -> None:
        """Remove a message that is final, which was found out without a request. An unknown key is ignored."""
        if not self._table.has(key):
            return
        self._leave(key)
        start = self._table.bucket[key]
        self.curve.final(start, max(edge_near(now - self._table.sent[key]), start))
        self._forget(key)
        self.curve.answered()
        self._reschedule()

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
        self._failures[key] = failures + 1
        self._put_later(key, now + max(pause, _BACKOFF.pause(failures)))

    def hint(self, key: int, now: float) -> None:
        """Request a message before all others, as soon as its limit allows. An unknown key is ignored."""
        if not self._table.has(key):
            return
        self._hinted.add(key)
        if self._table.position[key] in {Position.BUCKET, Position.LATER}:
            self._leave(key)
            self._wait(key, now)

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
        """Remove a message from where it waits; its old entry there is skipped later."""
        if self._table.position[key] == Position.BUCKET:
            self._buckets[self._table.bucket[key]].size -= 1
        self._table.position[key] = Position.ASKED

    def _pending(self, key: int, now: float, bucket: int) -> None:
        self._count(key, now)
        self._failures.pop(key, None)
        self._table.bucket[key] = bucket
        if not bucket:
            self._table.sent[key] = now
        self._table.since[key] = max(now, self._table.sent[key])
        self._wait(key, now)

    def _wait(self, key: int, now: float) -> None:
        """Queue a message at the front, in its bucket, or until its limit allows a request."""
        until = self._held_until(key, now)
        if until > now:
            self._put_later(key, until)
        elif key in self._hinted:
            self._table.position[key] = Position.FRONT
            self._front.append(key)
        else:
            self._enqueue(key)

    def _held_until(self, key: int, now: float) -> float:
        """Return until when the limit allows no request, -inf if it allows one now."""
        asked, most = self._asked.get(key, []), self._most
        if self._auto and most > _SHARED and asked and asked[0] < self._table.sent[key] + self.interval:
            most -= key not in self._hinted  # the last one is left to others
        if len(asked) < most or asked[-most] <= now - self.interval:
            return -math.inf
        return max(asked[-most] + self.interval, math.nextafter(now, math.inf))

    def _put_later(self, key: int, at: float) -> None:
        self._table.position[key] = Position.LATER
        if self._until.get(key) != at:  # otherwise it has an entry for this time
            self._until[key] = at
            heapq.heappush(self._later, (at, key))

    def _retry(self, at: float, key: int, now: float) -> None:
        """Requeue a message whose time has come, if the entry is its latest."""
        if self._until.get(key) == at:
            del self._until[key]
            if self._table.position[key] == Position.LATER:
                self._wait(key, now)

    def _enqueue(self, key: int) -> None:
        number = self._table.bucket[key]
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = Bucket(number, self._table)
        bucket.put(key)
        self._wake = min(self._wake, self._table.since[key] + self._waits[number])

    def _count(self, key: int, now: float) -> None:
        """Count a request that arrives at this time at the latest towards the limit of the message."""
        insort(self._asked.setdefault(key, []), now)
        heapq.heappush(self._recent, (now, key))

    def _expire(self, now: float) -> None:
        """Stop counting requests that arrived an interval ago."""
        recent = self._recent
        while recent and recent[0][0] <= now - self.interval:
            key = heapq.heappop(recent)[1]
            del self._asked[key][0]
            if not self._asked[key]:
                del self._asked[key]

    def _choose(self, now: float) -> int | None:
        """Return a message of the bucket whose first message is most overdue; None if none is due."""
        surge = _SURGE_WAIT / self._surge if self._surge > _SURGE else math.inf
        best, earliest, wake = None, math.inf, math.inf
        for number, bucket in self._buckets.items():
            if bucket.size:
                first = bucket.first()
                due = first + min(self._waits[number], surge if EDGES[number] > self.interval else math.inf)
                if due > now:
                    wake = min(wake, due)
                    continue
                if due < earliest:
                    best, earliest = bucket, due
        if best is None:
            return self._scout(now, wake)
        self._bucket, self._turn, self._wake = best, _TURN, -math.inf
        return best.take()

    def _scout(self, now: float, wake: float) -> int | None:
        """Return one of many messages early, as a sample: messages requested together would all wait together.

        Young messages are not sampled, since their limit allows only the requests they need.
        """
        old = [bucket for bucket in self._buckets.values() if bucket.size and self._is_old(bucket, now)]
        scouts = scouts_of(sum(bucket.size for bucket in old))
        if scouts:
            most = max(old, key=lambda bucket: bucket.size)
            due = self._scouted + self._waits[most.number] / scouts
            if due <= now:
                self._scouted = now
                return most.take()
            wake = min(wake, due)
        self._wake = wake
        return None

    def _is_old(self, bucket: Bucket, now: float) -> bool:
        """Return whether its first message is older than the interval of the limit."""
        return EDGES[bucket.number] + now - bucket.first() > self.interval

    def _expect(self, now: float, *, final: bool, chance: float) -> None:
        """Detect that messages become final far more often than expected: an outage ended."""
        excess = final - chance
        self._surge += _PACE * (excess - self._surge)
        if excess > _NEWS:  # one more at once
            self._scouted = self._wake = -math.inf
        else:
            self._scouted = now

    def _reschedule(self) -> None:
        """Apply changes of the backlog and of the curve, which other plans may update too."""
        worth = self._worth
        if self._auto:
            worth = worth.for_backlog(self._size / self.requests_a_second, self._limit)
        if worth is not self._worth or self.curve.lessons != self._lessons:
            self._worth, self._lessons = worth, self.curve.lessons
            self._waits = self.curve.waits(worth)
            self._wake = -math.inf
