"""The service behind HTTP, as PHP's SoapServer answers it."""

import re
import time
import zlib
from collections.abc import Collection
from threading import Lock
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from smsc_async._protocol import (
    CONTRACT,
    Incoming,
    RequestFault,
    SoapVersion,
    encode_answer,
    encode_fault,
    mask_credentials,
    reads_at_once,
    receive,
    write_wsdl,
)
from smsc_async._thread import in_own_thread

from ._changes import Changes
from ._connection import CutResponse, Traffic, wait_of
from ._damage import damaged, delay_of, instead, refusal_of
from ._desk import Desk, Run, at_once
from ._exchanges import Exchange, Exchanges
from ._faults import Faults, ScriptEntry
from ._fields import REASONS, Answer
from ._sandbox_clock import SandboxClock
from ._service import Service

__all__ = ["SoapEndpoint"]

_MAX_REQUEST: Final = 8 * 1_048_576  # PHP's post_max_size by default
_COMPRESSIONS: Final = {"gzip", "x-gzip", "deflate"}  # PHP compares them exactly
_LONGEST_SHOWN: Final = 65_536
_QUOTED: Final = re.compile("'.*'", re.DOTALL)


class SoapEndpoint:
    """Answers the requests of clients of the service.

    Args:
        service: The emulator.
        clock: The clock.
        traffic: Counts the requests while they are executed.
        faults: The faults to inject.
        exchanges: What arrived and how it was answered.
        changes: Notified of accepted messages.
        latency: Seconds between the arrival of a request and its answer.
        namespace: The namespace of requests and answers; None for that of the service and the URL of the request.
    """

    def __init__(
        self,
        service: Service,
        clock: SandboxClock,
        traffic: Traffic,
        faults: Faults,
        exchanges: Exchanges,
        *,
        changes: Changes,
        latency: float,
        namespace: str | None,
    ) -> None:
        self._service = service
        self._clock = clock
        self._traffic = traffic
        self._faults = faults
        self._exchanges = exchanges
        self._changes = changes
        self._latency = latency
        self._namespace = namespace
        self._choosing = Lock()

    async def answer(self, request: Request) -> Response:
        """Answer a request, and keep it with its answer."""
        url, _ = _urls(request)
        if request.method == "GET" and request.scope["query_string"].lower() == b"wsdl":
            return _xml(write_wsdl(CONTRACT, self._faults.namespace or self._namespace or url, location=url))
        if request.method != "POST":
            return _nothing()
        encoding = request.headers.get("Content-Encoding")
        if encoding is not None and encoding not in _COMPRESSIONS:
            return _nothing()
        started = time.perf_counter()
        body = await _body(request) or b""
        source = request.client.host if request.client else "127.0.0.1"
        with self._choosing:
            exchange = Exchange(self._service.next_request(), self._clock.now(), source=source)
        response: Response | None = None
        try:
            response = await self._execute(request, _Body(body, encoding, self._service.accounts.secrets), exchange)
        finally:
            status = None if response is None or isinstance(response, CutResponse) else response.status_code
            self._exchanges.finish(exchange, time.perf_counter() - started, status, _shown(response))
            self._changes.notify()
        return response

    async def _execute(self, request: Request, body: "_Body", exchange: Exchange) -> Response:
        names = (CONTRACT.namespace, *_urls(request)) if self._namespace is None else (self._namespace,)
        run = body.run
        try:
            incoming = await run(lambda: body.received((*names, *self._faults.namespaces), exchange))
        except RequestFault as refusal:
            exchange.reason = f"SOAP Fault {refusal.code}: {_QUOTED.sub('...', refusal.string)}"
            self._exchanges.add(exchange)
            return _xml(encode_fault(refusal), refusal.version, status_code=500)
        method, now = incoming.method, exchange.at
        exchange.method = method
        with self._choosing:
            injected = self._faults.strike(method, incoming.fields, incoming.namespace, now=now, source=exchange.source)
        exchange.fault = None if injected is None else injected.fault.kind
        wait = wait_of(request.scope, request.receive, self._clock, self._traffic)
        if injected is not None and not injected.fault.is_executed:
            error = refusal_of(injected.fault)
            if error:
                self._service.counts[method, error] += 1
                exchange.error, exchange.reason = error, REASONS.get(error, "")
            self._faults.record(ScriptEntry(now, method, exchange.fault, executed=False, error=error))
            self._exchanges.add(exchange)
            await wait(self._latency)
            return instead(injected, incoming)

        def arrive() -> Answer:
            return self._service.arrive(
                method, incoming.fields, now=self._clock.now(), source=exchange.source, number=exchange.number
            )

        async with Desk(self._service).request(run, arrive) as answer:
            self._note(exchange, answer)
            self._faults.record(ScriptEntry(now, method, exchange.fault, error=answer.error))
            await wait(self._latency + delay_of(injected))
            whole = _xml(
                await run(lambda: encode_answer(incoming, answer.fields, incoming.namespace)), incoming.version
            )
            return whole if injected is None else damaged(whole, injected, incoming, answer.fields, wait)

    def _note(self, exchange: Exchange, answer: Answer) -> None:
        exchange.executed, exchange.login, exchange.messages = True, answer.login, answer.messages
        exchange.error, exchange.reason, exchange.excess = answer.error, answer.reason, answer.excess
        self._exchanges.add(exchange)
        if answer.messages:
            self._changes.notify()


class _Body:
    """The body of a request.

    Args:
        data: Its bytes.
        encoding: How they are compressed, None if they are not.
        secrets: The credentials of all customers.

    Attributes:
        run: Runs what takes as long as the body is.
    """

    def __init__(self, data: bytes, encoding: str | None, secrets: Collection[str]) -> None:
        self._data = data
        self._secrets = secrets
        self._encoding = encoding
        self.run: Run = at_once if encoding is None and reads_at_once(data) else in_own_thread

    def received(self, namespaces: Collection[str], exchange: Exchange) -> Incoming:
        """Read the request, and keep it without its credentials."""
        data = _unpacked(self._data, self._encoding)
        if len(data) <= _LONGEST_SHOWN:
            exchange.request = mask_credentials(data, self._secrets)
        return receive(data, namespaces=namespaces)


def _shown(response: Response | None) -> str:
    """Return the body of an answer, empty if it is too long or none is sent at once."""
    body = b"" if response is None else bytes(response.body)
    return body.decode(errors="replace") if len(body) <= _LONGEST_SHOWN else ""


def _urls(request: Request) -> tuple[str, str]:
    """Return the URL of a request by its Host header, and by the address that the server listens on."""
    scheme, path = request.scope["scheme"], request.scope["path"]
    host, port = request.scope.get("server") or ("127.0.0.1", None)
    netloc = f"[{host}]" if ":" in host else host
    if port not in {None, 443 if scheme == "https" else 80}:
        netloc += f":{port}"
    return f"{scheme}://{request.headers.get('Host') or netloc}{path}", f"{scheme}://{netloc}{path}"


async def _body(request: Request) -> bytes | None:
    """Return the request's body, None if it exceeds PHP's limit or the client disconnects."""
    parts: list[bytes] = []
    room = _MAX_REQUEST
    try:
        async for part in request.stream():
            room -= len(part)
            if room < 0:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)


def _unpacked(body: bytes, encoding: str | None) -> bytes:
    """Decompress as ext-soap does; a corrupt body becomes an empty document, which is a bad request."""
    if encoding is None:
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, _MAX_REQUEST)
    except zlib.error:
        return b""


def _xml(body: bytes, version: SoapVersion = SoapVersion.V11, status_code: int = 200) -> Response:
    return Response(body, status_code, headers={"Content-Type": version.content_type})


def _nothing() -> Response:
    """Return the empty page with which PHP answers anything that is not a call."""
    return Response(b"", headers={"Content-Type": "text/html; charset=UTF-8"})
