"""Keeping private values out of error reports, which record the variables of all frames of an exception."""

import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "PrivateBytes",
    "PrivateDict",
    "each_without_frames",
    "forget_frames",
    "forget_own_frames",
    "without_arguments",
    "without_frames",
]

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class PrivateBytes(bytes):
    """Bytes whose repr is hidden."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


class PrivateDict(dict[str, Any]):
    """A dict whose repr is hidden."""

    def __repr__(self) -> str:
        return f"<{len(self)} fields>"

    __sentry_repr__ = __repr__  # Sentry shows the items of other dicts


def forget_frames(error: BaseException, handled: BaseException | None = None) -> None:
    """Remove the frames from an exception and those it was raised from, up to the one that the caller is handling."""
    todo: list[BaseException | None] = [error]
    seen = {id(None), id(handled)}
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        if each.__suppress_context__:
            each.__context__ = None
        todo += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]


def without_frames(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Remove the frames of an asynchronous method from its exceptions.

    A built-in exception that is not about a wrong argument, a timeout or a missing package is a programming error: it
    gets a note with its traceback.
    """

    @wraps(method)
    async def calling(*args: P.args, **kwargs: P.kwargs) -> T:
        handled = sys.exception()
        try:
            running = method(*args, **kwargs)
        finally:
            del args, kwargs
        try:
            return await running
        except BaseException as error:
            is_built_in = type(error).__module__ == "builtins" and isinstance(error, Exception)
            if is_built_in and not isinstance(error, ValueError | TimeoutError | ModuleNotFoundError):
                error.add_note("".join(traceback.format_tb(error.__traceback__)))
            forget_frames(error, handled)
            raise

    return calling


def each_without_frames(
    function: Callable[P, AsyncGenerator[T, None]],
) -> Callable[P, AsyncGenerator[T, None]]:
    """Remove the frames of an asynchronous generator from its exceptions, unless the code of the caller raised them."""

    @wraps(function)
    async def calling(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        handled = sys.exception()
        items = function(*args, **kwargs)
        del args, kwargs
        async with aclosing(items):
            try:
                async for item in items:
                    yield item
            except BaseException as error:
                forget_own_frames(error, handled)
                raise

    return calling


def forget_own_frames(error: E, handled: BaseException | None = None) -> E:
    """Remove the frames from an exception unless the code of the caller raised it, and return it."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if str(frame.f_globals.get("__name__")).startswith("smsc_async"):
        forget_frames(error, handled)
    return error


def without_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Remove the frames of a function from its `ValueError` or `SmscError`: their variables hold its arguments."""

    @wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> T:
        handled = sys.exception()
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if not isinstance(error, ValueError) and not type(error).__module__.startswith("smsc_async"):
                raise
            wrong = error
            forget_frames(wrong, handled)
        finally:
            del args, kwargs
        raise wrong

    return checking
