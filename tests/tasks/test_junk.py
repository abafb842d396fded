"""Entries of the stream that are not tasks: acknowledged and logged without their content, and the rest goes on."""

import asyncio
import json
from typing import Any

import anyio
import pytest
from taskiq.receiver import Receiver

from smsc_async._tasks import queue as module
from tests.tasks.taskiq_post import IDLE, PHONE, Post, queued_message

PRIVATE = "very private words"


def named(post: Post, name: str, **changes: Any) -> dict[str, Any]:
    labels = {"ack_type": "manual"}
    message = {"task_id": "t1", "task_name": f"{post.tasks._queue._prefix}:{name}", "labels": labels, "args": []}
    return {**message, "kwargs": {"arguments": {"text": PRIVATE}}, **changes}


def entries(post: Post) -> dict[str, dict[Any, Any]]:
    """Return one entry of each kind that no worker can execute."""
    bodies = {
        "no task": {"text": PRIVATE},
        "a list": [PRIVATE],
        "no arguments": named(post, "send", kwargs={"text": PRIVATE}),
        "more arguments": named(post, "send", kwargs={"arguments": {}, "text": PRIVATE}),
        "positional arguments": named(post, "send", args=[PRIVATE]),
        "arguments that are a list": named(post, "send", kwargs={"arguments": [PRIVATE]}),
        "another way to acknowledge": named(post, "send", labels={"ack_type": PRIVATE}),
        "no way to acknowledge": named(post, "send", labels={}),
        "labels of another type": named(post, "send", labels={"n": PRIVATE}, labels_types={"n": 1}),
        "an unknown type of label": named(post, "send", labels={"n": PRIVATE}, labels_types={"n": 99}),
    }
    return {
        "no data": {b"other": PRIVATE.encode()},
        "empty data": {b"data": b""},
        "no JSON": {b"data": PRIVATE.encode()},
        "cut JSON": {b"data": json.dumps(named(post, "send")).encode()[:-10]},
        "bytes": {b"data": b"\xff\xfe\x00" + PRIVATE.encode()},
        "deep JSON": {b"data": b"[" * 100_000},
        "a huge entry": {b"data": b"x" * (module._LARGEST_ENTRY + 1)},
        **{kind: {b"data": json.dumps(body).encode()} for kind, body in bodies.items()},
    }


def poisons(post: Post) -> dict[str, dict[str, Any]]:
    """Return arguments that no task has."""
    follow = {"refs": [f"{PHONE}:1"], "ended": [], "since": 0, "timeout": 1}
    return {
        "no send": named(post, "send"),
        "a send of another version": named(post, "send", kwargs={"arguments": {"to": [PHONE], "new": PRIVATE}}),
        "a list without a text": named(post, "send", kwargs={"arguments": {"id": "1", "messages": [{"phone": PHONE}]}}),
        "a part of a channel": named(
            post, "send", kwargs={"arguments": {"to": [PHONE], "text": PRIVATE, "via": {"kind": "Email", "x": 1}}}
        ),
        "no follow": named(post, "follow", kwargs={"arguments": {}}),
        **{
            f"{name}={value!r}": named(post, "follow", kwargs={"arguments": {**follow, name: value}})
            for name, value in (
                ("refs", [PRIVATE]),
                ("refs", 1),
                ("ended", [PRIVATE]),
                ("since", None),
                ("timeout", []),
            )
        },
    }


def is_quoted(text: str) -> bool:
    return any(private in text for private in (PRIVATE, PHONE, "very private"))


async def test_entries_that_are_no_tasks_are_acknowledged_and_the_rest_is_sent(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    junk = entries(post)
    for number, fields in enumerate(junk.values()):
        await post.redis.xadd(post.broker.queue_name, fields)
        if number % 4 == 0:
            await post.tasks.send(PHONE, f"Hello {number}")
    sent = -(-len(junk) // 4)
    await post.tasks.send(PHONE, "the last one")
    await post.deliver(sent + 1)
    assert len(post.service.phones) == sent + 1
    assert await post.unacknowledged() == 0
    dropped = [record for record in caplog.records if "an entry of the queue was dropped" in record.getMessage()]
    assert len(dropped) == len(junk)
    assert not is_quoted(caplog.text)


async def test_entries_that_another_worker_left_behind_are_acknowledged_too(post: Post) -> None:
    for fields in entries(post).values():
        await post.redis.xadd(post.broker.queue_name, fields)
    await post.tasks.send(PHONE, "Hello")
    taken = await post.redis.xreadgroup("taskiq", "killed", {post.broker.queue_name: ">"})
    assert taken
    await asyncio.sleep(IDLE / 1000 + 0.05)
    await post.tasks._queue.tend()
    await post.deliver(2)  # the one that wakes a worker, and the task
    assert post.service.phones == [PHONE.removeprefix("+")]
    assert await post.unacknowledged() == 0


async def test_tasks_with_arguments_of_another_version_end_with_a_result_that_quotes_nothing(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    found = poisons(post)
    for number, message in enumerate(found.values()):
        body = json.dumps({**message, "task_id": f"t{number}"}).encode()
        await post.redis.xadd(post.broker.queue_name, {b"data": body})
    await post.deliver(len(found))
    assert await post.unacknowledged() == 0
    assert post.service.phones == []
    assert not is_quoted(caplog.text)
    for number in range(len(found)):
        result: Any = await post.broker.result_backend.get_result(f"t{number}")
        assert "another version of this package or is damaged" in str(result.error)
        assert not is_quoted(f"{result.error!r} {result.error.__cause__!r} {result.error.__context__!r}")


async def test_a_real_worker_continues_after_junk(post: Post) -> None:
    for fields in entries(post).values():
        await post.redis.xadd(post.broker.queue_name, fields)
    task = await post.tasks.send(PHONE, "Hello")
    finish = asyncio.Event()
    worker = asyncio.create_task(Receiver(post.broker, max_async_tasks=2, run_startup=False).listen(finish))
    result = await task.wait_result(check_interval=0.05, timeout=5)
    finish.set()
    await worker
    assert result.return_value.accepted


async def test_junk_among_the_postponed_tasks_is_dropped_when_due(post: Post) -> None:
    await post.tasks.send(PHONE, "Hello")
    await post.tasks._queue._postpone(PRIVATE.encode(), -1.0)
    await post.tasks._queue.tend()
    assert await post.waiting() == []
    await post.deliver()
    assert len(post.service.phones) == 1


async def test_a_task_that_would_be_dropped_for_its_size_is_refused_before_it_is_queued(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGEST_TASK", 500)
    with pytest.raises(ValueError, match="too large, at most 500 are allowed; nothing was queued"):
        await post.tasks.send(PHONE, PRIVATE * 30)
    assert await post.redis.xlen(post.broker.queue_name) == 0
    await post.tasks.send(PHONE, "Hello")
    assert (await queued_message(post)).task_name.endswith(":send")


async def test_a_keeper_survives_any_failure(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = anyio.Event()

    async def fail() -> None:
        if failed.is_set():
            caught.set()
        failed.set()
        raise KeyError(PRIVATE)

    caught = anyio.Event()
    monkeypatch.setattr("smsc_async._tasks.queue._LOOK_EVERY", 0.01)
    monkeypatch.setattr(post.tasks._queue, "tend", fail)
    post.tasks._queue.start()
    with anyio.fail_after(5):
        await caught.wait()
    await post.tasks._queue.stop()
    assert "could not be maintained (KeyError)" in caplog.text
    assert not is_quoted(caplog.text)
