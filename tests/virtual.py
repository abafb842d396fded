"""Virtual time: a test that waits for an hour takes milliseconds."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import trio
from trio.testing import MockClock

__all__ = ["virtual_time"]

P = ParamSpec("P")
T = TypeVar("T")


def virtual_time(test: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """Run a test on trio, on a clock that jumps to the next timer when all tasks wait."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return trio.run(functools.partial(test, *args, **kwargs), clock=MockClock(autojump_threshold=0))

    return run
