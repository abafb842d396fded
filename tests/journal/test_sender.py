"""A job sends each message once, despite failures of the service, the network, the disk and the process."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from smsc_async import (
    AddressBlocked,
    AuthenticationFailed,
    Client,
    ConnectError,
    Guards,
    HTTPStatusError,
    InsufficientFunds,
    Journal,
    JournalError,
    JournalRow,
    Message,
    PlannedMessage,
    Reply,
    RowState,
    SendOutcomeUnknown,
    SmscError,
)
from smsc_async.sandbox import Limits
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import Network
from tests.virtual import virtual_time

T = TypeVar("T")
pytestmark = pytest.mark.usefixtures("no_threads")
MESSAGES = [Message(f"+7916123456{number}", f"Hi {number}") for number in range(6)]


async def send(path: Path, client: Client, messages: list[Message] = MESSAGES, **options: Any) -> list[JournalRow]:
    async with Journal(path) as journal:
        await journal.plan(messages, batch_size=2)
        await journal.send(client, **options)
        return await journal.rows()


def refusal(code: str) -> Reply:
    """Return an answer that refuses a send."""
    return answer("send_sms2", error=code)


def states(rows: list[JournalRow]) -> list[RowState]:
    return [row.state for row in rows]


def accepted(network: Network) -> list[str]:
    return sorted(message.text for message in network.sandbox.messages)


ALL = sorted(message.text for message in MESSAGES)


@virtual_time
async def test_everything_is_sent_once_and_a_second_start_sends_nothing(path: Path) -> None:
    network = Network()
    for _ in range(2):
        rows = await send(path, network.client(guards=Guards()))
        assert states(rows) == [RowState.ACCEPTED] * 6
        assert accepted(network) == ALL
    assert len(network.asked) == 3
    assert [(str(row.cost), row.parts, row.code, row.error) for row in rows] == [("4.5", 1, None, None)] * 6
    assert all(row.attempted_at and row.accepted_at and row.attempted_at <= row.accepted_at for row in rows)


@pytest.mark.parametrize("arrival", ["lost", "gone", "html", "empty"])
@virtual_time
async def test_a_lost_answer_is_reconciled_and_what_was_not_sent_is_sent(path: Path, arrival: str) -> None:
    network = Network("ok", arrival)
    assert states(await send(path, network.client(guards=Guards()))) == [RowState.ACCEPTED] * 6
    assert accepted(network) == ALL


@pytest.mark.parametrize("days", [-1, 1])
@virtual_time
async def test_a_clock_set_between_two_runs_sends_nothing_twice(path: Path, days: int) -> None:
    """A request that was lost in the first run arrives in the second one."""

    network = Network("ok", "late", limits=Limits.off())
    with anyio.move_on_after(1):
        await send(path, network.client(on_unknown="raise"), workers=1)
    with closing(sqlite3.connect(path)) as connection:
        then = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        changed = connection.execute("UPDATE chunk SET failed_at = ? WHERE state = 'unresolved'", (then,))
        assert changed.rowcount == 1
        connection.commit()
    assert states(await send(path, network.client())) == [RowState.ACCEPTED] * 6
    await anyio.sleep(10)
    assert accepted(network) == ALL


@pytest.mark.parametrize("arrival", ["hang", "stall"])
@virtual_time
async def test_a_killed_request_is_reconciled_at_the_next_start(path: Path, arrival: str) -> None:
    """A cancelled send leaves the same journal as a killed process: a request recorded as attempted."""

    network = Network("ok", arrival)
    with anyio.move_on_after(3):
        await send(path, network.client())
    async with Journal(path) as journal:
        left = await journal.summary()
        assert (left.attempted, left.planned + left.accepted) == (2, 4)
        began = anyio.current_time()
        await journal.send(network.client(guards=Guards()))
        assert (await journal.summary()).accepted == 6
        # Found at once, missing after the time in which it might still have arrived.
        assert (anyio.current_time() - began < 1) == (arrival == "hang")
    assert accepted(network) == ALL


@virtual_time
async def test_a_request_cancelled_in_this_process_may_still_arrive_for_a_while(path: Path) -> None:
    network = Network("stall")
    async with Journal(path) as journal:
        journal._opened_at -= timedelta(hours=1)
        await journal.plan(MESSAGES[:2])
        with anyio.move_on_after(3):
            await journal.send(network.client())
        began = anyio.current_time()
        await journal.send(network.client())
        assert anyio.current_time() - began > 4.9
        assert (await journal.summary()).accepted == 2
    assert accepted(network) == ALL[:2]


@virtual_time
async def test_an_unresolved_send_that_can_not_be_reconciled_stays_and_is_not_sent_again(path: Path) -> None:
    network = Network("ok", "ok", "ok", "gone")
    messages = [*MESSAGES, Message("89161234567", "the service may rewrite this phone")]
    for _ in range(2):
        rows = await send(path, network.client(guards=Guards()), messages, workers=1)
        assert states(rows) == [RowState.ACCEPTED] * 6 + [RowState.UNRESOLVED]
        assert rows[6].error is not None
        assert rows[6].error.startswith("SendOutcomeUnknown: the outcome is unknown: the message may have been sent")
        assert accepted(network) == ALL


@virtual_time
async def test_an_old_message_with_the_same_id_is_not_mistaken_for_the_new_one(path: Path) -> None:
    network = Network("ok", "stall")
    network.ahead = -2_600_000
    await network.client().send(MESSAGES[0].phone, "last month", id="order-1")
    network.ahead = 0
    async with Journal(path) as journal:
        await journal.plan([PlannedMessage(message=MESSAGES[0], id="order-1")])
        with anyio.move_on_after(3):
            await journal.send(network.client())
        await journal.send(network.client())
        assert (await journal.summary()).unresolved == 1
    assert accepted(network) == ["last month"]


@pytest.mark.parametrize(
    ("code", "error"), [("2", AuthenticationFailed), ("3", InsufficientFunds), ("4", AddressBlocked)]
)
@virtual_time
async def test_an_error_that_affects_all_requests_stops_the_job_and_all_messages_stay_planned(
    path: Path, code: str, error: type[SmscError]
) -> None:
    service = FakeService([refusal(code)])
    with pytest.raises(error):
        await send(path, make_client(service))
    assert len(service.requests) == 1
    async with Journal(path) as journal:
        assert (await journal.summary()).planned == 6
    assert states(await send(path, make_client(service))) == [RowState.ACCEPTED] * 6


@virtual_time
async def test_a_refusal_of_one_request_fails_its_messages_and_the_rest_goes_on(path: Path) -> None:
    service = FakeService([refusal("6")])
    rows = await send(path, make_client(service))
    assert states(rows) == [RowState.FAILED] * 2 + [RowState.ACCEPTED] * 4
    assert [(row.code, row.accepted_at) for row in rows[:2]] == [(6, None)] * 2
    assert rows[0].error == "MessageForbidden: error 6: the text or the sender name isn't allowed for this account"


@pytest.mark.parametrize("has_it", [False, True])
@virtual_time
async def test_a_minute_after_error_9_the_status_shows_whether_to_send_again(path: Path, *, has_it: bool) -> None:
    told = answer("get_status", status="1") if has_it else answer("get_status", error="3")
    service = FakeService([refusal("9"), told, told, told])
    began = anyio.current_time()
    rows = await send(path, make_client(service), MESSAGES[:2])
    assert states(rows) == [RowState.ACCEPTED] * 2
    assert [row.error for row in rows] == [None, None]
    assert 60 < anyio.current_time() - began < 80
    sends = [each.method for each in service.requests].count("send_sms2")
    assert sends == (1 if has_it else 2)


@virtual_time
async def test_an_identical_message_waits_a_minute_after_the_first(path: Path) -> None:
    network = Network()
    began = anyio.current_time()
    rows = await send(path, network.client(guards=Guards()), [MESSAGES[0]] * 2)
    assert states(rows) == [RowState.ACCEPTED] * 2
    assert accepted(network) == ["Hi 0"] * 2
    assert 60 < anyio.current_time() - began < 70
    assert network.sandbox.counts["send_sms2", 9] == 0


@virtual_time
async def test_a_dead_network_ends_the_job_after_some_tries_and_nothing_is_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "smsc_async")
    network = Network(then="refused")
    with pytest.raises(ConnectError):
        await send(path, network.client())
    assert 3 < len(network.asked) < 20
    # Each pause is announced, and the end is not.
    assert set(caplog.messages) == {"no network, next try in 5 s"}
    network.then = "ok"
    assert states(await send(path, network.client())) == [RowState.ACCEPTED] * 6
    assert accepted(network) == ALL


@virtual_time
async def test_a_service_that_never_answers_stops_the_job_with_unresolved_sends(path: Path) -> None:
    network = Network(then="gone")
    messages = [Message(f"+7916123{number:04}", "Hi") for number in range(40)]
    with pytest.raises(SmscError) as caught:
        await send(path, network.client(), messages)
    assert isinstance(caught.value, SendOutcomeUnknown)
    network.then = "ok"
    rows = await send(path, network.client(), messages)
    assert states(rows) == [RowState.ACCEPTED] * 40
    assert len(accepted(network)) == 40


@virtual_time
async def test_a_wrong_url_stops_the_job(path: Path) -> None:
    service = FakeService([HTTPStatusError("HTTP 404", status_code=404)])
    with pytest.raises(HTTPStatusError):
        await send(path, make_client(service))
    async with Journal(path) as journal:
        assert (await journal.summary()).planned == 6


@virtual_time
async def test_a_request_larger_than_a_limit_allows_stops_the_job(path: Path) -> None:
    async with Journal(path) as journal:
        await journal.plan([Message(f"+7916{number:07}", "Hi") for number in range(120)], batch_size=120)
        with pytest.raises(ValueError, match="120 messages in one request"):
            await journal.send(make_client(FakeService(), guards=Guards()))
        assert (await journal.summary()).planned == 120


@virtual_time
async def test_a_full_disk_stops_the_job_before_the_request_leaves(path: Path) -> None:
    network = Network()
    async with Journal(path) as journal:
        await journal.plan(MESSAGES, batch_size=2)

        def full(*_: object) -> None:
            raise JournalError("the disk is full")

        journal._file.attempt = full  # type: ignore[assignment,method-assign]
        with pytest.raises(JournalError, match="the disk is full"):
            await journal.send(network.client())
    assert accepted(network) == []
    assert states(await send(path, network.client())) == [RowState.ACCEPTED] * 6


@virtual_time
async def test_a_disk_that_fills_before_the_answer_is_recorded_stops_the_job_and_the_next_start_reconciles(
    path: Path,
) -> None:
    network = Network()
    async with Journal(path) as journal:
        await journal.plan(MESSAGES, batch_size=2)

        def full(*_: object) -> None:
            raise JournalError("the disk is full")

        journal._file.finish = full  # type: ignore[assignment,method-assign]
        with pytest.raises(JournalError, match="the disk is full"):
            await journal.send(network.client())
        assert (await journal.summary()).attempted == 2
    assert accepted(network) == ALL[:2]
    assert states(await send(path, network.client())) == [RowState.ACCEPTED] * 6
    assert accepted(network) == ALL


@virtual_time
async def test_a_disk_that_is_full_while_reconciling_stops_the_job_too(path: Path) -> None:
    network = Network("hang")
    with anyio.move_on_after(3):
        await send(path, network.client(), MESSAGES[:2])
    async with Journal(path) as journal:

        def full(*_: object) -> None:
            raise JournalError("the disk is full")

        journal._file.finish = full  # type: ignore[assignment,method-assign]
        with pytest.raises(JournalError, match="the disk is full"):
            await journal.send(network.client())
    assert states(await send(path, network.client(), MESSAGES[:2])) == [RowState.ACCEPTED] * 2
    assert accepted(network) == ALL[:2]
