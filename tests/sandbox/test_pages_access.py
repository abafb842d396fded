"""Who may use the pages, and the headers that keep them to themselves."""

import httpx
import pytest

from smsc_async.sandbox import Sandbox

HTML = {"Accept": "text/html"}
ORIGIN = {"Origin": "http://localhost:8025"}
TOKEN = "token-of-the-sandbox"


def _web(sandbox: Sandbox, base: str = "http://localhost:8025") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=sandbox.transport(), base_url=base, headers=HTML)


@pytest.mark.parametrize("path", ["/", "/_sandbox/messages/1", "/_sandbox/limits", "/_sandbox/events"])
async def test_another_host_is_refused_with_a_page_that_shows_nothing(path: str) -> None:
    async with _web(Sandbox()) as web:
        answer = await web.get(path, headers={"Host": "evil.test"})
    assert answer.status_code == 403
    assert "Not this way" in answer.text
    assert 'href="http://127.0.0.1' in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("path", ["/_sandbox/clock", "/_sandbox/delete-messages", "/_sandbox/messages/1/status"])
@pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.test"}, {"Origin": "null"}])
async def test_what_changes_something_needs_the_origin_of_the_sandbox(path: str, origin: dict[str, str]) -> None:
    sandbox = Sandbox()
    async with _web(sandbox) as web:
        answer = await web.post(path, data={"advance": "600"}, headers=origin)
    assert answer.status_code == 403
    assert sandbox.clock.ahead < 1


@pytest.mark.parametrize("path", ["/_sandbox/clock", "/_sandbox/delete-messages", "/_sandbox/messages/1/status"])
async def test_nothing_is_changed_by_a_get(path: str) -> None:
    async with _web(Sandbox()) as web:
        assert (await web.get(path)).status_code == 405


async def test_every_answer_has_a_policy_that_allows_nothing_inline_or_foreign() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        answers = [await web.get(path) for path in ("/", "/_sandbox/static/pages.js", "/_sandbox/static/none")]
        answers += [await web.post("/_sandbox/clock"), await web.post("/_sandbox/token", headers=ORIGIN)]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    assert [answer.headers["Cache-Control"] for answer in answers[:2]] == ["no-store", "no-cache"]


async def test_htmx_runs_no_text_as_a_program_and_keeps_no_pages() -> None:
    async with _web(Sandbox()) as web:
        text = (await web.get("/")).text
    for setting in (
        '"allowEval":false',
        '"allowScriptTags":false',
        '"includeIndicatorStyles":false',
        '"historyCacheSize":0',
    ):
        assert setting in text


async def test_a_token_is_exchanged_for_a_cookie_that_is_not_the_token() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        asked = await web.get("/")
        assert asked.status_code == 401
        assert 'type="password" name="token"' in asked.text
        taken = await web.post("/_sandbox/token", data={"token": TOKEN}, headers=ORIGIN)
        assert (taken.status_code, taken.headers["Location"]) == (303, "/")
        cookie = taken.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie
        assert TOKEN not in cookie
        assert cookie.startswith("smsc_sandbox_8025=")  # cookies of other ports are of other sandboxes
        assert (await web.get("/")).status_code == 200
        assert (await web.post("/_sandbox/clock", data={"advance": "1"}, headers=ORIGIN)).status_code == 303


async def test_a_cookie_that_can_not_be_read_is_none() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        assert (await web.get("/", headers={"Cookie": "a(b=1; smsc_sandbox_8025=x"})).status_code == 401


async def test_the_cookie_outlives_a_restart_but_not_another_token() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        await web.post("/_sandbox/token", data={"token": TOKEN}, headers=ORIGIN)
        cookies = web.cookies
    for token, status in ((TOKEN, 200), (TOKEN + "2", 401)):
        async with _web(Sandbox(token=token)) as web:
            web.cookies = cookies
            assert (await web.get("/")).status_code == status


async def test_over_https_the_cookie_is_sent_over_https_only() -> None:
    async with _web(Sandbox(token=TOKEN), "https://localhost") as web:
        taken = await web.post("/_sandbox/token", data={"token": TOKEN}, headers={"Origin": "https://localhost"})
    assert "Secure" in taken.headers["Set-Cookie"]
    assert taken.headers["Set-Cookie"].startswith("smsc_sandbox_443=")


@pytest.mark.parametrize("form", [{}, {"token": "wrong"}, {"token": "\N{SNOWMAN}"}])
async def test_a_wrong_token_is_asked_for_again(form: dict[str, str]) -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        answer = await web.post("/_sandbox/token", data=form, headers=ORIGIN)
    assert answer.status_code == 401
    assert "That is not the token." in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "cookie", ["smsc_sandbox_8025=x", f"smsc_sandbox_8025={TOKEN}", "smsc_sandbox_8025", "=;=", "[]=[]"]
)
async def test_another_cookie_opens_nothing(cookie: str) -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        for path in ("/", "/_sandbox/events", "/_sandbox/messages/1"):
            assert (await web.get(path, headers={"Cookie": cookie})).status_code == 401


async def test_a_token_is_not_taken_from_another_origin_or_where_there_is_none() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        taken = await web.post("/_sandbox/token", data={"token": TOKEN}, headers={"Origin": "http://evil.test"})
    assert taken.status_code == 403
    async with _web(Sandbox()) as web:
        assert (await web.post("/_sandbox/token", data={"token": ""}, headers=ORIGIN)).status_code == 401


async def test_the_header_of_the_api_opens_the_pages_and_the_cookie_does_not_open_the_api() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await web.get("/", headers=bearer)).status_code == 200
        await web.post("/_sandbox/token", data={"token": TOKEN}, headers=ORIGIN)
        assert (await web.get("/_sandbox/api/clock")).status_code == 401


async def test_the_files_of_the_pages_need_no_token_and_are_there_for_the_page_that_refuses_a_host() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        assert (await web.get("/_sandbox/static/app.css", headers={"Host": "evil.test"})).status_code == 200
        assert (await web.get("/_sandbox/static/app.css")).status_code == 200
        assert (await web.get("/_sandbox/static/../app.py")).status_code in {401, 404}
        assert (await web.get("/_sandbox/static/..%2fapp.py")).status_code == 404


async def test_a_program_is_refused_with_json() -> None:
    async with _web(Sandbox(token=TOKEN)) as web:
        answer = await web.get("/_sandbox/messages/1", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (401, {"error": "this sandbox needs its token"})
