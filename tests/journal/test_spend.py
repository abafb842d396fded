"""The rule `spend` of a job survives restarts of the process and of the machine."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from smsc_async import GuardStoreError, Journal, Message, RowState, Rules, Spend, SpendLimitReached
from smsc_async._journal.guard_store import JournalGuardStore
from smsc_async.guards import Demand, Refusal, Release, Reservation, SpendLimit
from smsc_async.sandbox import Sandbox
from tests.doubles import make_client
from tests.journal.test_clocks import CHANGES, DAY, RESTARTS, opened
from tests.machine import Machine

pytestmark = pytest.mark.usefixtures("no_threads")

SPEND = Demand("spend", b"key", SpendLimit(10, DAY))
PAID = Release(keep=1, cost=4)
SLICE = 300.0


async def take(store: JournalGuardStore) -> Reservation:
    answer = await store.acquire([SPEND], 10.0)
    assert isinstance(answer, Reservation)
    return answer


async def pay(store: JournalGuardStore) -> None:
    store.release(await take(store), [PAID])


async def delay(path: Path, messages: int = 1) -> float:
    """Return the seconds that a new process would have to wait; it sends nothing."""
    async with Journal(path) as journal:
        answer = await (await opened(journal)).acquire([SPEND._replace(amount=messages)], 10.0)
        return answer.delay if isinstance(answer, Refusal) else 0.0


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_new_process_spends_the_money_of_the_last_one(
    path: Path, machine: Machine, change: Callable[[Machine], None]
) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await pay(store)
        machine.wait(1000)
        await pay(store)
        await store.flush()
    change(machine)
    machine.wait(1000)
    for _ in range(20):  # a restart makes no window longer
        assert await delay(path) == pytest.approx(DAY - 2000)
    assert await delay(path, 2) == pytest.approx(DAY - 1000)
    machine.wait(DAY - 2000)
    assert await delay(path) == 0


@pytest.mark.parametrize("restart", RESTARTS.values(), ids=RESTARTS)
async def test_after_a_restart_of_the_machine_the_money_counts_as_just_spent(
    path: Path, machine: Machine, restart: Callable[[Machine], None]
) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await pay(store)
        await pay(store)
        await store.flush()
    restart(machine)
    assert await delay(path) == pytest.approx(DAY)
    machine.wait(DAY + SLICE)
    assert await delay(path) == 0


async def test_a_request_in_flight_at_a_kill_counts_as_the_most_expensive(path: Path, machine: Machine) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await pay(store)
        await take(store)  # never released
    machine.wait(10)
    assert await delay(path) == pytest.approx(DAY - 10)


async def test_a_damaged_amount_stops_the_job(path: Path) -> None:
    async with Journal(path) as journal:
        store = await opened(journal)
        await pay(store)
        await store.flush()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE history SET ages = '[[1.0, null, 0, 4]]' WHERE rule = 'spend'")
    async with Journal(path) as journal:
        with pytest.raises(GuardStoreError, match="so nothing was sent"):
            await opened(journal)


@pytest.mark.slow
async def test_a_job_stops_at_the_limit_and_what_is_planned_stays_planned(path: Path) -> None:
    sandbox = Sandbox()
    rules = Rules(spend=Spend(20))
    messages = [Message(f"+7999{number:07}", f"Hi {number}") for number in range(10)]
    for _ in range(2):  # the second process has no other money
        async with (
            Journal(path) as journal,
            make_client(sandbox.transport(), apikey="demo", guards=journal.guards(rules=rules)) as client,
        ):
            await journal.plan(messages, batch_size=1)
            with pytest.raises(SpendLimitReached):
                await journal.send(client)
            states = [row.state for row in await journal.rows()]
            assert states == [RowState.ACCEPTED] * 4 + [RowState.PLANNED] * 6
    assert len(sandbox.messages) == 4  # 4.5 each
