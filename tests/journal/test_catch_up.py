"""A journal that is behind the truth sends nothing twice: the service is asked which planned requests it has."""

import shutil
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from smsc_async import (
    At,
    AuthenticationFailed,
    Client,
    Email,
    GetStatus,
    Guards,
    Journal,
    JournalError,
    Message,
    MessageNotFound,
    MessageRef,
    PlannedMessage,
    Reply,
    TransportError,
)
from smsc_async._journal.lock import JournalLock
from smsc_async._journal.pace import UnknownPace
from smsc_async.sandbox import Limits
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import BAD, Network, virtually

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without threads, because a virtual clock would jump while a thread works."""

    async def run_sync(function: Callable[..., T], *arguments: Any, limiter: object) -> T:
        assert limiter is not None
        await anyio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr("anyio.to_thread.run_sync", run_sync)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.db"


def good(number: int, start: str = "+7") -> Message:
    return Message(f"{start}9161{number:06}", f"Hi {number}")


def refused(number: int) -> Message:
    """Return a message that the service refuses with error 7."""
    return Message(BAD, f"No {number}")


class Job:
    """A job whose journal is put back to its state after planning, after some of its messages were sent.

    Args:
        path: The journal.
        messages: What is planned.
        options: The arguments of `plan`.
    """

    def __init__(self, path: Path, messages: Iterable[Message | PlannedMessage], **options: Any) -> None:
        self.path = path
        self.messages = list(messages)
        self.options = {"batch_size": 1, **options}
        self.network = Network(limits=Limits.off())
        self.lock = path.with_name("job.db.lock")
        self.copy = path.with_name("copy.db")

    async def plan(self) -> None:
        async with Journal(self.path) as journal:
            assert await journal.plan(self.messages, **self.options)
        shutil.copy(self.path, self.copy)

    async def send(self, client: Client | None = None, *, stop_after: int | None = None, **options: Any) -> Journal:
        journal = Journal(self.path, **options)
        with anyio.CancelScope() as scope:
            async with journal:
                await journal.plan(self.messages, **self.options)
                journal._is_current = stop_after is not None

                def count(_: int) -> None:
                    if stop_after is not None and len(self.network.sandbox.messages) >= stop_after:
                        scope.cancel()

                await journal.send(client or self.network.client(guards=journal.guards()), on_progress=count)
        return journal

    def put_back(self, *, without_lock: bool = True) -> None:
        """Restore the copy, made before anything was sent."""
        shutil.copy(self.copy, self.path)
        if without_lock:
            self.lock.unlink()

    @property
    def texts(self) -> list[str]:
        return sorted(message.text for message in self.network.sandbox.messages)

    @property
    def expected(self) -> list[str]:
        messages = [each.message if isinstance(each, PlannedMessage) else each for each in self.messages]
        return sorted(each.text for each in messages if each is not None and not each.text.startswith("No"))


def run(main: Callable[[], Awaitable[None]]) -> None:
    virtually(main)


@pytest.mark.parametrize("without_lock", [True, False])
@pytest.mark.parametrize("sent", [1, 7, 40])
@pytest.mark.parametrize("batch_size", [1, 3, 49])
@pytest.mark.parametrize("start", ["+7", "7"])
def test_a_copy_that_is_put_back_sends_nothing_twice(
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


@pytest.mark.parametrize(("number", "before"), [(99, 0), (100, 0), (100, 5)])
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
def test_everything_up_to_the_furthest_attempt_is_asked_for(path: Path, *, without_lock: bool) -> None:
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


def test_after_20_unknown_messages_one_is_asked_a_second_also_after_a_restart(path: Path) -> None:
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


def test_a_limit_from_a_clock_in_the_future_is_not_longer_than_the_first_twenty(path: Path) -> None:
    async def main() -> None:
        lock = JournalLock(path)
        lock.update(unknown_until=1e12)
        pace = UnknownPace(make_client(FakeService()), lock)
        assert pace.delay(1) == pytest.approx(21)
        lock.close()

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


@pytest.mark.parametrize("phone", ["89161234567", "9161234567", "7916123456", "79161234567890"])
def test_phones_that_prove_nothing_stop_a_job_planned_earlier_unless_it_is_trusted(path: Path, phone: str) -> None:
    async def main() -> None:
        job = Job(path, [Message(phone, "Hi")])
        await job.plan()
        for _ in range(2):
            with pytest.raises(JournalError, match=r"planned by an earlier process.*trust=True \(--trust-journal\)"):
                await job.send()
        assert not job.network.asked
        await job.send(trust=True)
        assert len(job.network.asked) == 1

    run(main)


def test_e_mail_addresses_prove_nothing(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [Message("a@example.com", "Hi")], via=Email(sender="shop@example.com", subject="Hello"))
        await job.plan()
        with pytest.raises(JournalError, match="planned by an earlier process"):
            await job.send()

    run(main)


def test_one_phone_that_proves_something_is_enough_to_go_on(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [good(0, "8"), good(1, "8"), good(2), good(3, "8")])
        await job.plan()
        await job.send()
        assert len(job.texts) == 4
        job.put_back()
        with pytest.raises(JournalError, match="planned by an earlier process"):
            await job.send()
        async with Journal(path) as journal:
            summary = await journal.summary()
        # Those before the known one are asked singly: the sandbox finds them by their corrected phones.
        assert (summary.accepted, summary.planned) == (3, 1)
        assert len(job.texts) == 4

    run(main)


def test_requests_that_prove_nothing_are_passed_over(path: Path) -> None:
    async def main() -> None:
        mixed = [good(number, "8" if number % 3 else "+7") for number in range(100, 130)]
        job = Job(path, [*map(refused, range(101)), *mixed])
        await job.plan()
        await job.send(job.network.client())
        job.put_back()
        await job.send(job.network.client())
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


@pytest.mark.parametrize("months", [0, 1])
def test_an_older_message_with_the_same_id_is_not_taken_for_one_of_the_job(path: Path, months: int) -> None:
    async def main() -> None:
        job = Job(path, [PlannedMessage(message=good(number), id=f"order-{number}") for number in range(5)])
        job.network.ahead = -2_600_000 * months
        if months:
            for number in range(5):
                await job.network.client().send(good(number).phone, "No: last month", id=f"order-{number}")
        job.network.ahead = 0
        await job.plan()
        if not months:
            await job.send()
        job.put_back()
        await job.send()
        assert [text for text in job.texts if text.startswith("Hi")] == job.expected

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


def test_a_status_that_the_service_can_not_read_proves_nothing(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [good(1)])
        await job.plan()
        service = FakeService([answer("get_status", error="1")])
        await job.send(make_client(service))
        assert [request.method for request in service.requests][-1] == "send_sms2"

    run(main)


async def test_a_cancelled_question_does_not_count(path: Path) -> None:
    lock = JournalLock(path)

    class Hanging:
        async def call(self, _: object) -> None:
            await anyio.sleep_forever()

    pace = UnknownPace(Hanging(), lock)  # type: ignore[arg-type]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pace.status(object())  # type: ignore[arg-type]
    assert pace.delay(0) == 0
    lock.close()


async def test_unknown_messages_are_counted_where_they_are_answered(path: Path) -> None:
    lock = JournalLock(path)
    pace = UnknownPace(make_client(FakeService([answer("get_status", error="3")])), lock)
    with pytest.raises(MessageNotFound):
        await pace.status(GetStatus(ref=MessageRef("+79161234567", "a1")))
    assert 0.5 < pace.delay(0) <= 1
    lock.close()
