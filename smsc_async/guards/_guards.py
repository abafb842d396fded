"""The guards: a request reserves its slots before it leaves, waits or is refused, and releases them afterwards."""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Final
from weakref import WeakKeyDictionary

import anyio

from smsc_async._clock import Clock, LoopBinding, RealClock, utc_now
from smsc_async._frames import without_arguments
from smsc_async._model import GuardStoreError, Operation, Result, Send, SendList, WrongEventLoop

from ._arguments import check_objects
from ._demands import HELD_UNTIL_RECONCILED, Completion, Part, Planner, releases, window_of
from ._identity import Identity
from ._limits import Release
from ._memory import MemoryStore
from ._refusals import MAY_CLEAR, refused
from ._rules import Policy, Rule, Rules, Spend, check_numbers
from ._store import Demand, Refusal, Reservation, RuleSnapshot, Snapshot, Store, answer_of, written
from ._waiters import Waiters

__all__ = ["Guards"]

_log = logging.getLogger("smsc_async")

_FLUSH_WITHIN: Final = 2.0
_RULES: Final = Rules()


class Guards:
    """Keeps the requests of all clients that share it within the limits of the service.

    Each request reserves its slots before it leaves and releases them when its answer arrives. An answered request
    arrived before its answer, and a new one arrives after its start. So no window of the service ever exceeds the
    limit, whatever the latency. This is exact for answered requests; a request whose answer is lost counts as
    arriving up to `late_arrival` seconds after it failed.

    Args:
        store: The store of the histories; None for the memory of this process.
        rules: The limits and the policy of each.
        max_wait: The maximum seconds that a request waits, None for as long as its deadline allows.
        max_waiters: The maximum number of requests that wait; further ones are refused at once.
        margin: Seconds added to each window, because the service may count whole seconds.
        late_arrival: Seconds for which a request whose answer was lost may still be on its way, at most 60.
        clock: The clock of the limits and waits, None for real time; a custom one needs `MemoryStore(clock.now)`.

    Raises:
        ValueError: A number is out of range.
    """

    @without_arguments
    def __init__(
        self,
        store: Store | None = None,
        *,
        rules: Rules = _RULES,
        max_wait: float | None = None,
        max_waiters: int = 10_000,
        margin: float = 1.2,
        late_arrival: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        check_numbers(max_wait=max_wait, max_waiters=max_waiters, margin=margin, late_arrival=late_arrival)
        check_objects(store, rules, clock)
        self.rules = rules
        self.clock = clock
        self._clock = clock or RealClock()
        self._store: Store = MemoryStore(None if clock is None else clock.now) if store is None else store
        self.is_shared: bool = not isinstance(self._store, MemoryStore)
        """Whether other processes may count in the same store."""
        self._limits = rules.limits(margin)
        self.max_wait: float = math.inf if max_wait is None else max_wait
        self._max_waiters = max_waiters
        self.margin = margin
        self.late_arrival = late_arrival
        self._waiters = Waiters()
        self._sends: set[bytes] = set()  # the waiting sends; an identical one must not wait as well
        self._busy = 0
        self._planners: WeakKeyDictionary[Identity, tuple[bytes, Planner]] = WeakKeyDictionary()
        self._binding = LoopBinding()
        self._users = 0
        self.awaiting_proof: set[Callable[[], None]] = set()  # called when any credentials are proved

    def __repr__(self) -> str:
        return f"<smsc_async.guards.Guards over {type(self._store).__name__}>"

    def anew(self) -> "Guards":
        """Return guards with the same arguments that have counted nothing, for another process; see `is_shared`."""
        store = self._store.anew() if isinstance(self._store, MemoryStore) else self._store
        return Guards(
            store,
            rules=self.rules,
            max_wait=None if math.isinf(self.max_wait) else self.max_wait,
            max_waiters=self._max_waiters,
            margin=self.margin,
            late_arrival=self.late_arrival,
            clock=self.clock,
        )

    def bind(self) -> None:
        """Bind these guards to the running event loop.

        Raises:
            WrongEventLoop: Another event loop is using these guards.
        """
        if self._binding.is_here():
            return
        if self._busy:
            raise WrongEventLoop(
                "these guards are in use on another event loop; create separate guards for each event loop or thread, "
                "with a shared RedisStore if they use one account"
            )
        self._binding.bind()
        self._clock = self.clock or RealClock()
        self._waiters = Waiters()
        self._store.rebind()

    async def reserve(
        self,
        who: Identity,
        operation: Operation[Result],
        *,
        within: float,
        allow_duplicate: bool = False,
        part: Part = Part.ALL,
        patient: bool = True,
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Reservation:
        """Reserve the slots of a request that has to end `within` seconds, infinity for no deadline.

        A request that has to wait does so within the context that `waiting` returns. A read that is not `patient` does
        not wait for the window of error 9.

        Raises:
            GuardError: A slot isn't free, or won't be free in time; `retry_after` is the number of seconds until it is.
            ValueError: One request needs more slots than a limit allows.
        """
        self.bind()
        self._busy += 1
        try:
            known = self._store.salt
            salt = await self._open(within) if known is None else known
            demands = self._demands(who, operation, salt, allow_duplicate=allow_duplicate, part=part)
            queued = self._waiters.ahead_of(demands) is not None
            answer = (queued and await self._behind(demands, within)) or await self._acquire(demands, within)
            if isinstance(answer, Reservation):
                return answer
            with waiting():
                return await self._wait(demands, answer, within, None if patient else window_of(operation))
        except BaseException:
            self._busy -= 1
            raise

    def release(self, reservation: Reservation, completion: Completion) -> None:
        """Release the slots of a request that has ended; what the service may have counted stays in the history."""
        self._busy -= 1
        self._release(reservation, self._releases(reservation, completion))

    def release_lost(self, reservation: Reservation, completion: Completion) -> bool:
        """Release the slots of a lost send that will be reconciled, except those that depend on the result.

        Return whether `release` is to be called too, when it is reconciled.
        """
        given = [
            release._replace(hold=demand.rule in HELD_UNTIL_RECONCILED)
            for demand, release in zip(reservation.demands, self._releases(reservation, completion), strict=True)
        ]
        holds = any(release.hold for release in given)
        self._busy -= not holds
        self._release(reservation, given)
        return holds

    def _releases(self, reservation: Reservation, completion: Completion) -> list[Release]:
        # What was looked for and not found can no longer arrive.
        late = 0.0 if completion.accepted == 0 else self.late_arrival
        return releases(reservation.demands, reservation.amounts, completion, late=late, slack=self.margin)

    def _release(self, reservation: Reservation, given: list[Release]) -> None:
        try:
            self._store.release(reservation, given)
        except Exception as error:  # noqa: BLE001 - the request has ended, and its result must not be lost
            _log.error("the store failed to release slots (%s); they stay reserved", type(error).__name__)
        self._waiters.wake(reservation.demands)
        for tell in tuple(self.awaiting_proof) if any(release.proof for release in given) else ():
            tell()

    def prepared(self, operation: Operation[Result]) -> Operation[Result]:
        """Return the operation as it is to be sent: under the rule `spend` a send requests its cost."""
        if "spend" in self._limits and isinstance(operation, Send | SendList) and operation.cost is None:
            return operation.model_copy(update={"cost": 2})
        return operation

    def awaits(self, operation: Operation[Result]) -> bool:
        """Return whether a read that got error 9 is repeated when its window has room again."""
        rule = window_of(operation)
        return rule is not None and getattr(self.rules, rule).policy == "wait"

    async def flush(self) -> None:
        """Wait until every client that shares the store can see the releases, for 2 seconds at most."""
        with anyio.move_on_after(_FLUSH_WITHIN, shield=True):
            await written(self._store.flush())

    async def snapshot(self) -> Snapshot:
        """Return the requests in flight, those that wait, and the keys that are full and until when.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> snapshot = await client.guards.snapshot()
            >>> snapshot.rules["identical_send"].used, snapshot.rules["status"].waiting
            (1, 0)

        Raises:
            GuardStoreError: The store can't be reached.
        """
        self.bind()
        now = utc_now(self._clock)
        states = await answer_of(self._store.snapshot(self._limits))
        waiting = self._waiters.by_rule()
        rules = {
            name: RuleSnapshot(
                self._limits[name].count,
                state.keys,
                state.in_flight,
                waiting.get(name, 0),
                {key: None if left is None else now + timedelta(seconds=left) for key, left in state.full.items()},
                state.used,
            )
            for name, state in states.items()
        }
        return Snapshot(now, len(self._waiters), rules)

    def attach(self) -> None:
        """Register another client that uses these guards."""
        self._users += 1

    async def detach(self) -> None:
        """Unregister a client; close the store after the last one."""
        self._users -= 1
        await (self.flush() if self._users else self.aclose())

    async def aclose(self) -> None:
        """Flush the releases and close the connections of the store; the histories stay."""
        with anyio.move_on_after(_FLUSH_WITHIN, shield=True):
            await written(self._store.aclose())

    def _demands(
        self, who: Identity, operation: Operation[Result], salt: bytes, *, allow_duplicate: bool, part: Part
    ) -> Sequence[Demand]:
        known = self._planners.get(who)
        if known is None or known[0] is not salt:
            planner = Planner(self._limits, salt, who.credentials, who.account, who.egress)
            self._planners[who] = known = salt, planner
        demands = known[1].demands(operation, allow_duplicate=allow_duplicate, part=part)
        for demand in demands:
            if 1 < demand.amount > demand.limit.count and demand.rule != "spend":  # no limit is under 1
                raise ValueError(
                    f"{demand.amount} messages in one request exceed the rule {demand.rule!r}, which allows "
                    f"{demand.limit.count}; split the request or change the rule in Guards(rules=)"
                )
        return demands

    async def _open(self, within: float) -> bytes:
        with self._clock.deadline(self._clock.now() + within):  # a store may wait for the end of a failover
            return await answer_of(self._store.open())
        raise GuardStoreError("the store of the guards could not be opened before the deadline, so nothing was sent")

    async def _behind(self, demands: Sequence[Demand], within: float) -> Refusal | None:
        """Return the refusal of a request that has to wait behind others for a demand, None if it need not wait."""
        # A request that is refused at once must not queue first; proven credentials never wait behind unproven ones.
        asked = [each for each in demands if each.proof is not None or self._policy(each) == "raise"]
        answer = await self._acquire(asked, within)
        if isinstance(answer, Refusal):
            return answer
        self._store.release(answer, [Release()] * len(asked))
        proven = {each.rule for each, amount in zip(asked, answer.amounts, strict=True) if each.proof and not amount}
        ahead = self._waiters.ahead_of([each for each in demands if each.rule not in proven])
        return None if ahead is None else Refusal(ahead, self._waiters.delay(ahead, self._clock.now()))

    async def _acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:
        return await answer_of(self._store.acquire(demands, hold))

    def _policy(self, demand: Demand) -> Policy:
        rule: Rule | Spend | None = getattr(self.rules, demand.rule, None)
        return "raise" if rule is None else rule.policy  # a pause is not a rule

    async def _wait(
        self, demands: Sequence[Demand], refusal: Refusal, within: float, not_for: str | None
    ) -> Reservation:
        now = self._clock.now()
        end, give_up = now + within, now + min(within, self.max_wait)
        sends = {each.key: each for each in demands if each.rule == "identical_send" and not each.forced}
        refusal = next((Refusal(sends[key], math.inf) for key in sends.keys() & self._sends), refusal)
        free = self._free_at(refusal, now, give_up, not_for)
        if len(self._waiters) >= self._max_waiters:
            raise refused(
                refusal,
                free - now,
                utc_now(self._clock),
                f"{self._max_waiters} requests are already waiting (max_waiters)",
            )
        end_of_wait = "an unknown time" if math.isinf(free) else f"{free - now:.1f} s"
        _log.debug("a request waits for %s: the rule %s is full", end_of_wait, refusal.demand.rule)
        waiter = self._waiters.join(refusal.demand, free)
        if self.rules.identical_send.policy == "raise":
            self._sends |= sends.keys()
        tries = 0
        try:
            while True:
                first = self._waiters.is_first(waiter)
                pause = self._store.pause(free - now, tries) if first else math.inf
                with self._clock.deadline(now + min(pause, give_up - now)):
                    await waiter.woken.wait()
                waiter.woken = anyio.Event()
                now = self._clock.now()
                if not self._waiters.is_first(waiter):
                    if now >= give_up:
                        raise refused(refusal, self._waiters.delay(refusal.demand, now), utc_now(self._clock))
                    continue
                answer = await self._acquire(demands, max(end - now, 0.0))
                if isinstance(answer, Reservation):
                    return answer
                refusal, now, tries = answer, self._clock.now(), tries + 1
                free = self._free_at(refusal, now, give_up, not_for)
                self._waiters.move(waiter, refusal.demand, free)
        finally:
            self._sends -= sends.keys()
            self._waiters.leave(waiter)

    def _free_at(self, refusal: Refusal, now: float, give_up: float, not_for: str | None) -> float:
        """Return when the demand may be met, infinity if unknown; raise the refusal if the request can't wait."""
        demand, delay = refusal
        raises = demand.rule == not_for or self._policy(demand) == "raise"
        if raises and not (math.isinf(delay) and demand.rule in MAY_CLEAR):
            # A request in flight counts for a whole span after its answer; at a gate the delay is unknown.
            raise refused(refusal, (demand.limit.span or delay) if math.isinf(delay) else delay, utc_now(self._clock))
        if now >= give_up or give_up < now + delay < math.inf:
            raise refused(refusal, delay, utc_now(self._clock))
        return now + delay
