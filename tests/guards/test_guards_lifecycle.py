"""Options and snapshots of the guards, and when they open, flush and close their store."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import trio

from smsc_async import (
    DuplicateSend,
    TooManyInFlight,
)
from smsc_async.guards import Guards, MemoryStore, Rule, Rules
from smsc_async.testing import ManualClock
from tests.guards.desk import (
    BALANCE,
    FINE,
    GOOD,
    LOST,
    ME,
    TRUSTING_ONE,
    Desk,
    identity,
    send,
    status,
)
from tests.virtual import virtual_time


@virtual_time
async def test_a_snapshot_shows_what_is_in_flight_what_waits_and_what_is_full_until_when() -> None:
    desk = Desk(max_wait=None)
    await desk.fill(status(), 5)
    await desk.reserve(status(2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.call, status())
        await trio.sleep(11.2)
        before = datetime.now(UTC)
        snapshot = await desk.guards.snapshot()
        assert before <= snapshot.taken_at <= datetime.now(UTC)
        assert snapshot.waiting == 1
        shown = snapshot.rules["status"]
        assert (shown.count, shown.keys, shown.in_flight, shown.waiting) == (5, 2, 1, 1)
        assert list(shown.full.values()) == [snapshot.taken_at + timedelta(seconds=50)]
        assert snapshot.rules["in_flight"].in_flight == 1
        assert snapshot.rules["balance"].full == {}
        nursery.cancel_scope.cancel()
    while (await desk.guards.snapshot()).rules["status_in_flight"].in_flight < 4:
        await desk.reserve(status(3))
    assert list((await desk.guards.snapshot()).rules["status_in_flight"].full.values()) == [None]


@virtual_time
async def test_no_output_contains_a_phone_a_text_or_a_login() -> None:
    desk = Desk(Rules())
    await desk.call(send("Kontonummer"), GOOD, who=identity("geheim", name="ivanov"))
    error = await desk.refused(send("Kontonummer"), who=identity("geheim", name="ivanov"))
    shown = repr(await desk.guards.snapshot()) + repr(desk.guards) + repr(error)
    assert not [word for word in ("9991234567", "Kontonummer", "ivanov", "geheim") if word in shown]
    assert repr(desk.guards) == "<smsc_async.guards.Guards over MemoryStore>"


@pytest.mark.parametrize(
    "options",
    [{"max_wait": -1}, {"max_waiters": -1}, {"margin": -0.1}, {"late_arrival": -1}, {"late_arrival": 60.1}],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a (whole )?number.*, (at least 0|0 to 60)"):
        Guards(**options)
    Guards(max_wait=0, max_waiters=0, margin=0, late_arrival=0)
    Guards(late_arrival=60)


@virtual_time
async def test_margin_and_late_arrival_are_options() -> None:
    desk = Desk(margin=0, late_arrival=20)
    await desk.call(send(), GOOD)
    assert (await desk.refused(send())).retry_after == 60
    await desk.call(send("lost"), LOST)
    assert (await desk.refused(send("lost"))).retry_after == 80


class Ledger(MemoryStore):
    """A store that records when it is opened, flushed and closed, and has no salt until it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.known: bytes | None = None

    @property
    def salt(self) -> bytes | None:  # type: ignore[override]
        return self.known

    async def open(self) -> bytes:
        self.events.append("opened")
        self.known = b"salt %d" % len(self.events)
        return self.known

    async def flush(self) -> None:
        self.events.append("flushed")
        await anyio.sleep(1)

    async def aclose(self) -> None:
        self.events.append("closed")
        await anyio.sleep(60)


@virtual_time
async def test_a_store_is_opened_before_its_first_use_and_a_new_salt_makes_new_keys() -> None:
    store = Ledger()
    desk = Desk(store=store)
    await desk.call(send(), GOOD)
    assert isinstance(await desk.refused(send()), DuplicateSend)
    assert store.events == ["opened"]
    store.known = None
    await desk.call(send(), GOOD)
    assert store.events == ["opened", "opened"]


@virtual_time
async def test_the_last_client_closes_the_store_and_the_others_only_flush_it() -> None:
    store = Ledger()
    desk = Desk(store=store)
    desk.guards.attach()
    desk.guards.attach()
    await desk.guards.detach()
    assert store.events == ["flushed"]
    assert trio.current_time() == 1
    await desk.guards.detach()
    assert store.events == ["flushed", "closed"]
    assert trio.current_time() == 3, "a store that does not close is left after two seconds"


@virtual_time
async def test_a_flush_is_completed_although_its_caller_is_cancelled() -> None:
    desk = Desk(store=Ledger())
    with trio.CancelScope() as scope:
        scope.cancel()
        await desk.guards.flush()
    assert trio.current_time() == 1


@virtual_time
async def test_an_identity_keeps_its_keys_as_long_as_it_lives_and_no_longer() -> None:
    desk = Desk()
    await desk.call(who=ME)
    await desk.call(who=identity())
    assert len(desk.guards._planners) == 1
    known = desk.guards._planners[ME]
    await desk.call(who=ME)
    assert desk.guards._planners[ME] is known


class Recording(MemoryStore):
    """Records the holds of slots and the numbers of tries."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[float] = []
        self.tries: list[int] = []

    async def acquire(self, demands: Any, hold: float) -> Any:
        self.holds.append(hold)
        return await super().acquire(demands, hold)

    def pause(self, delay: float, tries: int) -> float:
        self.tries.append(tries)
        return super().pause(delay, tries)


@virtual_time
async def test_store_receives_the_hold_of_a_slot_and_the_number_of_tries() -> None:
    store = Recording()
    guards = Guards(store, rules=TRUSTING_ONE)
    guards.bind()
    first = await guards.reserve(ME, BALANCE, within=90)
    assert store.holds == [90]

    async def later() -> None:
        await anyio.sleep(4.5)
        guards.release(first, FINE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later)
        guards.release(await guards.reserve(ME, status(), within=30), FINE)
    assert store.holds == [90, 30, 29, 28, 27, 26, 25.5]
    assert store.tries == [0, 1, 2, 3, 4]


@virtual_time
async def test_slot_that_becomes_free_at_the_deadline_is_held_for_no_time() -> None:
    store = Recording()
    guards = Guards(store, rules=TRUSTING_ONE)
    guards.bind()
    await guards.reserve(ME, BALANCE, within=90)
    with pytest.raises(TooManyInFlight):
        await guards.reserve(ME, status(), within=3)
    assert store.holds == [90, 3, 2, 1, 0]


@virtual_time
async def test_a_refusal_names_the_seconds_until_a_slot_is_free_if_they_are_known() -> None:
    desk = Desk()
    await desk.call(send())
    with pytest.raises(DuplicateSend) as caught:
        await desk.reserve(send())
    assert re.search(r"repeats it; free at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(in 61\.2 s\)$", str(caught.value))
    desk = Desk(TRUSTING_ONE)
    await desk.reserve()
    with pytest.raises(TooManyInFlight) as caught_too:
        await desk.reserve(status(), within=1)
    assert str(caught_too.value).endswith("free in time")


async def test_a_send_may_not_be_repeated_without_allow_duplicate() -> None:
    guards = Guards()
    guards.bind()
    guards.release(await guards.reserve(ME, send(), within=1), GOOD)
    with pytest.raises(DuplicateSend):
        await guards.reserve(ME, send(), within=1)


@virtual_time
async def test_closing_is_shielded_but_not_for_ever() -> None:
    class Slow(MemoryStore):
        closed = flushed = False

        async def aclose(self) -> None:
            await anyio.sleep(1)
            self.closed = True

        async def flush(self) -> None:
            await anyio.sleep(3)
            self.flushed = True

    store = Slow()
    guards = Guards(store)
    start = anyio.current_time()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await guards.aclose()
    assert store.closed
    await guards.flush()
    assert not store.flushed
    assert anyio.current_time() == start + 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Rule(0, 1), "count must be a whole number, at least 1"),
        (
            lambda: Rule(1, 1, "no"),  # type: ignore[arg-type]
            "policy must be",
        ),
        (lambda: Guards(margin=-1), "margin must be a number, at least 0"),
    ],
)
def test_messages_begin_with_the_wrong_argument(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        make()


@virtual_time
async def test_guards_anew_have_the_same_arguments_and_have_counted_nothing() -> None:
    guards = Guards(rules=Rules(balance=Rule(1, 60)), max_wait=3.0, max_waiters=7, margin=0.5, late_arrival=1.0)
    await guards.reserve(ME, BALANCE, within=1.0)
    anew = guards.anew()
    assert (anew.rules, anew.max_wait, anew.margin, anew.late_arrival) == (guards.rules, 3.0, 0.5, 1.0)
    await anew.reserve(ME, BALANCE, within=1.0)
    assert (guards.is_shared, anew.is_shared) == (False, False)
    assert Guards().anew().max_wait == Guards().max_wait
    clock = ManualClock(5.0)
    assert Guards(MemoryStore(clock.now), clock=clock).anew().clock is clock
