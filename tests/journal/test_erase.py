"""`erase` removes phones and texts of messages with a final outcome, and nothing else."""

import json
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from smsc_async import Client, Journal, Message, PlannedMessage, RowState
from smsc_async.sandbox import DeliveryPlan, Sandbox

REFUSED, NEVER = "+79000009007", "+79000000000"
PHONES = [f"+7916123456{number}" for number in range(6)]


async def job(journal: Journal, sandbox: Sandbox, *messages: Message | PlannedMessage, batch_size: int = 49) -> None:
    async with Client(apikey="demo", transport=sandbox.transport()) as client:
        await journal.plan(messages, batch_size=batch_size)
        await journal.send(client)
        with anyio.move_on_after(8):
            await journal.follow(client, delay_per_request=0.001, timeout=3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.db"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(delivery=DeliveryPlan.instant())


def holds(path: Path, *words: str) -> list[str]:
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    return [word for word in words if word.encode() in content]


@pytest.mark.parametrize("batch_size", [1, 49])
async def test_no_phone_and_no_text_is_left_and_ids_results_and_counts_stay(
    path: Path, sandbox: Sandbox, batch_size: int
) -> None:
    messages: list[Message | PlannedMessage] = [
        *(Message(phone, f"Secret {phone[-1]}") for phone in PHONES),
        Message(REFUSED, "Secret refused"),
        PlannedMessage(phone="12-34-56", fault="not a phone: 12-34-56", row=90),
    ]
    async with Journal(path) as journal:
        await job(journal, sandbox, *messages, batch_size=batch_size)
        before, summary = await journal.rows(), await journal.summary()
        assert (summary.final, summary.failed, summary.skipped) == (6, 1, 1)
        assert holds(path, PHONES[0], REFUSED, "Secret 3", "12-34-56")
        assert await journal.erase(timedelta()) == 8
        assert await journal.erase(timedelta()) == 0
        after = await journal.rows()
        assert await journal.summary() == summary
        assert {row.phone for row in after} == {""}
        for old, new in zip(before, after, strict=True):
            assert (old.row, old.id, old.state, old.status, old.code, old.cost, old.final_at) == (
                *(new.row, new.id, new.state, new.status, new.code, new.cost, new.final_at),
            )
    assert not holds(path, *PHONES, REFUSED, "Secret", "12-34-56")


async def test_a_rerun_still_recognises_the_job_and_sends_nothing(path: Path, sandbox: Sandbox) -> None:
    for _ in range(2):
        async with Journal(path) as journal:
            await job(journal, sandbox, Message(PHONES[0], "Hi"), Message(PHONES[1], "Ho"))
            await journal.erase(timedelta())
            assert (await journal.summary()).final == 2
    assert len(sandbox.messages) == 2


@pytest.mark.parametrize("batch_size", [1, 49])
async def test_a_message_without_a_final_outcome_keeps_its_phone_and_text(
    path: Path, sandbox: Sandbox, batch_size: int
) -> None:
    messages = [Message(PHONES[0], "Secret 0"), Message(NEVER, "Secret 1")]
    async with Journal(path) as journal:
        await job(journal, sandbox, *messages, batch_size=batch_size)
        assert await journal.erase(timedelta()) == 1
        assert [(row.phone, row.state) for row in await journal.rows()] == [
            ("", RowState.FINAL),
            (NEVER, RowState.ACCEPTED),
        ]
    assert holds(path, PHONES[0], "Secret 0", NEVER, "Secret 1") == [NEVER, "Secret 1"]


async def test_a_planned_message_keeps_its_phone_and_text(path: Path) -> None:
    async with Journal(path) as journal:
        await journal.plan([Message(PHONES[0], "Hi")])
        assert await journal.erase(timedelta()) == 0
        assert await journal.erase(timedelta.max) == 0
    assert holds(path, PHONES[0], "Hi")


async def test_a_message_final_since_a_shorter_time_keeps_its_phone_and_text(path: Path, sandbox: Sandbox) -> None:
    async with Journal(path) as journal:
        await job(journal, sandbox, Message(PHONES[0], "Hi"), Message(REFUSED, "Hi"))
        assert await journal.erase(timedelta(minutes=5)) == 0
        assert (await journal.rows())[0].phone == PHONES[0]


async def test_a_text_for_many_recipients_is_kept_until_the_last_one_is_erased(path: Path, sandbox: Sandbox) -> None:
    async with Journal(path) as journal:
        await job(journal, sandbox, Message(PHONES[0], "Hi"), Message(NEVER, "Hi"))
        await journal.erase(timedelta())
        ((content,),) = journal._file._file.execute("SELECT content FROM chunk")
        assert [each["phone"] for each in json.loads(content)["messages"]] == [NEVER]


async def test_a_negative_time_is_refused(path: Path) -> None:
    async with Journal(path) as journal:
        with pytest.raises(ValueError, match="older_than must be a timedelta that is not negative"):
            await journal.erase(timedelta(days=-1))
