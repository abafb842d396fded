"""Requests that wait for keys: in order for each key, and a slow key does not delay requests for another."""

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, TypeAlias

import anyio

from ._store import Demand

__all__ = ["Waiter", "Waiters"]

SlotKey: TypeAlias = tuple[str, bytes]
_SLACK: Final = 16


class Waiter:
    """One request that waits.

    Attributes:
        ticket: Its place in the order, kept when it then waits for another key.
        demand: The demand that it waits for.
        free: The instant at which the demand may be met, infinity if unknown.
        woken: Set when it should check whether its turn has come.
    """

    __slots__ = ("demand", "free", "ticket", "woken")

    def __init__(self, ticket: int, demand: Demand, free: float) -> None:
        self.ticket = ticket
        self.demand = demand
        self.free = free
        self.woken = anyio.Event()


class _Queue:
    """The waiters for one key, by ticket; tickets of removed waiters leave the heap lazily."""

    __slots__ = ("_tickets", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[int, Waiter] = {}
        self._tickets: list[int] = []

    def add(self, waiter: Waiter) -> None:
        self.waiters[waiter.ticket] = waiter
        heappush(self._tickets, waiter.ticket)

    def remove(self, waiter: Waiter) -> None:
        del self.waiters[waiter.ticket]
        if len(self._tickets) > 2 * len(self.waiters) + _SLACK:
            self._tickets = sorted(self.waiters)

    def first(self) -> Waiter | None:
        while self._tickets:
            waiter = self.waiters.get(self._tickets[0])
            if waiter is not None:
                return waiter
            heappop(self._tickets)
        return None


class Waiters:
    """All waiters, in one queue for each key. Only the first of a queue retries; the others sleep."""

    def __init__(self) -> None:
        self._queues: dict[SlotKey, _Queue] = {}
        self._tickets = count()
        self._count = 0  # each new waiter needs it, and counting could visit as many queues as waiters

    def __len__(self) -> int:
        return self._count

    def ahead_of(self, demands: Sequence[Demand]) -> Demand | None:
        """Return the first of these demands that already has waiters."""
        if not self._queues:
            return None
        return next((demand for demand in demands if demand[:2] in self._queues and not demand.forced), None)

    def delay(self, demand: Demand, now: float) -> float:
        """Return how long the first waiter for a demand has to wait, infinity if unknown."""
        first = self._queues[demand[:2]].first()
        return inf if first is None or first.free <= now else first.free - now

    def join(self, demand: Demand, free: float) -> Waiter:
        """Add a waiter for a demand, with a new ticket."""
        waiter = Waiter(next(self._tickets), demand, free)
        self._queue(demand).add(waiter)
        self._count += 1
        return waiter

    def move(self, waiter: Waiter, demand: Demand, free: float) -> None:
        """Move a waiter to another demand, with the same ticket."""
        if demand[:2] != waiter.demand[:2]:
            self.leave(waiter)
            self._queue(demand).add(waiter)
            self._count += 1
        waiter.demand = demand
        waiter.free = free

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter; wake the next one in the queue, which retries from then on."""
        slot = waiter.demand[:2]
        queue = self._queues[slot]
        queue.remove(waiter)
        self._count -= 1
        following = queue.first()
        if following is None:
            del self._queues[slot]
        else:
            following.woken.set()

    def is_first(self, waiter: Waiter) -> bool:
        """Return whether it is this waiter's turn."""
        return self._queues[waiter.demand[:2]].first() is waiter

    def wake(self, demands: Sequence[Demand]) -> None:
        """Wake the first waiter for each of these demands, because its history has changed."""
        if not self._queues:
            return
        for demand in demands:
            queue = self._queues.get(demand[:2])
            first = None if queue is None else queue.first()
            if first is not None:
                first.woken.set()

    def by_rule(self) -> dict[str, int]:
        """Return the number of waiters under each rule."""
        counts: dict[str, int] = {}
        for (rule, _), queue in self._queues.items():
            counts[rule] = counts.get(rule, 0) + len(queue.waiters)
        return counts

    def _queue(self, demand: Demand) -> _Queue:
        return self._queues.setdefault(demand[:2], _Queue())
