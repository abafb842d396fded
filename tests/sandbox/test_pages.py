"""The pages of the sandbox: what they show, and that nothing in a message becomes markup."""

import hashlib
import json
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from smsc_async import Client, Flash, Hlr, testing
from smsc_async.sandbox import Account, DeliveryPlan, Fault, Limits, Sandbox, _pages

PHONE = "+79991234567"
STATIC = Path(_pages.__file__).parent / "static"
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """A page: its elements, checked to be nested, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.elements
            if name == tag
            and all(found.get(each.rstrip("_").replace("_", "-")) == value for each, value in attributes.items())
        ]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(delivery=DeliveryPlan(spread=0, outcomes=DeliveryPlan.delivered().outcomes))


@pytest.fixture
async def web(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url="http://localhost:8025", headers={"Accept": "text/html,*/*"}
    ) as web:
        yield web


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with testing.client(sandbox) as client:
        yield client


async def _page(web: httpx.AsyncClient, path: str = "/", status: int = 200) -> Page:
    answer = await web.get(path)
    assert answer.status_code == status
    return Page(answer.text)


async def _post(web: httpx.AsyncClient, path: str, **fields: object) -> httpx.Response:
    return await web.post(path, data=fields, headers={"Origin": "http://localhost:8025"})


async def test_a_browser_gets_the_inbox_and_all_others_the_service(web: httpx.AsyncClient) -> None:
    assert "No messages yet" in (await _page(web)).text
    assert (await web.get("/", headers={"Accept": "*/*"})).text == ""
    assert "<definitions" in (await web.get("/?wsdl")).text.replace("wsdl:", "")
    assert (await web.get("/sys/soap.php")).text == ""
    assert (await web.post("/")).headers["Content-Type"].startswith("text/xml")
    assert (await web.get("/livez")).text == "ok"


async def test_the_empty_inbox_shows_how_to_send_to_this_address(web: httpx.AsyncClient) -> None:
    page = await _page(web)
    programs = [button["data-copy"] for button in page.all("button", class_="btn copy-code")]
    assert [("http://localhost:8025/sys/soap.php" in program) for program in programs] == [True] * 3
    assert [program.split()[0] for program in programs] == ["#", "<?php", "curl"]


async def test_a_message_is_in_the_list_with_its_status_and_cost(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "Your code is 4821", sender="SHOP")
    await sandbox.advance(10)
    page = await _page(web)
    assert "+7 999 123-45-67" in page.text
    assert [row["href"] for row in page.all("a", class_="row")] == ["/_sandbox/messages/1"]
    assert "SHOP" in page.text
    assert "Delivered" in page.text
    assert "4.50" in page.text
    assert page.all("button", data_copy="4821")


async def test_a_message_has_its_parts_and_the_character_that_forces_ucs_2(
    web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "It\N{RIGHT SINGLE QUOTATION MARK}s here" + " and more" * 20)
    answer = await web.get("/_sandbox/messages/1")
    page = Page(answer.text)
    assert "UCS-2, 3 parts" in page.text
    assert "67/67" in page.text
    assert [part["data-n"] for part in page.all("span", class_="part")] == ["1", "2", "3"]
    assert "U+2019 right single quotation mark, character 3." in page.text
    assert "2 parts, 9.00 in place of 3, 13.50" in page.text
    assert '<mark class="offender" title="Not in GSM-7">\N{RIGHT SINGLE QUOTATION MARK}</mark>' in answer.text


async def test_a_text_that_is_not_typographic_but_foreign_has_nothing_to_save(
    web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "Your code \N{CYRILLIC CAPITAL LETTER IO} is 481-516, 481516")
    answer = await web.get("/_sandbox/messages/1")
    assert "U+0401 cyrillic capital letter io, character 11." in Page(answer.text).text
    assert "With plain quotes" not in answer.text
    assert '<mark class="found">481-516</mark>, <mark class="found">481516</mark>' in answer.text


async def test_a_text_in_gsm_7_has_no_such_character(web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, "Hello " * 40)
    page = await _page(web, "/_sandbox/messages/1")
    assert "GSM-7, 2 parts" in page.text
    assert "153/153" in page.text
    assert "is not in GSM-7" not in page.text


async def test_a_flash_message_covers_the_screen_and_an_hlr_request_shows_nothing(
    web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "Leave by stair B", via=Flash())
    await client.send(PHONE, via=Hlr())
    assert (await _page(web, "/_sandbox/messages/1")).all("div", class_="flash")
    page = await _page(web, "/_sandbox/messages/2")
    assert "The phone shows nothing." in page.text
    assert "UCS-2" not in page.text


async def test_the_life_of_a_message_is_shown_with_what_is_planned(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    sandbox.clock.speed = 0  # the pages are slower than a delivery on a busy machine
    await client.send(PHONE, "Hello")
    assert [len((await _page(web, "/_sandbox/messages/1")).all("li", class_="planned"))] == [2]
    await sandbox.advance(1)
    assert [len((await _page(web, "/_sandbox/messages/1")).all("li", class_="planned"))] == [1]


async def test_the_delivery_result_is_set_with_a_click(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "Hello")
    answer = await _post(web, "/_sandbox/messages/1/status", status=20, err=13)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert sandbox.message(1).change_at(sandbox.now())[1:] == (20, 13)
    assert (
        "Err 13: the subscriber is blocked. Sending again later may help."
        in (await _page(web, "/_sandbox/messages/1")).text
    )
    await _post(web, "/_sandbox/messages/1/status", status=2, err=13)  # the error is that of the button beside
    assert sandbox.message(1).change_at(sandbox.now())[1:] == (2, 0)


@pytest.mark.parametrize("fields", [{}, {"status": "x"}, {"status": "5"}, {"status": "20", "err": "x"}])
async def test_a_wrong_delivery_result_is_refused(
    web: httpx.AsyncClient, client: Client, fields: dict[str, str]
) -> None:
    await client.send(PHONE, "Hello")
    assert (await _post(web, "/_sandbox/messages/1/status", **fields)).status_code == 422


async def test_the_clock_is_moved_paused_and_made_faster_and_a_jump_leaves_a_line(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "before")
    before = sandbox.now()
    await _post(web, "/_sandbox/clock", advance=90_000)
    assert sandbox.now() - before >= 90_000
    await client.send(PHONE, "after")
    page = await _page(web)
    assert "You moved the clock by 1 day 1 h" in page.text
    assert "1 day 1 h ahead" in page.text
    assert len(page.all("h2", class_="day")) == 2
    await _post(web, "/_sandbox/clock", speed=0)
    assert sandbox.clock.speed == 0
    assert "paused" in (await _page(web)).text
    await _post(web, "/_sandbox/clock", speed=30)
    assert "\N{MULTIPLICATION SIGN}30" in (await _page(web)).text


async def test_a_clock_of_another_speed_can_be_behind(web: httpx.AsyncClient) -> None:
    times = iter(range(0, 10_000, 50))
    slow = Sandbox(clock=lambda: float(next(times)))
    slow.clock.speed = 0
    async with httpx.AsyncClient(transport=slow.transport(), base_url="http://localhost", headers=web.headers) as other:
        assert "behind, paused" in (await _page(other)).text


@pytest.mark.parametrize(
    "fields", [{}, {"advance": "x"}, {"advance": "-1"}, {"advance": "1e300"}, {"speed": "nan"}, {"until": "x"}]
)
async def test_a_wrong_move_of_the_clock_is_refused(web: httpx.AsyncClient, fields: dict[str, str]) -> None:
    answer = await _post(web, "/_sandbox/clock", **fields)
    assert (answer.status_code, "convert" in answer.text) == (422, False)


async def test_htmx_is_answered_with_a_line_to_show(web: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://localhost:8025", "HX-Request": "true"}
    answer = await web.post("/_sandbox/clock", data={"advance": "60"}, headers=headers)
    assert (answer.status_code, answer.text) == (204, "")
    assert json.loads(answer.headers["HX-Trigger"]) == {"toast": {"text": "The clock was moved"}}
    answer = await web.post("/_sandbox/clock", data={"advance": "-1"}, headers=headers)
    assert answer.status_code == 422
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["kind"] == "error"
    answer = await web.post("/_sandbox/messages/7/status", data={"status": "1"}, headers=headers)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("referer", "location"),
    [
        ("http://localhost:8025/_sandbox/messages/1?q=x", "/_sandbox/messages/1?q=x"),
        ("http://localhost:8025", "/"),
        ("http://evil.test/there", "/"),
        ("http://localhost:8025//evil.test", "/"),
    ],
)
async def test_without_scripts_a_button_leads_back_to_its_page(
    web: httpx.AsyncClient, referer: str, location: str
) -> None:
    headers = {"Origin": "http://localhost:8025", "Referer": referer}
    answer = await web.post("/_sandbox/clock", data={"advance": "1"}, headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (303, location)


async def test_all_messages_are_deleted_with_a_click(sandbox: Sandbox, web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, "Hello")
    await _post(web, "/_sandbox/delete-messages")
    assert not sandbox.messages
    assert "No messages yet" in (await _page(web)).text


MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


async def test_markup_in_a_message_is_text_everywhere(web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, MARKUP, sender="<b>S</b>")
    for path in ("/", "/_sandbox/messages/1"):
        page = await _page(web, path)
        assert MARKUP in " ".join(page.words)
        assert "<b>S</b>" in page.text
        assert [script["src"].rpartition("/")[2] for script in page.all("script")] == [
            "htmx.min.js",
            "pages.js",
            "sse.min.js",
            "tools.js",
        ]
        assert not page.all("img")


@pytest.mark.parametrize("name", ["q", "account", "channel", "status", "before"])
async def test_markup_in_an_address_is_text(web: httpx.AsyncClient, client: Client, name: str) -> None:
    await client.send(PHONE, "Hello")
    page = Page((await web.get("/", params={name: '"><script>x</script>'})).text)
    assert len(page.all("script")) == 4
    page = Page((await web.get('/_sandbox/"><script>x</script>')).text)
    assert not page.all("script")


async def test_the_soap_of_a_message_is_shown_without_credentials(web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, MARKUP)
    answer = await web.get("/_sandbox/messages/1")
    page = Page(answer.text)
    assert "***" not in page.text
    assert len(page.all("span", class_="masked")) == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in " ".join(page.words)  # as it was on the wire
    assert "sendresult" in page.text
    assert "HTTP 200" in page.text


async def test_a_request_that_is_not_kept_any_more_is_said_to_be_so(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    await client.send(PHONE, "Hello")
    sandbox._exchanges.clear()
    assert "The request is not kept any more" in (await _page(web, "/_sandbox/messages/1")).text


async def test_an_answer_that_was_not_sent_is_said_to_be_so(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    sandbox.faults.add(Fault.parse("lose_answer operation=send times=1"))
    await client.send(PHONE, "Hello")
    page = await _page(web, "/_sandbox/messages/1")
    assert "No answer · fault lose_answer" in page.text
    assert "No faults" in page.text, "it is used up"


@pytest.mark.parametrize("key", ["9", "0", "x", "9" * 40, "\N{SUPERSCRIPT TWO}", "-1"])
async def test_a_message_that_is_not_there_is_a_404_that_says_why(web: httpx.AsyncClient, key: str) -> None:
    page = await _page(web, f"/_sandbox/messages/{key}", status=404)
    assert "Without --state FILE it forgets everything" in page.text
    assert not page.all("script")


async def test_a_program_gets_errors_as_json(web: httpx.AsyncClient) -> None:
    answer = await web.get("/_sandbox/elsewhere", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


async def test_newer_and_older_messages_are_linked(web: httpx.AsyncClient, client: Client) -> None:
    for number in range(3):
        await client.send(PHONE, f"number {number}")
    page = await _page(web, "/_sandbox/messages/2")
    assert [link["href"] for link in page.all("a", class_="btn ghost icon-only")] == [
        "/_sandbox/messages/3",
        "/_sandbox/messages/1",
    ]
    assert [row["id"] for row in page.all("a", class_="row", aria_current="true")] == ["r2"]


async def test_the_theme_is_that_of_the_cookie(web: httpx.AsyncClient) -> None:
    for cookie, theme in (("dark", {"data-theme": "dark"}), ("<b>", {}), ("light", {"data-theme": "light"})):
        answer = await web.get("/", headers={"Cookie": f"smsc_sandbox_theme={cookie}"})
        assert Page(answer.text).all("html")[0] == {"lang": "en", **theme}


async def test_limits_are_shown_the_fullest_first_and_those_that_are_off_are_not(
    sandbox: Sandbox, web: httpx.AsyncClient, client: Client
) -> None:
    sent = await client.send(PHONE, "Hello")
    bare = Client(apikey="demo", transport=sandbox.transport(), guards=None)
    for _ in range(5):
        await bare.status(sent)
    page = await _page(web)
    gauges = [
        meter["aria-valuetext"].partition(" until")[0] for _, meter in page.elements if meter.get("role") == "meter"
    ]
    assert gauges[:2] == ["5 of 5 in 1 min, full"] * 2  # for narrow pages, and for all others
    assert "1 of 50 in 2 min" in gauges
    off = Sandbox(limits=Limits.off(), accounts=[Account(login="shop", password="x")])
    async with httpx.AsyncClient(transport=off.transport(), base_url="http://localhost", headers=web.headers) as other:
        assert not [meter for _, meter in (await _page(other)).elements if meter.get("role") == "meter"]


async def test_a_block_says_until_when(sandbox: Sandbox, web: httpx.AsyncClient) -> None:
    wrong = Client(apikey="wrong", transport=sandbox.transport(), guards=None)
    for _ in range(5):
        with pytest.raises(Exception, match="2"):
            await wrong.balance()
    meters = [found for _, found in (await _page(web)).elements if found.get("role") == "meter"]
    assert meters[0]["aria-valuetext"].startswith("5 of 5 in 30 min, blocked until ")


async def test_third_party_files_are_those_of_their_packages() -> None:
    listed = json.loads((STATIC / "third-party.json").read_text())
    assert {each["file"] for each in listed} == {"htmx.min.js", "sse.min.js"}
    for each in listed:
        assert hashlib.sha256((STATIC / each["file"]).read_bytes()).hexdigest() == each["sha256"]
        assert each["version"]
        assert each["license"] == "0BSD"


async def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, "Hello")
    for path in ("/", "/_sandbox/messages/1", "/_sandbox/messages/99"):
        page = Page((await web.get(path)).text)
        for _, attributes in page.elements:
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
            for name in ("src", "href", "action", "hx-get", "hx-post"):
                assert attributes.get(name, "/").startswith(("/", "#"))
        for _, found in page.elements:
            if found.get("rel") == "stylesheet" or "src" in found:
                assert (await web.get(found.get("href") or found["src"])).status_code == 200
    for file in STATIC.glob("*.css"):
        assert "url(" not in file.read_text()
        assert "@import" not in file.read_text()


async def test_every_icon_is_in_the_sprite(web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, "Your code is 4821 \N{EM DASH} bye")
    for path in ("/", "/_sandbox/messages/1", "/_sandbox/messages/99"):
        page = Page((await web.get(path)).text)
        symbols = {f"#{symbol['id']}" for symbol in page.all("symbol")}
        assert {use["href"] for use in page.all("use")} <= symbols


async def test_ids_are_unique_and_buttons_have_names(web: httpx.AsyncClient, client: Client) -> None:
    await client.send(PHONE, "Your code is 4821")
    page = await _page(web, "/_sandbox/messages/1")
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert all("aria-label" in button for button in page.all("button", class_="btn ghost icon-only"))
