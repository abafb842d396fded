"""What an application receives from a sandbox: status changes, incoming messages and calls, by the sandbox's clock."""

import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anyio
import pytest

from smsc_async import Email, Hlr, MessageStatus, WhatsApp, testing
from smsc_async.callbacks import CallConfirmed, IncomingMessage, MessageType, StatusPush
from smsc_async.sandbox import MAGIC_NUMBERS, CallbackAnswer, DeliveryPlan, Sandbox
from smsc_async.sandbox._messages import found_by_hlr
from tests.sandbox.receiver import NOW, PHONE, SECRET, URL, Receiver, still_sandbox

PLAN = DeliveryPlan(outcomes=DeliveryPlan.delivered().outcomes, to_operator=1, to_decision=4, spread=0)
ONE = PHONE.removeprefix("+")


async def test_each_change_of_a_status_is_pushed_at_its_time() -> None:
    sandbox = still_sandbox(delivery=PLAN)
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks, testing.client(sandbox) as client:
        sent = await client.send(PHONE, "Your code is 4821", sender="ivan")
        await sandbox.advance(3)
        assert [push.status for push in receiver.taken] == [MessageStatus.SENT]
        await sandbox.advance(3)
    assert receiver.times == [1, 5]
    push = receiver.taken[-1]
    assert isinstance(push, StatusPush)
    assert (push.ref.id, push.ref.phone, push.status, push.is_delivered) == (sent.id, ONE, 1, True)
    assert (push.at, push.error) == (datetime.fromtimestamp(NOW + 5, UTC), 0)
    assert (push.type, push.cost, push.sender) == (MessageType.SMS, Decimal("4.5"), "ivan")
    assert push.extra == {"time": "15.11.2023 01:13:25", "flag": "0"}
    assert [(each.message, each.state, each.attempts[0].answer) for each in sandbox.callbacks.all] == [
        (1, "accepted", "OK")
    ] * 2


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("charset", ["windows-1251", "utf-8", "koi8-r"])
@pytest.mark.parametrize("digest", ["md5", "sha1", "crc32"])
async def test_every_kind_is_read_by_our_own_reader_with_each_signature_charset_and_method(
    digest: str, charset: str, method: str
) -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox, charset=charset, allow_crc32=digest == "crc32")
    receiver.set(hash=digest, charset=charset, method=method)
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
        await client.send(PHONE, via=Hlr())
        sandbox.callbacks.incoming(PHONE, "Привет: да & нет", to="+79990000001")
        sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
    statuses = [push for push in receiver.taken if isinstance(push, StatusPush)]
    assert [push.status for push in statuses] == [0, 1, 0, 1]
    _, status, _, lookup = statuses
    incoming, call = (push for push in receiver.taken if push not in statuses)
    assert isinstance(incoming, IncomingMessage)
    assert isinstance(call, CallConfirmed)
    assert (status.hlr, lookup.is_reachable) == (None, True)
    assert lookup.hlr is not None
    assert (lookup.hlr.mcc, lookup.hlr.country) == ("001", "Россия")
    assert (incoming.phone, incoming.text, incoming.to) == (ONE, "Привет: да & нет", "79990000001")
    assert (call.phone, call.at) == (ONE, datetime.fromtimestamp(NOW, UTC))
    assert {request.method for request in receiver.requests} == {method}


async def test_the_query_of_the_url_is_kept_and_a_character_that_the_charset_lacks_is_a_question_mark() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set(f"{URL}?charset=windows-1251", method="GET")
    async with sandbox.callbacks:
        sandbox.callbacks.incoming(PHONE, "Привет 😀")
        await sandbox.advance(0)
    # The query has one field that the service did not sign, which the reader keeps.
    assert [(push.text, push.extra) for push in receiver.taken] == [("Привет ?", {"charset": "windows-1251"})]


async def test_a_callback_that_is_not_accepted_is_sent_again_later_and_later_and_then_given_up() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    receiver.answers = [503, 302, 200]
    async with sandbox.callbacks:
        callback = sandbox.callbacks.incoming(PHONE, "Hello")
        await sandbox.advance(9)
        assert (callback.state, callback.next_at) == ("waiting", NOW + 10)
        assert [(each.status, each.answer, each.error) for each in callback.attempts] == [(503, "busy", "")]
        await sandbox.advance(100)
        assert (callback.state, callback.next_at, receiver.times) == ("accepted", None, [70])
        receiver.answers = [500] * 6
        other = sandbox.callbacks.incoming(PHONE, "Hello?")
        await sandbox.advance(20_000)
    assert [each.at - other.at for each in other.attempts] == [0, 10, 70, 370, 2_170, 9_370]
    assert (other.state, other.next_at) == ("given_up", None)


async def test_an_application_that_fails_or_hangs_gives_no_answer_and_holds_up_no_request() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    receiver.error = RuntimeError(f"{PHONE} is in a bad mood")
    async with sandbox.callbacks, testing.client(sandbox) as client:
        callback = sandbox.callbacks.incoming(PHONE, "Hello")
        await client.balance()
        await sandbox.advance(1)
    assert [(each.status, each.answer, each.error) for each in callback.attempts] == [(None, "", "RuntimeError")]


async def test_a_callback_without_an_answer_within_the_time_limit_is_a_failed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smsc_async.sandbox._callbacks.delivery._PATIENCE", 0.0)

    class Hanging:
        async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
            await anyio.sleep_forever()
            raise AssertionError(method, url, data)

    sandbox = still_sandbox()
    sandbox.callbacks.set(URL, secret=SECRET, poster=Hanging())
    async with sandbox.callbacks:
        callback = sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
    assert [(each.status, each.error) for each in callback.attempts] == [(None, "TimeoutError")]


async def test_a_callback_is_sent_again_on_request_whatever_became_of_it() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks:
        callback = sandbox.callbacks.incoming(PHONE, "Hello")
        await sandbox.advance(1)
        assert sandbox.callbacks.again(callback.id) is callback
        await sandbox.advance(1)
        assert len(receiver.taken) == 2
        receiver.answers = [500] * 3
        waiting = sandbox.callbacks.incoming(PHONE, "again")
        await sandbox.advance(1)
        sandbox.callbacks.again(waiting.id)
        await sandbox.advance(1)
        assert [each.status for each in waiting.attempts] == [500, 500]
        assert waiting.next_at == NOW + 3 + 10  # it begins anew
    assert [(each.state, len(each.attempts)) for each in sandbox.callbacks.all] == [("accepted", 2), ("waiting", 2)]


async def test_what_was_being_sent_when_the_block_ends_is_sent_in_the_next_one() -> None:
    sandbox = still_sandbox()
    began = anyio.Event()

    class Once:
        count = 0

        async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
            assert (method, url) == ("POST", URL)
            assert data
            self.count += 1
            if self.count == 1:
                began.set()
                await anyio.sleep_forever()
            return CallbackAnswer(200)

    sandbox.callbacks.set(URL, secret=SECRET, poster=Once())
    async with sandbox.callbacks:
        callback = sandbox.callbacks.call(PHONE)
        await began.wait()
    assert (callback.state, callback.attempts) == ("waiting", ())
    async with sandbox.callbacks:
        await sandbox.advance(1)
    assert callback.state == "accepted"


class Held:
    """A poster that waits for each answer until a test gives it."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.status = anyio.Event()
        self.answers: list[int] = []

    async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
        assert (method, url, data[:6]) == ("POST", URL, b"phone=")
        self.began.set()
        await self.status.wait()
        return CallbackAnswer(self.answers.pop(0) if self.answers else 200)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_callback_that_is_being_sent_during_a_reset_is_sent_no_more(status: int) -> None:
    sandbox, held = still_sandbox(), Held()
    held.answers = [status]
    sandbox.callbacks.set(URL, secret=SECRET, poster=held)
    async with sandbox.callbacks:
        callback = sandbox.callbacks.call(PHONE)
        await held.began.wait()
        sandbox.reset()
        held.status.set()
        await sandbox.advance(86_400)
    assert (callback.state, len(callback.attempts)) == ("accepted" if status == 200 else "given_up", 1)
    assert sandbox.callbacks.all == ()


@pytest.mark.parametrize("status", [200, 500])
async def test_a_callback_that_is_wanted_again_while_it_is_being_sent_is_sent_once_more(status: int) -> None:
    sandbox, held = still_sandbox(), Held()
    held.answers = [status]
    sandbox.callbacks.set(URL, secret=SECRET, poster=held)
    async with sandbox.callbacks:
        callback = sandbox.callbacks.call(PHONE)
        await held.began.wait()
        sandbox.callbacks.again(callback.id)
        sandbox.callbacks.again(callback.id)
        held.status.set()
        await sandbox.advance(1)
    assert [each.status for each in callback.attempts] == [status, 200]
    assert callback.state == "accepted"


def test_callbacks_that_nobody_takes_do_not_pile_up_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsc_async.sandbox._callbacks.delivery.MOST_WAITING", 3)
    callbacks = Sandbox().callbacks
    callbacks.set(URL, secret=SECRET)
    for _ in range(3):
        callbacks.call(PHONE)
    with pytest.raises(ValueError, match=r"^3 callbacks wait; let the application accept them"):
        callbacks.call(PHONE)


def test_callbacks_are_sent_on_trio() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()

    async def work() -> None:
        async with sandbox.callbacks, testing.client(sandbox) as client:
            await client.send(PHONE, "Hi")
            await sandbox.advance(1)

    anyio.run(work, backend="trio")
    assert [push.status for push in receiver.taken] == [0, 1]


async def test_no_frame_that_waits_for_the_application_holds_the_secret() -> None:
    sandbox = still_sandbox()
    seen: list[str] = []

    class Looking:
        async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
            assert (method, url) == ("POST", URL)
            frame = sys._getframe()
            while frame.f_back is not None:
                if str(frame.f_globals["__name__"]).startswith("smsc_async"):
                    seen.append(repr({name: value for name, value in frame.f_locals.items() if name != "data"}))
                frame = frame.f_back
            assert SECRET.encode() not in data
            return CallbackAnswer(200)

    sandbox.callbacks.set(URL, secret=SECRET, poster=Looking())
    async with sandbox.callbacks:
        sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
    assert seen
    assert not [each for each in seen if SECRET in each]


async def test_the_block_that_was_entered_last_sends() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks:
        async with sandbox.callbacks:
            sandbox.callbacks.call(PHONE)
            await sandbox.advance(1)
        sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
    sandbox.callbacks.call(PHONE)
    await sandbox.advance(1)
    assert len(receiver.taken) == 2


async def test_an_error_in_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Sandbox().callbacks:
            raise ZeroDivisionError


async def test_a_status_that_a_test_sets_is_pushed_in_place_of_those_to_come() -> None:
    sandbox = still_sandbox(delivery=PLAN)
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "one")
        await client.send(PHONE, "two")
        sandbox.set_status(1, 20, 6)
        await sandbox.advance(2)
        sandbox.set_status(2, 3)
        sandbox.set_status(2, 1)
        sandbox.set_status(1, 25)
        await sandbox.advance(60)
    pushes = [(each.message, each.fields["status"], each.fields["err"]) for each in sandbox.callbacks.all]
    assert pushes == [(1, "20", "6"), (2, "0", "0"), (1, "25", "6"), (2, "3", "6"), (2, "1", "0")]


async def test_only_changes_after_a_url_was_set_are_pushed_and_none_after_it_was_removed() -> None:
    sandbox = still_sandbox(delivery=PLAN)
    receiver = Receiver(sandbox)
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "one")
        await sandbox.advance(2)
        receiver.set()
        receiver.set(hash="sha1")  # the changes to come are not added a second time
        await sandbox.advance(10)
        assert [push.status for push in receiver.taken] == [MessageStatus.DELIVERED]
        receiver.answers = [500]
        waiting = sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
        await client.send(PHONE, "two")
        sandbox.callbacks.remove()
        await sandbox.advance(60)
        assert (waiting.state, sandbox.callbacks.settings, len(sandbox.callbacks.all)) == ("given_up", None, 2)
        await client.send(PHONE, "three")
        receiver.set()
        await sandbox.advance(60)
    assert [push.ref.id for push in receiver.taken[1:]] == [sandbox.messages[2].id] * 2


async def test_deleted_messages_and_a_reset_push_nothing() -> None:
    sandbox = still_sandbox(delivery=PLAN)
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "one")
        sandbox.delete_messages()
        await client.send(PHONE, "two")
        sandbox.callbacks.incoming(PHONE, "three")
        sandbox.reset()
        assert sandbox.callbacks.all == ()
        await sandbox.advance(60)
        assert receiver.taken == []
        await client.send(PHONE, "four")
        await sandbox.advance(60)
    assert [push.status for push in receiver.taken] == [0, 1]


async def test_a_burst_waits_in_the_schedule_and_the_oldest_callbacks_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smsc_async.sandbox._callbacks.delivery.MOST_WAITING", 3)
    monkeypatch.setattr("smsc_async.sandbox._callbacks.queue._KEPT", 15)
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    async with testing.client(sandbox) as client:
        await client.send([f"+7999123450{number}" for number in range(10)], "Hi")
    async with sandbox.callbacks:
        await sandbox.advance(1)
    pushed = [(push.ref.phone[-1], int(push.status)) for push in receiver.taken]
    assert pushed == [(str(number), status) for number in range(10) for status in (0, 1)]
    assert [each.id for each in sandbox.callbacks.all] == list(range(6, 21))


async def test_an_application_that_is_down_stops_further_callbacks_and_costs_nothing_while_they_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smsc_async.sandbox._callbacks.delivery.MOST_WAITING", 3)
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    receiver.answers = [503] * 6
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send([f"+7999123450{number}" for number in range(10)], "Hi")
        started = time.monotonic()
        await sandbox.advance(12)
        assert [each.state for each in sandbox.callbacks.all] == ["waiting"] * 3
        assert len(receiver.requests) == 6
        await sandbox.advance(120)
        assert time.monotonic() - started < 4  # a task that never waits would hold up the clock for longer
    assert len(receiver.taken) == 20


async def test_a_poster_that_never_waits_does_not_hold_up_the_event_loop() -> None:
    class Quick:
        count = 0

        async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
            assert (method, url, data[:6]) == ("POST", URL, b"phone=")
            self.count += 1
            return CallbackAnswer(200)

    sandbox, quick = still_sandbox(), Quick()
    sandbox.callbacks.set(URL, secret=SECRET, poster=quick)
    for _ in range(10):
        sandbox.callbacks.call(PHONE)
    seen: set[int] = set()
    async with sandbox.callbacks:
        while quick.count < 10:
            await anyio.lowlevel.checkpoint()
            seen.add(quick.count)
    assert len(seen) > 5


async def test_a_message_that_is_not_kept_any_more_is_not_pushed() -> None:
    sandbox = still_sandbox(keep=1)
    receiver = Receiver(sandbox)
    receiver.set()
    async with testing.client(sandbox) as client:
        await client.send(PHONE, "one")
        await client.send(PHONE, "two")
    async with sandbox.callbacks:
        await sandbox.advance(1)
    assert {each.message for each in sandbox.callbacks.all} == {2}


async def test_a_push_about_a_channel_without_a_documented_number_has_no_type() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "Hi", via=WhatsApp())
        await client.send("ann@example.com", "Hi", via=Email(subject="Hi", sender="bob@example.com"))
        await sandbox.advance(1)
    assert [(push.ref.phone, push.type) for push in receiver.taken if push.status == 1] == [
        (ONE, None),
        ("ann@example.com", MessageType.EMAIL),
    ]


def test_an_hlr_request_finds_out_nothing_about_an_address() -> None:
    assert found_by_hlr("ann@example.com") == {}
    assert found_by_hlr("491701234567")["cn"] == "Тестовая сеть"


async def test_a_message_without_a_status_is_not_pushed() -> None:
    sandbox = still_sandbox()
    receiver = Receiver(sandbox)
    receiver.set()
    missing = next(number for number in MAGIC_NUMBERS.values() if number.status == -3)
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(f"+{missing.phone}", "Hi")
        await sandbox.advance(60)
    assert sandbox.callbacks.all == ()


async def test_a_sandbox_that_continues_from_a_file_pushes_what_has_changed_meanwhile(tmp_path: Any) -> None:
    before = still_sandbox(delivery=PLAN, state=tmp_path / "state")
    before.callbacks.set(URL, secret=SECRET)
    async with testing.client(before) as client:
        await client.send(PHONE, "Hi")
    before.close()
    assert SECRET not in (tmp_path / "state").read_text()
    sandbox = still_sandbox(delivery=PLAN, state=tmp_path / "state")
    await sandbox.advance(60)
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks:
        await sandbox.advance(0)
    assert [push.status for push in receiver.taken] == [0, 1]
