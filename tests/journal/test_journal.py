"""A journal plans a job once, follows it to its end, and stores other unresolved sends."""

import math
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from smsc_async import (
    Client,
    DeliveryError,
    Flash,
    Guards,
    Journal,
    JournalError,
    LocalTime,
    Message,
    MessageRef,
    MessageStatus,
    PlannedMessage,
    ReadTimeout,
    RowState,
    Summary,
    UnresolvedSend,
)
from smsc_async._model.operations import new_id
from smsc_async.callbacks import StatusPush
from smsc_async.sandbox import DeliveryPlan, Sandbox, Share
from tests.doubles import FakeService, answer, make_client, query_of

MESSAGES = [Message(f"+7916123456{number}", f"Hi {number}") for number in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.db"


def client(sandbox: Sandbox) -> Client:
    return Client(apikey="demo", transport=sandbox.transport())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_job_is_planned_sent_and_followed_on_every_event_loop(path: Path, backend: str) -> None:
    async def main() -> None:
        sandbox = Sandbox(delivery=DeliveryPlan.instant())
        answered: list[tuple[int, int]] = []
        final: list[tuple[int, int]] = []
        async with Journal(path) as journal, client(sandbox) as sender:
            assert await journal.plan(MESSAGES, sender="shop", via=Flash())
            assert await journal.quote(sender) == Decimal("13.5")
            await journal.send(sender, on_progress=lambda *counts: answered.append(counts))
            await journal.follow(sender, delay_per_request=0.01, on_progress=lambda *counts: final.append(counts))
            rows = await journal.rows()
            assert await journal.summary() == Summary(final=3, cost=Decimal("13.5"))
            assert await journal.quote(sender) == 0
        assert answered == [(3, 3)]
        assert final == [(1, 3), (2, 3), (3, 3)]
        assert [(row.row, row.state, row.status) for row in rows] == [
            (row, RowState.FINAL, MessageStatus.DELIVERED) for row in (1, 2, 3)
        ]
        assert all(row.final_at and row.final_at.tzinfo for row in rows)
        assert [message.sender for message in sandbox.messages] == ["shop"] * 3

    anyio.run(main, backend=backend)


async def test_the_progress_of_a_job_counts_what_earlier_runs_did(path: Path) -> None:
    answered: list[tuple[int, int]] = []
    async with Journal(path) as journal, client(Sandbox()) as sender:
        await journal.plan(MESSAGES, batch_size=1)
        with anyio.CancelScope() as scope:
            await journal.send(sender, on_progress=lambda *_: scope.cancel())
        await journal.send(sender, on_progress=lambda *counts: answered.append(counts))
        await journal.send(sender, on_progress=lambda *counts: answered.append(counts))
    assert answered == [(2, 3), (3, 3)]


async def test_a_journal_identifies_its_job_by_its_messages_and_options(path: Path) -> None:
    async with Journal(path) as journal:
        assert await journal.plan(MESSAGES)
        assert not await journal.plan(MESSAGES)
        with pytest.raises(ValueError, match="belongs to a job with different messages; continue with the same ones"):
            await journal.plan(MESSAGES[1:])
        with pytest.raises(ValueError, match="belongs to a job with different options"):
            await journal.plan(MESSAGES, sender="shop")
        with pytest.raises(ValueError, match="batch_size must be a whole number, at least 1"):
            await journal.plan(MESSAGES, batch_size=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda journal, _: journal.plan(MESSAGES, batch_size="5"), "batch_size must be a whole number, at least 1"),
        (lambda journal, _: journal.plan(MESSAGES, batch_size=True), "batch_size must be a whole number"),
        (
            lambda journal, sender: journal.send(sender, workers=0),
            "workers must be a whole number",
        ),
        (lambda journal, sender: journal.send(sender, workers=1.5), "workers must be a whole number, at least 1"),
        (lambda journal, sender: journal.follow(sender, timeout=-1), "timeout must be a number of seconds"),
        (lambda journal, sender: journal.follow(sender, timeout=math.nan), "timeout must be a number of seconds"),
        (lambda journal, sender: journal.follow(sender, timeout="5"), "timeout must be a number of seconds"),
        (lambda journal, sender: journal.follow(sender, delay_per_request=0), "delay_per_request must be"),
        (lambda journal, _: journal.erase(30), "older_than must be a timedelta"),
    ],
)
async def test_a_wrong_number_is_refused_with_what_to_pass(
    path: Path, call: Callable[[Journal, Client], Awaitable[object]], words: str
) -> None:
    sandbox = Sandbox()
    async with Journal(path) as journal, client(sandbox) as sender:
        await journal.plan(MESSAGES)
        with pytest.raises(ValueError, match=words):
            await call(journal, sender)
        assert (await journal.summary()).planned == 3
    assert not sandbox.messages


def unread() -> Iterator[Message]:
    """Fail when it is read."""
    raise AssertionError
    yield  # type: ignore[unreachable]


async def test_a_known_source_is_not_read_again(path: Path) -> None:
    async with Journal(path) as journal:
        assert await journal.plan(MESSAGES, source="file 1")
        assert not await journal.plan(unread(), source="file 1")
        assert (await journal.summary()).planned == 3


async def test_a_plan_that_fails_plans_nothing(path: Path) -> None:
    at = LocalTime(datetime(2031, 5, 1, 10, 0))  # noqa: DTZ001 - a wall clock
    zoned = Message("+79161234567", "Hi", "shop", 2)
    async with Journal(path) as journal:
        with pytest.raises(ValueError, match="a message's own tz needs at=LocalTime"):
            await journal.plan([*MESSAGES, zoned])
        assert (await journal.summary()).total == 0
        assert await journal.plan([*MESSAGES, zoned], at=at)


async def test_a_value_that_is_not_a_message_is_refused(path: Path) -> None:
    async with Journal(path) as journal:
        with pytest.raises(ValueError, match="item 2 of messages must be a Message or PlannedMessage, not str"):
            await journal.plan([MESSAGES[0], "+79161234567"])  # type: ignore[list-item]
        assert (await journal.summary()).total == 0


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (PlannedMessage(message=MESSAGES[1], row=2), "message 2 has the same row number as an earlier one"),
        (PlannedMessage(message=MESSAGES[0], id="a", row=3), "message 2 has the same phone and id as an earlier one"),
    ],
)
async def test_rows_and_ids_are_unique(path: Path, second: PlannedMessage, words: str) -> None:
    async with Journal(path) as journal:
        with pytest.raises(ValueError, match=words):
            await journal.plan([PlannedMessage(message=MESSAGES[0], id="a", row=2), second])


async def test_a_message_with_a_fault_is_reported_and_never_sent(path: Path) -> None:
    service, answered = FakeService(), list[tuple[int, int]]()
    async with Journal(path) as journal:
        await journal.plan([MESSAGES[0], PlannedMessage(phone="12", fault="no phone", row=7)])
        await journal.send(make_client(service), on_progress=lambda *counts: answered.append(counts))
        row = (await journal.rows())[1]
    assert (row.row, row.phone, row.state, row.error) == (7, "12", RowState.SKIPPED, "no phone")
    assert answered == [(1, 1)]
    assert [query_of(each)["list"] for each in service.requests] == ["+79161234560:Hi 0"]


async def test_messages_pending_at_the_timeout_stay_accepted(path: Path) -> None:
    sandbox = Sandbox(delivery=DeliveryPlan(to_operator=0, to_decision=1000, spread=0))
    async with Journal(path) as journal, client(sandbox) as sender:
        await journal.plan(MESSAGES)
        await journal.send(sender)
        await journal.follow(sender, timeout=3, delay_per_request=0.01)
        rows = await journal.rows()
    assert {(row.state, row.status) for row in rows} == {(RowState.ACCEPTED, MessageStatus.SENT)}


async def test_an_undelivered_message_and_one_without_a_status_say_why(path: Path) -> None:
    service = FakeService(
        [
            answer("send_sms2", cnt="2", cost="3"),
            answer("get_status", status="20", err="6", last_timestamp="0"),
            answer("get_status", error="1"),
        ]
    )
    sender = make_client(service)
    async with Journal(path) as journal:
        await journal.plan(MESSAGES[:2])
        await journal.send(sender)
        await journal.follow(sender, delay_per_request=0.1)
        rows = {row.state: row for row in await journal.rows()}
    final, accepted = rows[RowState.FINAL], rows[RowState.ACCEPTED]
    assert (final.status, final.delivery_error) == (MessageStatus.UNDELIVERABLE, DeliveryError.OFFLINE)
    assert final.final_at is not None
    assert accepted.error is not None
    assert accepted.error.startswith("its status is unknown: InvalidParameters: error 1")


async def test_stored_unresolved_sends_are_reconciled_later_if_possible(path: Path) -> None:
    sandbox = Sandbox()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    sent, gone, rewritten = (
        UnresolvedSend(id=new_id(), refs=(MessageRef(phone, new_id()),), is_own_id=True, began=now, failed=now)
        for phone in ("+79161234567", "+79161234568", "89161234569")
    )
    quick = Guards(late_arrival=0.01)  # each look-up of an unknown message waits for this
    async with Client(apikey="demo", transport=sandbox.transport(), guards=quick) as sender:
        await sender.send("+79161234567", "Hi", id=sent.refs[0].id)
        async with Journal(path) as journal:
            for unresolved in (sent, gone, rewritten):
                await anyio.to_thread.run_sync(journal.keep_unresolved, unresolved)
        async with Journal(path) as journal:
            assert await journal.unresolved_sends() == [sent, gone, rewritten]
            reconciled = await journal.resolve(sender)
            assert [(unresolved, found is not None) for unresolved, found in reconciled] == [
                (sent, True),
                (gone, False),
            ]
            assert await journal.unresolved_sends() == [rewritten]


async def test_a_client_passes_unresolved_sends_to_a_journal(path: Path) -> None:
    async with Journal(path) as journal:
        sender = make_client(FakeService([ReadTimeout("late")]), on_unresolved=journal.keep_unresolved)
        with pytest.raises(ReadTimeout):
            await sender.send("+79161234567", "Hi")
        (unresolved,) = await journal.unresolved_sends()
        assert unresolved.refs[0].phone == "+79161234567"


async def test_a_full_disk_is_one_sentence_and_stored_data_stays(path: Path) -> None:
    async with Journal(path) as journal:
        await journal.plan(MESSAGES)
        connection = journal._file._file
        ((pages,),) = connection.execute("PRAGMA page_count")
        connection.execute(f"PRAGMA max_page_count = {pages}")
        unresolved = UnresolvedSend(
            id="a", refs=(MessageRef("+7916", "a"),) * 500, began=datetime.now(UTC), failed=datetime.now(UTC)
        )
        with pytest.raises(JournalError, match="the disk is full; nothing more is sent and nothing is lost"):
            journal.keep_unresolved(unresolved)
        assert (await journal.summary()).planned == 3


async def test_a_job_too_large_for_the_disk_is_not_planned_at_all(path: Path) -> None:
    async with Journal(path) as journal:
        journal._file._file.execute("PRAGMA max_page_count = 30")
        with pytest.raises(JournalError, match="the disk is full"):
            await journal.plan([Message(f"+7916{number:07}", "x" * 200) for number in range(3000)])
    async with Journal(path) as journal:
        assert (await journal.summary()).total == 0


async def test_a_journal_is_only_open_inside_its_block(path: Path) -> None:
    journal = Journal(path)
    assert repr(journal) == f"<smsc_async.Journal {path}>"
    with pytest.raises(RuntimeError, match="a journal can only be used inside its `async with` block"):
        await journal.summary()
    async with journal:
        with pytest.raises(RuntimeError, match="this journal is already open"):
            await journal.__aenter__()


async def test_a_push_is_confirmed_so_that_the_journal_has_the_error_and_the_time_of_a_delivery(path: Path) -> None:
    failing = DeliveryPlan(outcomes=(Share(20, 6, 1),), to_operator=0, to_decision=0, spread=0)
    async with Journal(path) as journal, client(Sandbox(delivery=failing)) as sender:
        await journal.plan(MESSAGES[:1])
        await journal.send(sender)
        (row,) = await journal.rows()

        async def notify() -> None:
            while not sender._watches.entered:
                await anyio.lowlevel.checkpoint()
            (watcher,) = sender._watches.entered
            while not watcher.total:
                await anyio.lowlevel.checkpoint()
            sender.notify(StatusPush(ref=MessageRef(row.phone, str(row.id)), status=MessageStatus.UNDELIVERABLE))

        async with anyio.create_task_group() as group:
            group.start_soon(notify)
            await journal.follow(sender)
        (row,) = await journal.rows()
    assert (row.state, row.status, row.delivery_error) == (RowState.FINAL, MessageStatus.UNDELIVERABLE, 6)
