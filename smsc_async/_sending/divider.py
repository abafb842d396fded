"""The requests of a bulk job: each chunk with its operation; no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from smsc_async._model import Message

from .chunks import Chunk, Chunker, fitting

__all__ = ["ChunkRequest", "Divider"]

O_co = TypeVar("O_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ChunkRequest(Generic[O_co]):
    """A chunk and its operation.

    Attributes:
        chunk: The chunk.
        made: The operation, or why there is none.
    """

    chunk: Chunk
    made: O_co | ValueError = field(repr=False)

    def operation(self) -> O_co:
        """Return the operation.

        Raises:
            ValueError: The messages and the arguments contradict each other.
        """
        if isinstance(self.made, ValueError):
            raise self.made
        return self.made


class Divider(Generic[O_co]):
    """Divides messages into requests, as a `Chunker`; a message that the arguments contradict has one of its own.

    Args:
        size: The most messages in one request.
        make: Returns the operation of a chunk.
        options: The arguments that all requests share.
    """

    def __init__(self, size: int, make: Callable[[Chunk, Mapping[str, Any]], O_co], options: Mapping[str, Any]) -> None:
        self._chunker = Chunker(size)
        self._make = make
        self._options = options

    def add(self, message: Message) -> list[ChunkRequest[O_co]]:
        """Add a message; return the requests that this completes.

        Raises:
            ValueError: As in `Chunker.add`.
        """
        return [request for chunk in self._chunker.add(message) for request in self._requests(chunk)]

    def rest(self) -> list[ChunkRequest[O_co]]:
        """Return the requests for the messages held so far."""
        return [request for chunk in self._chunker.rest() for request in self._requests(chunk)]

    def divided(self, request: ChunkRequest[O_co], size: int) -> list[ChunkRequest[O_co]]:
        """Return requests for the same messages, with at most `size` in each."""
        chunker = Chunker(size)
        parts = [part for message in request.chunk.messages for part in chunker.add(message)] + chunker.rest()
        return [smaller for part in parts for smaller in self._requests(part)]

    def _requests(self, chunk: Chunk) -> list[ChunkRequest[O_co]]:
        # To check each message by itself would take longer than all else that is done for it.
        try:
            return [ChunkRequest(chunk, self._make(chunk, self._options))]
        except ValueError as error:
            wrong = error.with_traceback(None)
        chunker = Chunker(len(chunk.messages), fitting(self._make, self._options))
        parts = [part for message in chunk.messages for part in chunker.add(message)] + chunker.rest()
        if parts == [chunk]:
            return [ChunkRequest(chunk, wrong)]
        return [request for part in parts for request in self._requests(part)]
