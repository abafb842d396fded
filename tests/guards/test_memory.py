"""Histories in memory: all slots of a request or none, nothing forgotten too early, nothing kept for ever."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async.guards import MemoryStore
from smsc_async.guards._limits import (
    BlockLimit,
    History,
    Limit,
    LoginLimit,
    Release,
    SpendLimit,
    StreakLimit,
    WindowLimit,
)
from smsc_async.guards._store import Demand, Refusal, Reservation

ONCE = WindowLimit(1, 60)
TWICE = WindowLimit(2, 60)
BLOCK = BlockLimit(600, 1800, 1800)
STREAK = StreakLimit(2, 120)
LOGIN = LoginLimit(2, 60)
KEPT = Release(keep=1)
PROVEN = Release(proof=True)
REFUTED = Release(keep=1, proof=False)


@dataclass
class Bench:
    """A store whose clock is set by hand."""

    now: float = 0.0
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(lambda: self.now)

    async def take(self, *demands: Demand) -> Reservation:
        answer = await self.store.acquire(demands, math.inf)
        assert isinstance(answer, Reservation)
        return answer

    async def refused(self, *demands: Demand) -> Refusal:
        answer = await self.store.acquire(demands, math.inf)
        assert isinstance(answer, Refusal)
        return answer

    async def spend(self, *demands: Demand, release: Release = KEPT) -> None:
        self.store.release(await self.take(*demands), [release] * len(demands))

    async def in_flight(self, rule: str, limit: Limit) -> int:
        return (await self.store.snapshot({rule: limit}))[rule].in_flight


@pytest.fixture
def bench() -> Bench:
    return Bench()


def on(key: str, limit: Limit = ONCE, *, rule: str = "status", amount: int = 1) -> Demand:
    return Demand(rule, key.encode(), limit, amount)


# --- reserving and releasing


async def test_keys_are_apart_and_so_are_rules(bench: Bench) -> None:
    await bench.take(on("a"))
    await bench.take(on("b"))
    await bench.take(on("a", rule="balance"))
    assert (await bench.refused(on("a"))).demand == on("a")


async def test_a_request_reserves_all_its_slots_or_none(bench: Bench) -> None:
    await bench.take(on("full"))
    assert await bench.refused(on("a"), on("b"), on("full"), on("c")) == Refusal(on("full"), math.inf)
    assert await bench.in_flight("status", ONCE) == 1
    await bench.take(on("a"), on("b"), on("c"))
    assert await bench.in_flight("status", ONCE) == 4


async def test_of_several_demands_that_can_not_be_met_the_first_is_named(bench: Bench) -> None:
    await bench.spend(on("a"))
    bench.now = 10
    await bench.spend(on("b"))
    assert await bench.refused(on("b"), on("a")) == Refusal(on("b"), 60)
    assert await bench.refused(on("a"), on("b")) == Refusal(on("a"), 50)


async def test_a_slot_is_free_again_a_span_after_its_release(bench: Bench) -> None:
    reservation = await bench.take(on("a"))
    bench.now = 40
    bench.store.release(reservation, [KEPT])
    bench.now = 99.5
    assert (await bench.refused(on("a"))).delay == 0.5
    bench.now = 100
    await bench.take(on("a"))


async def test_what_never_left_releases_its_slot_at_once(bench: Bench) -> None:
    await bench.spend(on("a"), on("b"), release=Release())
    assert len(bench.store) == 0
    await bench.take(on("a"), on("b"))


async def test_each_demand_has_its_own_release(bench: Bench) -> None:
    reservation = await bench.take(on("a"), on("b"))
    bench.store.release(reservation, [Release(), KEPT])
    await bench.take(on("a"))
    await bench.refused(on("b"))


async def test_second_release_is_harmless(bench: Bench) -> None:
    first = await bench.take(on("a", TWICE))
    await bench.take(on("a", TWICE))
    bench.store.release(first, [KEPT])
    bench.store.release(first, [KEPT])
    bench.store.release(first, [Release()])
    assert (await bench.refused(on("a", TWICE))).delay == 60
    assert await bench.in_flight("status", TWICE) == 1


async def test_releases_fit_the_demands(bench: Bench) -> None:
    with pytest.raises(ValueError, match="argument"):
        bench.store.release(await bench.take(on("a"), on("b")), [KEPT])


async def test_several_slots_are_reserved_and_released_together(bench: Bench) -> None:
    five = WindowLimit(5, 60)
    reservation = await bench.take(on("a", five, amount=3))
    assert reservation.amounts == [3]
    assert await bench.in_flight("status", five) == 3
    assert (await bench.refused(on("a", five, amount=3))).delay == math.inf
    bench.store.release(reservation, [Release(keep=1)])
    await bench.take(on("a", five, amount=4))


async def test_a_forced_demand_reserves_a_slot_where_none_is_free(bench: Bench) -> None:
    await bench.spend(on("a"))
    forced = await bench.take(on("a")._replace(forced=True))
    bench.now = 50
    bench.store.release(forced, [KEPT])
    assert (await bench.refused(on("a"))).delay == 60


async def test_filling_counts_even_where_no_history_was(bench: Bench) -> None:
    await bench.spend(on("a", TWICE, amount=0), release=Release(fill=True))
    assert (await bench.refused(on("a", TWICE))).delay == 60


async def test_a_reservation_tells_when_it_was_made_and_never_expires(bench: Bench) -> None:
    bench.now = 7
    demands = [on("a")]
    reservation = await bench.take(*demands)
    assert (list(reservation.demands), reservation.started, reservation.expires) == (demands, 7, math.inf)


# --- blocks


def block(amount: int = 0) -> Demand:
    return Demand("blocked", b"egress", BLOCK, amount)


async def test_a_block_lasts_ten_minutes_and_half_an_hour_when_it_is_met_again(bench: Bench) -> None:
    await bench.spend(block())
    assert (await bench.refused(block())).delay == 600
    bench.now = 600
    await bench.spend(block())
    assert (await bench.refused(block())).delay == 1800
    bench.now = 2400
    await bench.spend(block(), release=Release(clear=True))
    await bench.spend(block())
    assert (await bench.refused(block())).delay == 600


async def test_requests_in_flight_when_a_block_is_met_make_it_no_longer(bench: Bench) -> None:
    flying = [await bench.take(block()) for _ in range(3)]
    bench.now = 5
    for reservation in flying:
        bench.store.release(reservation, [KEPT])
    assert (await bench.refused(block())).delay == 600


async def test_a_block_takes_nothing_while_there_is_none(bench: Bench) -> None:
    await bench.take(block())
    assert len(bench.store) == 0


# --- proofs


def unproven(key: str = "who", limit: WindowLimit = ONCE) -> Demand:
    return Demand("login_failures", key.encode(), limit, 1, key.encode())


async def test_proven_credentials_need_no_slot(bench: Bench) -> None:
    await bench.spend(unproven(), release=PROVEN)
    reservations = [await bench.take(unproven()) for _ in range(5)]
    assert all(reservation.amounts == [0] for reservation in reservations)
    assert await bench.in_flight("login_failures", ONCE) == 0
    assert (await bench.take(unproven("somebody else"))).amounts == [1]


async def test_an_answer_that_says_nothing_proves_nothing(bench: Bench) -> None:
    await bench.spend(unproven(), release=Release())
    assert (await bench.take(unproven())).amounts == [1]


async def test_refuted_credentials_need_slots_again(bench: Bench) -> None:
    await bench.spend(unproven(), release=PROVEN)
    one, two = await bench.take(unproven()), await bench.take(unproven())
    bench.store.release(one, [REFUTED])
    assert (await bench.refused(unproven())).delay == 60
    # The other was let through on the old proof, so its answer is no new one.
    bench.store.release(two, [PROVEN])
    await bench.refused(unproven())


async def test_a_proof_lasts_half_an_hour_from_the_last_good_answer(bench: Bench) -> None:
    await bench.spend(unproven(), release=PROVEN)
    bench.now = 1_799
    await bench.spend(unproven(), release=PROVEN)
    bench.now = 1_799 + 1_799
    assert (await bench.take(unproven())).amounts == [0]
    bench.now = 1_799 + 1_800
    assert (await bench.take(unproven())).amounts == [1]


async def test_held_slots_stay_until_a_later_release_which_leaves_alone_what_has_been_released(bench: Bench) -> None:
    reservation = await bench.take(on("held"), on("released"))
    bench.store.release(reservation, [Release(hold=True), Release(keep=1)])
    assert (await bench.refused(on("held"))).delay == math.inf
    assert (await bench.refused(on("released"))).delay == 60
    bench.now = 10
    bench.store.release(reservation, [Release(keep=1), Release()])
    assert (await bench.refused(on("held"))).delay == 60
    assert (await bench.refused(on("released"))).delay == 50
    bench.store.release(reservation, [Release(), Release()])
    assert (await bench.refused(on("held"))).delay == 60


# --- forgetting


async def test_a_million_keys_leave_nothing_after_two_idle_windows(bench: Bench) -> None:
    for number in range(20_000):
        await bench.spend(on(str(number)))
    young = bench.store._tables["status"].young
    # The rest in bulk, as the same request would have left them one by one.
    young.update(dict.fromkeys((b"%d" % number for number in range(20_000, 1_000_000)), young[b"0"]))
    assert len(bench.store) == 1_000_000
    bench.now += 59
    assert (await bench.refused(on("999999"))).delay == 1
    bench.now += 61
    assert len(bench.store) == 0


async def test_keys_vanish_while_others_are_busy_and_no_call_pays_for_all_of_them(bench: Bench) -> None:
    for number in range(100):
        await bench.spend(on(str(number)))
    table = bench.store._tables["status"]
    for second in range(60, 140, 5):
        bench.now = second
        await bench.spend(on("busy"), release=Release(keep=1, late=-59))
    assert set(table.young) | set(table.old) == {b"busy"}
    assert 0 < len(table.dying) < 100, "a few go with each call"


async def test_what_is_in_flight_is_never_forgotten(bench: Bench) -> None:
    flying = await bench.take(on("a"), on("b"))
    for hour in range(1, 50):
        bench.now = hour * 3600
        await bench.spend(on("c"))
        assert (await bench.refused(on("a"))).delay == math.inf
        assert (await bench.refused(on("b"))).delay == math.inf
    assert len(bench.store) == 3
    bench.now += 3600
    assert len(bench.store) == 2
    bench.store.release(flying, [KEPT, Release()])
    assert (await bench.refused(on("a"))).delay == 60
    await bench.take(on("b"))


async def test_an_entry_that_is_dated_later_is_counted_to_its_end(bench: Bench) -> None:
    bench.now = 59
    await bench.spend(on("late"), release=Release(keep=1, late=60))
    for now in range(60, 179):
        bench.now = now
        await bench.spend(on(f"other {now}"))
        assert len(bench.store) > 0
        assert (await bench.refused(on("late"))).delay == 179 - now
    bench.now = 179
    await bench.take(on("late"))


async def test_a_generation_stays_until_the_last_of_its_late_entries_has_expired(bench: Bench) -> None:
    await bench.spend(on("first"))
    bench.now = 50
    await bench.spend(on("late"), release=Release(keep=1, late=60))
    for now in (60, 120, 169.5):
        bench.now = now
        await bench.spend(on(f"{now}"))
        assert (await bench.refused(on("late"))).delay == 170 - now
    bench.now = 170
    assert b"late" in bench.store._tables["status"].old
    await bench.take(on("late"))
    assert b"first" not in bench.store._tables["status"].old


async def test_a_lost_request_beside_one_in_flight_is_counted_to_its_end(bench: Bench) -> None:
    lost, flying = await bench.take(on("a", TWICE)), await bench.take(on("a", TWICE))
    bench.now = 50
    bench.store.release(lost, [Release(keep=1, late=60)])
    for now in (100, 165):
        bench.now = now
        await bench.spend(on(f"{now}", TWICE))
    bench.store.release(flying, [Release()])
    bench.now = 169.5
    assert (await bench.refused(on("a", TWICE, amount=2))).delay == 0.5


async def test_guards_with_a_longer_window_on_the_same_store_are_not_cut_short(bench: Bench) -> None:
    hour = WindowLimit(1, 3600)
    await bench.spend(on("short"))
    await bench.spend(on("long", hour))
    for now in range(60, 3600, 60):
        bench.now = now
        await bench.spend(on("short"))
    assert len(bench.store) == 2
    assert (await bench.refused(on("long", hour))).delay == 60


@dataclass
class Forgetless:
    """A store that forgets nothing, to compare with."""

    now: float = 0.0
    histories: dict[tuple[str, bytes], History] = field(default_factory=dict)

    def acquire(self, demands: Sequence[Demand]) -> Refusal | float:
        found = []
        for demand in demands:
            limit = demand.limit
            assert not isinstance(limit, SpendLimit)
            history = limit.fresh(self.histories.get(demand[:2], ()), self.now)
            delay = limit.delay(history, self.now, demand.amount)
            if delay:
                return Refusal(demand, delay)
            found.append(history + (math.inf,) * demand.amount)
        self.histories |= {demand[:2]: history for demand, history in zip(demands, found, strict=True)}
        return self.now

    def release(self, demands: Sequence[Demand], started: float, release: Release) -> None:
        for demand in demands:
            limit, history = demand.limit, self.histories[demand[:2]]
            assert not isinstance(limit, SpendLimit)
            self.histories[demand[:2]] = limit.released(history, self.now, started, demand.amount, release)


GATE = WindowLimit(2, 0)
LIMITS: dict[str, Limit] = {"window": TWICE, "gate": GATE, "streak": STREAK, "login": LOGIN, "blocked": BLOCK}
DEMANDS = st.sets(st.tuples(st.sampled_from(sorted(LIMITS)), st.sampled_from([b"a", b"b"])), min_size=1)
FLAGS = st.booleans()
RELEASES = st.tuples(st.integers(0, 1), st.integers(0, 60), FLAGS, FLAGS).map(lambda values: Release(*values))
STEPS = st.one_of(DEMANDS, st.tuples(st.integers(0, 30), RELEASES), st.floats(0, 200).map(round), st.just(2000))


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, max_size=60))
async def test_forgetting_never_changes_an_answer(
    steps: list[set[tuple[str, bytes]] | tuple[int, Release] | int],
) -> None:
    bench, other = Bench(), Forgetless()
    flying: list[tuple[Reservation, float]] = []
    for step in steps:
        if isinstance(step, int):
            bench.now += step
            other.now = bench.now
        elif isinstance(step, tuple):
            if flying:
                reservation, started = flying.pop(step[0] % len(flying))
                bench.store.release(reservation, [step[1]] * len(reservation.demands))
                other.release(reservation.demands, started, step[1])
        else:
            demands = [Demand(rule, key, LIMITS[rule], int(rule != "blocked")) for rule, key in sorted(step)]
            answer, expected = await bench.store.acquire(demands, math.inf), other.acquire(demands)
            if isinstance(answer, Reservation):
                flying.append((answer, bench.now))
                assert expected == bench.now
            else:
                assert answer == expected


# --- what it shows


async def test_a_snapshot_counts_keys_slots_in_flight_and_full_keys(bench: Bench) -> None:
    await bench.spend(on("a"))
    await bench.spend(on("gone"))
    bench.now = 61
    await bench.spend(on("b"))
    await bench.take(on("c"))
    bench.now = 70
    state = (await bench.store.snapshot({"status": ONCE, "balance": TWICE}))["status"]
    assert (state.keys, state.in_flight) == (2, 1)
    assert state.full == {b"b".hex(): 51, b"c".hex(): None}


async def test_a_snapshot_of_unused_rules_is_empty(bench: Bench) -> None:
    states = await bench.store.snapshot({"balance": TWICE, "blocked": BLOCK})
    assert {rule: (state.keys, state.in_flight, state.full) for rule, state in states.items()} == {
        "balance": (0, 0, {}),
        "blocked": (0, 0, {}),
    }


async def test_a_snapshot_shows_a_block_until_its_end(bench: Bench) -> None:
    await bench.spend(block())
    bench.now = 100
    assert (await bench.store.snapshot({"blocked": BLOCK}))["blocked"].full == {b"egress".hex(): 500}
    bench.now = 600
    assert (await bench.store.snapshot({"blocked": BLOCK}))["blocked"].full == {}


async def test_a_snapshot_counts_a_key_of_both_generations_once(bench: Bench) -> None:
    await bench.spend(on("a", TWICE))
    bench.now = 60
    await bench.spend(on("b", TWICE))
    await bench.take(on("a", TWICE))
    state = (await bench.store.snapshot({"status": TWICE}))["status"]
    assert (state.keys, state.in_flight) == (2, 1)
    assert len(bench.store) == 2


async def test_a_snapshot_looks_at_ten_thousand_keys_at_most(bench: Bench) -> None:
    for number in range(10_002):
        await bench.spend(on(str(number)))
    assert (await bench.store.snapshot({"status": ONCE}))["status"].keys == 10_000


# --- the rest of a store


def test_each_store_has_a_salt_of_its_own() -> None:
    one, two = MemoryStore(), MemoryStore()
    assert one.salt != two.salt
    assert len(one.salt) == 16
    assert one.salt is one.salt


async def test_opening_flushing_and_closing_change_nothing(bench: Bench) -> None:
    assert await bench.store.open() is bench.store.salt
    await bench.spend(on("a"))
    await bench.store.flush()
    await bench.store.aclose()
    await bench.refused(on("a"))


def test_a_pause_lasts_until_the_slot_is_free_but_a_second_if_that_is_unknown() -> None:
    store = MemoryStore()
    assert store.pause(30.0, 0) == 30
    assert store.pause(1e-12, 3) == 0.001
    assert store.pause(math.inf, 3) == 1


def test_a_store_goes_on_with_the_time_of_the_next_event_loop() -> None:
    store = MemoryStore()

    async def spend() -> None:
        store.rebind()
        reservation = await store.acquire([on("a")], math.inf)
        assert isinstance(reservation, Reservation)
        store.release(reservation, [KEPT])

    async def refused() -> float:
        store.rebind()
        answer = await store.acquire([on("a")], math.inf)
        assert isinstance(answer, Refusal)
        return answer.delay

    anyio.run(spend)
    assert 50 < anyio.run(refused, backend="trio") <= 60


def test_a_clock_of_ones_own_is_never_set() -> None:
    bench = Bench(now=5)
    bench.store.rebind()
    assert bench.store._clock() == 5
