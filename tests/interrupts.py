"""Ctrl-C in tests."""

import signal
from collections.abc import Iterator

import pytest

__all__ = ["interruptible"]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be what it is: a shell lets what it runs in the background ignore it, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
