"""When a request is sent: before that, it can be cancelled, and any failure means that nothing was sent."""

import math
from collections.abc import Mapping
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

__all__ = ["RequestDeparture"]


class RequestDeparture:
    """The departure of one request over httpcore, which calls `notice` before and after each step.

    A transport that uses no network never calls it, so nothing is known about its requests.

    Args:
        extensions: Those of the request; `notice` is registered there for httpcore.
        connect: Seconds to make a connection, TLS and the proxy's CONNECT included.
        is_noticed: Whether `notice` will be called, also if the request first waits for a connection.

    Attributes:
        scope: The scope in which the request is made; it is cancelled if no connection is made in time.
    """

    __slots__ = ("_connect", "_extensions", "_has_left", "_is_connecting", "_is_noticed", "_stream", "scope")

    def __init__(self, extensions: dict[str, Any], connect: float, *, is_noticed: bool) -> None:
        extensions["trace"] = self.notice
        self._extensions = extensions
        self._connect = connect
        self._is_noticed = is_noticed
        self._is_connecting = self._has_left = False
        self._stream: Any = None  # of httpcore
        self.scope = anyio.CancelScope()

    @property
    def sent_nothing(self) -> bool:
        """Whether the request has definitely not left."""
        return self._is_connecting and not self._has_left

    async def notice(self, step: str, info: Mapping[str, Any]) -> None:
        """Record a step."""
        if self._has_left:
            return
        if step.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            if self.scope.cancel_called:
                await checkpoint()
            self._has_left, self.scope.deadline = True, math.inf
            self._extensions.pop("trace", None)  # no later step matters, and each would cost time
        elif not self._is_connecting:
            self._is_connecting, self.scope.deadline = True, anyio.current_time() + self._connect
        elif step.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]

    def prevent(self) -> None:
        """Cancel the request, unless it may have left."""
        if not self._has_left and (self._is_noticed or self._is_connecting):
            self.scope.cancel()

    async def clean_up(self) -> None:
        """Close the connection of a request that has not left; httpcore leaks it if the TLS handshake is cancelled."""
        if self._stream is not None and not self._has_left:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
