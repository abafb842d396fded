"""A journal that is behind the truth sends nothing twice: the service is asked which planned requests it has."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from smsc_async import (
    At,
    AuthenticationFailed,
    Guards,
    Journal,
    JournalError,
    TransportError,
)
from tests.doubles import FakeService, answer, make_client
from tests.journal.job_behind import Job, good, refused, run
from tests.sending.lossy_service import Network

pytestmark = pytest.mark.usefixtures("no_threads")


@pytest.mark.parametrize("without_lock", [True, False])
@pytest.mark.parametrize("sent", [1, 7, 40])
@pytest.mark.parametrize("batch_size", [1, 3, 49])
@pytest.mark.parametrize("start", ["+7", pytest.param("7", marks=pytest.mark.slow)])
def test_a_restored_copy_sends_nothing_twice(
    path: Path, batch_size: int, sent: int, start: str, *, without_lock: bool
) -> None:
    async def main() -> None:
        job = Job(path, (good(number, start) for number in range(40)), batch_size=batch_size)
        await job.plan()
        await job.send(stop_after=sent)
        assert len(job.texts) >= sent
        job.put_back(without_lock=without_lock)
        await job.send()
        assert job.texts == job.expected
        async with Journal(path) as journal:
            assert (await journal.summary()).accepted == 40

    run(main)


def test_a_copy_made_while_the_job_runs_sends_nothing_twice(path: Path) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(60)), batch_size=2)
        await job.plan()
        await job.send(stop_after=20)
        shutil.copy(path, job.copy)
        for _ in range(3):
            await job.send()
            job.put_back()
        await job.send()
        assert job.texts == job.expected

    run(main)


@pytest.mark.parametrize(
    ("number", "before"), [(99, 0), *(pytest.param(100, before, marks=pytest.mark.slow) for before in (0, 5))]
)
def test_a_run_of_refused_messages_does_not_hide_what_was_sent_after_it(path: Path, number: int, before: int) -> None:
    async def main() -> None:
        messages = [
            *map(good, range(before)),
            *map(refused, range(number)),
            *map(good, range(100, 140)),
        ]
        job = Job(path, messages)
        await job.plan()
        await job.send(job.network.client())
        assert job.texts == job.expected
        job.put_back()
        await job.send(job.network.client())
        assert job.texts == job.expected

    run(main)


def test_a_few_refused_recipients_do_not_hide_their_request(path: Path) -> None:
    async def main() -> None:
        messages = [refused(0), *map(good, range(8))]
        job = Job(path, messages, batch_size=9)
        await job.plan()
        await job.send()
        job.put_back()
        await job.send()
        assert job.texts == job.expected
        async with Journal(path) as journal:
            summary = await journal.summary()
            assert (summary.failed, summary.accepted) == (1, 8)

    run(main)


@pytest.mark.parametrize("without_lock", [True, False])
def test_all_requests_up_to_the_furthest_attempt_are_checked(path: Path, *, without_lock: bool) -> None:
    """The lock file is not put back with the journal, so it knows what a search can miss."""

    async def main() -> None:
        # Behind 100 unknown messages, a search asks for these.
        missed = {*range(101, 112)} - {100, 102, 106, 114}
        messages = [good(number) if number in missed else refused(number) for number in range(115)]
        job = Job(path, messages)
        await job.plan()
        await job.send(job.network.client())
        assert job.texts == job.expected
        job.put_back(without_lock=without_lock)
        await job.send(job.network.client())
        assert (job.texts == job.expected) == (not without_lock)

    run(main)


def test_a_job_that_this_process_planned_asks_for_nothing(path: Path) -> None:
    async def main() -> None:
        network = Network()
        async with Journal(path) as journal:
            await journal.plan(map(good, range(6)))
            await journal.send(network.client())
            assert anyio.current_time() < 1
        assert network.asked == ["send2"]

    run(main)


def test_the_first_question_waits_for_a_request_that_may_still_arrive(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [good(1)])
        await job.plan()
        began = anyio.current_time()
        with anyio.move_on_after(4.9):
            await job.send(job.network.client(guards=Guards()))
        assert not job.network.asked
        await job.send(job.network.client(guards=Guards()))
        assert anyio.current_time() - began > 9
        assert job.texts == job.expected

    run(main)


def test_a_disk_that_is_full_while_catching_up_stops_the_job(path: Path) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(4)))
        await job.plan()
        await job.send()
        job.put_back()

        def full(*_: object) -> None:
            raise JournalError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("smsc_async._journal.store.JournalStore.finish", full)
            with pytest.raises(JournalError, match="the disk is full"):
                await job.send()
        await job.send()
        assert job.texts == job.expected

    run(main)


def test_scheduled_messages_are_found_too(path: Path) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(12)), at=At(datetime.now(UTC) + timedelta(days=3)))
        await job.plan()
        await job.send()
        job.put_back()
        await job.send()
        assert job.texts == job.expected

    run(main)


@pytest.mark.parametrize("fault", ["gone", "html", "refused"])
def test_a_short_outage_does_not_stop_the_search(path: Path, fault: str) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(4)))
        await job.plan()
        await job.send()
        job.put_back()
        job.network.script = [fault] * 3
        await job.send(job.network.client())
        assert job.texts == job.expected

    run(main)


def test_a_lasting_outage_stops_the_job_and_nothing_is_sent(path: Path) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(4)))
        await job.plan()
        job.network.then = "gone"
        with pytest.raises(TransportError):
            await job.send(job.network.client())
        assert set(job.network.asked) <= {"status"}

    run(main)


def test_wrong_credentials_stop_the_search_at_once(path: Path) -> None:
    async def main() -> None:
        job = Job(path, map(good, range(4)))
        await job.plan()
        service = FakeService([answer("get_status2", error="2")])
        with pytest.raises(AuthenticationFailed):
            await job.send(make_client(service))
        assert len(service.requests) == 1

    run(main)


def test_two_calls_at_once_send_each_message_once(path: Path) -> None:
    async def main() -> None:
        network = Network(then="slow")
        async with Journal(path) as journal:
            planned = []

            async def plan_and_send() -> None:
                planned.append(await journal.plan(map(good, range(20)), batch_size=1))
                await journal.send(network.client())

            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(plan_and_send)
            assert sorted(planned) == [False, False, True]
        assert len(network.sandbox.messages) == 20

    run(main)
