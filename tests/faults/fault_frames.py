"""What an error report shows of an exception: its variables, those of the exceptions behind it, and the log."""

import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from smsc_async import Client, Message, MessageRef, SmscError, UnresolvedSend, Viber

__all__ = ["APIKEY", "CALLS", "CANARY", "LOGIN", "PASSWORD", "PHONE", "PHONE_2", "REF", "TEXT", "found_in", "shown"]

LOGIN, PASSWORD, APIKEY = "canarylogin", "canarypassword", "canaryapikey"
PHONE, PHONE_2, TEXT = "+79990001122", "+79990003344", "canarytext in a message"
CANARY: Final = re.compile("canary|Y2FuYXJ5|9990001122|9990003344", re.IGNORECASE)
"""The private values, also in Base64."""
REF: Final = MessageRef(PHONE, "a1")
_HERE: Final = str(Path(__file__).parent)


async def _first_error(answers: AsyncIterator[Any]) -> None:
    async for answer in answers:
        if answer.error is not None:
            raise answer.error


async def _statuses(client: Client) -> None:
    for report in await client.statuses([REF, MessageRef(PHONE_2, "a1")]):
        if isinstance(report, SmscError):
            raise report


async def _watch(client: Client) -> None:
    async with client.watch([REF], grace=0) as updates:
        await _first_error(updates)


def _batch(*, more: Mapping[str, Any]) -> Callable[[Client], Awaitable[None]]:
    messages = [Message(PHONE, TEXT), Message(PHONE_2, f"{TEXT} | alone")]
    return lambda client: _first_error(client.send_batch(iter(messages), **more))


CALLS: Final[Mapping[str, Callable[[Client], Awaitable[object]]]] = {
    "send": lambda client: client.send(PHONE, TEXT),
    "send2": lambda client: client.send([PHONE, PHONE_2], TEXT, via=Viber(), cost=3, extra={"x": TEXT}),
    "cost": lambda client: client.cost(PHONE, TEXT),
    "cost2": lambda client: client.cost([PHONE], TEXT, maxsms=2, extra={"x": TEXT}),
    "status": lambda client: client.status(REF),
    "status2": lambda client: client.status(REF, extra={"x": TEXT}),
    "balance": lambda client: client.balance(),
    "batch": _batch(more={}),
    "batch with extra": _batch(more={"extra": {"x": "y"}}),
    "prices": lambda client: _first_error(client.cost_batch([Message(PHONE, TEXT), Message(PHONE_2, TEXT)])),
    "statuses": _statuses,
}
"""All operations, plain and with `query`; the chunk, the watch and the look-ups above them."""

UNRESOLVED: Final = UnresolvedSend.model_validate(
    {"id": "a1", "refs": [REF], "began": "2026-01-01T00:00:00Z", "failed": "2026-01-01T00:00:00Z"}
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all behind it, also those that are not displayed."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


def _pieces(value: object, depth: int = 4) -> Iterator[str]:
    """Yield the representations of a variable and of what it contains, as Sentry does."""
    if depth and not hasattr(value, "__sentry_repr__"):
        if isinstance(value, Mapping):
            for item in (*value.keys(), *value.values()):
                yield from _pieces(item, depth - 1)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from _pieces(item, depth - 1)
    yield repr(value)


def shown(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield all that a report shows, each with its place; the frames of the caller are the caller's."""
    for each in _chain(error):
        name = type(each).__name__
        yield f"str of {name}", str(each)
        yield f"repr of {name}", repr(each)
        for piece in _pieces([each.args, vars(each)]):
            yield f"attributes of {name}", piece
        for frame, line in traceback.walk_tb(each.__traceback__):
            if frame.f_code.co_filename.startswith(_HERE):
                continue
            for variable, value in frame.f_locals.items():
                for piece in _pieces(value):
                    yield f"{name}: {variable} at {frame.f_code.co_filename}:{line}", piece


def found_in(error: BaseException) -> list[str]:
    """Return the places that show a private value."""
    return sorted({place for place, text in shown(error) if CANARY.search(text)})
