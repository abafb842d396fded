"""Each fault as a user tests it: in at most ten lines, without sleeping, and with the same result everywhere.

The table in docs/howto/testing.md describes what is tested here.
"""

import re
from pathlib import Path

import anyio
import pytest

from smsc_async import (
    AddressBlocked,
    BreakerOpen,
    Client,
    ConnectionLost,
    HTTPStatusError,
    InvalidPhone,
    MalformedEnvelope,
    Outcome,
    ReadTimeout,
    SendOutcomeUnknown,
    SoapFault,
    TooManyRequests,
)
from smsc_async.sandbox import FaultKind, Sandbox
from tests.sandbox.places import everywhere

PHONE = "+79991234567"


@everywhere()
async def test_lose_request(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("lose_request", operation="send", times=1)
    with pytest.raises(ConnectionLost) as caught:
        await client.send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.NOT_SENT  # the client has requested the status
    assert sandbox.messages == ()
    await sandbox.advance(62)
    await client.send(PHONE, "Hi")


@everywhere(on_unknown="resend")
async def test_lose_request_with_resend(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("lose_request", operation="send", times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(client.send, PHONE, "Hi")
        await sandbox.advance(62)
    assert [message.text for message in sandbox.messages] == ["Hi"]


@everywhere()
async def test_lose_answer(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("lose_answer", operation="send", times=1)
    sent = await client.send(PHONE, "Hi")
    assert sent.reconciled
    assert [message.id for message in sandbox.messages] == [sent.id]


@everywhere()
async def test_lose_answer_to_a_read(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("lose_answer", operation="cost", times=2)
    async with anyio.create_task_group() as group:
        group.start_soon(client.cost, PHONE, "Hi")
        await sandbox.advance(10)
    assert [entry.fault for entry in sandbox.script if entry.method == "get_sms_cost"] == ["lose_answer"] * 2 + [None]


@everywhere()
async def test_lose_every_answer(sandbox: Sandbox, client: Client) -> None:
    await client.balance()
    sandbox.faults.add("lose_answer")
    async with anyio.create_task_group() as group:
        group.start_soon(_unknown, client)
        await sandbox.advance(90)
    sandbox.faults.clear()


async def _unknown(client: Client) -> None:
    with pytest.raises(SendOutcomeUnknown):
        await client.send(PHONE, "Hi")


@everywhere(timeout=0.1, on_unknown="raise")
async def test_delay(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("delay", seconds=3, operation="send", times=1)
    with pytest.raises(ReadTimeout) as caught:
        await client.send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.UNKNOWN
    resolved = await client.resolve(caught.value)
    assert resolved is not None
    assert resolved.id == sandbox.messages[0].id


@everywhere()
async def test_delay_within_the_timeout(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("delay seconds=25 operation=send")
    async with anyio.create_task_group() as group:
        group.start_soon(client.send, PHONE, "Hi")
        await sandbox.advance(24)
        assert group.cancel_scope is not None
        assert sandbox.counts["get_status", 0] == 0
        await sandbox.advance(1)
    assert len(sandbox.messages) == 1


@everywhere()
async def test_cut(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("cut", at=100, operation="send", times=1)
    sandbox.faults.add("cut", at=10_000, operation="send", times=1)  # one byte short
    sandbox.faults.add("cut", operation="send", times=1)  # the headers alone
    for text in ("one", "two", "three"):
        assert (await client.send(PHONE, text)).reconciled
    assert not sandbox.faults.unused


@everywhere()
async def test_http(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("http", status=502, operation="send", times=1)
    with pytest.raises(HTTPStatusError) as caught:
        await client.send(PHONE, "Hi")
    assert (caught.value.status_code, caught.value.outcome) == (502, Outcome.NOT_SENT)
    sandbox.faults.add("http", status=504, operation="send", executed=True, times=1)
    assert (await client.send(PHONE, "Ho")).reconciled


@everywhere(on_unknown="raise")
async def test_http_of_any_status(sandbox: Sandbox, client: Client) -> None:
    for status in (201, 204, 302, 304, 404, 499, 500):
        sandbox.faults.add("http", status=status, operation="send", times=1)
        with pytest.raises(HTTPStatusError) as caught:
            await client.send(PHONE, str(status))
        assert caught.value.status_code == status


@everywhere()
async def test_empty(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("empty", operation="send", times=1)
    assert (await client.send(PHONE, "Hi")).reconciled
    sandbox.faults.add("empty", operation="balance", times=1)
    with pytest.raises(MalformedEnvelope):
        await client.balance()


@everywhere()
async def test_soap_fault(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("soap_fault", operation="send", times=1)
    with pytest.raises(SoapFault) as caught:
        await client.send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.NOT_SENT
    sandbox.faults.add("soap_fault", faultcode="Client", operation="balance", times=1)
    with pytest.raises(SoapFault, match="Client"):
        await client.balance()


@everywhere()
async def test_error(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("error", code=7, operation="send", times=1)
    with pytest.raises(InvalidPhone) as invalid:
        await client.send(PHONE, "Hi", id="x1")
    assert (invalid.value.outcome, invalid.value.id) == (Outcome.REJECTED, "x1")
    sandbox.faults.add("error code=9 operation=send times=1")
    with pytest.raises(TooManyRequests):
        await client.send(PHONE, "Ho")
    assert sandbox.counts["send_sms", 9] == 1


@everywhere()
async def test_error_9_of_a_read(sandbox: Sandbox, client: Client) -> None:
    ref = (await client.send(PHONE, "Hi")).ref
    sandbox.faults.add("error", code=9, operation="status", times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(client.status, ref)  # waits for a minute and asks again
        await sandbox.advance(62)
    assert [entry.error for entry in sandbox.script if entry.method == "get_status"] == [9, 0]


@everywhere()
async def test_block(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("block", seconds=600, operation="send", times=1)
    with pytest.raises(AddressBlocked):
        await client.send(PHONE, "Hi")
    with pytest.raises(BreakerOpen):  # the client sends nothing while the address is blocked
        await client.balance()
    sandbox.advance(1900)
    await client.send(PHONE, "Hi")


@everywhere(guards=None)
async def test_block_without_guards(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("block", seconds=600, times=1)
    for _ in range(2):
        with pytest.raises(AddressBlocked):
            await client.balance()
    sandbox.advance(601)
    await client.balance()
    assert [entry.fault for entry in sandbox.script] == ["block", "block", None]


@everywhere()
async def test_drifted_namespace(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("drifted_namespace")
    await client.send(PHONE, "Hi")  # the client reads the new namespace from the WSDL
    await client.balance()
    assert [entry.fault for entry in sandbox.script] == ["drifted_namespace", None, None]


@everywhere()
async def test_garbage(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("garbage", operation="send", times=1)
    assert (await client.send(PHONE, "Hi")).reconciled
    sandbox.faults.add("garbage", operation="balance", times=1)
    with pytest.raises(MalformedEnvelope):
        await client.balance()


@everywhere()
async def test_garbage_while_time_passes(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("garbage", operation="send", times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(client.send, PHONE, "Hi")
        await sandbox.advance(3600)  # longer than the deadline of the call
    assert [entry.method for entry in sandbox.script][:2] == ["send_sms", "get_status"]


@everywhere()
async def test_slow_drip(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("slow_drip", seconds=80, operation="send", times=1)
    async with anyio.create_task_group() as group:
        group.start_soon(client.send, PHONE, "Hi")
        await sandbox.advance(81)
    assert [entry.fault for entry in sandbox.script] == ["slow_drip"]


@everywhere(deadline=60)
async def test_slow_drip_beyond_the_deadline(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("slow_drip", seconds=120, operation="balance")
    async with anyio.create_task_group() as group:
        group.start_soon(_read_timeout, client)
        await sandbox.advance(60)


async def _read_timeout(client: Client) -> None:
    with pytest.raises(ReadTimeout):
        await client.balance()


@everywhere()
async def test_leftover_bytes(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("leftover_bytes", operation="send", times=3)
    for text in ("one", "two", "three"):  # bytes of a refusal follow each answer, and are never taken for the next one
        assert not (await client.send(PHONE, text)).reconciled
    assert len(sandbox.messages) == 3


@everywhere()
async def test_foreign_id(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add("foreign_id", times=1)
    sent = await client.send(PHONE, "Hi")
    assert (sent.reconciled, sent.id) == (True, sandbox.messages[0].id)


@everywhere()
async def test_an_id_of_the_callers_own_is_reconciled_in_the_time_of_the_sandbox(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.advance(86_400)
    sandbox.faults.add("lose_answer", operation="send", times=1)
    assert (await client.send(PHONE, "Hi", id="order-1")).reconciled


def test_the_table_in_the_docs_has_every_fault_of_requests_and_each_is_tested_here() -> None:
    docs = (Path(__file__).parent.parent.parent / "docs" / "howto" / "testing.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in docs.splitlines() if re.match(r"\| `[a-z_]+` \|.*\|.*\|.*\|$", line)]
    kinds = [kind for kind in FaultKind if not kind.is_of_callbacks]
    assert rows == [kind.value for kind in kinds]
    assert all(f"test_{kind}" in globals() for kind in kinds)
