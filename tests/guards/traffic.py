"""Random traffic of clients against the model of the service, on virtual time."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, Final, Protocol

import trio
from hypothesis import strategies as st
from trio._core import _run as scheduler

from smsc_async import (
    GetBalance,
    GetCost,
    GetListCost,
    GetStatus,
    GuardError,
    Guards,
    Login,
    Message,
    MessageRef,
    Operation,
    Send,
    SendList,
)
from smsc_async.guards import Identity, MemoryStore, Policy, Rules
from smsc_async.guards._demands import Completion, RequestArrival
from tests.guards.service_model import LIMITS, Arrival, Count, Request, Service, counts_of
from tests.virtual import virtual_time

ACCOUNT: Final = "ivan"
LATE: Final = 5.0
MARGIN: Final = 1.2
NETWORKS: Final[Mapping[str, tuple[float, float, float]]] = {
    "fast": (0.2, 0.1, 0.2),
    "busy": (0.2, 5.0, 0.2),
    "slow": (20.0, 1.0, 8.0),
    "wild": (30.0, 1.0, 30.0),
}
"""The most seconds on the way up, at the service, and on the way down."""

LATE_WORK: Final = 1.0
"""The most seconds at the service of a request that arrives when its client has given up."""

FOCI: Final = ("status", "balance", "cost", "send", "flood", "bad", "login", "gate")
"""What the requests of a scenario have in common, so that they meet at one limit."""

RANGES: Final[Mapping[str, tuple[Any, ...]]] = {
    "network": (*NETWORKS, "mixed"),
    "focus": (*FOCI, "mixed"),
    "clients": (1, 2, 3, 4),
    "acts": (1, 2, 3, 5),
    "burst": (1, 4, 12, 30),
    "pause": (0.0, 5.0, 70.0, 125.0, 700.0),
    "lost": (0.0, 0.1, 0.4),
    "refused": (0.0, 0.1, 0.4),
    "cancelled": (0.0, 0.1, 0.4),
    "guards": (1, 2),
    "whole_seconds": (False, True),
    "waits": (False, True),
}
"""What scenarios differ in."""


class Limiter(Protocol):
    """What keeps requests inside the limits."""

    async def reserve(self, who: Identity, operation: Operation[Any], *, within: float) -> Any: ...

    def release(self, reservation: Any, completion: Completion) -> None: ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """How clients behave, and how the network does; chance does the rest.

    Attributes:
        seed: Of chance.
        network: One of `NETWORKS`, or "mixed".
        focus: One of `FOCI`, or "mixed".
        clients: How many tasks.
        acts: How many bursts of requests each of them makes.
        burst: The most requests in one.
        pause: The most seconds between two.
        lost: The share of requests that are lost on their way, or whose answers are.
        refused: The share of connections that are refused.
        cancelled: The share of calls that are cancelled within 45 s.
        guards: How many guards share the store.
        whole_seconds: Whether the service counts whole seconds.
        waits: Whether requests wait at every limit, so that they leave at the first moment they may.
        patient: Whether every call waits as long as it takes.
    """

    seed: int
    network: str = "mixed"
    focus: str = "mixed"
    clients: int = 3
    acts: int = 3
    burst: int = 8
    pause: float = 20.0
    lost: float = 0.0
    refused: float = 0.0
    cancelled: float = 0.0
    guards: int = 1
    whole_seconds: bool = True
    waits: bool = False
    patient: bool = False


@dataclass(slots=True)
class Flight:
    """One request between its reservation and its release."""

    request: Request
    up: float
    work: float
    down: float
    completion: Completion
    arrival: Arrival | None = None


@dataclass(slots=True)
class Traffic:
    """Clients, the network and the service.

    Attributes:
        scenario: How they behave.
        limiters: What the clients ask before each request.
        starts: When reservations were made.
        ends: When they were released.
        refusals: How many calls were refused by the limiters, by kind of error.
        seconds: How long it all took.
    """

    scenario: Scenario
    limiters: Sequence[Limiter]
    service: Service = field(init=False)
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    _who: dict[str, Identity] = field(default_factory=dict)
    _stray: trio.Nursery = field(init=False)

    def __post_init__(self) -> None:
        self.service = Service({ACCOUNT: "right"}, whole_seconds=self.scenario.whole_seconds)
        for password in ("right", "wrong", "wronger"):
            self._who[password] = Identity(Login.model_validate({"login": ACCOUNT, "password": password}))

    async def run(self, client: Callable[[Limiter, Random], Awaitable[None]] | None = None) -> None:
        """Run until every call has ended and every request has arrived or got lost."""
        async with trio.open_nursery() as self._stray:
            for number in range(self.scenario.clients):
                limiter = self.limiters[number % len(self.limiters)]
                self._stray.start_soon(client or self._client, limiter, chance_of(self.scenario.seed, number))

    async def _client(self, limiter: Limiter, chance: Random) -> None:
        for _ in range(self.scenario.acts):
            async with trio.open_nursery() as nursery:
                focus = self.scenario.focus
                for _ in range(chance.randint(1, self.scenario.burst)):
                    one = chance.choice(FOCI) if focus == "mixed" else focus
                    nursery.start_soon(self._call, limiter, one, chance_of(chance.random()))
            await trio.sleep(chance.uniform(0, self.scenario.pause))

    async def _call(self, limiter: Limiter, focus: str, chance: Random) -> None:
        wrong = focus == "login" and chance.random() < 0.5
        password = chance.choice(["wrong", "wronger"]) if wrong else "right"
        cancelled = chance.random() < self.scenario.cancelled and not wrong
        with trio.move_on_after(chance.uniform(0, 45) if cancelled else math.inf):
            await self.call(limiter, operation_of(focus, chance), chance, password)

    async def call(self, limiter: Limiter, operation: Operation[Any], chance: Random, password: str = "right") -> None:
        """Reserve, send and release one request, as a client does."""
        # Nobody can count wrong passwords whose answers are lost, so these wait for their answers.
        is_wrong = password != "right"
        who, patient = self._who[password], self.scenario.patient or is_wrong
        within = math.inf if patient else chance.choice([3.0, 20.0, 90.0, 600.0, math.inf])
        timeout = math.inf if patient else chance.choice([2.0, 10.0, 40.0, 100.0, 250.0])
        flight = self._flight(who, operation, chance, lost=0.0 if is_wrong else self.scenario.lost)
        end = trio.current_time() + within
        try:
            reservation = await limiter.reserve(who, operation, within=within)
        except GuardError as error:
            self.refusals[type(error).__name__] += 1
            return
        self.starts.append(trio.current_time())
        try:
            with trio.move_on_at(min(end, trio.current_time() + timeout)):
                await self._travel(flight)
        finally:
            limiter.release(reservation, flight.completion)
            self.ends.append(trio.current_time())
            if flight.completion.arrival is RequestArrival.LOST:
                self._stray.start_soon(self._arrive_late, flight, chance)

    def _flight(self, who: Identity, operation: Operation[Any], chance: Random, *, lost: float) -> Flight:
        scenario = self.scenario
        times = NETWORKS.get(scenario.network) or chance.choice(list(NETWORKS.values()))
        up, work, down = (chance.uniform(0, most) for most in times)
        if chance.random() < lost:
            up, down = chance.choice([(math.inf, down), (up, math.inf)])
        refused = up < math.inf and chance.random() < scenario.refused
        completion = Completion(RequestArrival.UNSENT if refused else RequestArrival.LOST)
        return Flight(request_of(who, operation), up, work, down, completion)

    async def _travel(self, flight: Flight) -> None:
        await trio.sleep(flight.up)
        if flight.completion.arrival is RequestArrival.UNSENT:
            return
        flight.arrival = arrival = self.service.arrive(flight.request, trio.current_time())
        await trio.sleep(flight.work)
        self.service.leave(arrival)
        await trio.sleep(flight.down)
        bad = 0 if arrival.code else arrival.bad
        flight.completion = Completion(RequestArrival.ANSWERED, arrival.code, bad, good=arrival.good)

    async def _arrive_late(self, flight: Flight, chance: Random) -> None:
        """Go on with a request whose client has given up: it arrives, if at all, within `LATE` seconds."""
        if flight.arrival is None:
            if chance.random() < 0.3:
                return
            await trio.sleep(chance.choice([LATE, chance.uniform(0, LATE)]))
            flight.arrival = self.service.arrive(flight.request, trio.current_time())
            work = chance.choice([LATE_WORK, chance.uniform(0, LATE_WORK)])
        else:
            work = max(flight.arrival.at + flight.work - trio.current_time(), 0.0)
        await trio.sleep(work)
        if not flight.arrival.gone:
            self.service.leave(flight.arrival)


def request_of(who: Identity, operation: Operation[Any]) -> Request:
    """Return what the service sees of an operation."""
    login = who.credentials.fields()
    lines = [(line.phone, line.text, line.sender) for line in operation.lines()]
    fields, parameters = operation.fields(), operation.parameters()
    return Request(login["login"], login["psw"], operation.methods[0], fields, parameters, lines)


def chance_of(*seed: object) -> Random:
    """Return chance that is the same for the same seed."""
    return Random(repr(seed))  # noqa: S311 - repeatable on purpose


def operation_of(focus: str, chance: Random) -> Operation[Any]:
    """Return an operation on few phones, texts and messages, so that many meet at one limit."""
    phone = chance.choice(["+7", "7", "8"]) + chance.choice(["9990000001", "9990000002"])
    few = chance.choice(["one", "two"])
    if focus in {"login", "reads"}:
        focus = chance.choice(["balance", "status", "cost"])
    if focus == "gate":
        few = repr(chance.random())
        focus = chance.choice(["gate", "cost"])
    if focus in {"status", "gate"}:
        return GetStatus(ref=MessageRef(phone, few if focus == "gate" else "id"), detail=chance.choice([0, 1]))
    if focus == "balance":
        return GetBalance()
    if focus == "cost":
        many = GetListCost(messages=(Message(phone, few), Message("+79990000003", few)))
        return chance.choice([many, GetCost(to=(phone,), text=few), GetCost(to=(phone,), text=few)])
    return _send_of(focus, phone, few, chance)


def _send_of(focus: str, phone: str, few: str, chance: Random) -> Operation[Any]:
    both, own = [phone, "+79990000003"], repr(chance.random())
    chance.shuffle(both)
    if focus == "send":
        return Send(to=chance.choice([tuple(both), (phone,), (phone,)]), text=few)
    if focus == "flood":
        many = SendList(messages=tuple(Message(to, own + to) for to in both))
        return chance.choice([many, Send(to=tuple(both), text=own)])
    wrong = [Message(f"+7000{number:07}", own) for number in range(chance.randint(5, 45))]
    right = [Message(phone, own)] if chance.random() < 0.1 else []
    one = (
        (phone, own) if chance.random() < 0.05 else chance.choice([("+70000000000", own), (phone, f"forbidden {own}")])
    )
    return chance.choice([Send(to=one[:1], text=one[1]), SendList(messages=(*wrong, *right))])


def virtually(seed: int, main: Callable[[], Any]) -> Any:
    """Run on a clock that jumps to the next timer when all tasks wait, the same way each time."""
    # Hypothesis makes this the only source of the order in which trio runs tasks.
    scheduler._r.seed(seed)
    return virtual_time(main)()


@dataclass(slots=True)
class StartCounting:
    """Limits as limiter libraries do: it counts the instants at which requests start, over a window that slides."""

    margin: float = MARGIN
    _starts: defaultdict[Count, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _at_once: Counter[Count] = field(default_factory=Counter)

    async def reserve(self, who: Identity, operation: Operation[Any], *, within: float) -> Sequence[Count]:
        counts, end = counts_of(request_of(who, operation)), trio.current_time() + within
        while delay := max(map(self._delay, counts)):
            if trio.current_time() + delay > end:
                raise GuardError("no slot in time")
            await trio.sleep(delay)
        for count in counts:
            self._starts[count].append(trio.current_time())
            self._at_once[count] += 1
        return counts

    def release(self, reservation: Sequence[Count], completion: Completion) -> None:
        self._at_once.subtract(reservation if completion.arrival is not RequestArrival.LOST else ())

    def _delay(self, count: Count) -> float:
        (most, seconds), starts = LIMITS[count.name], self._starts[count]
        if not seconds:
            return 0.25 if self._at_once[count] >= most else 0.0
        slot = starts[-most] if len(starts) >= most else -math.inf
        return max(slot + seconds + self.margin - trio.current_time(), 0.0)


def guards(scenario: Scenario, **options: Any) -> list[Guards]:
    """Return guards that share a store."""
    store, rules = MemoryStore(), Rules()
    if scenario.waits:
        policies: dict[str, Policy] = {each.name: "wait" for each in fields(rules) if each.name != "spend"}
        rules = rules.with_policies(**policies)
    found = [Guards(store, rules=rules, **options) for _ in range(scenario.guards)]
    for each in found:
        each.bind()
    return found


def traffic(scenario: Scenario, limiters: Callable[[Scenario], Sequence[Limiter]] = guards) -> Traffic:
    """Return what has happened in a scenario."""

    async def main() -> Traffic:
        found = Traffic(scenario, limiters(scenario))
        await found.run()
        found.seconds = trio.current_time()
        assert len(found.ends) == len(found.starts)
        for limiter in found.limiters:
            if isinstance(limiter, Guards):
                await nothing_leaks(limiter)
        return found

    return virtually(scenario.seed, main)  # type: ignore[no-any-return]


async def nothing_leaks(limiter: Guards) -> None:
    state = await limiter.snapshot()
    assert state.waiting == 0
    assert {
        name: (rule.waiting, rule.in_flight) for name, rule in state.rules.items() if rule.waiting + rule.in_flight
    } == {}
    store = limiter._store
    assert isinstance(store, MemoryStore)
    await trio.sleep(2 * 86_400)
    assert len(store) == 0


@dataclass(frozen=True, slots=True)
class NoLimiter:
    """Lets everything through."""

    async def reserve(self, who: Identity, operation: Operation[Any], *, within: float) -> None:
        """Reserve no slot."""

    def release(self, reservation: None, completion: Completion) -> None:
        """Release no slot."""


def many(count: int, **chosen: Any) -> list[Scenario]:
    """Return scenarios of every kind, so many of each focus."""
    found = []
    for seed in range(count * len(FOCI)):
        chance = chance_of("scenario", seed)
        choices: dict[str, Any] = {name: chance.choice(values) for name, values in RANGES.items()}
        found.append(Scenario(seed, **{**choices, "focus": FOCI[seed % len(FOCI)], **chosen}))
    return found


def highest(found: Sequence[Traffic]) -> dict[str, int]:
    """Return the highest count of each limit, in the order of `LIMITS`."""
    return {name: max(each.service.highest[name] for each in found) for name in LIMITS}


def errors(found: Sequence[Traffic], *codes: int) -> int:
    """Return how many answers had one of these error numbers."""
    return sum(each.service.codes[code] for each in found for code in codes)


STATUS: Final = GetStatus(ref=MessageRef("+79990000001", "id"))


def codes_of(service: Service, requests: Sequence[tuple[float, Operation[Any]]], password: str = "right") -> list[int]:
    """Return the error number of the answer to each request, at its instant; an answer leaves at once."""
    who = Identity(Login.model_validate({"login": ACCOUNT, "password": password}))
    codes = []
    for at, operation in requests:
        arrival = service.arrive(request_of(who, operation), at)
        service.leave(arrival)
        codes.append(arrival.code)
    return codes


def service_of(*, whole_seconds: bool = False) -> Service:
    return Service({ACCOUNT: "right"}, whole_seconds=whole_seconds)


scenarios = st.builds(
    Scenario,
    st.integers(0, 2**32),
    **{name: st.sampled_from(values) for name, values in RANGES.items()},
)


def hammered(scenario: Scenario, client: Callable[[Traffic, Limiter, Random], Awaitable[None]]) -> Traffic:
    """Run clients that all ask for one status, and return their traffic."""

    async def main() -> Traffic:
        found = Traffic(scenario, guards(scenario))
        await found.run(lambda limiter, chance: client(found, limiter, chance))
        return found

    return virtually(scenario.seed, main)  # type: ignore[no-any-return]


def lateness(found: Traffic) -> float:
    """Return the most seconds that a request waited after a slot was free."""
    ends, most = sorted(found.ends), LIMITS["statuses at once"][0]
    late = (
        start - max(ends[number - 5] + 60 + MARGIN, ends[number - most])
        for number, start in enumerate(found.starts)
        if number >= 5
    )
    return max(late)
