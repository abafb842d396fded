"""A wall clock that is set, or a restart of the machine, never shortens a limit, nor lengthens it for long."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smsc_async import GuardStoreError, Journal
from smsc_async._journal.guard_store import JournalGuardStore
from smsc_async._journal.lock import JournalLock
from smsc_async._journal.pace import UnknownPace
from smsc_async._journal.rows import ChunkPlan, MessageResult, RowPlan
from smsc_async._journal.store import JournalStore
from smsc_async.guards import Demand, MemoryStore, Refusal, Release, Reservation
from smsc_async.guards._limits import BlockLimit, WindowLimit
from tests.doubles import FakeService, make_client
from tests.machine import Machine

pytestmark = pytest.mark.usefixtures("no_threads")

SPAN, LATE = 60.0, 5.0
WINDOW = Demand("status", b"key", WindowLimit(1, SPAN))
BLOCK = Demand("blocked", b"key", BlockLimit(600.0, 1800.0, 1800.0), 0)
HOUR, DAY = 3600.0, 86_400.0

CHANGES: dict[str, Callable[[Machine], None]] = {
    "nothing": lambda _: None,
    "set back an hour": lambda machine: machine.set(-HOUR),
    "set forward 120 s": lambda machine: machine.set(120),
    "set forward a day": lambda machine: machine.set(DAY),
    "set to 1970": lambda machine: machine.set(-machine.wall),
}
RESTARTS: dict[str, Callable[[Machine], None]] = {
    "with the right clock": lambda machine: machine.restart(30),
    "with the right clock a day later": lambda machine: machine.restart(DAY),
    "with a clock set forward": lambda machine: machine.restart(1, off=DAY),
    "with a clock set back": lambda machine: machine.restart(1, off=-HOUR),
}


async def opened(journal: Journal) -> JournalGuardStore:
    store = JournalGuardStore(journal._file, journal._run_blocking, late_arrival=LATE)
    await store.open()
    return store


async def count(store: JournalGuardStore, demand: Demand = WINDOW, **release: object) -> None:
    """Make a request that is answered at once."""
    reservation = await store.acquire([demand], 10.0)
    assert isinstance(reservation, Reservation)
    store.release(reservation, [Release(keep=1, **release)])  # type: ignore[arg-type]


async def delay(path: Path, demand: Demand = WINDOW) -> float:
    """Return the seconds that a new process would have to wait; it sends nothing."""
    async with Journal(path) as journal:
        answer = await (await opened(journal)).acquire([demand], 10.0)
        return answer.delay if isinstance(answer, Refusal) else 0.0


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_clock_set_between_two_runs_changes_no_window(
    path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        await store.flush()
    change(machine)
    machine.wait(10)
    assert await delay(path) == pytest.approx(SPAN - 10)
    machine.wait(SPAN)
    assert await delay(path) == 0


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_clock_set_in_a_run_changes_no_window(
    path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
) -> None:
    other = Demand("status", b"other", WINDOW.limit)
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        machine.wait(5)
        change(machine)
        machine.wait(5)
        await count(store, other)  # writes the history of the first one
        await store.flush()
    assert await delay(path) == pytest.approx(SPAN - 10)
    assert await delay(path, other) == pytest.approx(SPAN)


@pytest.mark.parametrize("restart", RESTARTS.values(), ids=RESTARTS)
async def test_after_a_restart_of_the_machine_one_window_is_waited_once_and_reported(
    path: Path,
    machine: Machine,
    restart: Callable[[Machine], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        await store.flush()
    restart(machine)
    assert await delay(path) == pytest.approx(SPAN)
    machine.wait(20)
    assert await delay(path) == pytest.approx(SPAN - 20)  # not a whole window at each start
    machine.wait(SPAN)
    assert await delay(path) == 0
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the machine was restarted, or is another one, since the journal was written, so it is")
    assert said.endswith("the limits count them as if they had just been made, once")


async def test_a_suspension_counts(path: Path, machine: Machine) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        await store.flush()
    machine.suspend(40)
    assert await delay(path) == pytest.approx(SPAN - 40)


async def test_a_suspension_in_a_run_is_never_counted_twice(path: Path, machine: Machine) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        machine.suspend(40)
        await store.flush()
        machine.wait(1)
    assert SPAN - 41 <= await delay(path) <= SPAN


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_request_in_flight_at_a_kill_is_over_after_one_window(
    path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
) -> None:
    async with Journal(path) as journal:
        await (await opened(journal)).acquire([WINDOW], 10.0)
    change(machine)
    assert await delay(path) == pytest.approx(SPAN + LATE)
    machine.wait(30)
    assert await delay(path) == pytest.approx(SPAN + LATE - 30)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_block_ends_on_time_although_the_clock_is_set(
    path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store, BLOCK)
        await store.flush()
    machine.wait(100)
    change(machine)
    assert await delay(path, BLOCK) == pytest.approx(500)


@pytest.mark.parametrize(("restarts", "proven"), [(False, True), (True, False)])
async def test_a_proof_lasts_as_long_as_it_is_known_how_old_it_is(
    path: Path,
    machine: Machine,
    *,
    restarts: bool,
    proven: bool,
) -> None:
    gate = Demand("proving", b"gate", WindowLimit(1, 0.0), proof=b"login")
    async with Journal(path) as journal:
        store = await opened(journal)
        reservation = await store.acquire([gate], 10.0)
        assert isinstance(reservation, Reservation)
        store.release(reservation, [Release(proof=True)])
        await store.flush()
    machine.set(-DAY)
    if restarts:
        machine.restart()
    async with Journal(path) as journal:
        store = await opened(journal)
        await store.acquire([gate], 10.0)
        assert isinstance(await store.acquire([gate], 10.0), Reservation) is proven
        assert (MemoryStore.proofs in {each.rule for each in journal._file.histories()}) is proven


@pytest.mark.parametrize(
    "damage",
    [
        "clock = 'x'",
        "clock = '[]'",
        "clock = '[\"first\", NaN, 0.0]'",
        'clock = \'["first", 0.0, "x"]\'',
        "ages = '[NaN]'",
        "ages = '[Infinity]'",
        "ages = '7'",
        "span = 9e999",
    ],
)
@pytest.mark.usefixtures("machine")
async def test_garbage_in_place_of_an_instant_is_damage(path: Path, damage: str) -> None:
    async with Journal(path) as journal:
        await count(await opened(journal))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"UPDATE history SET {damage}")  # noqa: S608 - our own words
    async with Journal(path) as journal:
        with pytest.raises(GuardStoreError, match="is damaged: its values can't be read"):
            await opened(journal)


@pytest.mark.usefixtures("machine")
async def test_an_instant_that_can_not_be_of_this_boot_counts_one_window(path: Path) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        await store.flush()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE history SET clock = '[\"first\", 1e12, 0.0]', ages = '[0.0]'")
    assert await delay(path) == pytest.approx(SPAN)


@pytest.mark.usefixtures("machine")
async def test_an_entry_in_the_future_counts_for_one_more_window(path: Path) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await count(store)
        await store.flush()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE history SET ages = '[-1e12]'")
    assert await delay(path) == pytest.approx(2 * SPAN)


# The limit of unknown messages


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_set_clock_does_not_change_the_limit_of_unknown_messages(
    path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
) -> None:
    with closing(JournalLock(path)) as lock:
        lock.update(backlog=18.0, at=lock.record.at)
    change(machine)
    machine.wait(5)
    with closing(JournalLock(path)) as lock:
        assert UnknownPace(make_client(FakeService()), lock, most=4).delay(0) == pytest.approx(13, abs=0.5)


@pytest.mark.parametrize("restart", RESTARTS.values(), ids=RESTARTS)
async def test_after_a_restart_the_whole_limit_of_unknown_messages_holds_once(
    path: Path,
    machine: Machine,
    restart: Callable[[Machine], None],
) -> None:
    with closing(JournalLock(path)) as lock:
        lock.update(backlog=18.0, at=lock.record.at)
    restart(machine)
    with closing(JournalLock(path)) as lock:
        assert UnknownPace(make_client(FakeService()), lock, most=4).delay(0) == pytest.approx(18, abs=0.5)
        lock.update()
    machine.wait(15)
    with closing(JournalLock(path)) as lock:
        assert UnknownPace(make_client(FakeService()), lock, most=4).delay(0) == pytest.approx(3, abs=0.5)


# How long the accepted messages have been followed


@pytest.mark.parametrize(
    ("change", "known"), [*((each, True) for each in CHANGES.values()), *((each, False) for each in RESTARTS.values())]
)
def test_the_time_of_following_counts_from_the_acceptance_or_from_now(
    path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
    *,
    known: bool,
) -> None:
    with closing(JournalStore(path)) as store:
        store.plan("me", [ChunkPlan("{}", "a1", True, True, (RowPlan(1, "+79161234567"),))], [])
        store.finish(1, [MessageResult(phone="+79161234567", id="a1")], datetime.now(UTC))
    machine.wait(600)
    change(machine)
    with closing(JournalStore(path)) as store:
        ((_, _, since),) = store.pending()
    age = (datetime.now(UTC) - since) / timedelta(seconds=1)
    assert age == pytest.approx(600 if known else 0, abs=5)
