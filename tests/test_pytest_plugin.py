"""The plugin of pytest, as users have it: in a process of its own, loaded by its entry point."""

import re

import pytest

from tests.plugged import Plugged

pytest_plugins = ["pytester"]

MARKS = {
    "auto": "",
    "strict": "pytestmark = pytest.mark.asyncio",
    "anyio": "pytestmark = pytest.mark.anyio",
}
ASYNC_TESTS = """
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from smsc_async import Client, MessageStatus
from smsc_async.sandbox import DeliveryPlan, Sandbox
from smsc_async.testing import ServedSandbox, client

PHONE = "+79991234567"


async def test_a_client_sends_to_the_sandbox_on_its_clock(smsc_sandbox, smsc_client):
    await smsc_client.send(PHONE, "Your code is 4821")
    await smsc_sandbox.advance(62)
    sent = await smsc_client.send(PHONE, "Your code is 4821")
    await smsc_sandbox.advance(3600)
    assert (await smsc_client.wait_final(sent.ref)).is_final
    message = smsc_sandbox.assert_sent("8 (999) 123-45-67", contains="4821")
    assert message is smsc_sandbox.messages[-1]


async def test_each_test_has_a_sandbox_of_its_own(smsc_sandbox, smsc_client):
    assert smsc_sandbox.messages == ()
    async with smsc_client:
        assert (await smsc_client.balance()).amount == Decimal(10_000)


async def test_it_is_served_over_http(smsc_sandbox, smsc_client, smsc_sandbox_server):
    assert isinstance(smsc_sandbox_server, ServedSandbox)
    assert smsc_sandbox_server.sandbox is smsc_sandbox
    async with Client(apikey=smsc_sandbox_server.account.apikey, url=smsc_sandbox_server.url) as theirs:
        sent = await theirs.send(PHONE, "Hello")
    smsc_sandbox.assert_sent(PHONE, contains="Hello")
    await smsc_sandbox.advance(3600)
    assert (await smsc_client.status(sent.ref)).is_final


async def test_the_environment_is_enough_for_a_client(smsc_sandbox_server, monkeypatch):
    for name, value in smsc_sandbox_server.environment.items():
        monkeypatch.setenv(name, value)
    async with Client() as theirs:
        await theirs.send(PHONE, "Hello")
    assert smsc_sandbox_server.sandbox.messages[0].login == smsc_sandbox_server.account.login


async def test_the_demo_account_works_too(smsc_sandbox):
    async with Client(apikey="demo", transport=smsc_sandbox.transport()) as theirs:
        await theirs.send(PHONE, "Hello")
    assert smsc_sandbox.messages[0].login == "demo"


@pytest.mark.smsc(delivery="delivered")
async def test_everything_is_delivered(smsc_client):
    sent = await smsc_client.send(PHONE, "Hello")
    assert (await smsc_client.status(sent.ref)).status is MessageStatus.DELIVERED


@pytest.mark.smsc(delivery="undelivered")
class TestUndelivered:
    async def test_nothing_is_delivered(self, smsc_client):
        sent = await smsc_client.send(PHONE, "Hello")
        report = await smsc_client.status(sent.ref)
        assert (report.status, report.is_delivered) == (MessageStatus.UNDELIVERABLE, False)

    @pytest.mark.smsc(delivery=DeliveryPlan.instant(3, 6), balance=5)
    async def test_the_closest_mark_counts(self, smsc_client):
        sent = await smsc_client.send(PHONE, "Hello")
        assert (await smsc_client.status(sent.ref)).status is MessageStatus.EXPIRED
        assert (await smsc_client.balance()).amount == Decimal("0.50")

    @pytest.mark.smsc(balance=Decimal("4.00"))
    async def test_marks_add_up(self, smsc_sandbox, smsc_client):
        assert (await smsc_client.balance()).amount == 4
        async with Client(apikey="demo", transport=smsc_sandbox.transport()) as theirs:
            assert (await theirs.balance()).amount == 4


@pytest.mark.smsc(faults=["lose_answer operation=send times=1", {"kind": "error", "code": 7, "operation": "send"}])
async def test_faults_are_injected(smsc_sandbox, smsc_client):
    assert (await smsc_client.send(PHONE, "Hello")).reconciled
    with pytest.raises(Exception, match="error 7"):
        await smsc_client.send(PHONE, "Hello again")
    assert [entry.fault for entry in smsc_sandbox.script if entry.fault] == ["lose_answer", "error"]


@pytest.mark.smsc(at=datetime(2031, 5, 1, 10, tzinfo=UTC))
async def test_the_clock_starts_at_a_time_and_runs(smsc_sandbox, smsc_client):
    start = datetime(2031, 5, 1, 10, tzinfo=UTC).timestamp()
    assert start <= smsc_sandbox.now() < start + 60
    sent = await smsc_client.send(PHONE, "Hello")
    assert (await smsc_client.status(sent.ref)).changed_at.year == 2031
    assert smsc_sandbox.now() > start
"""


@pytest.fixture
def plugged(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Plugged:
    return Plugged(pytester, monkeypatch)


@pytest.mark.parametrize("mode", MARKS)
def test_the_fixtures_work_with_each_way_to_run_async_tests(plugged: Plugged, mode: str) -> None:
    plugged.write(ASYNC_TESTS.replace("\nPHONE", f"\n{MARKS[mode]}\nPHONE"))
    tests = ASYNC_TESTS.count("async def test_")
    plugged.passes(tests * 2 if mode == "anyio" else tests, f"--asyncio-mode={mode.replace('anyio', 'strict')}")
