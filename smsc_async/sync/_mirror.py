"""What a method of this room has in common with its asynchronous original: the documentation, and private frames."""

import sys
from collections.abc import Callable
from functools import wraps
from inspect import cleandoc, isfunction
from typing import Final, ParamSpec, TypeVar

from smsc_async._frames import forget_own_frames

__all__ = ["mirrors", "name_after", "without_await"]

P = ParamSpec("P")
T = TypeVar("T")

_WORDS: Final = {
    "async with": "with",
    "async for": "for",
    "await ": "",
    "`aclose`": "`close`",
    "client.aclose(": "client.close(",
    "client.guards.snapshot(": "client.guards_snapshot(",
    "An asynchronous": "A synchronous",
}


def without_await(doc: str | None) -> str:
    """Return the documentation of an asynchronous method in the words of a synchronous one."""
    text = cleandoc(doc or "")
    for word, other in _WORDS.items():
        text = text.replace(word, other)
    return text


def mirrors(original: object) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Give a method the documentation of its original; its exceptions have no frames that hold arguments.

    The exceptions of the code of the user keep theirs.
    """

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        @wraps(method)
        def calling(*args: P.args, **kwargs: P.kwargs) -> T:
            handled = sys.exception()
            try:
                return method(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised below
                failure = forget_own_frames(error, handled)
            finally:
                del args, kwargs
            try:
                raise failure
            finally:
                del failure, handled  # a cycle with the traceback would keep both

        calling.__doc__ = without_await(original.__doc__)
        return calling

    return decorate


def name_after(owner: str, method: object) -> None:
    """Let the `TypeError` of Python about a wrong call name the class that users know."""
    while isfunction(method):
        method.__qualname__ = f"{owner}.{method.__name__}"
        method = getattr(method, "__wrapped__", None)
