"""Statuses are queued in order, within bounds, and passed on before the end."""

import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from smsc_async import MessageStatus
from smsc_async._web import CallbackReceiver, read_body
from smsc_async._web.receiving import _MOST_QUEUED
from smsc_async.callbacks import Callbacks, CallConfirmed, IncomingMessage, StatusPush
from tests.callbacks.samples import CALL, INCOMING, SECRET, STATUS, signed
from tests.virtual import virtual_time

CALLBACKS = Callbacks(secrets=[SECRET])


def _receiver(**functions: Any) -> CallbackReceiver:
    return CallbackReceiver(CALLBACKS, **{"on_status": None, "on_incoming": None, "on_call": None, **functions})


async def _get(receiver: CallbackReceiver, query: bytes, notify: Callable[[StatusPush], None] | None = None) -> int:
    return (await receiver.receive(query, b"", "", notify)).value


@virtual_time
async def test_statuses_are_answered_at_once_and_passed_on_one_after_the_other_in_order() -> None:
    passed_on: list[str] = []

    async def slow(push: StatusPush) -> None:
        await anyio.sleep(1)
        passed_on.append(push.ref.id)

    receiver = _receiver(on_status=slow)
    with receiver.queueing() as queue:
        async with anyio.create_task_group() as group:
            group.start_soon(queue.work)
            began = anyio.current_time()
            answers = [await _get(receiver, signed(STATUS, id=str(number))) for number in range(1, 6)]
            assert (answers, anyio.current_time() - began) == ([200] * 5, 0.0)
            await queue.drain()
            assert (passed_on, anyio.current_time() - began) == (["1", "2", "3", "4", "5"], 5.0)
            assert await _get(receiver, signed()) == 503
    assert await _get(receiver, signed(STATUS, id="6")) == 200  # no queue: it is awaited
    assert passed_on[-1] == "6"


@virtual_time
async def test_a_full_queue_is_answered_503_and_what_is_in_it_is_not_lost() -> None:
    passed_on = 0
    resume = anyio.Event()

    async def blocked(_push: StatusPush) -> None:
        nonlocal passed_on
        await resume.wait()
        passed_on += 1

    receiver = _receiver(on_status=blocked)
    with receiver.queueing() as queue:
        async with anyio.create_task_group() as group:
            group.start_soon(queue.work)
            assert await _get(receiver, signed()) == 200
            await anyio.wait_all_tasks_blocked()
            assert {await _get(receiver, signed()) for _ in range(_MOST_QUEUED)} == {200}
            assert await _get(receiver, signed()) == 503
            resume.set()
            await queue.drain()
    assert passed_on == _MOST_QUEUED + 1


@virtual_time
async def test_a_function_that_hangs_ends_with_the_application_and_the_loss_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver = _receiver(on_status=lambda _push: anyio.sleep_forever())
    with receiver.queueing() as queue:
        async with anyio.create_task_group() as group:
            group.start_soon(queue.work)
            for _ in range(3):
                assert await _get(receiver, signed()) == 200
            await anyio.wait_all_tasks_blocked()
            began = anyio.current_time()
            await receiver.drain()
            assert anyio.current_time() - began == 10.0
    assert "not passed on to on_status before the end: 3" in caplog.text
    await receiver.drain()  # there is nothing to wait for


@virtual_time
async def test_a_worker_that_is_cancelled_says_what_it_left(caplog: pytest.LogCaptureFixture) -> None:
    receiver = _receiver(on_status=lambda _push: anyio.sleep_forever())
    with receiver.queueing() as queue:
        async with anyio.create_task_group() as group:
            group.start_soon(queue.work)
            await _get(receiver, signed())
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert await _get(receiver, signed()) == 503
    assert "before the end: 1" in caplog.text


@virtual_time
async def test_a_status_whose_function_fails_is_logged_and_the_next_one_is_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passed_on: list[str] = []

    def fail_once(push: StatusPush) -> None:
        passed_on.append(push.ref.id)
        if len(passed_on) == 1:
            raise OSError("the database is gone")

    receiver = _receiver(on_status=fail_once)
    with receiver.queueing() as queue:
        async with anyio.create_task_group() as group:
            group.start_soon(queue.work)
            for number in (1, 2):
                await _get(receiver, signed(STATUS, id=str(number)))
            await queue.drain()
    assert passed_on == ["1", "2"]
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "on_status failed")
    assert record.exc_info
    assert "the database is gone" in str(record.exc_info[1])
    assert STATUS["phone"] not in caplog.text


@virtual_time
async def test_what_must_not_be_lost_is_handled_before_the_answer_and_a_failure_is_503() -> None:
    handled: list[object] = []

    async def slow(push: IncomingMessage | CallConfirmed) -> None:
        await anyio.sleep(1)
        handled.append(type(push))

    receiver = _receiver(on_incoming=slow, on_call=slow)
    for fields in (INCOMING, CALL):
        assert await _get(receiver, signed(fields)) == 200
    assert handled == [IncomingMessage, CallConfirmed]

    def fail(_push: object) -> None:
        raise TimeoutError

    failing = _receiver(on_status=fail, on_incoming=fail, on_call=fail)
    assert [await _get(failing, signed(fields)) for fields in (STATUS, INCOMING, CALL)] == [503] * 3


@virtual_time
async def test_a_message_for_which_there_is_no_function_is_not_accepted(caplog: pytest.LogCaptureFixture) -> None:
    assert [await _get(_receiver(), signed(fields)) for fields in (STATUS, INCOMING, CALL)] == [200, 503, 503]
    assert "because there is no on_incoming" in caplog.text
    assert "because there is no on_call" in caplog.text


@virtual_time
async def test_a_status_goes_to_the_watches_and_a_forged_one_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smsc_async")
    notified: list[StatusPush] = []
    passed_on: list[StatusPush] = []
    receiver = _receiver(on_status=passed_on.append)
    assert await _get(receiver, signed(secret="guessed"), notified.append) == 403
    assert (notified, passed_on) == ([], [])
    assert "a callback was refused: the callback is not signed with one of the secrets" in caplog.text
    assert await _get(receiver, signed(), notified.append) == 200
    assert [push.status for push in notified] == [push.status for push in passed_on] == [MessageStatus.DELIVERED]


@virtual_time
async def test_two_applications_cannot_share_a_route_at_once() -> None:
    receiver = _receiver(on_status=print)
    for _ in range(2):
        with receiver.queueing() as queue:
            with pytest.raises(RuntimeError, match="in use by another application"), receiver.queueing():
                raise AssertionError
            queue.close()
            queue.close()
            await queue.work()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"callbacks must be a smsc_async\.callbacks\.Callbacks, not str"):
        CallbackReceiver("secret", on_status=None, on_incoming=None, on_call=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_incoming must be a function, or None, not int"):
        _receiver(on_incoming=1)


@virtual_time
async def test_a_body_is_read_up_to_the_size_of_a_callback() -> None:
    read = 0

    async def chunks(number: int, size: int) -> Any:
        nonlocal read
        for _ in range(number):
            read += size
            yield b"x" * size

    assert await read_body(chunks(4, 16_384)) == b"x" * 65_536
    read = 0
    async with aclosing(chunks(1_000_000, 16_384)) as endless:
        assert await read_body(endless) is None
    assert read == 5 * 16_384
