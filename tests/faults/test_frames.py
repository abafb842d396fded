"""An error report with all variables, as Sentry makes it, holds no credential, no phone and no text."""

import asyncio
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from smsc_async import (
    ApiKey,
    Client,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    DuplicateSend,
    Guards,
    GuardStoreError,
    HTTPStatusError,
    Journal,
    JournalError,
    Login,
    MalformedEnvelope,
    Message,
    MessageRef,
    Mms,
    ProtocolError,
    ReadTimeout,
    Reply,
    Send,
    SmscError,
    SoapFault,
    Telegram,
    Timeout,
    UnresolvedSend,
)
from smsc_async.guards import MemoryStore, RedisAdmin, RedisStore
from tests.doubles import FakeService, RawHandler, RawRequest, answer, fault, http_bytes, raw_server
from tests.faults.fault_frames import (
    APIKEY,
    CALLS,
    CANARY,
    LOGIN,
    PASSWORD,
    PHONE,
    PHONE_2,
    REF,
    TEXT,
    UNRESOLVED,
    found_in,
)

Case = Callable[[Mapping[str, Any]], Any]
"""Opens a client whose calls fail, with the options of the test."""

QUICK: Final = Timeout(connect=2.0, read=0.05, write=0.05)
each_transport = pytest.mark.parametrize("transport", [None, "aiohttp"], ids=["httpx", "aiohttp"])


def _replying(make: Callable[[str], bytes]) -> RawHandler:
    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(make(request.body.decode()))
        return False

    return serve


async def _silent(_request: RawRequest, _writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(30)
    return False  # pragma: no cover - the server is closed before


def _free_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return int(closed.getsockname()[1])


def _serving(handler: RawHandler, **more: Any) -> Case:
    @asynccontextmanager
    async def opened(options: Mapping[str, Any]) -> AsyncIterator[Client]:
        async with raw_server(handler) as url, Client(**{"url": url, **options, **more}) as client:
            yield client

    return opened


def _at(url: Callable[[], str], **more: Any) -> Case:
    @asynccontextmanager
    async def opened(options: Mapping[str, Any]) -> AsyncIterator[Client]:
        async with Client(**{**options, "url": url(), **more}) as client:
            yield client

    return opened


@asynccontextmanager
async def _without_tls(options: Mapping[str, Any]) -> AsyncIterator[Client]:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 No TLS here\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, Client(**{**options, "url": url}) as client:
        yield client


def _proxied(reply: bytes | None, url: str) -> Case:
    @asynccontextmanager
    async def opened(options: Mapping[str, Any]) -> AsyncIterator[Client]:
        port = _free_port()
        async with raw_server(_replying(lambda _: reply or b"")) as proxy:
            where = proxy.split("/")[2] if reply is not None else f"127.0.0.1:{port}"
            given = {**options, "url": url, "allow_http": True, "proxy": f"http://{LOGIN}:{PASSWORD}@{where}"}
            async with Client(**given) as client:
                yield client

    return opened


@asynccontextmanager
async def _stalled(options: Mapping[str, Any]) -> AsyncIterator[Client]:
    """Open a client of a server that reads nothing."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        async with Client(**{**options, "url": url, "timeout": QUICK}) as client:
            yield client


REFUSED: Final = b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"
FAILURES: Final[Mapping[str, tuple[Case, type[SmscError]]]] = {
    "refused": (_at(lambda: f"http://127.0.0.1:{_free_port()}/"), ConnectError),
    "no TLS": (_without_tls, ConnectError),
    "proxy refuses": (_proxied(REFUSED, "https://sms.test/"), ConnectError),
    "proxy refuses HTTP": (_proxied(REFUSED, "http://sms.test/"), HTTPStatusError),
    "proxy cuts": (_proxied(b"", "https://sms.test/"), ConnectError),
    "no proxy": (_proxied(None, "https://sms.test/"), ConnectError),
    "silence": (_serving(_silent, timeout=QUICK), ReadTimeout),
    "deadline": (_serving(_silent, deadline=0.1), SmscError),
    "cut": (_serving(_replying(lambda _: b"")), ConnectionLost),
    "half": (_serving(_replying(lambda body: http_bytes(body.encode())[:-3])), ConnectionLost),
    "stalled": (_stalled, SmscError),
    "page": (_serving(_replying(lambda body: http_bytes(body.encode(), status="500 Oops"))), HTTPStatusError),
    "not XML": (_serving(_replying(lambda body: http_bytes(f"<a>{body}".encode()))), MalformedEnvelope),
    "gzip": (
        _serving(_replying(lambda body: http_bytes(b"\x1f\x8b" + body.encode(), content_encoding="gzip"))),
        MalformedEnvelope,
    ),
    "not HTTP": (_serving(_replying(lambda body: f"{body}\r\n\r\n".encode())), ProtocolError),
    "fault": (
        _serving(_replying(lambda body: http_bytes(fault("Server", body.partition("Body>")[2]).body, status="500 X"))),
        SoapFault,
    ),
}


def _options(*, with_key: bool = False, **more: Any) -> dict[str, Any]:
    who = {"apikey": APIKEY} if with_key else {"login": LOGIN, "password": PASSWORD}
    return {"retries": 0, "on_unknown": "raise", "guards": None, **who, **more}


async def _error(doing: Awaitable[object]) -> BaseException:
    """Return the exception, as a caller catches it."""
    try:
        await doing
    except BaseException as error:  # noqa: BLE001 - the test judges it
        return error
    raise AssertionError("nothing was raised")


def test_a_variable_that_holds_a_secret_would_be_found() -> None:
    def failing(password: str) -> None:
        raise ValueError(len(password))

    code = compile("def f(call, secret):\n    call({'of': [secret]})", "elsewhere.py", "exec")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - a frame of another file
    with pytest.raises(TypeError) as caught:
        names["f"](len, PASSWORD) or names["f"](int, PASSWORD)
    assert found_in(caught.value) == ["TypeError: secret at elsewhere.py:2"]
    with pytest.raises(ValueError, match="14") as own:
        failing(PASSWORD)
    assert found_in(own.value) == []  # the frames of the caller are the caller's


@each_transport
@pytest.mark.parametrize("name", FAILURES)
async def test_a_call_that_fails_in_the_network_shows_nothing_private(
    name: str, transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened, kind = FAILURES[name]
    for with_key in (False, True):
        for label, call in CALLS.items():
            if name == "stalled" and label != "send2":
                continue  # a short body fits in the buffers
            async with opened(_options(with_key=with_key, transport=transport)) as client:
                doing = call(client) if name != "stalled" else client.send(PHONE, TEXT, extra={"x": TEXT * 400_000})
                error = await _error(doing)
            assert isinstance(error, kind), f"{label}: {error!r}"
            assert found_in(error) == [], label
    quoting = name == "not HTTP" and transport is None  # httpcore logs what a server sent instead of HTTP
    assert quoting or not CANARY.search(caplog.text)


@each_transport
@pytest.mark.parametrize("name", ["silence", "stalled", "refused"])
async def test_frames_below_a_call_are_not_reachable_from_its_error(name: str, transport: Any) -> None:
    async with FAILURES[name][0](_options(transport=transport)) as client:
        error = await _error(client.send(PHONE, TEXT, extra={"x": TEXT * 400_000}))
    seen: BaseException | None = error
    while seen is not None:
        files = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(seen.__traceback__)}
        assert files <= {__file__, *filter(lambda file: file.endswith("_frames.py"), files)}
        seen = seen.__cause__ or seen.__context__
    assert name != "refused" or error.__cause__ is not None  # which says why


@each_transport
async def test_a_transport_without_a_client_shows_no_frames_of_its_library(transport: Any) -> None:
    async with FAILURES["silence"][0](_options(transport=transport)) as client:
        post = client._caller._transport.post
        error = await _error(post(client._caller._urls[0], {}, b"<a/>", QUICK))
    assert error.__cause__ is not None
    assert [each.__traceback__ for each in (error.__cause__, error.__cause__.__context__) if each is not None] in (
        [None],
        [None, None],
    )


@each_transport
async def test_a_cancelled_call_shows_nothing_private(transport: Any) -> None:
    for call in CALLS.values():
        async with _serving(_silent)(_options(transport=transport)) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await call(client)
        assert caught.value.__cause__ is not None
        assert found_in(caught.value) == []


METHODS: Final = {"send": "send_sms", "send2": "send_sms2", "cost": "get_sms_cost", "status": "get_status"}


@pytest.mark.parametrize("code", range(1, 11))
async def test_an_error_of_the_service_shows_nothing_private(code: int) -> None:
    for label, method in METHODS.items():
        service = FakeService([answer(method, error=str(code))])
        error = await _error(CALLS[label](Client(transport=service, **_options())))
        assert getattr(error, "code", 0) == code
        assert found_in(error) == []


class _Failing(MemoryStore):
    salt: Any = None

    async def open(self) -> bytes:
        raise OSError(PASSWORD)


async def test_a_refusal_of_the_guards_shows_nothing_private() -> None:
    client = Client(transport=FakeService(), **_options(guards=Guards()))
    await client.send(PHONE, TEXT)
    error = await _error(client.send(PHONE, TEXT))
    assert isinstance(error, DuplicateSend)
    assert found_in(error) == []


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_a_store_that_fails_shows_no_password(scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    redis = RedisStore.from_url(f"{scheme}://{LOGIN}:{PASSWORD}@127.0.0.1:{_free_port()}", salt="canarysalt")
    for store in (_Failing(), redis):
        guards = Guards(store)
        client = Client(transport=FakeService(), **_options(guards=guards))
        for doing in (client.send(PHONE, TEXT), client.balance()):
            error = await _error(doing)
            assert isinstance(error, GuardStoreError)
            assert found_in(error) == []
    assert not CANARY.search(caplog.text)


async def test_redis_that_refuses_the_password_is_not_shown_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n" * 3)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"redis://{LOGIN}:{PASSWORD}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = Client(transport=FakeService(), **_options(guards=Guards(RedisStore.from_url(url))))
        for doing in (client.send(PHONE, TEXT), client.guards.snapshot()):
            error = await _error(doing)
            assert isinstance(error, GuardStoreError)
            assert found_in(error) == []


async def test_a_closed_client_shows_nothing_private() -> None:
    for label, call in CALLS.items():
        client = Client(transport=FakeService(), **_options())
        await client.aclose()
        error = await _error(call(client))
        assert isinstance(error, ClientClosed), label
        assert found_in(error) == []


async def test_an_unresolved_send_shows_nothing_private() -> None:
    async with FAILURES["cut"][0](_options(guards=Guards(late_arrival=0.01))) as client:
        for doing in (client.resolve(UNRESOLVED, deadline=0.1), client.wait_delivered(REF, timeout=0.1)):
            assert found_in(await _error(doing)) == []


async def _client_of(_: object) -> Client:
    return Client(transport=FakeService(), **_options())


async def _watched(client: Client, refs: Any, hint: Any = REF) -> None:
    async with client.watch(refs) as updates:
        updates.hint(hint)
        await anext(updates)


WRONG: Final[Mapping[str, Callable[[Client], Any]]] = {
    "phone": lambda client: client.send(PHONE + "x", TEXT),
    "no argument": lambda client: client.send(PHONE, TEXT, unknown=PASSWORD),  # type: ignore[call-arg]
    "control": lambda client: client.send(PHONE, TEXT + "\x01"),
    "long": lambda client: client.cost(PHONE, TEXT * 100),
    "many": lambda client: client.send([PHONE, PHONE_2] * 100, TEXT),
    "too many": lambda client: client.send([f"+7999{number:07}" for number in range(101)] + [PHONE], TEXT),
    "extra": lambda client: client.send(PHONE, TEXT, extra={"mes": TEXT}),
    "ref": lambda client: client.status(PHONE),
    "attempt": lambda client: client.send(PHONE, TEXT, attempt=2),
    "timeout": lambda client: client.send(PHONE, TEXT, timeout=-1),
    "statuses": lambda client: client.statuses([PHONE]),
    "batch": lambda client: anext(client.send_batch([Message(PHONE, TEXT)], extra={"mes": TEXT})),
    "no messages": lambda client: anext(client.send_batch([(PHONE, TEXT)])),  # type: ignore[list-item]
    "prices": lambda client: anext(client.cost_batch([(PHONE, TEXT)])),  # type: ignore[list-item]
    "watch": lambda client: _watched(client, {PHONE: 1}),
    "hint": lambda client: _watched(client, [], f"{PHONE}:bad id"),
    "a watched text": lambda client: client.wait_final(f"{PHONE}:bad id"),
    "a watched list": lambda client: _watched(client, [REF, f"{PHONE}:bad id"]),
    "resolve": lambda client: client.resolve(ValueError(TEXT)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_argument_is_not_in_the_frames_of_its_error(what: str) -> None:
    error = await _error(WRONG[what](await _client_of(None)))
    if isinstance(error, TypeError | AttributeError):  # a wrong name, a wrong class
        error.__notes__ = []
    assert found_in(error) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Message(PHONE + "x", TEXT),
        lambda: Message(phone=PHONE, text=TEXT * 100),
        lambda: MessageRef(PHONE, TEXT),
        lambda: MessageRef.parse(f"{TEXT}:{PHONE}"),
        lambda: Send(to=(PHONE, PHONE), text=TEXT),
        lambda: Send.model_validate({"to": [PHONE], "text": TEXT, "unknown": PASSWORD}),
        lambda: Message.model_validate({"phone": PHONE}),
        lambda: Message.model_validate({"phone": PHONE, "text": TEXT, PHONE_2: TEXT}),
        lambda: MessageRef.model_validate_json(f'{{"phone": "{PHONE}", "id": 1, "{PHONE_2}": 1}}'),
        lambda: Send.model_validate({"to": [PHONE], "text": TEXT, "via": {"kind": "Email", "subject": TEXT}}),
        lambda: Telegram(TEXT + "\x01"),
        lambda: UnresolvedSend.model_validate_json(f'{{"refs": ["{PHONE}"]}}'),
        lambda: Client(apikey=APIKEY, login=LOGIN, transport=FakeService()),
        lambda: Client(apikey=APIKEY, proxy=f"http://{LOGIN}:{PASSWORD}@[::1"),
        lambda: RedisStore.from_url(f"redis://{LOGIN}:{PASSWORD}@127.0.0.1:x"),
        lambda: RedisStore(f"redis://{LOGIN}:{PASSWORD}@127.0.0.1"),  # type: ignore[arg-type]
        lambda: RedisAdmin(f"redis://{LOGIN}:{PASSWORD}@127.0.0.1"),  # type: ignore[arg-type]
        lambda: Guards(f"redis://{LOGIN}:{PASSWORD}@127.0.0.1"),  # type: ignore[arg-type]
        lambda: Client(apikey=APIKEY, transport=FakeService()).with_options(timeout=TEXT),  # type: ignore[arg-type]
        lambda: ApiKey(APIKEY),  # type: ignore[call-arg, arg-type]
        lambda: Login(LOGIN, PASSWORD),  # type: ignore[call-arg, arg-type]
        lambda: Send(PHONE, TEXT),  # type: ignore[call-arg, arg-type]
    ],
)
def test_a_value_that_can_not_be_made_is_not_in_the_frames_of_its_error(make: Callable[[], object]) -> None:
    with pytest.raises((ValueError, TypeError), match=r"\w") as caught:
        make()
    assert found_in(caught.value) == []


async def test_a_journal_that_fails_shows_nothing_private(tmp_path: Path) -> None:
    path = tmp_path / "job.journal"
    client = Client(transport=FakeService([Reply(500, "", b"")] * 9), **_options(guards=Guards()))
    errors = []
    async with Journal(path) as journal:
        await journal.plan([Message(PHONE, TEXT), Message(PHONE_2, TEXT)], source="a")
        errors.append(await _error(journal.plan([Message(PHONE, TEXT)], source="b")))
        errors.append(await _error(journal.plan([Message(PHONE, TEXT)], extra={"mes": TEXT})))
        errors.append(await _error(Journal(path).__aenter__()))
        path.unlink()
        errors += [await _error(doing) for doing in (journal.send(client), journal.plan([Message(PHONE, TEXT)]))]
    assert all(isinstance(error, JournalError | ValueError) for error in errors)
    assert [found_in(error) for error in errors] == [[]] * len(errors)


async def test_following_and_keeping_in_a_journal_show_nothing_private(tmp_path: Path) -> None:
    path = tmp_path / "job.journal"
    async with Journal(path) as journal:
        await journal.plan([Message(PHONE, TEXT)])
        client = Client(transport=FakeService(), **_options(guards=None))
        await journal.send(client)
        await client.aclose()
        errors = [await _error(journal.follow(client))]
        path.rename(tmp_path / "moved.journal")
        with pytest.raises(SmscError) as caught:
            journal.keep_unresolved(UNRESOLVED)
        errors.append(caught.value)
    assert [found_in(error) for error in errors] == [[]] * 2


@pytest.mark.parametrize("url", ["redis://u:{}@[::1", "foo://u:{}@host", "redis://u:{}@host/?db=x"])
def test_a_wrong_url_of_an_administrator_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - any words
        RedisAdmin.from_url(url.format(PASSWORD))
    assert found_in(caught.value) == []


async def test_an_administrator_that_reaches_no_redis_shows_nothing_private() -> None:
    admin = RedisAdmin.from_url(f"redis://{LOGIN}:{PASSWORD}@127.0.0.1:{_free_port()}", timeout=0.1)
    for doing in (admin.pause(TEXT), admin.resume(), admin.paused(), admin.report(), admin.reset("status")):
        error = await _error(doing)
        assert isinstance(error, GuardStoreError)
        assert found_in(error) == []


async def test_the_options_of_a_job_differ_though_their_reprs_are_alike(tmp_path: Path) -> None:
    async with Journal(tmp_path / "job.journal") as journal:
        assert await journal.plan([Message(PHONE, "1")], via=Mms(subject="1234"), source="a")
        assert not await journal.plan([Message(PHONE, "1")], via=Mms(subject="1234"), source="a")
        with pytest.raises(ValueError, match="different options"):
            await journal.plan([Message(PHONE, "1")], via=Mms(subject="4321"), source="a")


async def test_an_error_of_the_caller_keeps_its_frames() -> None:
    def ours() -> Message:
        raise KeyError("mine")

    client = Client(transport=FakeService(), **_options())
    await client.aclose()
    try:
        ours()
    except KeyError as mine:
        await _error(client.balance())
        await _error(client.send(PHONE, ""))
        handled = mine
    assert traceback.extract_tb(handled.__traceback__)[-1].name == "ours"

    error = await _error(anext(client.send_batch(ours() for _ in "12")))
    assert traceback.extract_tb(error.__traceback__)[-1].name == "ours"


async def test_a_programming_error_says_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(transport=FakeService(), **_options())
    monkeypatch.setattr(client, "_reconciler", None)
    error = await _error(client.send(PHONE, TEXT))
    assert isinstance(error, AttributeError)
    assert "_base_client.py" in "".join(error.__notes__)
    assert found_in(error) == []
