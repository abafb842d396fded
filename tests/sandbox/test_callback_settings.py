"""What the settings and the reports of callbacks accept and refuse, and what they show."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from smsc_async.sandbox import HttpxPoster, Sandbox
from tests.sandbox.receiver import PHONE, SECRET, URL


def test_the_charset_is_that_of_the_url_as_the_service_has_it() -> None:
    callbacks = Sandbox().callbacks
    for url, charset in (
        (URL, "windows-1251"),
        (f"{URL}?charset=utf-8", "utf-8"),
        (f"{URL}?a=1&charset=KOI8-R", "koi8-r"),
        (f"{URL}?charset=utf-7", "windows-1251"),
    ):
        assert callbacks.set(url, secret=SECRET).charset == charset
    assert callbacks.set(f"{URL}?charset=utf-8", secret=SECRET, charset="koi8-r").charset == "koi8-r"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": None}, "^url must be an http or https URL"),
        ({"url": "app.example/sms"}, "^url must be an http or https URL"),
        ({"url": "ftp://app.example"}, "^url must be an http or https URL"),
        ({"url": "http://"}, "^url must be an http or https URL"),
        ({"url": "http://app:port"}, "^url must be an http or https URL"),
        ({"url": f"{URL}#top"}, "^url must be an http or https URL"),
        ({"url": "http://пример/"}, "^url must be an http or https URL"),
        ({"url": "http://me:canary@app/"}, "^url must have no user name and password"),
        ({"secret": ""}, "^secret "),
        ({"secret": 1}, "^secret must be a string"),
        ({"secret": "canary 😀"}, "^secret must have no characters that windows-1251 lacks"),
        ({"hash": "sha256"}, "^hash must be 'md5' or 'sha1' or 'crc32'"),
        ({"charset": "utf-16"}, "^charset must be 'windows-1251' or 'utf-8' or 'koi8-r'"),
        ({"method": "PUT"}, "^method must be 'POST' or 'GET'"),
        ({"poster": 3}, "^poster must be an object with `async def post"),
    ],
)
def test_a_wrong_setting_is_refused(change: Mapping[str, Any], words: str) -> None:
    callbacks = Sandbox().callbacks
    given: dict[str, Any] = {"url": URL, "secret": SECRET, **change}
    with pytest.raises(ValueError, match=words) as caught:
        callbacks.set(given.pop("url"), **given)
    assert "canary" not in str(caught.value)
    assert callbacks.settings is None


@pytest.mark.parametrize("phone", ["", "12", "-20", "a:b", "\t", None, "7" * 101, "7\n9"])
def test_a_wrong_phone_is_refused(phone: Any) -> None:
    callbacks = Sandbox().callbacks
    callbacks.set(URL, secret=SECRET)
    with pytest.raises(ValueError, match=r"^phone must"):
        callbacks.call(phone)
    with pytest.raises(ValueError, match=r"^phone must"):
        callbacks.incoming(phone, "Hi")
    with pytest.raises(ValueError, match=r"^to must"):
        callbacks.incoming(PHONE, "Hi", to=phone)


@pytest.mark.parametrize("text", ["", None, "a" * 1001])
def test_a_wrong_text_is_refused(text: Any) -> None:
    callbacks = Sandbox().callbacks
    callbacks.set(URL, secret=SECRET)
    with pytest.raises(ValueError, match=r"^text must be a string of 1 to 1000 characters$"):
        callbacks.incoming(PHONE, text)


def test_without_a_url_nothing_can_be_reported() -> None:
    callbacks = Sandbox().callbacks
    with pytest.raises(ValueError, match="no callback URL is set"):
        callbacks.call(PHONE)
    with pytest.raises(ValueError, match="no callback URL is set"):
        callbacks.incoming(PHONE, "Hi")
    with pytest.raises(LookupError, match="there is no callback with this id"):
        callbacks.again(1)


def test_neither_the_secret_nor_a_phone_is_in_a_repr() -> None:
    sandbox = Sandbox()
    settings = sandbox.callbacks.set(URL, secret=SECRET)
    callback = sandbox.callbacks.incoming(PHONE, "a canary text")
    assert SECRET not in f"{settings!r}{sandbox.callbacks!r}"
    assert "1234" not in repr(callback)
    assert "canary" not in repr(callback)


async def test_a_poster_over_http_follows_no_redirect_and_reads_a_bounded_answer() -> None:
    class Endless(httpx.AsyncByteStream):
        def __init__(self) -> None:
            self.closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(10_000):
                yield b"a" * 10_000

        async def aclose(self) -> None:
            self.closed = True

    body = Endless()
    transport = httpx.MockTransport(lambda _: httpx.Response(302, stream=body, headers={"Location": URL}))
    answer = await HttpxPoster(transport).post("POST", URL, b"id=1")
    assert (answer.status, len(answer.body), body.closed) == (302, 65_536, True)
