"""Sending a callback to an application: over HTTP, or to an ASGI application in this process."""

import ssl
from functools import cache
from typing import Final, NamedTuple, Protocol

import httpx

__all__ = ["CallbackAnswer", "CallbackPoster", "HttpxPoster"]

_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST: Final = 65_536


class CallbackAnswer(NamedTuple):
    """What an application has answered.

    Attributes:
        status: The HTTP status.
        body: The beginning of the body.
    """

    status: int
    body: bytes = b""


class CallbackPoster(Protocol):
    """Sends a callback to an application."""

    async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
        """Send a callback and return the answer; an exception means that there was none.

        Args:
            method: `POST`, or `GET`.
            url: The URL of the application.
            data: The fields with their signature: the form of a `POST`, or what to add to the query.
        """


class HttpxPoster:
    """Sends callbacks with httpx: each on a connection of its own, directly, and without following a redirect.

        HttpxPoster(httpx.ASGITransport(app=app))  # to a FastAPI application in a test, without a network

    Args:
        transport: A transport of httpx; it is not closed. None for HTTP over a network.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport

    async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:
        """Send a callback and return the answer."""
        request = _request(method, url, data)
        if self._transport is not None:
            return await _answer(self._transport, request)
        # A client of httpx would write the URL, which may have a phone in it, into its log.
        async with httpx.AsyncHTTPTransport(verify=_tls()) as transport:
            return await _answer(transport, request)


def _request(method: str, url: str, data: bytes) -> httpx.Request:
    if method == "GET":
        return httpx.Request("GET", f"{url}{'&' if '?' in url else '?'}{data.decode()}")
    return httpx.Request("POST", url, content=data, headers={"Content-Type": _FORM})


async def _answer(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> CallbackAnswer:
    response = await transport.handle_async_request(request)
    body = b""
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > _LONGEST:
                break
    finally:
        await response.aclose()
    return CallbackAnswer(response.status_code, body[:_LONGEST])


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
