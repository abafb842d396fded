"""One operation through the network: a place in flight, the request, the answer, and what may be repeated."""

import logging
import math
import random
from datetime import tzinfo
from typing import Final, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from ._binding import decode, encode
from ._credentials import Credentials
from ._exceptions import Outcome, PoolTimeout, ReadTimeout, SmscError, SoapFault, TransportError
from ._gate import Gate
from ._namespaces import Namespaces
from ._operations import GetStatus, Operation
from ._results import Result
from ._transport import Reply, Timeout, Transport

__all__ = ["Caller"]

_log = logging.getLogger("smsc_async")
R = TypeVar("R", bound=Result)

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0


class Caller:
    """Does operations, on one event loop at a time.

    Args:
        credentials: Who calls.
        urls: The addresses of the service; an attempt that follows another goes to the next one.
        namespaces: What each of them wants as its namespace.
        transport: What moves the bytes.
        timezone: The zone in which the service writes local times.
        retries: How often a call may be repeated.
        places: Requests at once, and status requests among them.
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        urls: tuple[str, ...],
        namespaces: Namespaces,
        transport: Transport,
        timezone: tzinfo,
        retries: int,
        places: tuple[int, int],
    ) -> None:
        self._credentials = credentials
        self._urls = urls
        self._namespaces = namespaces
        self._transport = transport
        self._timezone = timezone
        self._retries = retries
        self._places = places
        self._gate = Gate(*places)
        self._token: EventLoopToken | None = None
        self._running = 0
        self.closed = False

    async def call(self, operation: Operation[R], timeout: Timeout, deadline: float | None) -> R:
        """Do an operation within so many seconds, None for no end; see `Client.call`."""
        self.bind()
        end = math.inf if deadline is None else anyio.current_time() + deadline
        self._running += 1
        try:
            return await self._attempts(operation, timeout, end)
        except SmscError as error:
            error.concerning(getattr(operation, "id", None), operation.refs())
            raise
        finally:
            self._running -= 1

    async def aclose(self) -> None:
        """Close all connections; calling it again does nothing."""
        if not self.closed:
            self.closed = True
            with anyio.CancelScope(shield=True):
                await self._transport.aclose()

    async def _attempts(self, operation: Operation[R], timeout: Timeout, end: float) -> R:
        attempt = 0
        while True:
            url = self._urls[attempt % len(self._urls)]
            try:
                async with self._gate.enter(is_status=isinstance(operation, GetStatus), within=_left(end)):
                    return await self._exchange(operation, url, timeout, end)
            except TransportError as error:
                pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
                if attempt >= self._retries or not _may_repeat(operation, error) or _left(end) <= pause:
                    raise
                _log.debug("%s: %s; again in %.2f s", operation.methods[0], type(error).__name__, pause)
            attempt += 1
            await anyio.sleep(pause)
            self.bind()  # the client may have been closed meanwhile

    async def _exchange(self, operation: Operation[R], url: str, timeout: Timeout, end: float) -> R:
        namespace = self._namespaces.of(url)
        try:
            return await self._post(operation, url, namespace, timeout, end)
        except SoapFault as fault:
            if not fault.procedure_missing:
                raise
            with anyio.move_on_after(_left(end)) as scope:
                healed = await self._namespaces.heal(fault, url, namespace, self._transport, timeout.within(_left(end)))
            if scope.cancelled_caught:
                raise
        return await self._post(operation, url, healed, timeout, end)

    async def _post(self, operation: Operation[R], url: str, namespace: str, timeout: Timeout, end: float) -> R:
        request = encode(operation, self._credentials, namespace)
        reply: Reply | None = None
        if not _left(end):
            raise PoolTimeout("the deadline passed before the request could leave, nothing was sent")
        start = anyio.current_time()
        with anyio.move_on_after(_left(end)):
            reply = await self._transport.post(url, request.headers, request.body, timeout.within(_left(end)))
        if reply is None:
            raise ReadTimeout("the request was sent and no complete answer came before the deadline")
        took = anyio.current_time() - start
        _log.debug("%s: HTTP %d, %d bytes, %.3f s", request.method, reply.status_code, len(reply.body), took)
        return decode(
            operation,
            request,
            status_code=reply.status_code,
            content_type=reply.content_type,
            body=reply.body,
            timezone=self._timezone,
        )

    def bind(self) -> None:
        """Take up the running event loop; places and locks of another are of no use here."""
        if self.closed:
            raise RuntimeError("this client is closed; make a new one")
        token = current_token()
        if token == self._token:
            return
        if self._running:
            raise RuntimeError(
                "this client is in use on another event loop; make a client for each event loop or thread"
            )
        # Also the first time: the loop on which the client was made may be another one.
        self._gate = Gate(*self._places)
        self._namespaces.rebind()
        self._token = token


def _left(end: float) -> float:
    return max(0.0, end - anyio.current_time())


def _may_repeat(operation: Operation[R], error: TransportError) -> bool:
    return error.outcome is Outcome.NOT_SENT or (operation.is_read and error.outcome is Outcome.UNKNOWN)
