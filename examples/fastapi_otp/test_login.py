"""The login, with a sandbox in place of the service; no test sleeps or needs a network."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from smsc_async import Client, Guards, Rules, Spend, testing
from smsc_async.fastapi import get_client
from smsc_async.sandbox import Sandbox

from . import app as application
from .app import app
from .codes import GUESSES, PER_ADDRESS, Codes

pytestmark = pytest.mark.anyio
PHONE = {"phone": "+7 999 123-45-67"}


@pytest.fixture(autouse=True)
def _on_the_sandbox(
    smsc_client: Client, smsc_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = Codes(tmp_path / "codes.db", b"a key for these tests, and no other", smsc_sandbox.now)
    monkeypatch.setattr(application, "make_codes", lambda: codes)
    monkeypatch.setitem(app.dependency_overrides, get_client, lambda: smsc_client)


@asynccontextmanager
async def browser() -> AsyncGenerator[httpx.AsyncClient, None]:
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        yield http


async def code_from(http: httpx.AsyncClient, sandbox: Sandbox) -> str:
    assert (await http.post("/login/codes", json=PHONE)).status_code == 202
    (code,) = sandbox.assert_sent("+79991234567", contains="is your code").codes
    return code


async def log_in(http: httpx.AsyncClient, code: str) -> int:
    return (await http.post("/login", json={**PHONE, "code": code})).status_code


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_a_code_logs_in_once(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        code = await code_from(http, smsc_sandbox)
        assert await log_in(http, wrong(code)) == 403
        assert await log_in(http, code) == 200
        assert await log_in(http, code) == 403


async def test_a_code_expires_after_five_minutes(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        code = await code_from(http, smsc_sandbox)
        await smsc_sandbox.advance(301)
        assert await log_in(http, code) == 403


async def test_after_five_wrong_guesses_the_right_code_is_refused(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        code = await code_from(http, smsc_sandbox)
        assert {await log_in(http, wrong(code)) for _ in range(GUESSES)} == {403}
        assert await log_in(http, code) == 403


async def test_another_code_is_sent_after_a_pause_that_grows_and_replaces_the_first(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        first = await http.post("/login/codes", json=PHONE)
        assert first.json() == {"expires_in": 300, "resend_in": 60}
        old = smsc_sandbox.messages[-1].codes[0]
        refused = await http.post("/login/codes", json=PHONE)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
        await smsc_sandbox.advance(61)
        second = await http.post("/login/codes", json=PHONE)
        assert second.json()["resend_in"] == 120
        new = smsc_sandbox.messages[-1].codes[0]
        assert await log_in(http, old) == (200 if old == new else 403)
        assert await log_in(http, new) == 200


@pytest.mark.smsc(delivery="delivered")
async def test_a_phone_gets_five_codes_a_day(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        answers: list[int] = []
        for _ in range(6):
            answers.append((await http.post("/login/codes", json=PHONE)).status_code)
            await smsc_sandbox.advance(301)
        assert answers == [202] * 5 + [429]
        await smsc_sandbox.advance(24 * 3600)
        assert (await http.post("/login/codes", json=PHONE)).status_code == 202


async def test_an_address_gets_only_so_many_codes_for_different_phones(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        phones = [{"phone": f"+799912345{number:02}"} for number in range(PER_ADDRESS.count + 1)]
        answers = [(await http.post("/login/codes", json=phone)).status_code for phone in phones]
        assert answers == [202] * PER_ADDRESS.count + [429]
        sends = [each for each in smsc_sandbox.requests if each.method == "send_sms2"]
        assert all("userip=127.0.0.1" in each.request for each in sends)


async def test_other_countries_get_no_codes(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        assert (await http.post("/login/codes", json={"phone": "+49 30 123456"})).status_code == 403
        assert not smsc_sandbox.messages


@pytest.mark.smsc(delivery="undelivered")
async def test_who_gets_no_message_is_called_with_the_same_code(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        code = await code_from(http, smsc_sandbox)
        await smsc_sandbox.advance(31)
        call = smsc_sandbox.assert_sent("+79991234567", contains=", ".join(code))
        assert call.channel == "call"
        assert await log_in(http, code) == 200


async def test_who_has_logged_in_is_not_called(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        code = await code_from(http, smsc_sandbox)
        assert await log_in(http, code) == 200
        await smsc_sandbox.advance(31)
        assert len(smsc_sandbox.messages) == 1


async def test_the_file_of_the_codes_does_not_hold_them(smsc_sandbox: Sandbox, tmp_path: Path) -> None:
    async with browser() as http:
        code = await code_from(http, smsc_sandbox)
        assert code.encode() not in (tmp_path / "codes.db").read_bytes()


async def test_no_code_is_sent_beyond_the_limit_for_money(
    smsc_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser() as http:
        guards = Guards(rules=Rules(spend=Spend(Decimal(10))), clock=smsc_sandbox.clock)  # two messages of 4.50
        async with testing.client(smsc_sandbox, guards=guards) as client:
            monkeypatch.setitem(app.dependency_overrides, get_client, lambda: client)
            phones = [{"phone": f"+7999123450{number}"} for number in range(3)]
            answers = [(await http.post("/login/codes", json=phone)).status_code for phone in phones]
        assert answers == [202, 202, 503]
        assert len(smsc_sandbox.messages) == 2
