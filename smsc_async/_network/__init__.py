"""The network: the `Transport` protocol and its two implementations."""

from typing import TYPE_CHECKING, Any

from .proxy import ascii_host, is_loopback
from .transport import PooledTransport, Reply, Timeout, Transport, TransportWithGet

if TYPE_CHECKING:
    from .aiohttp import AiohttpTransport as AiohttpTransport
    from .httpx import HttpxTransport as HttpxTransport

__all__ = [
    "AiohttpTransport",
    "HttpxTransport",
    "PooledTransport",
    "Reply",
    "Timeout",
    "Transport",
    "TransportWithGet",
    "ascii_host",
    "is_loopback",
]


def __getattr__(name: str) -> Any:
    """Import a transport when a client first needs it: httpx is slow to import, and aiohttp is an extra."""
    if name == "HttpxTransport":
        from .httpx import HttpxTransport  # noqa: PLC0415 - see the docstring

        return HttpxTransport
    if name == "AiohttpTransport":
        from .aiohttp import AiohttpTransport  # noqa: PLC0415 - see the docstring

        return AiohttpTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
