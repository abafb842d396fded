"""A client of `testing.client(sandbox)` waits by the sandbox's clock, so that no test sleeps."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from anyio.lowlevel import checkpoint

from smsc_async import (
    Client,
    DuplicateSend,
    Guards,
    Journal,
    Message,
    MessageRef,
    MessageStatus,
    StatusTooOften,
    Update,
    testing,
)
from smsc_async.sandbox import Account, DeliveryPlan, Sandbox

PHONE = "+79991234567"
SLOW = DeliveryPlan(to_operator=10, to_decision=600, spread=0)


def quick(test: Callable[[], Awaitable[None]]) -> Callable[[str], None]:
    """Run a test on asyncio and on trio; it takes no longer than a moment."""

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def run(backend: str) -> None:
        start = time.monotonic()
        anyio.run(test, backend=backend)
        assert time.monotonic() - start < 5

    run.__name__ = test.__name__
    return run


@quick
async def test_a_repeated_send_is_accepted_after_a_minute_of_the_sandbox() -> None:
    sandbox = Sandbox()
    async with testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
        with pytest.raises(DuplicateSend):
            await client.send(PHONE, "Hi")
        sandbox.advance(62)
        await client.send(PHONE, "Hi")
    assert [message.text for message in sandbox.messages] == ["Hi", "Hi"]
    assert {error for _, error in sandbox.counts} == {0}


@quick
async def test_a_sixth_status_that_waits_wakes_when_the_sandbox_is_advanced() -> None:
    sandbox, answered = Sandbox(), list[int]()
    async with testing.client(sandbox, deadline=None) as client, anyio.create_task_group() as group:
        ref = (await client.send(PHONE, "Hi")).ref

        async def ask() -> None:
            for _ in range(6):
                await client.status(ref)
                answered.append(1)

        group.start_soon(ask)
        await sandbox.advance(60)
        assert len(answered) == 5
        sandbox.advance(2)
    assert (len(answered), sandbox.counts["get_status", 9]) == (6, 0)


@quick
async def test_a_watch_after_an_advance_has_its_answer_at_once() -> None:
    sandbox = Sandbox()
    async with testing.client(sandbox) as client:
        sent = await client.send(PHONE, "Hi")
        sandbox.advance(3600)
        assert (await client.wait_final(sent.ref)).status == sandbox.messages[0].status_at(sandbox.now())
    assert sandbox.counts["get_status", 0] == 1


@quick
async def test_a_watch_asks_as_often_as_it_would_in_the_time_that_is_advanced_step_by_step() -> None:
    sandbox, taken = Sandbox(delivery=SLOW), list[Update]()

    async def follow(client: Client, ref: MessageRef) -> None:
        async with client.watch([ref]) as updates:
            taken.extend([update async for update in updates])

    async with testing.client(sandbox) as client, anyio.create_task_group() as group:
        group.start_soon(follow, client, (await client.send(PHONE, "Hi")).ref)
        await sandbox.advance(500)
        assert (taken, sandbox.counts["get_status", 0] > 5) == ([], True)
        await sandbox.advance(3600)
        assert taken[-1].is_last
        assert taken[-1].report is not None
        assert taken[-1].report.changed_at is not None
    assert sandbox.counts["get_status", 9] == 0


@quick
async def test_a_watch_expires_by_the_clock_of_the_sandbox() -> None:
    sandbox, taken = Sandbox(), list[Update]()

    async def follow(client: Client, source: object) -> None:
        async with client.watch(source, timeout=600) as updates:  # type: ignore[arg-type]
            taken.extend([update async for update in updates])

    async def later(*refs: MessageRef) -> AsyncIterator[MessageRef]:
        for ref in refs:
            await checkpoint()
            yield ref

    async with testing.client(sandbox) as client, anyio.create_task_group() as group:
        first, second = [(await client.send(phone, "Hi")).ref for phone in ("79000000000", "79000001001")]
        group.start_soon(follow, client, first)
        group.start_soon(follow, client, later(second))
        await sandbox.advance(570)  # real time passes too
        assert not any(update.is_last for update in taken)
        await sandbox.advance(31)
        assert {update.ref for update in taken if update.expired} == {first, second}


@quick
async def test_what_a_watch_left_is_watched_on_by_the_clock_of_the_sandbox() -> None:
    sandbox = Sandbox(delivery=SLOW)
    async with testing.client(sandbox) as client:
        sent = await client.send(PHONE, "Hi")
        sandbox.advance(7200)
        async with client.watch(sent) as updates:
            pass
        assert abs(updates.unfinished[0].since.timestamp() - sandbox.now()) < 60
        async with client.watch(updates.unfinished) as again:
            assert [update.is_last async for update in again] == [True]


@quick
async def test_timers_of_the_application_use_real_time_when_the_sandbox_is_advanced() -> None:
    sandbox = Sandbox()
    with anyio.move_on_after(1800) as scope:
        await sandbox.advance(3600)
        async with testing.client(sandbox) as client:
            await client.balance()
    assert not scope.cancelled_caught


@quick
async def test_the_client_of_a_test_has_the_first_account_of_the_sandbox_and_takes_the_options_of_a_client() -> None:
    keyless = Account(login="ours", password="secret")
    sandbox = Sandbox(accounts=[keyless, Account.demo()])
    async with testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
    async with testing.client(sandbox, apikey="demo", guards=None) as client:
        await client.send(PHONE, "Hi")
    guards = Guards(clock=sandbox.clock)
    async with testing.client(sandbox, transport=sandbox.transport(), guards=guards) as client:
        assert client.guards is guards
        await client.balance()
    assert [message.login for message in sandbox.messages] == ["ours", "demo"]


@quick
async def test_an_error_says_in_the_time_of_the_sandbox_until_when_a_limit_is_full() -> None:
    sandbox = Sandbox()
    async with testing.client(sandbox, deadline=1) as client:
        ref = (await client.send("79000000000", "Hi")).ref
        sandbox.advance(86_400)
        for _ in range(5):
            assert (await client.status(ref)).status is MessageStatus.SENT
        with pytest.raises(StatusTooOften) as caught:
            await client.status(ref)
    found = re.search(r"free at (.*) UTC", str(caught.value))
    assert found
    until = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    assert until.timestamp() == pytest.approx(sandbox.now() + 61.2, abs=10)


@quick
async def test_an_awaited_advance_waits_for_a_bulk_job_that_is_written_to_its_journal() -> None:
    sandbox = Sandbox()
    with TemporaryDirectory() as folder:
        async with (
            testing.client(sandbox) as client,
            Journal(Path(folder, "job.db")) as journal,
            anyio.create_task_group() as group,
        ):
            await journal.plan([Message(f"+7999{number:07}", f"Hi {number}") for number in range(60)])
            group.start_soon(journal.send, client)
            await sandbox.advance(1)
            assert (await journal.summary()).accepted == len(sandbox.messages) == 60
