"""The log lines of taskiq, and the variables of its frames, hold no phone and no text."""

import logging

import pytest
from taskiq.receiver import Receiver

from smsc_async._frames import PrivateDict
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
