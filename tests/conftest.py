"""What all tests share: in CI the examples of Hypothesis are the same each time, and no test changes the next."""

import os

import pytest
from hypothesis import settings

from smsc_async._protocol import tags
from tests.machine import machine

__all__ = ["machine"]

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _forget_tags() -> None:
    """Parse short answers at once: on a thread, which a virtual clock doesn't wait for, they would take forever."""
    tags._known.clear()
