"""Every exception of the libraries below, at every step of a call: only our exceptions leave it, with the outcome."""

import asyncio
import importlib
import pkgutil
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any, Final
from unittest import mock

import aiohttp
import anyio
import h11
import httpcore
import httpx
import pytest
import redis

from smsc_async import Client, Guards, GuardStoreError, Outcome, Reply, SmscError, Timeout, UnresolvedSend
from smsc_async.guards import MemoryStore, RedisStore, Refusal, Reservation, Rules
from tests.doubles import FakeService, RawRequest, answer, http_bytes, raw_server

PHONE: Final = "+79991234567"
SECRET: Final = "canary"
URL: Final = "https://sms.test/sys/soap.php"


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """Yield a package and those of its modules that can be imported."""
    yield package
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), f"{package.__name__}."):
        if "pytest" not in found.name and "__main__" not in found.name:
            try:
                yield importlib.import_module(found.name)
            except (ImportError, RuntimeError):
                continue  # it needs a library that is not installed


def _descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)


def _kinds(*packages: ModuleType) -> list[type[Exception]]:
    found = {
        value
        for package in packages
        for module in _modules(package)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


NETWORK: Final = _kinds(httpx, httpcore, h11, aiohttp, ssl, anyio)
STORES: Final = _kinds(redis, sqlite3)
BUILT_IN: Final[list[type[Exception]]] = [
    *_descendants(OSError),
    UnicodeError,
    ExceptionGroup,
    AssertionError,
    KeyError,
    StopAsyncIteration,
]
ALL: Final[list[type[Exception]]] = [kind for kind in {*NETWORK, *STORES, *BUILT_IN} if not issubclass(kind, SmscError)]


def test_the_libraries_have_exceptions() -> None:
    names = {kind.__name__ for kind in ALL}
    assert len(ALL) > 150
    assert {"PoolTimeout", "ConnectError", "LocalProtocolError", "ServerDisconnectedError", "SSLEOFError"} <= names
    assert {"BrokenResourceError", "NoScriptError", "OperationalError", "BlockingIOError", "gaierror"} <= names


def _make(kind: type[Exception]) -> Exception:
    """Make an exception of a class whose constructor may need anything."""
    if issubclass(kind, ExceptionGroup):
        return kind(SECRET, [ValueError(SECRET)])
    error = kind.__new__(kind)
    error.args = (SECRET,)
    return error


class _Broken(httpcore.AsyncNetworkBackend, httpcore.AsyncNetworkStream):
    """A network that fails at one step, and else answers each request."""

    def __init__(self, step: str, error: Exception) -> None:
        self._step = step
        self._error = error
        self._writes = self._reads = 0

    def _at(self, step: str) -> None:
        if step == self._step:
            raise self._error

    async def connect_tcp(self, *_: Any, **__: Any) -> "_Broken":
        self._at("connect")
        return self

    async def start_tls(self, *_: Any, **__: Any) -> "_Broken":
        self._at("handshake")
        return self

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's signature
        self._writes += 1
        self._at("head" if self._writes == 1 else "body")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's signature
        if self._step == "head":
            return b""
        self._reads += 1
        self._at("answer" if self._reads == 1 else "rest")
        whole = http_bytes(answer("send_sms", namespace=URL, id="a1", cnt="1").body, connection="close")
        return whole[:-5] if self._reads == 1 else whole[-5:]

    async def aclose(self) -> None:
        self._at("close")

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002 - httpcore's signature
        return None


def _check_chain(error: BaseException | None) -> None:
    """Only exceptions whose text quotes nothing may stand behind ours."""
    while error is not None:
        is_known = isinstance(error, (SmscError, httpx.RequestError, aiohttp.ClientError, OSError))
        assert is_known or type(error).__module__.startswith("httpcore"), repr(error)
        assert not isinstance(error, (httpx.ProtocolError, httpcore.ProtocolError, aiohttp.ClientResponseError))
        error = error.__cause__ or error.__context__


async def _judge(client: Client, kept: list[UnresolvedSend], sent: bool, **options: Any) -> None:
    """Send, and judge the exception; nothing may be counted if nothing was sent."""
    with pytest.raises(SmscError) as caught:
        await client.send(PHONE, "Hi", **options)
    error = caught.value
    assert error.outcome is (Outcome.UNKNOWN if sent else Outcome.NOT_SENT), f"{error!r}, {error.__cause__!r}"
    assert kept == ([error.unresolved] if sent else [])
    assert SECRET not in f"{error!s}{error!r}{vars(error)}"
    _check_chain(error)
    if hasattr(client, "guards") and not sent:
        await client.guards.flush()
        assert all(rule.keys == 0 for rule in (await client.guards.snapshot()).rules.values())


def _client(kept: list[UnresolvedSend], **options: Any) -> Client:
    given = {"apikey": "key", "url": URL, "retries": 0, "on_unknown": "raise", "on_unresolved": kept.append}
    return Client(**{**given, **options})


BEFORE: Final = ("environment", "certificates", "request", "connect", "handshake", "head")
AFTER: Final = ("body", "answer", "rest", "close")


@contextmanager
def _failing(target: str, error: Exception) -> Iterator[None]:
    with mock.patch(target, side_effect=error):
        yield


SETUP: Final = {
    "environment": "smsc_async._network.proxy.getproxies",
    "certificates": "smsc_async._network.tls._verified",
    "request": "smsc_async._network.httpx._parsed",
}


@pytest.mark.parametrize("step", BEFORE + AFTER)
async def test_no_exception_at_any_step_of_the_default_transport_leaves_a_call(step: str) -> None:
    for kind in ALL:
        if step not in SETUP and kind.__module__.startswith("httpx"):
            continue  # a network raises those of httpcore
        if step not in SETUP and kind is httpcore.ConnectionNotAvailable:
            continue  # httpcore's own signal to try another connection
        if step == "body" and issubclass(kind, httpcore.WriteError):
            continue  # a server may answer before it has read the body, so httpcore reads the answer
        error, kept = _make(kind), list[UnresolvedSend]()
        network = _Broken(step, error)
        patch = _failing(SETUP[step], error) if step in SETUP else nullcontext()
        with mock.patch("httpcore._async.connection_pool.AutoBackend", return_value=network), patch:
            client = _client(kept)
            await _judge(client, kept, step in AFTER)


class _Carrier:
    """A transport of a caller that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:  # noqa: ARG002 - see Transport
        raise self._error

    async def aclose(self) -> None:
        """Do nothing."""


async def test_no_exception_of_a_callers_transport_leaves_a_call_and_none_proves_that_nothing_was_sent() -> None:
    for kind in ALL:
        kept: list[UnresolvedSend] = []
        await _judge(_client(kept, transport=_Carrier(_make(kind))), kept, sent=True)


async def test_a_transport_that_is_not_one_sends_nobody_knows_what() -> None:
    def not_async(url: str, headers: object, body: bytes, timeout: object) -> Reply:  # noqa: ARG001 - see Transport
        return Reply(200, "", b"")

    async def nothing(url: str, headers: object, body: bytes, timeout: object) -> None:  # noqa: ARG001 - see Transport
        return None

    for post in (not_async, nothing):
        kept: list[UnresolvedSend] = []
        service = FakeService()
        service.post = post  # type: ignore[assignment]
        await _judge(_client(kept, transport=service), kept, sent=True)


async def test_no_exception_while_an_answer_is_read_leaves_a_call() -> None:
    for kind in ALL:
        kept: list[UnresolvedSend] = []
        with _failing("smsc_async._call.answer.decode", _make(kind)):
            await _judge(_client(kept, transport=FakeService(namespace=URL)), kept, sent=True)


class _Stream(httpx.AsyncByteStream):
    def __init__(self, step: str, error: Exception) -> None:
        self._step = step
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield answer("send_sms", namespace=URL, id="a1", cnt="1").body
        if self._step == "rest":
            raise self._error

    async def aclose(self) -> None:
        if self._step == "close":
            raise self._error


class _Given(httpx.AsyncBaseTransport):
    def __init__(self, step: str, error: Exception) -> None:
        self._step = step
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's signature
        if self._step == "request":
            raise self._error
        return httpx.Response(200, headers={"Content-Type": "text/xml"}, stream=_Stream(self._step, self._error))


NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@pytest.mark.parametrize("step", ["request", "rest", "close"])
async def test_no_exception_of_an_httpx_transport_that_is_passed_leaves_a_call(step: str) -> None:
    for kind in ALL:
        kept: list[UnresolvedSend] = []
        sent = step != "request" or not issubclass(kind, NEVER_LEFT)
        await _judge(_client(kept, transport=_Given(step, _make(kind))), kept, sent)


class _Store(MemoryStore):
    """A store that fails at one step."""

    def __init__(self, step: str, error: Exception) -> None:
        super().__init__()
        self._step = step
        self._error = error

    salt: Any = None

    def _at(self, step: str) -> None:
        if step == self._step:
            raise self._error

    async def open(self) -> bytes:
        self._at("open")
        return b"salt"

    async def acquire(self, demands: Any, hold: float) -> Reservation | Refusal:
        self._at("acquire")
        return await super().acquire(demands, hold)

    def release(self, reservation: Reservation, releases: Any) -> None:
        self._at("release")
        super().release(reservation, releases)

    async def flush(self) -> None:
        self._at("flush")

    async def aclose(self) -> None:
        self._at("close")


@pytest.mark.parametrize("step", ["open", "acquire"])
async def test_no_exception_of_a_guard_store_leaves_a_call(step: str) -> None:
    for kind in ALL:
        kept: list[UnresolvedSend] = []
        service = FakeService(namespace=URL)
        client = _client(kept, transport=service, guards=Guards(_Store(step, _make(kind))))
        with pytest.raises(GuardStoreError) as caught:
            await client.send(PHONE, "Hi")
        assert caught.value.outcome is Outcome.NOT_SENT
        _check_chain(caught.value)
        assert (service.urls, kept) == ([], [])


@pytest.mark.parametrize("step", ["release", "flush", "close"])
async def test_a_guard_store_that_fails_afterwards_hides_no_answer(step: str) -> None:
    for kind in ALL:
        service = FakeService([answer("send_sms", id="a1", cnt="1"), answer("send_sms", error="7")])
        rules = Rules().with_policies(login_failures="off")  # a login that is not released keeps the others waiting
        async with _client([], transport=service, guards=Guards(_Store(step, _make(kind)), rules=rules)) as client:
            assert (await client.send(PHONE, "Hi", id="a1")).id == "a1"
            with pytest.raises(SmscError, match="error 7"):
                await client.send(PHONE, "Ho")


class _Redis:
    """A client of redis-py that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.connection_pool = mock.Mock()

    async def execute_command(self, *_: object) -> bytes:
        raise self._error

    def pipeline(self, **_: object) -> Any:
        pipe = mock.Mock()
        pipe.execute = self.execute_command
        return pipe


async def test_no_exception_of_redis_leaves_a_call() -> None:
    for kind in ALL:
        kept: list[UnresolvedSend] = []
        service = FakeService(namespace=URL)
        store = RedisStore(_Redis(_make(kind)))  # type: ignore[arg-type]
        client = _client(kept, transport=service, guards=Guards(store))
        with pytest.raises(GuardStoreError) as caught:
            await client.send(PHONE, "Hi")
        assert caught.value.outcome is Outcome.NOT_SENT
        assert SECRET not in str(caught.value)
        assert (service.urls, kept) == ([], [])


AIOHTTP_BEFORE: Final = {
    "environment": "smsc_async._network.proxy.getproxies",
    "certificates": "smsc_async._network.tls._verified",
    "url": "smsc_async._network.aiohttp._parsed",
    "request": "aiohttp.client_reqrep.ClientRequest.update_headers",
    "connect": "aiohttp.TCPConnector._create_connection",
}


@pytest.mark.parametrize("step", AIOHTTP_BEFORE)
async def test_no_exception_before_the_first_byte_leaves_a_call_over_aiohttp(step: str) -> None:
    for kind in ALL:
        if step in {"request", "connect"} and issubclass(kind, aiohttp.ClientError | OSError):
            continue  # the class of one of aiohttp's own tells whether it has connected; see test_aiohttp
        kept: list[UnresolvedSend] = []
        with _failing(AIOHTTP_BEFORE[step], _make(kind)):
            async with _client(kept, transport="aiohttp") as client:
                await _judge(client, kept, sent=False)


def _late(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*_args: object) -> None:
        for _ in range(5):  # aiohttp writes the request in a task of its own
            await asyncio.sleep(0)
        raise error

    return fail


@pytest.mark.parametrize("step", ["answer", "rest"])
async def test_no_exception_after_the_first_byte_leaves_a_call_over_aiohttp(step: str) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(answer("send_sms", id="a1", cnt="1").body))
        return True

    async with raw_server(serve) as url:
        for kind in ALL:
            kept: list[UnresolvedSend] = []
            error = _make(kind)
            answering = mock.patch("aiohttp.client_reqrep.ClientResponse.start", new=_late(error))
            with answering if step == "answer" else _failing("aiohttp.StreamReader.iter_any", error):
                async with _client(kept, url=url, transport="aiohttp") as client:
                    await _judge(client, kept, sent=True)
