"""Answers that are errors are limited while a job finds out what was sent, across restarts too."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from smsc_async import (
    Client,
    GetStatus,
    JournalError,
    MessageNotFound,
    MessageRef,
    Reply,
)
from smsc_async._journal.lock import JournalLock
from smsc_async._journal.pace import UnknownPace
from tests.doubles import FakeService, answer, make_client
from tests.journal.job_behind import Job, good, run
from tests.sending.lossy_service import Network

pytestmark = pytest.mark.usefixtures("no_threads")


class Spy:
    """A transport that notes when each unknown message was asked for."""

    def __init__(self, network: Network, unknown: list[Any]) -> None:
        self._network = network
        self._unknown = unknown

    async def post(self, url: str, headers: Any, body: bytes, timeout: Any) -> Reply:
        reply = await self._network.post(url, headers, body, timeout)
        if b"<ns1:status" in body and b">3<" in reply.body:
            self._unknown.append(anyio.current_time())
        return reply

    async def aclose(self) -> None:
        """Do nothing."""

    def client(self, **options: Any) -> Client:
        return self._network.client(transport=self, **options)


def test_after_20_unknown_messages_one_status_a_second_is_requested_also_after_a_restart(path: Path) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(200)))
        await job.plan()
        times: list[float] = []
        runs = []
        for _ in range(3):
            runs.append(len(times))
            with anyio.move_on_after(20):
                await job.send(Spy(job.network, times).client())
            assert not job.texts
        assert len(times) > 20
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first <= 20 + times[last] - start
        first_run = times[: runs[1]]
        assert len(first_run) > 30
        assert all(later - earlier > 0.99 for earlier, later in pairwise(first_run[20:]))

    run(main)


def test_a_damaged_limit_is_not_longer_than_the_first_twenty(path: Path) -> None:
    async def main() -> None:
        lock = JournalLock(path)
        lock.update(backlog=1e12)
        pace = UnknownPace(make_client(FakeService()), lock, most=4)
        assert pace.delay(1) == pytest.approx(21, abs=0.1)
        lock.close()

    run(main)


async def test_a_full_disk_while_errors_are_counted_is_a_journal_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = JournalLock(path)
    pace = UnknownPace(make_client(FakeService([answer("get_status", error="3")])), lock, most=4)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(JournalError, match="the disk is full"):
        await pace.status(GetStatus(ref=MessageRef("+79161234567", "a1")))
    monkeypatch.undo()
    lock.close()


async def test_a_cancelled_question_does_not_count(path: Path) -> None:
    lock = JournalLock(path)

    class Hanging:
        async def call(self, _: object) -> None:
            await anyio.sleep_forever()

    pace = UnknownPace(Hanging(), lock, most=4)  # type: ignore[arg-type]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pace.status(object())  # type: ignore[arg-type]
    assert pace.delay(0) == 0
    lock.close()


async def test_unknown_messages_are_counted_where_they_are_answered(path: Path) -> None:
    lock = JournalLock(path)
    pace = UnknownPace(make_client(FakeService([answer("get_status", error="3")])), lock, most=4)
    with pytest.raises(MessageNotFound):
        await pace.status(GetStatus(ref=MessageRef("+79161234567", "a1")))
    assert 0.5 < pace.delay(0) <= 1
    lock.close()
