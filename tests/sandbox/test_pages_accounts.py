"""The page of accounts: balances, prices and new accounts; and who may use it and its neighbours."""

from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from smsc_async.sandbox import Account, Sandbox

from .web import ORIGIN, Web

PAGES = ["limits", "faults", "accounts", "requests", "requests/1"]
ACTIONS = ["faults", "faults/remove", "faults/clear", "faults/seed", "faults/preset"]
ACTIONS += ["accounts", "accounts/balance", "accounts/price", "callback", "callback/remove"]


@pytest.fixture
def web() -> Web:
    accounts = [Account.demo(), Account(login="shop", password="secret-word", apikey="key-word", virtual=True)]
    return Web(Sandbox(accounts=[*accounts, Account(login="team", password="pass-word", groups={7: ("79991234567",)})]))


async def test_each_account_is_shown_without_its_password_and_apikey(web: Web) -> None:
    await web.send(login="shop", psw="secret-word")
    page = await web.page("accounts")
    for word in ("demo", "shop", "team", "test mode", "9995.50", "1 message", "0 messages", "UTC+3", "G7: 1"):
        assert word in page
    assert "secret-word" not in page
    assert "pass-word" not in page
    assert "key-word" not in page


@pytest.mark.parametrize(
    ("fields", "balance"),
    [
        ({"add": "100"}, "10100"),
        ({"add": "0.05"}, "10000.05"),
        ({"set": "-5"}, "-5"),
        ({"set": " 1 000,50 "}, "1000.50"),
        ({"set": "0"}, "0"),
    ],
)
async def test_a_balance_is_topped_up_or_set(web: Web, fields: dict[str, str], balance: str) -> None:
    answer = await web.post("accounts/balance", login="demo", **fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/_sandbox/accounts")
    assert web.sandbox.balances["demo"] == Decimal(balance)
    answer = await web.post_by_htmx("accounts/balance", login="demo", add="0")
    assert (answer.status_code, f"{Decimal(balance):,.2f}" in answer.headers["HX-Trigger"]) == (204, True)


async def test_a_top_up_is_kept_in_the_state_and_is_no_attribute_of_a_new_account(tmp_path: Path) -> None:
    sandbox = Sandbox(state=tmp_path / "state")
    sandbox.put_account("demo", top_up=Decimal(5), balance=Decimal(10))
    assert sandbox.put_account("demo", top_up=Decimal(5)).balance == Decimal(20)
    assert sandbox.put_account("new", password="x", top_up=Decimal(5)).balance == Decimal(5)
    sandbox.close()
    assert Sandbox(state=tmp_path / "state").balances == {"demo": Decimal(20), "new": Decimal(5)}


@pytest.mark.parametrize("amount", ["", "x", "nan", "inf", "1e99", "1" * 5_000, "0.000001", "-1", "1e10"])
async def test_what_is_no_amount_changes_nothing(web: Web, amount: str) -> None:
    answer = await web.post("accounts/balance", login="demo", add=amount)
    assert answer.status_code == 422
    assert "must be an amount" in answer.text
    assert (await web.post("accounts/price", login="demo", prefix="7", price=amount or "x")).status_code == 422
    assert web.sandbox.balances["demo"] == 10_000


async def test_a_price_is_set_added_and_removed(web: Web) -> None:
    await web.post("accounts/price", login="demo", prefix="7", price="3")
    await web.post("accounts/price", login="demo", prefix="+971", price="12,50")
    await web.post("accounts/price", login="demo", prefix="", price="")
    prices = web.sandbox.accounts[0].prices
    assert prices == {"7": Decimal(3), "971": Decimal("12.50")}
    assert "<code>971</code>" in await web.page("accounts")
    assert "<error>8</error>" in await web.send(phone="447700900123")


@pytest.mark.parametrize("prefix", ["abc", "-7", "7" * 16, "\N{SUPERSCRIPT TWO}", "<b>"])
async def test_a_number_begins_with_digits(web: Web, prefix: str) -> None:
    assert (await web.post("accounts/price", login="demo", prefix=prefix, price="1")).status_code == 422
    assert len(web.sandbox.accounts[0].prices) == 2


@pytest.mark.parametrize("path", ["accounts/balance", "accounts/price"])
async def test_an_account_that_is_not_there_is_said(web: Web, path: str) -> None:
    for fields in ({}, {"login": "<b>nobody"}):
        answer = await web.post(path, add="1", price="1", **fields)
        assert "There is no account with this login" in answer.text
        assert "<b>" not in answer.text


async def test_an_account_is_added_and_may_send(web: Web) -> None:
    await web.post("accounts", login="new", password="pass", apikey=" new-key ", sender="NEW", balance="9")
    await web.post("accounts", login="bare", password="pass", apikey="", sender="", balance="")
    added = {account.login: account for account in web.sandbox.accounts}
    assert (added["new"].sender, added["new"].apikey, added["new"].balance) == ("NEW", "new-key", Decimal(9))
    assert (added["bare"].sender, added["bare"].balance) == ("SMSC", Decimal(10_000))
    assert "<balance>4.5</balance>" in await web.send(login="new", psw="pass")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "The login must be"),
        ({"login": "a b", "password": "x"}, "The login must be"),
        ({"login": "\N{SNOWMAN}", "password": "x"}, "The login must be"),
        ({"login": "x" * 101, "password": "x"}, "The login must be"),
        ({"login": "demo", "password": "x"}, "There is an account with this login"),
        ({"login": "new", "password": ""}, "An account needs a password"),
        ({"login": "new", "password": "x", "balance": "much"}, "The balance must be an amount"),
        ({"login": "new", "password": "x", "apikey": "key-word"}, "share a login or an apikey"),
    ],
)
async def test_a_wrong_account_is_not_added(web: Web, fields: dict[str, str], said: str) -> None:
    answer = await web.post("accounts", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert len(web.sandbox.accounts) == 3


async def test_hostile_logins_and_senders_are_escaped() -> None:
    evil = "\"'><script>alert(1)</script>"
    web = Web(Sandbox(accounts=[Account(login=evil, password="x", sender=evil)]))
    page = await web.page("accounts")
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("path", PAGES)
async def test_the_pages_need_the_right_host_and_the_token(path: str) -> None:
    web = Web(Sandbox(token="the-token"))
    assert "A token, please" in await web.page(path, 401)
    await web.http.post("/_sandbox/token", data={"token": "the-token"}, headers=ORIGIN)
    await web.call("get_balance")
    assert "the-token" not in await web.page(path)
    foreign = await web.http.get(f"/_sandbox/{path}", headers={"Host": "evil.test"})
    assert (foreign.status_code, "Not this way" in foreign.text) == (403, True)


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.test"}, {"Origin": "null"}])
async def test_what_changes_something_needs_the_origin_and_a_post(web: Web, headers: dict[str, str]) -> None:
    fields = {"kind": "lose_answer", "preset": "down", "login": "new", "password": "x", "add": "1", "seed": "5"}
    fields |= {"url": "http://127.0.0.1:8000/sms", "secret": "s"}
    for path in ACTIONS:
        answer = await web.http.post(f"/_sandbox/{path}", data=fields, headers=headers)
        assert (path, answer.status_code) == (path, 403)
        shown = await web.http.get(f"/_sandbox/{path}")
        assert (path, shown.status_code) == (path, 200 if path in PAGES else 405)
    assert (len(web.sandbox.faults), len(web.sandbox.accounts), web.sandbox.faults.seed) == (0, 3, 0)
    assert web.sandbox.callbacks.settings is None


@pytest.mark.parametrize("path", PAGES[:4])
async def test_a_page_has_no_inline_style_or_script_and_marks_itself_in_the_menu(web: Web, path: str) -> None:
    await web.ask(6)
    page = await web.page(path)
    assert " style=" not in page
    assert "<style" not in page
    assert " onclick=" not in page
    assert f'href="/_sandbox/{path}" aria-current="page"' in page
    assert page.count("<h1") == 1
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


async def test_an_action_returns_to_its_page_and_never_to_another_site(web: Web) -> None:
    for referer in ("http://evil.test/x", "//evil.test", ""):
        headers = httpx.Headers({**ORIGIN, "Referer": referer})
        answer = await web.http.post("/_sandbox/faults/clear", headers=headers)
        assert answer.headers["Location"] == "/"
