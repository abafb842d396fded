"""What goes wrong before a byte leaves: a `ValueError` of the constructor, or a `ConnectError` that counts nothing."""

import asyncio
import base64
import math
import ssl
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx
import pytest

from smsc_async import Client, ConnectError, Guards, HTTPStatusError, Outcome, Reply, SoapFault, Timeout, UnresolvedSend
from smsc_async._network.httpx import HttpxTransport
from smsc_async.guards import MemoryStore, Rule
from tests.client.client_service import PHONE
from tests.doubles import (
    NAMESPACE,
    URL,
    XML,
    FakeService,
    RawRequest,
    answer,
    http_bytes,
    make_client,
    raw_server,
    wsdl,
)

SECRET = "canary"
over_both = pytest.mark.parametrize("transport", [None, "aiohttp"], ids=["httpx", "aiohttp"])


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SMSC_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def assert_hidden(error: BaseException) -> None:
    """Look for the secret in an exception, in those behind it, and in the variables of our frames."""
    for each in _chain(error):
        assert SECRET not in f"{each!s}{each!r}{each.args!r}"
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if "/smsc_async/" in frame.f_code.co_filename:
                assert SECRET not in repr(frame.f_locals), frame.f_code


WRONG_URLS = [
    "https://sms.test/кан",
    "https://sms.test/a b",
    "https://sms.test/a\n",
    "https://sms.test/a\tb",
    "https://sms.test/\x7f",
    "https://sms.test/\ud800",
    "https://sms.test/?q=é",
    "https://sms.test/%zz",
    'https://sms.test/"',
    "https://sms.test/\\",
    " https://sms.test/",
    "https://sms.test /",
    "https://a..b/",
    f"https://{'a' * 64}.test/",
    "https://a\u00adb.test/",
    "https://1.2.3.256/",
    "https://sms.test:port/",
    "https://sms.test:65536/",
    f"https://user:{SECRET}@пример.рф/",
    f"https://sms.test/{'a' * 1_000_000}",
    b"https://sms.test/",
    7,
]


@pytest.mark.parametrize("url", WRONG_URLS, ids=lambda url: ascii(url)[:40])
def test_url_that_can_not_be_requested_is_refused_by_the_constructor(url: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ({"url": url}, {"fallback_urls": [url]}):
        with pytest.raises(ValueError, match=rf"^{next(iter(arguments))} must") as caught:
            Client(apikey="key", **arguments)
        assert_hidden(caught.value)
    if isinstance(url, str) and "\ud800" not in url:
        monkeypatch.setenv("SMSC_URL", url)
        with pytest.raises(ValueError, match=r"^SMSC_URL must"):
            Client(apikey="key")


WRONG_NAMESPACES = [
    "urn:имя",
    "urn:a b",
    "urn:a\r\nX: y",
    "urn:\0",
    "urn:\ud800",
    'urn:"',
    "urn:<",
    "urn:" + "a" * 1_000_000,
    7,
]


@pytest.mark.parametrize("namespace", WRONG_NAMESPACES, ids=lambda namespace: ascii(namespace)[:40])
def test_namespace_that_can_not_be_a_header_is_refused_by_the_constructor(namespace: Any) -> None:
    with pytest.raises(ValueError, match="namespace must be the targetNamespace"):
        Client(apikey="key", namespace=namespace)


@pytest.mark.parametrize("namespace", ["urn:имя", "urn:a b", 'urn:"', "urn:" + "a" * 100_000])
async def test_namespace_that_can_not_be_a_header_is_not_adopted(namespace: str) -> None:
    # Without the namespace's own declaration, which the XML parser would refuse.
    document = f'<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace={quoteattr(namespace)}/>'
    service = FakeService(namespace="urn:true", wsdl=Reply(200, XML, document.encode()))
    client = make_client(service)
    for _ in range(2):
        with pytest.raises(SoapFault, match=r"its targetNamespace can't be sent .*pass namespace=") as caught:
            await client.send(PHONE, "Hi")
        assert (caught.value.outcome, len(str(caught.value)) < 300) == (Outcome.REJECTED, True)
    assert service.namespaces == [NAMESPACE, NAMESPACE]


async def test_adopted_namespace_that_is_refused_again_says_what_to_do() -> None:
    service = FakeService(namespace="urn:true", wsdl=wsdl("urn:other"))
    client = make_client(service)
    for _ in range(3):
        with pytest.raises(SoapFault) as caught:
            await client.send(PHONE, "Hi")
        assert caught.value.outcome is Outcome.REJECTED
    assert "refused the one that its ?wsdl names too; pass namespace=" in str(caught.value)
    assert service.gets == [f"{URL}?wsdl"]


async def test_look_at_the_wsdl_by_a_transport_that_raises_anything_leaves_the_fault() -> None:
    service = FakeService(namespace="urn:true", wsdl=LookupError(SECRET))
    with pytest.raises(SoapFault, match=r"could not be read \(LookupError\)") as caught:
        await make_client(service).send(PHONE, "Hi")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@over_both
async def test_a_host_with_letters_of_its_own_language_works(transport: Any) -> None:
    lines: list[tuple[str, str]] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        lines.append((request.line, request.headers["host"]))
        namespace = "http://xn--e1afmkfd.xn--p1ai/sys/soap.php"
        writer.write(http_bytes(answer("get_balance", namespace=namespace, balance="1").body))
        return False

    url = "http://Пример.рф/sys/soap.php"
    async with (
        raw_server(serve) as proxy,
        Client(apikey="key", url=url, allow_http=True, proxy=proxy, transport=transport) as client,
    ):
        assert "xn--e1afmkfd.xn--p1ai" in repr(client)
        await client.balance()
    assert lines == [("POST http://xn--e1afmkfd.xn--p1ai/sys/soap.php HTTP/1.1", "xn--e1afmkfd.xn--p1ai")]


def test_port_of_a_host_with_letters_of_its_own_language_stays() -> None:
    assert "https://xn--e1afmkfd.xn--p1ai:8443/soap.php" in repr(
        Client(apikey="key", url="https://пример.рф:8443/soap.php?wsdl")
    )


WRONG_PROXIES: list[object] = [
    *(f"http://user:{SECRET}{sign}1@host:3128" for sign in ("#", "/", "?", "[", "\n", "п")),
    f"http://user:{SECRET}@",
    f"http://user:{SECRET}@host:port",
    f"gopher://user:{SECRET}@host",
    f"socks5://user:{SECRET}@host",  # without the package that it needs
    f"user:{SECRET}@host:3128",
    "",
    7,
]


@over_both
@pytest.mark.parametrize("proxy", WRONG_PROXIES, ids=lambda proxy: ascii(proxy)[:50])
def test_proxy_that_can_not_be_used_is_refused_by_the_constructor_without_its_secret(
    proxy: Any, transport: Any
) -> None:
    with pytest.raises(ValueError, match=r"^proxy (must|can't)") as caught:
        Client(apikey="key", proxy=proxy, transport=transport)
    assert_hidden(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: httpx.Proxy("http://"),
        lambda: httpx.Proxy("http://host:0", auth=("user", SECRET)),
        lambda: httpx.Proxy("http://host:65536", auth=("user", SECRET)),
        lambda: httpx.Proxy("http://host", auth=("user", f"{SECRET}\ud800")),
        lambda: httpx.Proxy("socks5://host", auth=("user", SECRET)),
    ],
)
def test_proxy_object_that_can_not_be_used_is_refused_by_the_constructor(make: Callable[[], httpx.Proxy]) -> None:
    with pytest.raises(ValueError, match=r"^proxy (must|can't)") as caught:
        Client(apikey="key", proxy=make())
    assert_hidden(caught.value)


@over_both
async def test_escaped_password_of_a_proxy_arrives_whole(transport: Any) -> None:
    seen: list[str] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append(request.headers["proxy-authorization"])
        writer.write(http_bytes(b"", status="407 No"))
        return False

    password = "S%23%2F%3F%5B%0A%D0%BF%40%25"
    async with raw_server(serve) as proxy:
        url = proxy.replace("//", f"//ann:{password}@").replace("/sys/soap.php", "")
        for target in ("https://sms.test/", "http://sms.test/"):
            async with Client(
                apikey="key", url=target, allow_http=True, proxy=url, transport=transport, retries=0
            ) as client:
                with pytest.raises((ConnectError, HTTPStatusError)):
                    await client.balance()
    expected = "Basic " + base64.b64encode("ann:S#/?[\nп@%".encode()).decode()
    assert seen == [expected, expected]


SETUPS: dict[str, dict[str, str]] = {
    "file is gone": {"SSL_CERT_FILE": "/gone.pem"},
    "file is a folder": {"SSL_CERT_FILE": "/tmp"},  # noqa: S108 - only its kind matters
    "folder is gone": {"SSL_CERT_DIR": "/gone"},
    "sharp": {"HTTPS_PROXY": f"http://user:{SECRET}#1@host:3128"},
    "slash": {"HTTPS_PROXY": f"http://user:{SECRET}/1@host:3128"},
    "bracket": {"ALL_PROXY": f"http://user:{SECRET}[1@host:3128"},
    "letter": {"HTTPS_PROXY": f"user:{SECRET}п@host:3128"},
    "scheme": {"HTTPS_PROXY": f"gopher://user:{SECRET}@host"},
    "socks": {"HTTPS_PROXY": f"socks5://user:{SECRET}@host"},
    "port": {"HTTPS_PROXY": f"http://user:{SECRET}@host:99999"},
}


@over_both
@pytest.mark.parametrize("what", SETUPS)
async def test_environment_that_can_not_be_used_sends_nothing_and_counts_nothing(
    what: str, transport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETUPS[what].items():
        monkeypatch.setenv(name, value)
    kept: list[UnresolvedSend] = []
    async with Client(apikey="key", url=URL, transport=transport, retries=0, on_unresolved=kept.append) as client:
        for _ in range(6):  # neither `DuplicateSend` nor `BreakerOpen` follows
            with pytest.raises(ConnectError, match=r"proxy can't be used|trusted certificates of SSL_CERT") as caught:
                await client.send(PHONE, "Hi")
            assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
            assert_hidden(caught.value)
        assert all(rule.keys == 0 for rule in (await client.guards.snapshot()).rules.values())
    assert kept == []


@over_both
async def test_a_mended_environment_is_used_by_the_next_call(
    transport: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "certificates.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = Path(__file__).parent.parent / "network" / "localhost.pem"
    context.load_cert_chain(certificate)

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(answer("get_balance", balance="1").body))
        return False

    async with (
        raw_server(serve, tls=context) as url,
        Client(apikey="key", url=url, transport=transport, retries=0) as client,
    ):
        with pytest.raises(ConnectError, match="SSL_CERT_FILE"):
            await client.balance()
        path.write_bytes(certificate.read_bytes())
        await client.balance()


WRONG_OPTIONS: list[dict[str, Any]] = [
    {"timeout": math.nan},
    {"timeout": math.inf},
    {"timeout": "5"},
    {"timeout": Timeout},
    {"timeout": True},
    {"deadline": math.nan},
    {"deadline": math.inf},
    {"deadline": "5"},
    {"clock_skew": math.nan},
    {"clock_skew": "5"},
    {"retries": "3"},
    {"retries": 0.5},
    {"max_recipients": None},
    {"timezone": "Europe/Moscow"},
    {"timezone": None},
    {"guards": Guards},
    {"guards": True},
    {"account": 7},
    {"egress": 7},
    {"fallback_urls": "https://sms.test/"},
    {"fallback_urls": 7},
    {"on_unknown": []},
    {"on_unresolved": 7},
    {"verify": "/certificates.pem"},
    {"verify": 1},
    {"verify": ssl.SSLContext},
    {"transport": HttpxTransport},
    {"transport": httpx.AsyncHTTPTransport},
    {"transport": FakeService},
    {"transport": object()},
    {"transport": httpx.HTTPTransport()},
    {"transport": httpx.AsyncClient()},
    {"transport": "slow"},
    {"apikey": f"{SECRET}\x1b"},
    {"apikey": f"{SECRET}\ud800"},
    {"apikey": SECRET * 1000},
    {"apikey": None, "login": "ann", "password": f"{SECRET}\0"},
    {"apikey": None, "login": f"{SECRET}\uffff", "password": SECRET},
    {"apikey": SECRET, "password": SECRET},
]


@pytest.mark.parametrize("wrong", WRONG_OPTIONS, ids="-".join)
def test_option_of_a_wrong_type_is_refused_by_the_constructor(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|not both") as caught:
        Client(**{"apikey": "key", **wrong})
    assert_hidden(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Guards(max_wait=math.nan),
        lambda: Guards(margin="1"),  # type: ignore[arg-type]
        lambda: Guards(late_arrival=math.inf),
        lambda: Guards(max_waiters=math.nan),  # type: ignore[arg-type]
        lambda: Guards(MemoryStore),  # type: ignore[arg-type]
        lambda: Guards(7),  # type: ignore[arg-type]
        lambda: Guards(rules=Rule(1)),  # type: ignore[arg-type]
        lambda: Rule(math.nan),  # type: ignore[arg-type]
        lambda: Rule(1, math.inf),
        lambda: Rule("1"),  # type: ignore[arg-type]
        lambda: Timeout(read=math.nan),
        lambda: Timeout(read=math.inf),
        lambda: Timeout(read="1"),  # type: ignore[arg-type]
    ],
)
def test_guards_and_timeouts_of_wrong_types_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        wrong()


def test_a_transport_whose_signature_can_not_be_read_is_accepted() -> None:
    service = FakeService()
    service.post = min  # type: ignore[assignment]
    make_client(service)
