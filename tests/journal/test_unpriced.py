"""A job whose answers name no cost that can be read: nothing is lost, and no unknown cost counts as 0."""

from decimal import Decimal
from pathlib import Path

import pytest

from smsc_async import Client, Guards, Journal, JournalRow, Message, RowState
from smsc_async._journal.rows import Summary
from smsc_async.sandbox import DeliveryPlan, Limits, Sandbox
from tests.doubles import URL
from tests.odd_answers import ODD, OddTransport
from tests.virtual import virtual_time

pytestmark = pytest.mark.usefixtures("no_threads")
MESSAGES = [Message(f"+7916123456{number}", f"Hi {number}") for number in range(4)]


async def state_of(path: Path) -> tuple[list[JournalRow], Summary]:
    async with Journal(path) as journal:
        return await journal.rows(), await journal.summary()


@virtual_time
async def test_messages_of_unknown_cost_are_accepted_final_and_counted(path: Path) -> None:
    sandbox = Sandbox(delivery=DeliveryPlan.instant(20, 6), limits=Limits.off())
    odd = OddTransport(sandbox, {})
    async with Client(apikey="demo", url=URL, transport=odd, guards=Guards()) as client, Journal(path) as journal:
        await journal.plan(MESSAGES, batch_size=2)
        assert (await journal.summary()).unpriced == 0
        assert await journal.quote(client) == 18

        def break_answers(done: int, _: int) -> None:
            if done == 2:
                odd.elements = ODD

        await journal.send(client, workers=1, on_progress=break_answers)
        summary = await journal.summary()
        assert (summary.accepted, summary.cost, summary.unpriced, summary.total) == (4, Decimal(9), 2, 4)
        await journal.follow(client)
    rows, summary = await state_of(path)
    assert [row.state for row in rows] == [RowState.FINAL] * 4
    assert [row.cost for row in rows] == [Decimal("4.5")] * 2 + [None] * 2
    assert [(row.status, row.delivery_error) for row in rows] == [(20, None)] * 4
    assert all(row.final_at is not None for row in rows)
    assert (summary.final, summary.cost, summary.unpriced, summary.total) == (4, Decimal(9), 2, 4)
    assert len(sandbox.messages) == 4


@virtual_time
async def test_refused_and_skipped_messages_cost_nothing_unknown(path: Path) -> None:
    sandbox = Sandbox(limits=Limits.off())
    async with Client(apikey="demo", url=URL, transport=sandbox.transport()) as client, Journal(path) as journal:
        await journal.plan([Message("+79000009007", "Hi"), MESSAGES[0]])
        await journal.send(client)
    rows, summary = await state_of(path)
    assert [row.code for row in rows] == [7, None]
    assert (summary.failed, summary.accepted, summary.unpriced, summary.cost) == (1, 1, 0, Decimal("4.5"))
