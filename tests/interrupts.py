"""Ctrl-C in tests."""

import signal
from collections.abc import Iterator

import pytest

__all__ = ["interruptible"]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Restore the handler of Ctrl-C: a shell makes background jobs ignore SIGINT, and their children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
