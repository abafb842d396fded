"""The log lines of taskiq, and the variables of its frames, hold no phone and no text."""

import logging
from typing import Any

import pytest
from taskiq.exceptions import SendTaskError
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from smsc_async import Client, Email, Message
from smsc_async._frames import PrivateDict
from smsc_async.sandbox import Sandbox
from smsc_async.taskiq import SmscTasks
from tests.faults.fault_frames import PHONE as SECRET_PHONE
from tests.faults.fault_frames import TEXT as SECRET_TEXT
from tests.faults.fault_frames import found_in
from tests.tasks.taskiq_post import PHONE, Post, queued_message

TEXT = "canary words"


async def test_taskiq_logs_no_phone_and_no_text(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await post.tasks.send(PHONE, TEXT)
    queued = await queued_message(post)
    message = post.broker.formatter.dumps(queued).message
    read = post.broker.formatter.loads(message)
    assert type(read.kwargs["arguments"]) is PrivateDict
    assert PHONE not in repr(read)
    await Receiver(post.broker, run_startup=False).callback(message)
    assert "Received message" in caplog.text
    assert "Kicking" in caplog.text
    assert TEXT not in caplog.text
    assert PHONE.lstrip("+") not in caplog.text


BATCHES: list[tuple[list[Any], dict[str, Any]]] = [
    ([Message(SECRET_PHONE, SECRET_TEXT)], {"extra": {"x": SECRET_TEXT}}),
    ([Message(SECRET_PHONE, SECRET_TEXT)], {"sender": SECRET_TEXT}),
    ([Message(SECRET_PHONE, SECRET_TEXT)], {"via": Email(sender="me@example.com", subject=SECRET_TEXT)}),
    ([(SECRET_PHONE, SECRET_TEXT)], {}),
]


@pytest.mark.parametrize("number", range(len(BATCHES)))
async def test_a_batch_that_is_not_queued_shows_nothing_private(number: int) -> None:
    broker = RedisStreamBroker("redis://127.0.0.1:1", consumer_id="0", idle_timeout=150_000)
    tasks = SmscTasks(broker, lambda guards: Client(apikey="demo", guards=guards, transport=Sandbox().transport()))
    with pytest.raises((ValueError, SendTaskError)) as caught:
        async for _ in tasks.send_batch(BATCHES[number][0], **BATCHES[number][1]):
            pass
    assert found_in(caught.value) == []


async def test_an_invalid_reference_is_refused_before_it_is_queued(post: Post) -> None:
    with pytest.raises(ValueError, match="phone:id"):
        await post.tasks.follow([5])  # type: ignore[list-item]
