"""What a test asks a sandbox in this process: messages, codes, limits; and what it changes."""

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from smsc_async import Client, MessageRef, SmscError, TooManyRequests, testing
from smsc_async.sandbox import DeliveryPlan, Limits, Sandbox

PHONE, OTHER = "+79991234567", "+79991234568"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(delivery=DeliveryPlan(spread=0))


def _client(sandbox: Sandbox) -> Client:
    return Client(apikey="demo", transport=sandbox.transport(), guards=None)


async def test_messages_are_found_by_what_a_test_knows(sandbox: Sandbox) -> None:
    client = _client(sandbox)
    first = await client.send([PHONE, OTHER], "Your code is 4821")
    await client.send(PHONE, "ПРИВЕТ", id="mine")
    keys = [message.key for message in sandbox.messages]
    assert keys == [1, 2, 3]
    for wanted, found in [
        ({}, [3, 2, 1]),
        ({"phone": "8 (999) 123-45-67"}, [3, 1]),
        ({"phone": "+7 (999) 123-45-67"}, [3, 1]),
        ({"phone": "79991234567", "text": "CODE"}, [1]),
        ({"text": "привет"}, [3]),
        ({"id": "mine"}, [3]),
        ({"id": first.id}, [2, 1]),
        ({"login": "demo", "phone": OTHER}, [2]),
        ({"login": "nobody"}, []),
        ({"status": -1}, [3, 2, 1]),
        ({"since": sandbox.now() + 1}, []),
        ({"since": sandbox.now() - 60}, [3, 2, 1]),
    ]:
        assert [message.key for message in sandbox.find(**wanted)] == found, wanted  # type: ignore[arg-type]


async def test_a_message_is_the_newest_one_or_that_with_the_key(sandbox: Sandbox) -> None:
    with pytest.raises(LookupError, match="no message matches; 0 were accepted"):
        sandbox.message()
    await _client(sandbox).send([PHONE, OTHER], "Your code is 4821")
    assert sandbox.message().phone == "79991234568"
    assert sandbox.message(1).phone == "79991234567"
    assert sandbox.message(1, text="code").codes == ("4821",)
    assert sandbox.message(phone=PHONE).request == sandbox.requests[-1].number
    for key in (0, -1, 3):
        with pytest.raises(LookupError):
            sandbox.message(key)
    with pytest.raises(LookupError):
        sandbox.message(1, text="other")


async def test_a_message_is_waited_for(sandbox: Sandbox) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_client(sandbox).send, PHONE, "Your code is 4821")
        assert (await sandbox.wait_for(phone=PHONE, text="code", wait=30)).codes == ("4821",)
    assert (await sandbox.wait_for(text="code", wait=0)).key == 1  # it is there already


async def test_waiting_ends_with_an_error_that_names_no_phone(sandbox: Sandbox) -> None:
    await _client(sandbox).send(OTHER, "Hi")
    with pytest.raises(TimeoutError, match=r"^no message matched within 0\.01 s; 1 were accepted, see [a-z.]*$"):
        await sandbox.wait_for(phone=PHONE, wait=0.01)
    for wait in (-1, float("nan"), float("inf"), "5", None):
        with pytest.raises(ValueError, match="wait must be a number of seconds"):
            await sandbox.wait_for(wait=wait)  # type: ignore[arg-type]


async def test_a_status_is_waited_for_by_the_clock_of_the_sandbox(sandbox: Sandbox) -> None:
    await _client(sandbox).send(PHONE, "Hi")
    delivered = []

    async def wait() -> None:
        delivered.append(await sandbox.wait_for(phone=PHONE, status=1, wait=30))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await sandbox.advance(1)
        assert not delivered
        await sandbox.advance(60)
    assert [change.status for change in delivered[0].life] == [-1, 0, 1]


async def test_a_test_gives_a_message_its_status(sandbox: Sandbox) -> None:
    async with testing.client(sandbox) as client:
        sent = await client.send(PHONE, "Hi")
        async with anyio.create_task_group() as group:
            group.start_soon(sandbox.wait_for)
            changed = sandbox.set_status(1, 20, 6)
        assert (changed.change_at(sandbox.now()).status, changed.change_at(sandbox.now()).err) == (20, 6)
        status = await client.status(sent.ref)
        assert (status.status, status.error) == (20, 6)
        sandbox.set_status(1, 25)
        assert (await client.status(sent.ref)).error == 6  # the error that belongs to this status
        await sandbox.advance(3600)
        assert sandbox.message(1).status_at(sandbox.now()) == 25
    with pytest.raises(LookupError, match="there is no message with the key 2"):
        sandbox.set_status(2, 1)
    for status_ in (7, None, "1"):
        with pytest.raises(ValueError, match="status must be one of -3, -2, -1, 0, 1"):
            sandbox.set_status(1, status_)  # type: ignore[arg-type]


async def test_another_thread_is_waited_for() -> None:
    sandbox = Sandbox()
    with sandbox.serve() as url:

        async def send() -> None:
            async with Client(apikey="demo", url=url) as client:
                await client.send(PHONE, "Hi")

        thread = threading.Thread(target=lambda: anyio.run(send))
        thread.start()
        assert (await sandbox.wait_for(text="Hi", wait=30)).phone == "79991234567"
        thread.join()


def _send(sandbox: Sandbox, phone: str) -> Mapping[str, object]:
    fields: dict[str, Any] = {"apikey": "demo", "phones": phone, "mes": "Hi"}
    answer = sandbox._service.arrive("send_sms", fields, now=sandbox.now())
    sandbox._service.leave(answer)
    return answer.fields


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_waiting_works_on_both_event_loops(sandbox: Sandbox, backend: str) -> None:
    anyio.run(test_a_message_is_waited_for, sandbox, backend=backend)


async def test_limits_show_how_far_they_are_used(sandbox: Sandbox) -> None:
    client = _client(sandbox)
    sent = await client.send(PHONE, "Hi")
    for _ in range(4):
        await client.status(sent.ref)
    uses = {use.rule: use for use in sandbox.limits()}
    status = uses["status"]
    assert (status.used, status.limit, status.seconds, status.free_at) == (4, 5, 60, None)
    assert (status.login, status.phone, status.id, status.source) == ("demo", "79991234567", sent.id, "")
    assert status.requests == (2, 3, 4, 5)
    assert status.text == "status of this message 4 in 60 s"
    assert uses["subscriber"].text == "messages to this phone 1 without a pause of 120 s"
    assert uses["identical_send"].free_at == pytest.approx(sandbox.now() + 60, abs=5)
    assert sandbox.limits()[0].rule == "identical_send"  # the fullest
    sandbox.advance(3600)
    assert sandbox.limits() == []


async def test_error_9_has_its_reason(sandbox: Sandbox) -> None:
    client = _client(sandbox)
    sent = await client.send(PHONE, "Hi")
    for _ in range(5):
        await client.status(sent.ref)
    with pytest.raises(TooManyRequests):
        await client.status(sent.ref)
    refused = sandbox.requests[-1]
    assert refused.outcome == "error 9: status of this message 6 in 60 s"
    assert refused.excess is not None
    assert refused.excess.requests == (2, 3, 4, 5, 6, 7)
    assert [exchange.outcome for exchange in sandbox.requests[:-1]] == ["ok"] * 6
    assert [exchange.messages for exchange in sandbox.requests[:2]] == [(1,), ()]


def test_reset_begins_anew_with_the_first_accounts_and_faults() -> None:
    sandbox = Sandbox(seed=3, faults=["error code=5 operation=cost"], clock=lambda: 1_700_000_000.0)

    def play() -> list[object]:
        answers = [_send(sandbox, f"7999123456{number}") for number in range(5)]
        lives = [[change.at - each.accepted_at for change in each.life] for each in sandbox.messages]
        return [answers, lives]

    first = play()
    sandbox.faults.clear()
    sandbox.faults.add("empty")
    sandbox.faults.seed = 8
    sandbox.put_account("bob", password="x", apikey="y")
    sandbox.clock.speed = 60
    before = sandbox.now()
    sandbox.reset()
    assert (sandbox.messages, list(sandbox.requests), list(sandbox.script), sandbox.limits()) == ((), [], [], [])
    assert not sandbox.counts
    assert [each.fault.text for each in sandbox.faults] == ["error operation=cost code=5"]
    assert (sandbox.faults.seed, sandbox.clock.speed) == (3, 1)
    assert [account.login for account in sandbox.accounts] == ["demo"]
    assert sandbox.balances == {"demo": 10_000}
    assert sandbox.now() >= before
    assert play() == first
    assert [message.key for message in sandbox.messages] == [6, 7, 8, 9, 10]  # never used twice


def test_deleted_messages_leave_balances_limits_and_ids(sandbox: Sandbox) -> None:
    assert _send(sandbox, PHONE)["id"] == "1"
    sandbox.delete_messages()
    assert sandbox.messages == ()
    assert _send(sandbox, PHONE)["error"] == "9"
    assert _send(sandbox, OTHER)["id"] == "2"
    assert sandbox.balances["demo"] == Decimal(9991)


async def test_accounts_are_added_and_replaced(sandbox: Sandbox) -> None:
    sandbox.put_account("bob", password="first", apikey="key", balance=Decimal(5))
    assert (await Client(apikey="key", transport=sandbox.transport()).balance()).amount == 5
    sandbox.put_account("bob", password="second", apikey="", balance=Decimal(7))
    for credentials in ({"apikey": "key"}, {"login": "bob", "password": "first"}):
        with pytest.raises(SmscError, match="error 2"):
            await Client(**credentials, transport=sandbox.transport()).balance()  # type: ignore[arg-type]
    client = Client(login="bob", password="second", transport=sandbox.transport())
    assert (await client.balance()).amount == 7
    await client.send(PHONE, "Hi")
    assert sandbox.put_account("bob", sender="ivan").balance == Decimal("2.5")  # it stays
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("eve", {"password": "x", "apikey": "demo"}, "two accounts share a login or an apikey"),
        ("eve", {}, "an account needs a login and a password"),
        ("bob", {"password": ""}, "an account needs a login and a password"),
        ("bob", {"balance": 1.5}, "balance must be a finite Decimal"),
        ("bob", {"balance": Decimal("nan")}, "balance must be a finite Decimal"),
        ("bob", {"sender": 5}, "sender must be a string"),
        ("bob", {"colour": "red"}, "colour is not an attribute of an account"),
    ]
    for login, values, words in wrong:
        with pytest.raises(ValueError, match=words):
            sandbox.put_account(login, **values)
    assert sandbox.balances == {"demo": Decimal(10_000), "bob": Decimal("2.5")}


async def test_old_messages_are_forgotten() -> None:
    sandbox = Sandbox(keep=10)
    client = _client(sandbox)
    await client.send([f"+7999123{number:04}" for number in range(30)], "Hi", id="all")
    assert [message.key for message in sandbox.messages] == list(range(21, 31))
    assert sandbox.message(21).key == 21
    assert sandbox.message(phone="+79991230029").key == 30
    assert (await client.status(MessageRef("79991230029", "all"))).status == -1
    with pytest.raises(LookupError):
        sandbox.message(20)
    for keep in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="keep must be a whole number, at least 1"):
            Sandbox(keep=keep)  # type: ignore[arg-type]


async def test_messages_with_the_same_id_are_kept_apart() -> None:
    sandbox = Sandbox(keep=2)
    client = _client(sandbox)
    for text in ("one", "two"):
        await client.send(PHONE, text, id="same")
    sandbox.set_status(1, 20, 6)
    assert (await client.status(MessageRef(PHONE, "same"))).status == -1  # that of the newest
    sandbox.set_status(2, 3)
    assert (await client.status(MessageRef(PHONE, "same"))).status == 3
    await client.send(OTHER, "three")
    assert [message.text for message in sandbox.messages] == ["two", "three"]
    assert (await client.status(MessageRef(PHONE, "same"))).status == 3


async def test_a_limit_that_is_off_is_not_shown() -> None:
    sandbox = Sandbox(limits=Limits(in_flight=None, status=None), latency=5)
    async with Client(apikey="demo", transport=sandbox.transport()) as client, anyio.create_task_group() as group:
        group.start_soon(client.send, PHONE, "Hi")
        await sandbox.wait_for(text="Hi")
        shown = {use.rule: use.used for use in sandbox.limits()}
        assert shown == {"identical_send": 1, "subscriber": 1}
        await sandbox.advance(5)


async def test_a_crowd_is_the_reason_of_its_error() -> None:
    sandbox = Sandbox(limits=Limits(in_flight=1), latency=5)
    async with anyio.create_task_group() as group:
        for phone in (PHONE, OTHER):
            group.start_soon(_client(sandbox).cost, phone, "Hi")
        while len(sandbox.requests) < 2:
            await anyio.lowlevel.checkpoint()
        assert sandbox.requests[1].outcome == "error 9: requests in flight 2"
        assert sandbox.requests[1].excess is not None
        assert sandbox.requests[1].excess.requests == (1, 2)
        group.cancel_scope.cancel()
