"""The seam to the network: one POST, bytes out and bytes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, runtime_checkable

__all__ = ["Reply", "Timeout", "Transport", "TransportWithGet"]


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long each step of one request may take, in seconds.

    Attributes:
        connect: To make a connection, TLS included.
        read: Between two pieces of the answer.
        write: Between two pieces of the request.
        pool: To get a connection from the pool.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 10.0

    def __post_init__(self) -> None:
        if min(self.connect, self.read, self.write, self.pool) <= 0:
            raise ValueError("a timeout is more than 0 seconds")

    @classmethod
    def of(cls, value: "Timeout | float") -> "Timeout":
        """Make a timeout of a number of seconds: that for reading and writing, at most 5 for connecting."""
        if isinstance(value, Timeout):
            return value
        return cls(connect=min(5.0, value), read=value, write=value, pool=min(10.0, value))

    def within(self, seconds: float) -> Self:
        """Return a timeout none of whose steps is longer than this."""
        seconds = max(seconds, 0.001)
        return replace(
            self,
            connect=min(self.connect, seconds),
            read=min(self.read, seconds),
            write=min(self.write, seconds),
            pool=min(self.pool, seconds),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    Attributes:
        status_code: The HTTP status.
        content_type: The Content-Type header, "" for none.
        body: The body, decompressed.
    """

    status_code: int
    content_type: str
    body: bytes = field(repr=False)


class Transport(Protocol):
    """What moves the bytes; `Client(transport=)` takes any object with these methods.

    It raises this package's `TransportError`s with the right `outcome`: `ConnectError` and `PoolTimeout` only where not
    a byte of the request has left.
    """

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Post a request and return the whole answer, whatever its status."""

    async def aclose(self) -> None:
        """Close all connections."""


@runtime_checkable
class TransportWithGet(Transport, Protocol):
    """A transport that can also read a `?wsdl`, which heals a wrong namespace."""

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Fetch a document and return the whole answer, whatever its status."""
