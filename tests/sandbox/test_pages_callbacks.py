"""The callbacks on the page of a message: what the application has answered, sending again, and replies."""

import httpx
import pytest

from smsc_async import testing
from smsc_async.sandbox import CallbackAnswer, Limits, Sandbox
from smsc_async.sandbox._callbacks.callback import settings_of
from smsc_async.sandbox._pages.render import Renderings
from tests.sandbox.receiver import PHONE, SECRET, URL, still_sandbox
from tests.sandbox.test_pages import Page

HTML = {"Accept": "text/html"}
ORIGIN = {"Origin": "http://localhost:8025"}
HOSTILE = "<script>alert(1)</script><b onclick='x'>"


class Poster:
    """An application that answers all with markup, at first with an error."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:  # noqa: ARG002
        self.sent.append(data)
        return CallbackAnswer(500 if len(self.sent) == 1 else 200, HOSTILE.encode())


def _web(sandbox: Sandbox) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=sandbox.transport(), base_url="http://localhost:8025", headers=HTML)


async def _sandbox(poster: Poster) -> Sandbox:
    sandbox = still_sandbox()
    sandbox.callbacks.set(URL, secret=SECRET, poster=poster)
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send(PHONE, "Hi")
        await sandbox.advance(1)
    return sandbox


async def test_a_message_shows_its_callbacks_and_the_answers_as_text() -> None:
    sandbox = await _sandbox(Poster())
    async with _web(sandbox) as web:
        text = (await web.get("/_sandbox/messages/1")).text
    page = Page(text)
    assert len(page.all("li", class_="hook")) == len(sandbox.callbacks.all) > 1
    assert f"POST {URL}" in page.text
    assert "HTTP 500" in page.text
    assert "HTTP 200" in page.text
    assert "Sent again in" in page.text
    assert HOSTILE in page.text
    assert "<script>alert" not in text
    assert "<b onclick" not in text
    assert SECRET not in text


async def test_a_message_shows_no_callback_of_another() -> None:
    sandbox = await _sandbox(Poster())
    own = len(sandbox.callbacks.all)
    async with sandbox.callbacks, testing.client(sandbox) as client:
        await client.send("+79990000000", "Hi")
        await sandbox.advance(1)
    assert len(sandbox.callbacks.all) > own
    async with _web(sandbox) as web:
        assert len(Page((await web.get("/_sandbox/messages/1")).text).all("li", class_="hook")) == own


async def test_a_callback_is_sent_again_and_the_open_pages_are_told() -> None:
    poster = Poster()
    sandbox = await _sandbox(poster)
    number, revision, sent = sandbox.callbacks.all[-1].id, sandbox.callbacks.revision, len(poster.sent)
    async with _web(sandbox) as web, sandbox.callbacks:
        answer = await web.post(f"/_sandbox/callbacks/{number}/again", headers=ORIGIN)
        await sandbox.advance(0)
    assert answer.status_code == 303
    assert sandbox.callbacks.revision > revision
    assert len(poster.sent) == sent + 1


async def test_open_pages_are_told_of_every_change() -> None:
    sandbox = await _sandbox(Poster())
    renderings = Renderings(sandbox, Limits())
    before = renderings.strip()["callbacks"][0]
    assert renderings.strip()["callbacks"][0] == before
    async with sandbox.callbacks:
        sandbox.callbacks.again(1)
        asked = renderings.strip()["callbacks"][0]
        await sandbox.advance(0)
    answered = renderings.strip()["callbacks"][0]
    sandbox.callbacks.clear()
    assert len({before, asked, answered, renderings.strip()["callbacks"][0]}) == 4


async def test_the_phone_replies() -> None:
    poster = Poster()
    sandbox = await _sandbox(poster)
    async with _web(sandbox) as web, sandbox.callbacks:
        headers = ORIGIN | {"Referer": "http://localhost:8025/_sandbox/messages/1"}
        answer = await web.post("/_sandbox/messages/1/reply", data={"text": "STOP <i>"}, headers=headers)
        await sandbox.advance(0)
        page = await web.get(answer.headers["Location"])
    assert b"mes=STOP" in poster.sent[-1]
    assert "STOP &lt;i&gt;" in page.text
    assert "<i>" not in page.text.partition('id="callbacks"')[2].partition("</section>")[0]


@pytest.mark.parametrize(("path", "text"), [("messages/1/reply", ""), ("callbacks/99/again", "x")])
async def test_what_cannot_be_done_is_said(path: str, text: str) -> None:
    sandbox = await _sandbox(Poster())
    async with _web(sandbox) as web:
        answer = await web.post(f"/_sandbox/{path}", data={"text": text}, headers=ORIGIN)
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["messages/1/reply", "callbacks/1/again"])
@pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.test"}])
async def test_a_foreign_page_makes_no_callback(path: str, origin: dict[str, str]) -> None:
    sandbox = await _sandbox(Poster())
    revision = sandbox.callbacks.revision
    async with _web(sandbox) as web:
        answer = await web.post(f"/_sandbox/{path}", data={"text": "STOP"}, headers=origin)
    assert answer.status_code == 403
    assert sandbox.callbacks.revision == revision


async def test_the_url_is_set_changed_and_removed_on_the_page_of_accounts_and_the_secret_is_not_shown() -> None:
    sandbox = still_sandbox()
    async with _web(sandbox) as web:
        assert "required" in (await web.get("/_sandbox/accounts")).text.partition('name="secret"')[2][:200]
        form = {"url": f" {URL}?x=<b> ", "secret": SECRET, "hash": "sha1", "charset": "", "method": "GET"}
        assert (await web.post("/_sandbox/callback", data=form, headers=ORIGIN)).status_code == 303
        settings = sandbox.callbacks.settings
        assert settings is not None
        assert (settings.url, settings.hash, settings.method) == (f"{URL}?x=<b>", "sha1", "GET")
        changed = {"url": URL, "secret": "", "charset": "utf-8"}
        await web.post("/_sandbox/callback", data=changed, headers=ORIGIN)
        assert sandbox.callbacks.settings == settings_of(URL, SECRET, digest="md5", charset="utf-8", method="POST")
        page = (await web.get("/_sandbox/accounts")).text
        assert ("set, not shown" in page, SECRET in page, ">on</span>" in page) == (True, False, True)
        await web.post("/_sandbox/callback/remove", headers=ORIGIN)
        assert sandbox.callbacks.settings is None


async def test_the_page_of_accounts_shows_how_the_application_has_answered_last() -> None:
    sandbox = await _sandbox(Poster())
    async with _web(sandbox) as web, sandbox.callbacks:
        assert 'data-kind="ok">HTTP 200' in (await web.get("/_sandbox/accounts")).text.partition("callback-last")[2]
        page = (await web.get("/_sandbox/accounts")).text
    assert HOSTILE not in page


async def test_wrong_callback_settings_change_nothing() -> None:
    sandbox = still_sandbox()
    wrong = [{"url": URL}, {"url": "javascript:alert(1)", "secret": "s"}, {"url": URL, "secret": "s", "hash": "x"}]
    async with _web(sandbox) as web:
        for form in [*wrong, {"url": URL, "secret": "s", "charset": "x"}, {}]:
            answer = await web.post("/_sandbox/callback", data=form, headers=ORIGIN)
            assert answer.status_code == 422
    assert sandbox.callbacks.settings is None


async def test_without_a_url_the_page_says_how_to_set_one() -> None:
    sandbox = still_sandbox()
    async with testing.client(sandbox) as client, _web(sandbox) as web:
        await client.send(PHONE, "Hi")
        page = Page((await web.get("/_sandbox/messages/1")).text)
    assert "No callback URL is set. Enter it on Accounts or start the sandbox with --callback URL" in page.text
    assert page.all("input", id="reply") == []
