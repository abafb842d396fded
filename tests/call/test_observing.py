"""Observers learn what happens to each call, nothing private, and change nothing."""

import asyncio
import dataclasses
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from unittest.mock import Mock

import anyio
import pytest
from pydantic import SecretStr

from smsc_async import (
    ApiKey,
    AuthenticationFailed,
    CallAttempted,
    CallFinished,
    CallRetried,
    CallStarted,
    CallWaited,
    Client,
    ConnectError,
    DuplicateSend,
    Email,
    Guards,
    InsufficientFunds,
    Message,
    MessageDelivered,
    MessageRef,
    Observer,
    Outcome,
    ReadTimeout,
    SendOutcomeUnknown,
    SendReconciled,
)
from smsc_async._model import masked
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time

PHONE = "+79991234567"
TEXT = "Your password: 4821"
REF = MessageRef(PHONE, "a1")


class Events(Observer):
    """Keeps all events."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def started(self, event: CallStarted, /) -> None:
        self.all.append(event)

    def waited(self, event: CallWaited, /) -> None:
        self.all.append(event)

    def attempted(self, event: CallAttempted, /) -> None:
        self.all.append(event)

    def retried(self, event: CallRetried, /) -> None:
        self.all.append(event)

    def reconciled(self, event: SendReconciled, /) -> None:
        self.all.append(event)

    def finished(self, event: CallFinished, /) -> None:
        self.all.append(event)

    def delivered(self, event: MessageDelivered, /) -> None:
        self.all.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.all if type(event) is kind]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.all]


class Failing(Observer):
    """Fails in each method, with a private value in its exception."""

    def _fail(self, _: object, /) -> None:
        raise RuntimeError(TEXT)

    started = waited = attempted = retried = reconciled = finished = delivered = _fail


def observed(service: FakeService, **options: object) -> tuple[Client, Events]:
    events = Events()
    return make_client(service, observers=[events], **options), events


@virtual_time
async def test_a_call_starts_makes_a_request_and_finishes() -> None:
    client, events = observed(FakeService(latency=2))
    sent = await client.send(PHONE, TEXT)
    assert events.kinds() == ["CallStarted", "CallAttempted", "CallFinished"]
    started, attempted, finished = events.all
    assert (started.operation, started.host, started.id) == ("send_sms", "sms.test", sent.id)
    assert (attempted.method, attempted.number, attempted.status_code, attempted.seconds) == ("send_sms", 1, 200, 2.0)
    assert attempted.size > 100
    assert (finished.seconds, finished.waited, finished.attempts) == (2.0, 0.0, 1)
    for event in (attempted, finished):
        assert (event.call, event.error, event.code, event.outcome) == (started.call, None, None, None)


@virtual_time
async def test_a_repeated_call_has_each_attempt_and_pause_with_its_error() -> None:
    client, events = observed(FakeService([ConnectError("no"), ConnectError("no")]))
    await client.send(PHONE, TEXT)
    first, second = events.of(CallRetried)
    assert [event.number for event in events.of(CallAttempted)] == [1, 2, 3]
    assert [event.error for event in events.of(CallAttempted)] == ["ConnectError", "ConnectError", None]
    assert events.of(CallAttempted)[0].outcome is Outcome.NOT_SENT
    assert (first.number, first.error, second.number) == (1, "ConnectError", 2)
    assert events.of(CallFinished)[0].seconds == pytest.approx(first.seconds + second.seconds)


@virtual_time
async def test_an_error_of_the_service_has_its_class_code_and_outcome() -> None:
    client, events = observed(FakeService([answer("send_sms", error="3")]))
    with pytest.raises(InsufficientFunds):
        await client.send(PHONE, TEXT)
    for event in events.all[1:]:
        assert (event.error, event.code, event.outcome) == ("InsufficientFunds", 3, Outcome.REJECTED)


@virtual_time
async def test_a_wait_for_a_limit_is_reported_with_its_seconds() -> None:
    client, events = observed(FakeService(), guards=Guards())
    for _ in range(6):
        await client.status(REF)
    assert [event.seconds for event in events.of(CallWaited)] == [pytest.approx(61.2)]
    assert events.of(CallFinished)[-1].waited == pytest.approx(61.2)


@virtual_time
async def test_a_refusal_by_the_guards_finishes_a_call_that_made_no_request() -> None:
    client, events = observed(FakeService(), guards=Guards())
    await client.send(PHONE, TEXT)
    events.all.clear()
    with pytest.raises(DuplicateSend):
        await client.send(PHONE, TEXT)
    started, finished = events.all
    assert (started.call, finished.attempts) == (finished.call, 0)
    assert (finished.error, finished.outcome) == ("DuplicateSend", Outcome.NOT_SENT)


NOT_FOUND = answer("get_status", error="3")
FOUND = answer("get_status", status="0", send_timestamp="2000000000")


@pytest.mark.parametrize(("answers", "is_sent"), [([FOUND], True), ([NOT_FOUND] * 2, False)])
@virtual_time
async def test_a_lost_answer_is_reconciled_inside_the_call(answers: list[Any], is_sent: bool) -> None:
    client, events = observed(FakeService([ReadTimeout("lost"), *answers]), on_unknown="reconcile")
    with suppress(ReadTimeout):
        await client.send(PHONE, TEXT)
    (reconciled,) = events.of(SendReconciled)
    assert (reconciled.is_sent, reconciled.recipients) == (is_sent, ("***67",))
    assert reconciled.call == events.all[0].call == events.all[-1].call
    assert events.of(CallFinished)[-1].outcome is (None if is_sent else Outcome.NOT_SENT)
    # Each status request is a call of its own, which starts and finishes too.
    assert [event.operation for event in events.of(CallStarted)] == ["send_sms", *["get_status"] * len(answers)]
    assert sorted(event.call for event in events.of(CallStarted)) == sorted(e.call for e in events.of(CallFinished))


@virtual_time
async def test_a_send_that_stays_unknown_says_so_and_its_later_resolution_belongs_to_no_call() -> None:
    service = FakeService([ReadTimeout("lost"), ReadTimeout("lost"), ReadTimeout("lost"), ReadTimeout("lost")])
    client, events = observed(service, on_unknown="reconcile", retries=0, deadline=7)
    with pytest.raises(SendOutcomeUnknown) as caught:
        await client.send(PHONE, TEXT)
    assert events.of(SendReconciled)[-1].is_sent is None
    assert events.of(CallFinished)[-1].outcome is Outcome.UNKNOWN
    service.script[:] = [FOUND]
    assert await client.resolve(caught.value) is not None
    last = events.of(SendReconciled)[-1]
    assert (last.call, last.id, last.is_sent) == (None, caught.value.id, True)


@pytest.mark.parametrize(("latency", "outcome"), [(100, Outcome.UNKNOWN), (0, Outcome.NOT_SENT)])
@virtual_time
async def test_a_cancelled_call_finishes_with_the_outcome_it_may_have(latency: float, outcome: Outcome) -> None:
    service = FakeService(latency=latency)

    async def source() -> ApiKey:
        await anyio.sleep(0.0 if latency else 100.0)
        return ApiKey(key=SecretStr("key"))

    client, events = observed(service, apikey=None, credentials=source)
    with anyio.move_on_after(1):
        await client.send(PHONE, TEXT)
    assert (events.all[-1].error, events.all[-1].outcome) == ("Cancelled", outcome)
    assert events.kinds()[0] == "CallStarted"


@virtual_time
async def test_a_later_attempt_is_one_call_with_its_look_up() -> None:
    client, events = observed(FakeService([NOT_FOUND, NOT_FOUND]), guards=Guards())
    await client.send(PHONE, TEXT, id="a1", attempt=2)
    own = [event for event in events.all if getattr(event, "call", 0) == events.all[0].call]
    assert [type(event) for event in own] == [CallStarted, SendReconciled, CallAttempted, CallFinished]


@virtual_time
async def test_wrong_credentials_that_are_renewed_are_a_retry() -> None:
    keys = iter("abc")
    service = FakeService([answer("get_balance", error="2")])
    client, events = observed(service, apikey=None, credentials=lambda: ApiKey(key=SecretStr(next(keys))))
    await client.balance()
    assert [event.error for event in events.of(CallRetried)] == [AuthenticationFailed.__name__]


@virtual_time
async def test_a_watch_reports_the_final_status_of_each_message() -> None:
    client, events = observed(FakeService())
    async with client.watch([REF]) as updates:
        assert [update.is_last async for update in updates] == [True]
    (delivered,) = events.of(MessageDelivered)
    assert (delivered.id, delivered.recipient, delivered.status, delivered.is_delivered) == ("a1", "***67", 1, True)
    assert len(events.of(CallStarted)) == len(events.of(CallFinished)) == 1


CALLS: list[Callable[[Client], Any]] = [
    lambda client: client.send(PHONE, TEXT),
    lambda client: client.send("anna@example.com", TEXT, via=Email(sender="a@example.com", subject="Hi")),
    lambda client: client.cost(PHONE, TEXT),
    lambda client: client.status(REF),
    lambda client: client.balance(),
]


@pytest.mark.parametrize("call", CALLS)
@virtual_time
async def test_events_hold_no_more_of_a_recipient_or_a_text_than_two_digits_and_a_hash(
    call: Callable[[Client], Any],
) -> None:
    service = FakeService([ConnectError("no"), ReadTimeout("lost")])
    client, events = observed(service, on_unknown="reconcile", apikey="canary-key")
    await call(client)
    shown = "".join(f"{event!r}{dataclasses.asdict(event)}" for event in events.all)
    for private in ("9991234", "password", "anna", "example", "canary"):
        assert private not in shown
    assert not re.search(r"\b4821\b", shown)  # the digits of a hash may be those of the code


@virtual_time
async def test_a_hash_tells_equal_texts_of_one_client_and_needs_its_key() -> None:
    client, events = observed(FakeService())
    other, others = observed(FakeService())
    await client.send(PHONE, TEXT)
    await client.send(PHONE, TEXT)
    await client.send(PHONE, "Hi")
    await other.send(PHONE, TEXT)
    first, second, third = (event.texts for event in events.of(CallStarted))
    assert first == second != third
    assert others.of(CallStarted)[0].texts != first
    async for _ in client.send_batch([Message(PHONE, TEXT), Message("+79991234568", TEXT)]):
        pass
    batch = events.of(CallStarted)[-1]
    assert (batch.texts, batch.recipients) == (first * 2, ("***67", "***68"))


@pytest.mark.parametrize(("recipient", "shown"), [(PHONE, "***67"), ("a@example.com", "***"), ("G12", "***")])
def test_a_recipient_is_masked(recipient: str, shown: str) -> None:
    assert masked(recipient) == shown


@virtual_time
async def test_an_observer_that_raises_changes_no_call_and_its_message_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = Events()
    script: list[Any] = [ConnectError("no"), ReadTimeout("lost"), FOUND]
    client = make_client(
        FakeService(script), observers=[Failing(), events], guards=Guards(), on_unknown="reconcile", apikey="key"
    )
    sent = await client.send(PHONE, TEXT)
    assert sent.reconciled
    async with client.watch([REF]) as updates:
        assert [update.is_last async for update in updates] == [True]
    assert {"CallStarted", "CallRetried", "SendReconciled", "CallFinished", "MessageDelivered"} <= set(events.kinds())
    assert "an observer failed in CallStarted (RuntimeError)" in caplog.text
    assert TEXT not in caplog.text


@virtual_time
async def test_the_log_is_an_observer_on_the_level_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smsc_async")
    await make_client(FakeService([ConnectError("no")])).balance()
    again, http = caplog.messages
    assert again.startswith("get_balance: ConnectError; again in 0.")
    assert http.startswith("get_balance: HTTP 200, ")


class Waiting(Observer):
    async def started(self, event: CallStarted, /) -> None:  # type: ignore[override]
        pass


class Awaited:
    async def __call__(self, *_: object) -> None:
        pass


class Iterated:
    async def __call__(self, *_: object) -> AsyncIterator[None]:
        yield


class Indirect(Observer):
    def __init__(self, started: Any) -> None:
        self.started = started  # type: ignore[method-assign]


ASYNC: list[Any] = [Awaited(), Iterated(), partial(Awaited()), partial(Waiting().started), Awaited().__call__]
"""What can be called, but not without `await`."""


@pytest.mark.parametrize("function", ASYNC)
def test_what_has_to_be_awaited_is_no_plain_function(function: Any) -> None:
    for arguments in ({"on_unresolved": function}, {"observers": [Indirect(function)]}):
        with pytest.raises(ValueError, match=r"plain function|observers must be"):
            make_client(FakeService(), **arguments)
    with pytest.raises(ValueError, match="on_progress must be a plain function"):
        make_client(FakeService()).watch([], on_progress=function)


@pytest.mark.parametrize("function", [print, partial(print), [].append, dict, Mock()])
def test_what_need_not_be_awaited_is_a_plain_function(function: Any) -> None:
    make_client(FakeService(), on_unresolved=function, observers=[Indirect(function)])


EVENTS = ["started", "waited", "attempted", "retried", "reconciled", "finished"]


def raising(name: str, kind: type[BaseException]) -> Observer:
    observer = Observer()

    def fail(_: object) -> None:
        raise kind

    setattr(observer, name, fail)
    return observer


@pytest.mark.parametrize("name", EVENTS)
@virtual_time
async def test_an_observer_that_raises_cancelled_error_cancels_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    script: list[Any] = [ConnectError("no"), ReadTimeout("lost"), FOUND]
    observers = [raising(name, asyncio.CancelledError)]
    client = make_client(FakeService(script), observers=observers, guards=Guards(), on_unknown="reconcile")
    assert (await client.send(PHONE, TEXT)).reconciled
    if name != "waited":
        assert "an observer failed" in caplog.text
    assert (await client.guards.snapshot()).rules["in_flight"].in_flight == 0


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", [name for name in EVENTS if name not in ("waited", "reconciled", "retried")])
@virtual_time
async def test_an_observer_that_ends_the_program_leaves_no_slot_taken(name: str, kind: type[BaseException]) -> None:
    client = make_client(FakeService(), observers=[raising(name, kind)], guards=Guards())
    with pytest.raises(kind):
        await client.send(PHONE, TEXT)
    assert (await client.guards.snapshot()).rules["in_flight"].in_flight == 0


@pytest.mark.parametrize("observers", [[Events], [print], [None], Events(), Waiting(), [Waiting()], 5])
def test_what_is_no_observer_is_refused(observers: object) -> None:
    with pytest.raises(ValueError, match="observers must be a list of objects"):
        make_client(FakeService(), observers=observers)
