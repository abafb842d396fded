"""The interface to the network: one POST request and its reply, as bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, Self, runtime_checkable

from smsc_async._frames import forget_frames
from smsc_async._model import (
    ConnectError,
    ConnectionLost,
    Outcome,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    TransportError,
    is_seconds,
    wrong,
)
from smsc_async._version import __version__

from .causes import Route

__all__ = [
    "DEFAULT_HEADERS",
    "KEEPALIVE_EXPIRY",
    "PooledTransport",
    "Reply",
    "Timeout",
    "Transport",
    "TransportWithGet",
    "broken_answer",
    "cause_of",
    "failure",
    "not_connected",
    "ours",
]

# Answers are a few hundred bytes: compressing them costs more than it saves.
DEFAULT_HEADERS: Final[Mapping[str, str]] = {
    "Accept": "text/xml",
    "Accept-Encoding": "identity",
    "User-Agent": f"smsc-async/{__version__}",
}

# Apache closes an idle connection after 5 seconds by default. One that the client closes first can't be closed by the
# server just as a send leaves, which would make its outcome unknown for no reason.
KEEPALIVE_EXPIRY: Final = 4.0

_WORDS: Final[Mapping[type[TransportError], str]] = {
    ConnectError: "no connection could be made, nothing was sent",
    PoolTimeout: "no connection became free in time, nothing was sent",
    ReadTimeout: "the request was sent and no complete answer came in time",
    ConnectionLost: "the connection was cut after the request had begun to leave",
}


def failure(kind: type[TransportError], foreign: str = "") -> TransportError:
    """Return the exception of this kind; `foreign` names the library's exception, whose text may be private."""
    return kind(f"{_WORDS[kind]} ({foreign})" if foreign else _WORDS[kind])


def not_connected(reason: str) -> ConnectError:
    """Return the exception for a connection that could not be made."""
    return ConnectError(f"{reason}, nothing was sent")


def broken_answer() -> ProtocolError:
    """Return the exception for an answer whose HTTP headers can't be read; the request may have been executed."""
    return ProtocolError("the HTTP headers of the answer are broken or too long, so it could not be read")


def ours(
    error: Exception,
    table: Mapping[type[Exception], type[TransportError]],
    *,
    left: bool | None,
    route: Route | None = None,
) -> TransportError:
    """Return our exception for one of a library.

    Args:
        error: The exception.
        table: Our classes for those of the library; the nearest in the method resolution order applies.
        left: Whether the body was sent, without which a server executes nothing; None if only the class of the
            exception can show it.
        route: Where the request was to go, None to leave that out.
    """
    kind = next((table[base] for base in type(error).__mro__ if base in table), ConnectionLost)
    if left is False and kind.outcome is Outcome.UNKNOWN:
        kind = ConnectError
    if left and kind.outcome is Outcome.NOT_SENT:
        kind = ConnectionLost
    if route is not None and kind is ConnectError:
        return not_connected(route.failed(error))
    return failure(kind, type(error).__name__)


def cause_of(error: Exception) -> Exception:
    """Return an exception of a library without its traceback frames, whose variables contain the request."""
    forget_frames(error)
    return error


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long each step of one request may take.

    Attributes:
        connect: Seconds to make a connection, TLS included.
        read: Seconds between two pieces of the answer.
        write: Seconds between two pieces of the request.
        pool: Seconds to get a connection from the pool.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 10.0

    def __post_init__(self) -> None:
        for name in ("connect", "read", "write", "pool"):
            if not (is_seconds(value := getattr(self, name)) and value):
                raise wrong(name, "a number of seconds, more than 0", value)

    @classmethod
    def of(cls, value: "Timeout | float") -> "Timeout":
        """Return a timeout of `value` seconds for each step, at most 5 to connect and 10 to get a connection."""
        if isinstance(value, Timeout):
            return value
        if not is_seconds(value) or not value:
            raise wrong("timeout", "a number of seconds, more than 0, or a Timeout", value)
        return cls(connect=min(5.0, value), read=value, write=value, pool=min(10.0, value))

    def in_time(self, left: float) -> Self:
        """Return a timeout with which a connection fails well before a deadline, which would leave the outcome unknown.

        Connecting takes up to three steps: waiting for the pool, TCP, and possibly TLS.
        """
        steps, most = self.within(left), left / 4
        if steps.connect <= most and steps.pool <= most:
            return steps
        return replace(steps, connect=min(steps.connect, most), pool=min(steps.pool, most))

    def within(self, seconds: float) -> Self:
        """Return a timeout with no step longer than `seconds`."""
        if seconds >= self.read and seconds >= self.write and seconds >= self.connect and seconds >= self.pool:
            return self
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
    """An HTTP response.

    Attributes:
        status_code: The HTTP status.
        content_type: The Content-Type header, "" for none.
        body: The body, decompressed.
    """

    status_code: int
    content_type: str
    body: bytes = field(repr=False)


class Transport(Protocol):
    """The transport of the requests; `Client(transport=)` takes any object with these methods.

    It raises this package's `TransportError`s with the right `outcome`: `ConnectError` and `PoolTimeout` only if no
    byte of the request has left.
    """

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Post a request and return the whole answer, whatever its status."""

    async def aclose(self) -> None:
        """Close all connections."""


@runtime_checkable
class PooledTransport(Transport, Protocol):
    """A transport that keeps connections, in which requests may wait before they leave."""

    def stop(self) -> None:
        """Send no request that has not left yet; waiting ones fail as if there were no connection."""

    def distrust(self) -> None:
        """Do not reuse any existing connection: an answer belonged to another request, so the next may too."""


@runtime_checkable
class TransportWithGet(Transport, Protocol):
    """A transport that can also fetch a `?wsdl`, so that the client can correct a wrong namespace."""

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Fetch a document and return the whole answer, whatever its status."""
