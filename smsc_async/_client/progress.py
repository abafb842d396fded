"""The progress bar of a long call, which `progress=True` asks for."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TypeVar

from smsc_async._model import Many, Message, OnProgress, has_one_phone, one_by_one

__all__ = ["shown_progress", "with_progress"]

T = TypeVar("T")


def shown_progress(unit: str, also: OnProgress | None, *, shown: bool) -> AbstractContextManager[OnProgress | None]:
    """Return the context of a progress bar, which is entered as the function to call with the progress.

    Args:
        unit: What is counted.
        also: Is called too.
        shown: Whether there is a bar; without one, `also` itself is the function.

    Raises:
        ValueError: tqdm is not installed.
    """
    if not shown:
        return nullcontext(also)
    from smsc_async._notebook import Progress  # noqa: PLC0415 - only a bar needs it

    return Progress(unit, also=also)


def with_progress(outcomes: AsyncGenerator[T, None], messages: Many[Message]) -> AsyncGenerator[T, None]:
    """Return the outcomes of a batch with a progress bar, of which the total is known if the messages are a list.

    Raises:
        ValueError: tqdm is not installed.
    """
    from smsc_async._notebook import Progress  # noqa: PLC0415 - only a bar needs it

    return _counting(outcomes, Progress("message", _recipients(messages)))


async def _counting(
    outcomes: AsyncGenerator[T, None], bar: AbstractContextManager[Callable[[int], object]]
) -> AsyncGenerator[T, None]:
    done = 0
    with bar as note:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                done += 1
                note(done)
                yield outcome


def _recipients(messages: object) -> int | None:
    """Return how many outcomes a list of messages has, None if it is another iterable or has anything else in it."""
    if not isinstance(messages, list | tuple) or not all(isinstance(each, Message) for each in messages):
        return None
    return sum(1 if has_one_phone(each) else len(one_by_one(each)) for each in messages)
