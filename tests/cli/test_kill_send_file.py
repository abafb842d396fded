"""A bulk job that is killed at random moments loses no message and sends none twice."""

import os

import anyio
import pytest

from benchmarks.kill_send_file import measure


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_job_killed_again_and_again_sends_each_message_once() -> None:
    figures = anyio.run(measure, 8, 2, 2)
    assert (figures.kills, figures.service_kills) == (8, 2)
    assert figures.are_right, figures
