"""The histories of the guards survive a restart of the process."""

import asyncio
from pathlib import Path

import pytest

from smsc_async import (
    AuthenticationFailed,
    BreakerOpen,
    DuplicateSend,
    Guards,
    GuardStoreError,
    Journal,
    JournalError,
    MessageRef,
    Rules,
    StatusTooOften,
)
from smsc_async._clock import disk_time
from smsc_async._journal.guard_store import JournalGuardStore
from smsc_async._journal.rows import KeyHistory
from smsc_async.guards._limits import WindowLimit
from smsc_async.guards._store import Demand, Refusal, Reservation
from tests.doubles import FakeService, answer, make_client
from tests.machine import Machine

PHONE = "+79161234567"
REF = MessageRef(PHONE, "a1")
RAISING = Rules().with_policies(status="raise")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.db"


async def test_a_new_process_continues_the_counts_of_the_last_one(path: Path) -> None:
    service = FakeService()
    async with Journal(path) as journal, make_client(service, guards=journal.guards(rules=RAISING)) as client:
        await client.send(PHONE, "Hi")
        for _ in range(5):
            await client.status(REF)
    async with Journal(path) as journal, make_client(service, guards=journal.guards(rules=RAISING)) as client:
        with pytest.raises(StatusTooOften) as caught:
            await client.status(REF)
        assert caught.value.retry_after is not None
        assert 50 < caught.value.retry_after < 62
        with pytest.raises(DuplicateSend):
            await client.send(PHONE, "Hi")
        await client.send(PHONE, "Ho")
        assert (await client.guards.snapshot()).rules["status"].keys == 1


async def test_restarts_do_not_reset_the_count_of_wrong_passwords(path: Path) -> None:
    service = FakeService([answer("get_balance", error="2")] * 9)
    for _ in range(3):
        async with Journal(path) as journal, make_client(service, guards=journal.guards()) as client:
            with pytest.raises(AuthenticationFailed):
                await client.balance()
    async with Journal(path) as journal, make_client(service, guards=journal.guards()) as client:
        with pytest.raises(BreakerOpen):
            await client.balance()
    assert len(service.requests) == 3


async def test_proven_credentials_stay_proven(path: Path) -> None:
    service = FakeService()
    async with Journal(path) as journal, make_client(service, guards=journal.guards()) as client:
        await client.send(PHONE, "Hi")
    async with Journal(path) as journal:
        assert "proofs" in {history.rule for history in journal._file.histories()}


@pytest.mark.parametrize(("rule", "counts"), [("status", True), ("identical_send", False)])
async def test_a_request_in_flight_at_a_kill_counts_unless_the_journal_reconciles_it(
    path: Path, rule: str, *, counts: bool
) -> None:
    demand = Demand(rule, b"key", WindowLimit(1, 60.0))
    async with Journal(path) as journal:
        store = JournalGuardStore(journal._file, journal._run_blocking, late_arrival=5.0)
        await store.open()
        assert isinstance(await store.acquire([demand], 10.0), Reservation)
    async with Journal(path) as journal:
        store = JournalGuardStore(journal._file, journal._run_blocking, late_arrival=5.0)
        assert await store.open() == await store.open()
        answer = await store.acquire([demand], 10.0)
        assert isinstance(answer, Refusal) == counts
        if isinstance(answer, Refusal):
            assert 64 < answer.delay < 65.1
            assert store.pause(answer.delay, 1) == answer.delay


async def test_expired_histories_are_deleted(path: Path, machine: Machine) -> None:
    async with Journal(path) as journal:
        store = JournalGuardStore(journal._file, journal._run_blocking, late_arrival=0.0)
        await store.open()
        await store.acquire([Demand("status", b"key", WindowLimit(1, 60.0))], 10.0)
        assert len(journal._file.histories()) == 1
        machine.wait(10_000)
        await store.acquire([Demand("status", b"other", WindowLimit(1, 60.0))], 10.0)
        assert [history.key for history in journal._file.histories()] == [b"key", b"other"]  # the first is in flight
        journal._file.put_histories([KeyHistory("status", b"key", 60.0, disk_time(), (60.1,))])
        assert [history.key for history in journal._file.histories()] == [b"other"]


def full(*_: object, **__: object) -> None:
    raise JournalError("the disk is full")


async def test_nothing_is_sent_if_the_histories_can_not_be_stored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService()
    async with Journal(path) as journal:
        client = make_client(service, guards=journal.guards())
        with monkeypatch.context() as patch:
            patch.setattr(journal._file, "histories", full)
            with pytest.raises(GuardStoreError, match="so nothing was sent: the disk is full"):
                await client.send(PHONE, "Hi")
        await client.guards.snapshot()  # reads the histories
        with monkeypatch.context() as patch:
            patch.setattr(journal._file, "put_histories", full)
            with pytest.raises(GuardStoreError, match="so nothing was sent: the disk is full"):
                await client.send(PHONE, "Hi")
            assert service.requests == []
            await client.guards.flush()
        await client.send(PHONE, "Hi")
        assert len(service.requests) == 1


async def test_a_request_that_is_cancelled_while_it_is_counted_releases_its_slot(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand = Demand("status", b"key", WindowLimit(1, 60.0))
    async with Journal(path) as journal:
        store = JournalGuardStore(journal._file, journal._run_blocking, late_arrival=0.0)
        await store.open()

        def cancelled(*_: object, **__: object) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(journal._file, "put_histories", cancelled)
            with pytest.raises(asyncio.CancelledError):
                await store.acquire([demand], 10.0)
        assert isinstance(await store.acquire([demand], 10.0), Reservation)


async def test_a_store_that_is_not_open_reserves_nothing(path: Path) -> None:
    async with Journal(path) as journal:
        store = JournalGuardStore(journal._file, journal._run_blocking, late_arrival=0.0)
        assert store.salt is None
        await store.aclose()
        with pytest.raises(GuardStoreError, match="have not been read yet"):
            await store.acquire([], 1.0)
        assert (await Guards(store).snapshot()).waiting == 0
        assert store.salt is not None
