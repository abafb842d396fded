"""The synchronous client in one process: results, errors, threads, iterators, watches and the clock."""

import asyncio
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from pydantic import SecretStr

import smsc_async.sync
from smsc_async import (
    ApiKey,
    ClientClosed,
    DuplicateSend,
    GetBalance,
    GetStatus,
    Guards,
    Message,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Rule,
    Rules,
    SentMessage,
    UnresolvedSend,
    WrongEventLoop,
)
from smsc_async.callbacks import StatusPush
from smsc_async.sandbox import Sandbox
from smsc_async.sync import Client, Watcher, sandbox_client
from smsc_async.sync._call import PortalCall
from smsc_async.sync._portal import Portal

PHONE = "+79991234567"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with sandbox_client(sandbox) as client:
        yield client


def threads() -> list[str]:
    """Return the names of the threads of this package."""
    return [each.name for each in threading.enumerate() if each.name.startswith("smsc_async.sync")]


def waiting(client: Client, rule: str) -> None:
    """Wait until a call waits for a rule."""
    while not client.guards_snapshot().rules[rule].waiting:
        pass


def test_a_call_returns_what_the_asynchronous_client_returns(client: Client) -> None:
    sent = client.send(PHONE, "Hello", cost=3)
    assert isinstance(sent, SentMessage)
    assert client.status(sent).status.phrase
    assert client.balance() == client.call(GetBalance())
    assert client.cost(iter([PHONE]), "Hello").sms_count == 1
    assert client.send(iter(["+79990000001", "+79990000002"]), "Hello").refs
    assert [type(each) for each in client.statuses([sent, MessageRef(PHONE, "none")])][1] is MessageNotFound
    assert client.clock_skew == 5.0


def test_forty_calls_of_eight_threads_succeed(client: Client, sandbox: Sandbox) -> None:
    def send(number: int) -> str:
        return client.send(f"+7999000{number:04}", "Hello").id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(send, range(40)))
    assert len(ids) == len(sandbox.messages) == 40
    assert threads() == ["smsc_async.sync"]


def test_clients_that_share_guards_count_together(sandbox: Sandbox) -> None:
    guards = Guards(clock=sandbox.clock)
    with sandbox_client(sandbox, guards=guards) as one, sandbox_client(sandbox, guards=guards) as other:
        assert one.guards is other.guards
        one.send(PHONE, "Hello")
        with pytest.raises(DuplicateSend):
            other.send(PHONE, "Hello")
        assert threads() == ["smsc_async.sync"]
    assert threads() == []


def test_advancing_the_clock_wakes_a_call_that_waits_on_another_thread(client: Client, sandbox: Sandbox) -> None:
    sent = client.send(PHONE, "Hello")
    for _ in range(5):
        client.status(sent)
    with ThreadPoolExecutor(1) as pool:
        sixth = pool.submit(client.status, sent)
        waiting(client, "status")
        assert not sixth.done()
        sandbox.advance(65)
        assert sixth.result(10).is_final


def test_a_batch_reads_the_messages_on_the_thread_of_the_caller_as_they_are_needed(client: Client) -> None:
    read_by: list[str] = []

    def messages() -> Iterator[Message]:
        for number in range(120):
            read_by.append(threading.current_thread().name)
            yield Message(f"+7999000{number:04}", "Hello")

    outcomes = client.send_batch(messages(), workers=1)
    assert next(outcomes).ref
    assert 0 < len(read_by) < 120
    assert sum(each.ref is not None for each in outcomes) == 119
    assert set(read_by) == {threading.current_thread().name}
    assert sum(len(list(each.messages)) for each in client.cost_batch(messages())) == 120


def test_a_batch_that_is_left_early_is_closed_and_sends_no_more(client: Client, sandbox: Sandbox) -> None:
    for _ in client.send_batch([Message(f"+7999000{number:04}", "Hello") for number in range(120)], workers=1):
        break
    assert len(sandbox.messages) == 49


def test_the_exception_of_an_iterable_is_raised_with_the_frame_that_raised_it(client: Client) -> None:
    def messages() -> Iterator[Message]:
        yield Message(PHONE, "Hello")
        raise LookupError("the database is gone")

    with pytest.raises(LookupError) as caught:
        list(client.send_batch(messages()))
    assert caught.traceback[-1].name == "messages"
    with pytest.raises(LookupError):
        client.statuses(f"{PHONE}:a{number}" for number, _ in enumerate(messages()))
    assert client.balance().amount


def test_what_is_no_iterable_of_messages_is_refused_as_by_the_asynchronous_client(client: Client) -> None:
    for wrong in (5, "text", Message(PHONE, "Hello"), {"a": 1}, None):
        with pytest.raises(ValueError, match=r"^messages must be a list or another iterable of Message objects"):
            list(client.send_batch(wrong))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^messages must be a list"):
        client.watch(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_progress"):
        client.statuses([], on_progress=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_progress"):
        client.watch([], on_progress=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ask"):
        client.resolve(MessageRef(PHONE, "a1"), ask=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="txt is not an argument; did you mean text"):
        client.send(PHONE, txt="Hello")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Client\.balance\(\) got an unexpected keyword argument 'txt'"):
        client.balance(txt="Hello")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Client\.__init__\(\) got an unexpected keyword argument 'key'"):
        Client(key="demo")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="timeout must be"):
        client.close(-1)
    assert client.balance().amount


def test_progress_is_reported_on_the_thread_of_the_caller(client: Client) -> None:
    heard: list[tuple[str, int, int]] = []

    def hear(done: int, total: int) -> None:
        heard.append((threading.current_thread().name, done, total))

    here = threading.current_thread().name
    sent = client.send([PHONE, "+79990000001"], "Hello")
    client.statuses(iter(sent.refs), on_progress=hear)
    assert heard == [(here, 1, 2), (here, 2, 2)]


def test_a_callback_that_fails_ends_the_call_and_is_raised(client: Client) -> None:
    def hear(_done: int, _total: int) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        client.statuses([client.send(PHONE, "Hello")], on_progress=hear)
    assert client.balance().amount


def test_resolve_asks_with_a_function_of_the_caller(client: Client) -> None:
    sent = client.send(PHONE, "Hello")
    asked: list[GetStatus] = []

    def ask(operation: GetStatus) -> Any:
        asked.append(operation)
        return client.call(operation)

    now = datetime.now(UTC)
    found = client.resolve(UnresolvedSend(id=sent.id, refs=sent.refs, is_own_id=True, began=now, failed=now), ask=ask)
    assert found is not None
    assert found.reconciled
    assert [operation.ref for operation in asked] == [sent.ref]


def follow(updates: Watcher, sandbox: Sandbox) -> list[int | None]:
    """Return the statuses of the updates; the messages are delivered while the thread waits."""
    timer = threading.Timer(0.05, sandbox.advance, [300])
    timer.start()
    try:
        return [update.status for update in updates]
    finally:
        timer.join()


def test_a_watch_yields_its_updates_and_ends_after_the_last(client: Client, sandbox: Sandbox) -> None:
    sent = client.send([PHONE, "+79990000001"], "Hello")
    heard: list[tuple[int, int]] = []
    with client.watch(iter(sent.refs), on_progress=lambda done, total: heard.append((done, total))) as updates:
        assert updates.total >= 0
        updates.add(client.send("+79990000002", "Hello"))
        updates.hint(sent)
        statuses = follow(updates, sandbox)
    assert [status for status in statuses if status == 1] == [1, 1, 1]
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert (updates.done, updates.total, updates.unfinished) == (3, 3, [])


def test_an_update_whose_callback_failed_is_the_next_one_again(client: Client, sandbox: Sandbox) -> None:
    sent = client.send(PHONE, "Hello")
    calls: list[int] = []

    def hear(done: int, _total: int) -> None:
        calls.append(done)
        if len(calls) == 1:
            raise LookupError

    sandbox.advance(300)
    with client.watch(sent, on_progress=hear) as updates:
        with pytest.raises(LookupError):
            list(updates)
        assert [update.is_last for update in updates] == [True]


def test_a_watch_that_is_left_leaves_its_messages(client: Client) -> None:
    sent = client.send([PHONE, "+79990000001"], "Hello")
    with client.watch(sent) as updates:
        assert next(updates).status is not None
        assert len(updates.unfinished) == 2
    assert len(updates.unfinished) == 2
    with pytest.raises(RuntimeError, match="only inside the `with` block"):
        next(updates)
    with pytest.raises(RuntimeError, match="only inside the `with` block"):
        updates.add(sent)
    with pytest.raises(RuntimeError, match="can be entered only once"), updates:
        pass
    updates.__exit__(None, None, None)


def test_the_exception_of_a_block_is_raised_as_it_is(client: Client) -> None:
    with pytest.raises(LookupError), client.watch(client.send(PHONE, "Hello")):
        raise LookupError


def test_a_push_reaches_the_watches(client: Client) -> None:
    for number, notify in enumerate([None, client.notify]):
        sent = client.send(f"+7999000000{number}", "Hello")
        push = StatusPush(ref=sent.ref, status=MessageStatus.DELIVERED)
        with client.watch(sent) as updates:
            (notify or updates.notify)(push)
            assert [update.source for update in updates][-1] == "push"


def test_waiting_for_one_message(client: Client, sandbox: Sandbox) -> None:
    sent = client.send(PHONE, "Hello")
    sandbox.advance(300)
    assert client.wait_delivered(sent) == client.wait_final(sent)
    with pytest.raises(TimeoutError):
        client.wait_final(client.send("+79990000001", "Hello"), timeout=0.0)


def test_other_options_share_connections_and_guards(client: Client) -> None:
    other = client.with_options(deadline=5.0, on_unknown="raise")
    with other.with_options(timeout=3.0) as third:
        third.send(PHONE, "Hello")
        assert third.guards is client.guards
    with pytest.raises(DuplicateSend):
        client.send(PHONE, "Hello")
    other.close()
    client.close()
    with pytest.raises(ClientClosed, match="this client is closed"):
        other.balance()


def test_a_client_without_guards_has_none(sandbox: Sandbox) -> None:
    with sandbox_client(sandbox, guards=None) as client:
        assert not hasattr(client, "guards")


def test_a_closed_client_makes_no_call(sandbox: Sandbox) -> None:
    client = sandbox_client(
        sandbox, guards=Guards(clock=sandbox.clock, rules=Rules(balance=Rule(10, 60, policy="off")))
    )
    assert threads() == []
    client.balance()
    assert repr(client).startswith("<smsc_async.sync.Client https://smscentre.com")
    outcomes = client.send_batch([Message(PHONE, "Hello"), Message(PHONE, "Hello")])
    next(outcomes)
    client.close()
    client.close()
    assert threads() == []
    assert repr(client).endswith("(closed)>")
    with pytest.raises(ClientClosed, match="nothing was sent"):
        client.balance()
    with pytest.raises(ClientClosed, match="nothing was sent"):
        next(outcomes)
    with pytest.raises(ClientClosed, match="nothing was sent"), client:
        pass


def test_closing_ends_the_calls_that_wait_on_other_threads(sandbox: Sandbox) -> None:
    client = sandbox_client(sandbox)
    sent = client.send(PHONE, "Hello")
    for _ in range(5):
        client.status(sent)
    with ThreadPoolExecutor(2) as pool:
        sixth = pool.submit(client.status, sent)
        waiting(client, "status")
        client.close()
        with pytest.raises(ClientClosed):
            sixth.result(10)
    assert threads() == []


def test_a_client_that_is_forgotten_ends_its_thread_without_a_warning(sandbox: Sandbox) -> None:
    client = sandbox_client(sandbox)
    client.balance()
    (thread,) = [each for each in threading.enumerate() if each.name == "smsc_async.sync"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del client
        thread.join(10)
    assert not thread.is_alive()


def test_a_client_that_is_forgotten_leaves_the_thread_to_the_others(sandbox: Sandbox, client: Client) -> None:
    client.balance()
    other = sandbox_client(sandbox)
    other.balance()
    portal, _ = client._behind.use()
    assert len(portal.users) == 2
    del other
    while len(portal.users) == 2:
        client.guards_snapshot()
    assert client.balance().amount


def test_an_iterator_that_is_forgotten_is_closed(client: Client) -> None:
    outcomes = client.send_batch([Message(f"+7999000{number:04}", "Hello") for number in range(120)], workers=1)
    next(outcomes)
    del outcomes
    assert client.balance().amount


def test_a_call_in_an_event_loop_is_refused(client: Client) -> None:
    async def call() -> None:
        with pytest.raises(WrongEventLoop, match=r"use `await` with smsc_async\.Client here"):
            client.send(PHONE, "Hello")
        with pytest.raises(WrongEventLoop):
            next(client.send_batch([Message(PHONE, "Hello")]))
        with pytest.raises(WrongEventLoop):
            client.close()

    asyncio.run(call())
    trio.run(call)
    assert client.balance().amount


def test_a_callback_on_the_event_loop_cannot_block_it(sandbox: Sandbox) -> None:
    refused: list[BaseException] = []

    def credentials() -> Any:
        with pytest.raises(WrongEventLoop) as caught:
            own.balance()
        refused.append(caught.value)
        return ApiKey(key=SecretStr("demo"))

    own = Client(credentials=credentials, transport=sandbox.transport())
    with own:
        assert own.balance().amount
    assert len(refused) == 1


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Cliemt'"):
        getattr(smsc_async.sync, "Cliemt")  # noqa: B009 - mypy knows as well


def test_a_call_that_ends_with_the_thread_is_one_of_a_closed_client(client: Client) -> None:
    portal, _ = client._behind.use()

    async def end() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ClientClosed):
        PortalCall(portal, end).result()


def test_a_thread_whose_start_is_interrupted_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Future[None]):
        def result(self, timeout: float | None = None) -> None:
            super().result(timeout)
            raise KeyboardInterrupt

    before = {*threading.enumerate()}
    monkeypatch.setattr("smsc_async.sync._portal.Future", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        Portal(lambda _portal, _key: True)
    for thread in {*threading.enumerate()} - before:
        thread.join(30)
        assert not thread.is_alive()


def test_a_call_that_was_interrupted_before_it_began_does_nothing(client: Client) -> None:
    portal, _ = client._behind.use()
    begun: list[bool] = []

    async def begin() -> None:
        begun.append(True)

    call = PortalCall(portal, begin)
    call._cancel()
    with pytest.raises(ClientClosed):
        call.result()
    assert begun == []
