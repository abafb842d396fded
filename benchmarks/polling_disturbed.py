"""A watch in virtual time while much goes wrong; see polling.py for what that is."""

import heapq
import math
import random
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.polling_rivals import ANSWER, IN_FLIGHT, plan

SERVICE_LIMIT: Final = (5, 60.0)
LOST_LASTS: Final = 5.0
UNSENT: Final = 0.02
LOST: Final = 0.02
FAILED: Final = 0.02
REMOVED: Final = 0.05
HINTED: Final = 0.15
IN_TIME: Final = 0.67  # of the hints
CHANGED_UNTIL: Final = 30.0
OTHER_UNTIL: Final = 55.0


class Disturbed:
    """A watch of messages sent at 0 that become final at the times `finals`."""

    def __init__(self, finals: list[float], seed: str) -> None:
        self.finals = finals
        self.chance = random.Random(seed)
        self.watch = plan()
        self.following = set(range(len(finals)))
        self.changes = [sorted(self.chance.uniform(0, CHANGED_UNTIL) for _ in range(2)) for _ in finals]
        self.seen: dict[int, int] = {}
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.entered = 0
        self.arrivals: dict[int, list[tuple[float, bool]]] = defaultdict(list)  # of each message; whether ours
        self.delays: list[float] = []
        self.now = 0.0
        self.flying = self.requests = 0
        for key in range(len(finals)):
            self.prepare(key)

    def prepare(self, key: int) -> None:
        """Let things happen to a message."""
        self.watch.add(key, 0.0)
        final = self.finals[key]
        if self.chance.random() < REMOVED:
            self.at(self.chance.uniform(0, 1.5 * final), partial(self.remove, key))
        if self.chance.random() < HINTED:
            when = final if self.chance.random() < IN_TIME else self.chance.uniform(0, final)
            self.at(when, partial(self.hint, key))
        else:
            self.at(self.chance.uniform(0, OTHER_UNTIL), partial(self.arrive, key, 0.0, ours=False))

    def run(self) -> list[float]:
        """Follow the messages until each is found final or removed; return the delays."""
        while self.following:
            while self.flying < IN_FLIGHT and (chosen := self.watch.pick(self.now)) is not None:
                self.request(chosen)
            until = self.watch.next_at(self.now) if self.flying < IN_FLIGHT else math.inf
            if self.events and self.events[0][0] <= until:
                self.now, _, action = heapq.heappop(self.events)
                action()
            else:
                self.now = max(until, math.nextafter(self.now, math.inf))
        return self.delays

    def too_often(self) -> int:
        """Return how many requests of the watch came when the limit of the service was reached."""
        most, seconds = SERVICE_LIMIT
        return sum(
            ours and at - arrivals[number][0] < seconds
            for arrivals in map(sorted, self.arrivals.values())
            for number, (at, ours) in enumerate(arrivals[most:])
        )

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        self.entered += 1
        heapq.heappush(self.events, (when, self.entered, action))

    def request(self, key: int) -> None:
        """Request the status of a message; the request may fail in each way."""
        self.flying += 1
        self.requests += 1
        kind, ended = self.chance.random(), self.now + ANSWER
        if kind < UNSENT:
            self.at(ended, partial(self.fail, key, None))
        elif kind < UNSENT + LOST:
            self.arrive(key, ANSWER + self.chance.uniform(0, LOST_LASTS))
            self.at(ended, partial(self.fail, key, ended + LOST_LASTS))
        else:
            self.arrive(key, ANSWER / 2)
            failed = kind < UNSENT + LOST + FAILED
            self.at(
                ended, partial(self.fail, key, ended) if failed else partial(self.answer, key, self.now + ANSWER / 2)
            )

    def arrive(self, key: int, later: float, *, ours: bool = True) -> None:
        """Count a request at the service."""
        self.arrivals[key].append((self.now + later, ours))

    def answer(self, key: int, arrived: float) -> None:
        """Pass the status at the arrival to the watch."""
        self.flying -= 1
        final = arrived >= self.finals[key]
        status = -1 if final else sum(arrived >= at for at in self.changes[key])
        changed = self.seen.get(key) != status
        self.seen[key] = status
        if final and key in self.following:
            self.following.discard(key)
            self.delays.append(self.now - self.finals[key])
        self.watch.answered(key, self.now, final=final, changed=changed)

    def fail(self, key: int, arrival: float | None) -> None:
        """Report a failure to the watch."""
        self.flying -= 1
        self.watch.failed(key, self.now, arrival=arrival)

    def remove(self, key: int) -> None:
        """End following a message."""
        self.following.discard(key)
        self.watch.remove(key)

    def hint(self, key: int) -> None:
        """Hint to the watch that a message may have changed."""
        self.watch.hint(key, self.now)
