"""Arguments win over the environment, and a wrong setting is refused without being repeated."""

import traceback

import httpx
import pytest

from smsc_async._call.config import checked_url, credentials_from, transport_from
from smsc_async._model.credentials import ApiKey, Credentials, Login
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.httpx import HttpxTransport
from tests.doubles import FakeService

KEY = ApiKey.model_validate({"key": "k"})
LOGIN = Login.model_validate({"login": "l", "password": "p"})
DEFAULT = "https://smscentre.com/sys/soap.php"


@pytest.mark.parametrize(
    ("arguments", "environment", "credentials"),
    [
        (("k", None, None), {}, KEY),
        ((None, "l", "p"), {}, LOGIN),
        ((None, None, None), {"SMSC_APIKEY": "k"}, KEY),
        ((None, None, None), {"SMSC_LOGIN": "l", "SMSC_PASSWORD": "p"}, LOGIN),
        ((None, None, None), {"SMSC_APIKEY": "k", "SMSC_LOGIN": "l", "SMSC_PASSWORD": "p"}, KEY),
        ((None, None, None), {"SMSC_APIKEY": "", "SMSC_LOGIN": "l", "SMSC_PASSWORD": "p"}, LOGIN),
        (("k", None, None), {"SMSC_LOGIN": "other", "SMSC_PASSWORD": "other"}, KEY),
        ((None, "l", "p"), {"SMSC_APIKEY": "other"}, LOGIN),
    ],
)
def test_credentials_come_from_arguments_else_from_the_environment(
    arguments: tuple[str | None, str | None, str | None], environment: dict[str, str], credentials: Credentials
) -> None:
    assert credentials_from(*arguments, environment) == credentials


@pytest.mark.parametrize(
    ("arguments", "environment", "why"),
    [
        ((None, None, None), {}, "credentials are missing; pass apikey="),
        ((None, None, None), {"SMSC_LOGIN": "canary"}, "credentials are missing"),
        ((None, "canary", None), {"SMSC_PASSWORD": "canary"}, "credentials are missing"),
        ((None, None, "canary"), {}, "credentials are missing"),
        (("canary", "canary", None), {}, "not both"),
        (("canary", None, "canary"), {}, "not both"),
        (("", None, None), {"SMSC_APIKEY": "canary"}, "must not be empty"),
        ((None, "canary", " "), {}, "must not be empty"),
    ],
)
def test_half_or_double_credentials_are_refused(
    arguments: tuple[str | None, str | None, str | None], environment: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        credentials_from(*arguments, environment)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "environment", "checked"),
    [
        (None, {}, DEFAULT),
        ("", {}, DEFAULT),
        (None, {"SMSC_URL": "https://smsc.ru/sys/soap.php"}, "https://smsc.ru/sys/soap.php"),
        ("https://smsc.kz/sys/soap.php", {"SMSC_URL": "https://smsc.ru/"}, "https://smsc.kz/sys/soap.php"),
        (f"{DEFAULT}?wsdl", {}, DEFAULT),
        (f"{DEFAULT}?WSDL#top", {}, DEFAULT),
        (f"{DEFAULT}?a=b", {}, f"{DEFAULT}?a=b"),
        ("http://localhost:8000/x", {}, "http://localhost:8000/x"),
        ("http://smsc.localhost/x", {}, "http://smsc.localhost/x"),
        ("http://127.0.0.2/x", {}, "http://127.0.0.2/x"),
        ("http://[::1]:80/x", {}, "http://[::1]:80/x"),
    ],
)
def test_address_comes_from_argument_environment_or_default(
    url: str | None, environment: dict[str, str], checked: str
) -> None:
    assert checked_url(url, environment=environment) == checked


@pytest.mark.parametrize("url", ["http://example.com/x", "http://192.168.0.1/x", "http://localhost.example.com/"])
def test_http_leaves_this_machine_only_when_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="in clear"):
        checked_url(url, environment={})
    assert checked_url(url, allow_http=True, environment={}) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("canary", "must be the URL of the SOAP service"),
        ("ftp://canary/x", "must be the URL of the SOAP service"),
        ("https://", "must be the URL of the SOAP service"),
        ("https://user:canary", "must be the URL of the SOAP service"),
        ("https://host:0/canary", "must be the URL of the SOAP service"),
        ("https://[canary", "must be the URL of the SOAP service"),
        ("https://user:can\u2100canary@host/", "must be the URL of the SOAP service"),
        ("https://canary@host/", "must not hold a user"),
        ("https://user:canary@host/", "must not hold a user"),
        ("https://:canary@host/", "must not hold a user"),
    ],
)
def test_wrong_address_is_refused_without_its_password(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        checked_url(url, environment={})
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def _transport(transport: object, proxy: object = None) -> object:
    return transport_from(
        transport,  # type: ignore[arg-type]
        proxy=proxy,  # type: ignore[arg-type]
        verify=True,
        max_connections=1,
        max_response_bytes=1,
    )


def test_transport_is_the_default_the_fast_one_or_what_is_given() -> None:
    mine = FakeService()
    assert isinstance(_transport(None), HttpxTransport)
    assert isinstance(_transport("aiohttp"), AiohttpTransport)
    assert isinstance(_transport(httpx.MockTransport(lambda _: httpx.Response(200))), HttpxTransport)
    assert _transport(mine) is mine


@pytest.mark.parametrize(
    ("transport", "proxy", "why"),
    [
        ("slow", None, "transport must be 'aiohttp'"),
        ("aiohttp", httpx.Proxy("http://proxy.test"), "proxy must be a URL"),
    ],
)
def test_transport_that_there_is_not_is_refused(transport: str, proxy: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        _transport(transport, proxy)
