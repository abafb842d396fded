"""Bulk calls of a client: sending batches, requesting their cost, and the statuses of many messages."""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal, TypeAlias, TypeVar

import anyio.lowlevel

from smsc_async._call import checked
from smsc_async._frames import each_without_frames
from smsc_async._model import (
    AnyRef,
    AnySend,
    Cost,
    DeliveryReport,
    GetCost,
    GetListCost,
    GetStatus,
    Many,
    Message,
    OnProgress,
    Reports,
    SentMessage,
    SmscError,
    many,
    ref_of,
)

from .at_once import at_once
from .chunks import ChunkCost, CostTerms, MessageOutcome, SendTerms, failed, left_out, sent, to_cost, to_send
from .divider import ChunkRequest, Divider
from .waves import Abandoning, Concurrency, EachCall, Waves

__all__ = ["AskStatus", "cost_in_chunks", "each_item", "requests_of", "send_in_chunks", "statuses_of"]

T = TypeVar("T")
Op = TypeVar("Op")
AskStatus: TypeAlias = Callable[[GetStatus], Awaitable[DeliveryReport]]
"""Requests one status; raises as `Client.status` does."""

CheckTimes: TypeAlias = Callable[[Any, Any], object]
"""Raises a `ValueError` for a wrong timeout or deadline."""


def _check_options(call: EachCall, check_times: CheckTimes) -> None:
    """Raise a `ValueError` if a per-call option is wrong, even if there are no messages."""
    options = call.keywords
    checked(allow_duplicate=options.get("allow_duplicate", False))
    check_times(options["timeout"], options["deadline"])


_AT_ONCE: Final = 50  # a few milliseconds of work


async def each_item(
    items: Many[T], what: str = "Message objects", *, name: str = "messages"
) -> AsyncGenerator[T, None]:
    """Yield the caller's items, of which there may be very many, and let the event loop run in between.

    Raises:
        ValueError: They are not iterable.
    """
    items, number = many(name, what, items), 0
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
            number += 1
            await _take_turns(number)
    else:
        for item in items:
            yield item
            number += 1
            await _take_turns(number)


async def _take_turns(number: int) -> None:
    if not number % _AT_ONCE:
        await anyio.lowlevel.checkpoint()


async def requests_of(messages: Many[Message], divider: Divider[Op]) -> AsyncGenerator[ChunkRequest[Op], None]:
    """Yield the requests; if the source fails, yield those of what it returned before, and then raise its error."""
    try:
        async with aclosing(each_item(messages)) as each:
            async for message in each:
                for request in divider.add(message):
                    yield request
    except Exception:
        for request in divider.rest():
            yield request
        raise
    for request in divider.rest():
        yield request


@each_without_frames
async def send_in_chunks(
    call: EachCall,
    check_times: CheckTimes,
    messages: Many[Message],
    concurrency: Callable[[], Concurrency],
    arguments: Mapping[str, Any],
    *,
    abandoning: Abandoning[AnySend],
) -> AsyncGenerator[MessageOutcome, None]:
    """Send the messages in chunks, one wave of requests at a time; see `Client.send_batch`."""
    SendTerms.model_validate(arguments)
    _check_options(call, check_times)
    most = concurrency()
    divider = Divider(most.messages, to_send, arguments)
    async with aclosing(requests_of(messages, divider)) as requests:
        waves: Waves[AnySend, SentMessage] = Waves(requests, divider, call, most.requests, abandoning)
        while wave := await waves.next():
            for request, answer in wave:
                if isinstance(answer, SentMessage):
                    outcomes = sent(request.chunk, answer)
                else:
                    outcomes = failed(request.chunk, answer)
                for outcome in outcomes:
                    yield outcome


@each_without_frames
async def cost_in_chunks(
    call: EachCall,
    check_times: CheckTimes,
    messages: Many[Message],
    concurrency: Callable[[], Concurrency],
    arguments: Mapping[str, Any],
) -> AsyncGenerator[ChunkCost, None]:
    """Request the cost of each chunk; see `Client.cost_batch`."""
    CostTerms.model_validate(arguments)
    _check_options(call, check_times)
    most = concurrency()
    divider = Divider(most.messages, to_cost, arguments)
    async with aclosing(requests_of(messages, divider)) as requests:
        waves: Waves[GetCost | GetListCost, Cost] = Waves(requests, divider, call, most.requests)
        while wave := await waves.next():
            for request, answer in wave:
                if isinstance(answer, Cost):
                    yield ChunkCost(request.chunk.messages, cost=answer)
                else:
                    yield ChunkCost(request.chunk.messages, error=answer)


async def statuses_of(
    call: AskStatus,
    refs: Many[AnyRef],
    detail: Literal[0, 1, 2],
    *,
    workers: int,
    on_progress: OnProgress | None = None,
) -> Reports[DeliveryReport | SmscError]:
    """Request each status once, at most `workers` at a time; see `Client.statuses`."""
    operations = [
        GetStatus.model_validate({"ref": ref_of(each), "detail": detail}) async for each in each_item(refs, "messages")
    ]
    answers: dict[int, DeliveryReport | SmscError] = {}
    waiting = iter(enumerate(operations))
    ending: SmscError | None = None

    async def ask(position: int, operation: GetStatus) -> None:
        nonlocal ending
        try:
            answers[position] = ending.replace(refs=(operation.ref,)) if ending else await call(operation)
        except SmscError as error:
            answers[position] = error.replace(refs=(operation.ref,))
            ending = ending or left_out(error)
        if on_progress is not None:
            on_progress(len(answers), len(operations))
        await anyio.lowlevel.checkpoint()  # if the guards refuse every call, nothing else yields to the loop

    async def work() -> None:
        for position, operation in waiting:
            await ask(position, operation)

    # One request first: with wrong credentials all workers would fail at once, and five failures block the IP address.
    for position, operation in waiting:
        await ask(position, operation)
        break
    await at_once([work] * min(workers, len(operations)))
    return Reports(answers[position] for position in range(len(operations)))
