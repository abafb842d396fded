"""The pages of requests: the list with its filters, and a request with its SOAP."""

import re

import httpx
import pytest

from smsc_async.sandbox import Account, Sandbox
from smsc_async.sandbox._exchanges import Exchange
from smsc_async.sandbox._pages.requests import RequestSearch, outcome_of

from .web import Web


@pytest.fixture
def web() -> Web:
    return Web(Sandbox(accounts=[Account.demo(), Account(login="shop", password="secret-word", apikey="key-word")]))


def _rows(page: str) -> list[str]:
    rows = re.findall(r"<tr[^>]*>\s*<td.*?</tr>", page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()[1:]) for row in (re.sub(r"\d+ ms", "", row) for row in rows)]


async def _some(web: Web) -> None:
    web.sandbox.faults.add("lose_answer operation=send after=2 times=1")
    await web.send("hello", id="abc")
    await web.send("x", login="shop", psw="secret-word", phone="79991234567,79991234568")
    with pytest.raises(httpx.RemoteProtocolError):
        await web.send("lost", phone="a@b.example")
    await web.send("y", psw="wrong")
    await web.call("get_status", phone="79991234567", id="abc", all=0)
    await web.ask(5, "abc")
    await web.call("get_balance")
    await web.http.post("/sys/soap.php", content="<nothing/>")


async def test_without_requests_the_page_says_where_to_send_one(web: Web) -> None:
    page = await web.page("requests")
    assert "No requests yet" in page
    assert "http://localhost:8025/sys/soap.php" in page


async def test_each_request_is_a_row_the_newest_first(web: Web) -> None:
    await _some(web)
    rows = _rows(await web.page("requests"))
    assert rows[0].startswith("unreadable unknown none SOAP Fault")
    assert rows[1] == "get_balance demo none balance 9995.5 200"
    assert rows[2] == "get_status demo +7 999 123-45-67 error 9 status of this message 6 in 60 s 200"
    assert rows[3] == "get_status demo +7 999 123-45-67 status -1 200"
    assert rows[-4] == "send_sms unknown +7 999 123-45-67 error 2 wrong login, password or apikey 200"
    assert rows[-3] == "send_sms demo a@b.example lose_answer executed none"
    assert rows[-2].startswith("send_sms shop 2 recipients id ")
    assert rows[-1] == "send_sms demo +7 999 123-45-67 id abc 200"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"method": "get_status"}, 6),
        ({"method": "<script>"}, 12),
        ({"account": "shop"}, 1),
        ({"account": "none"}, 0),
        ({"answer": "limit"}, 1),
        ({"answer": "error"}, 2),
        ({"answer": "fault"}, 1),
        ({"answer": "good"}, 8),
        ({"q": "+7 (999) 123-45-68"}, 1),
        ({"q": "HELLO"}, 1),
        ({"q": "get_bal"}, 1),
        ({"q": "127.0.0.1", "method": "get_balance"}, 1),
        ({"q": "abc", "answer": "good", "method": "send_sms", "account": "demo"}, 1),
        ({"q": "secret-word"}, 0),
    ],
)
async def test_requests_are_filtered_and_searched(web: Web, query: dict[str, str], count: int) -> None:
    await _some(web)
    page = await web.page("requests", **query)
    assert len(_rows(page)) == count
    assert ("Nothing matches" in page) == (not count)


async def test_requests_are_shown_by_pages_of_100(web: Web) -> None:
    for _ in range(101):
        await web.call("get_balance")
    page = await web.page("requests")
    assert "1 to 100 of 101" in page
    assert 'hx-trigger="sse:requests"' in page
    older = await web.page("requests", before=2)
    assert "101 to 101 of 101" in older
    assert 'href="/_sandbox/requests?before=2"' in page
    assert 'hx-trigger="sse:requests"' not in older  # an older page does not change
    assert "Back to the newest" in older


@pytest.mark.parametrize("before", ["-1", "x", "\N{SUPERSCRIPT TWO}", "9" * 5_000])
def test_a_position_that_means_nothing_is_left_out(before: str) -> None:
    assert RequestSearch.read({"before": before}) == RequestSearch()


async def test_a_request_is_shown_with_its_soap_and_without_credentials(web: Web) -> None:
    await web.send("hello", login="shop", psw="secret-word")
    await web.call("get_balance", login="", psw="", apikey="key-word")
    for number in (1, 2):
        page = await web.page(f"requests/{number}")
        assert "secret-word" not in page
        assert "key-word" not in page
        assert '<span class="masked" title="Never stored">masked</span>' in page
    page = await web.page("requests/1")
    assert "hello" in page
    assert 'href="/_sandbox/messages/1"' in page
    assert "sendresult" in page


async def test_a_request_of_many_messages_names_ten_of_them(web: Web) -> None:
    await web.send(phone=",".join(str(79991234500 + number) for number in range(12)))
    page = await web.page("requests/1")
    assert len(re.findall(r'href="/_sandbox/messages/\d+"', page)) == 10
    assert "and 2 more" in page


async def test_a_request_that_a_limit_has_refused_says_why(web: Web) -> None:
    await web.ask(6)
    assert 'href="/_sandbox/limits?request=6"' in await web.page("requests/6")
    assert 'href="/_sandbox/limits?request=6"' in await web.page("requests")


@pytest.mark.parametrize("number", ["2", "x", "-1", "9" * 50, "%3Cscript%3E"])
async def test_a_request_that_is_not_there_is_said(web: Web, number: str) -> None:
    await web.call("get_balance")
    page = await web.page(f"requests/{number}", 404)
    assert "<script>" not in page


def test_a_request_without_its_answer_is_in_flight_and_one_whose_client_has_gone_has_none() -> None:
    exchange = Exchange(1, 0.0, method="send_sms", executed=True)
    assert outcome_of(exchange).text == "in flight"
    exchange.seconds = 1.0
    assert outcome_of(exchange).text == "no answer"
    exchange.status = 200
    assert outcome_of(exchange).text == "ok"


async def test_hostile_texts_are_escaped(web: Web) -> None:
    evil = "<script>alert(1)</script>"
    safe = evil.replace("<", "&lt;")
    await web.send(safe, phone=safe, login=safe, id=safe)
    await web.http.post("/sys/soap.php", content=evil)
    for path in ("requests", "requests/1", "requests/2"):
        page = await web.page(path, q=evil) if path == "requests" else await web.page(path)
        assert "<script>alert" not in page
        assert "alert(1)" in page
    assert "<script>alert" not in await web.page("requests", q='"><script>alert(1)</script>', account=evil)
