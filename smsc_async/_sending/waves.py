"""Waves: the requests of a bulk job that are in flight together; all are answered before an outcome is yielded."""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, Literal, Self, TypeAlias, TypeVar

from smsc_async._model import Outcome, Result, SmscError, is_count, wrong

from .at_once import at_once
from .chunks import left_out
from .divider import ChunkRequest, Divider

__all__ = ["Abandoning", "Concurrency", "EachCall", "Waves", "Workers"]

Op = TypeVar("Op")
R = TypeVar("R", bound=Result)
EachCall: TypeAlias = partial[Coroutine[Any, Any, Any]]
"""Executes one operation: `Client.call` with the options of a bulk job."""
Abandoning: TypeAlias = Callable[[], Callable[[Op], None]]
"""Called before a wave; returns a function for each of its operations that was accepted and whose result is lost."""
Workers: TypeAlias = int | Literal["auto"]
"""The most requests of a batch in flight."""

_FREE_SLOTS: Final = 4
_FREE_MESSAGES: Final = 10


@dataclass(frozen=True, slots=True)
class Concurrency:
    """What a batch may have in flight.

    Attributes:
        requests: The most requests.
        messages: The most messages in each of them.
    """

    requests: int
    messages: int

    @classmethod
    def of(cls, workers: Workers, size: int, *, in_flight: int, bad_sends: int | None) -> Self:
        """Return what a batch may have in flight.

        Args:
            workers: The most requests, no more than fit; "auto" to leave 4 requests and 10 messages to other calls.
            size: The most messages in a request.
            in_flight: The limit of requests in flight.
            bad_sends: The limit of messages in flight, any of which may be refused; None for no limit.

        Raises:
            ValueError: `workers` is neither.
        """
        if workers == "auto":
            requests = max(in_flight - _FREE_SLOTS, in_flight // 2, 1)
            if bad_sends is None:
                return cls(requests, size)
            messages = max(bad_sends - _FREE_MESSAGES, bad_sends // 2, 1)
            fewest = max(messages // size, 1)
            numbers = (min(fewest, requests), min(fewest + 1, requests))
            choices = [cls(number, min(size, messages // number)) for number in numbers]
            return max(choices, key=lambda choice: choice.requests * choice.messages)
        if not is_count(workers):
            raise wrong("workers", "a whole number, at least 1, or 'auto'", workers)
        if bad_sends is not None:
            in_flight = min(in_flight, max(bad_sends // size, 1))  # the others would wait until their deadline
        return cls(min(workers, in_flight), size)


class Waves(Generic[Op, R]):
    """Makes the requests of a bulk job, several at a time.

    The first request is made alone, and so is each further one until the service has accepted one: with wrong
    credentials all would fail, and five failures block the IP address. No wave has two messages to one recipient, so
    that these arrive in order. After a wave of which none was accepted, the messages of which may count as refused, the
    next request has few messages: one that is accepted ends the count.

    Args:
        requests: The requests.
        divider: Divides a request into smaller ones.
        call: Executes one operation.
        most: The most requests in a wave.
        abandoning: See `Abandoning`; None for requests that change nothing.
    """

    def __init__(
        self,
        requests: AsyncGenerator[ChunkRequest[Op], None],
        divider: Divider[Op],
        call: EachCall,
        most: int,
        abandoning: Abandoning[Op] | None = None,
    ) -> None:
        self._requests = requests
        self._divider = divider
        self._call = call
        self._most = most
        self._abandoning = abandoning
        self._ready: deque[ChunkRequest[Op]] = deque()
        self._failure: Exception | None = None
        self._ending: SmscError | None = None
        self._has_left = False
        self._is_proved = False
        self._is_careful = False

    async def next(self) -> list[tuple[ChunkRequest[Op], R | SmscError | ValueError]]:
        """Make the requests of the next wave; return each with its answer, in order, and nothing after the last wave.

        Raises:
            ValueError: The first request is wrong.
            SmscError: The first request was definitely not sent.
            Exception: The source of the messages failed; the requests before that were made.
        """
        wave = await self._take(self._most if self._is_proved and not self._is_careful else 1)
        if not wave and self._failure is not None:
            raise self._failure
        answers = [await self._answer(wave[0])] if len(wave) == 1 else await self._answers(wave)
        for answer in answers if not self._has_left else ():
            if isinstance(answer, ValueError) or (isinstance(answer, SmscError) and answer.outcome is Outcome.NOT_SENT):
                raise answer
        self._has_left = True
        if any(isinstance(answer, Result) for answer in answers):
            self._is_careful = False
        elif self._abandoning is not None and len(wave) > 1:  # a read counts as no refused message
            self._is_careful = True
        return list(zip(wave, answers, strict=True))

    async def _take(self, most: int) -> list[ChunkRequest[Op]]:
        """Read the requests of a wave. Not in a task group: the source may be in one of its own."""
        wave: list[ChunkRequest[Op]] = []
        recipients: set[str] = set()
        while len(wave) < most:
            if not self._ready and self._failure is None:
                await self._read()
            if self._is_careful and self._ready:
                self._ready.extendleft(reversed(self._divider.divided(self._ready.popleft(), _FREE_MESSAGES)))
            if not self._ready or not recipients.isdisjoint(self._ready[0].chunk.recipients):
                break
            wave.append(self._ready.popleft())
            recipients |= wave[-1].chunk.recipients
        return wave

    async def _read(self) -> None:
        """Read one request, if there is one more."""
        try:
            self._ready.append(await anext(self._requests))
        except StopAsyncIteration:
            pass
        except Exception as failure:  # noqa: BLE001 - raised after the requests before it
            self._failure = failure

    async def _answers(self, wave: list[ChunkRequest[Op]]) -> list[R | SmscError | ValueError]:
        """Make all requests at once."""
        abandon = None if self._abandoning is None else self._abandoning()
        answers: dict[int, R | SmscError | ValueError] = {}

        async def answer(number: int, request: ChunkRequest[Op]) -> None:
            answers[number] = await self._answer(request)

        try:
            await at_once(partial(answer, number, request) for number, request in enumerate(wave))
        except BaseException:
            for number, each in answers.items():
                if abandon is not None and isinstance(each, Result):
                    abandon(wave[number].operation())
            raise
        return [answers[number] for number in range(len(wave))]

    async def _answer(self, request: ChunkRequest[Op]) -> R | SmscError | ValueError:
        if self._ending is not None:
            return self._ending.replace()
        try:
            answer: R = await self._call(request.operation())
        except (SmscError, ValueError) as error:
            self._end(left_out(error))
            return error
        self._is_proved = True
        return answer

    def _end(self, ending: SmscError | None) -> None:
        self._ending = self._ending or ending
