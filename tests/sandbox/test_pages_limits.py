"""The page of limits: how full they are, and why a request was refused."""

import re

import anyio
import anyio.lowlevel
import pytest

from smsc_async.sandbox import Account, Limits, Sandbox
from smsc_async.sandbox._limits import Block, Streak, Window

from .web import PHONE, Web

START = 1_800_000_000.0  # 08:00:00


class _Time:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def _words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition("<main")[2]).split())


@pytest.fixture
def real() -> _Time:
    return _Time()


@pytest.fixture
def web(real: _Time) -> Web:
    return Web(Sandbox(clock=real))


async def test_all_limits_are_shown_also_where_nothing_counts(web: Web) -> None:
    words = _words(await web.page("limits"))
    for name in ("Status of one message", "Identical sends", "Requests in flight", "Wrong logins from one IP address"):
        assert name in words
    assert "0 of 5 in 1 min" in words
    assert "error 9" not in words
    assert "every 2s" not in await web.page("limits")


async def test_the_fill_of_a_limit_has_its_numbers_its_object_and_the_requests_behind_it(web: Web) -> None:
    await web.send(id=7)
    await web.ask(4, "7")
    html = await web.page("limits")
    assert 'aria-valuetext="4 of 5 in 1 min, nearly full"' in html
    words = _words(html)
    assert "Nearly full" in words
    assert "Message 7 \N{MIDDLE DOT} +7 999 123-45-67 \N{MIDDLE DOT} account demo" in words
    assert [f'href="/_sandbox/requests/{number}"' in html for number in range(1, 6)] == [True] * 5
    assert "every 2s" in html


async def test_an_error_9_names_the_rule_the_requests_and_the_second_at_which_it_is_free(web: Web, real: _Time) -> None:
    await web.send(id=7)
    for _ in range(6):
        await web.ask(1, "7")
        real.now += 5
    html = await web.page("limits")
    words = _words(html)
    assert "6th status request for one message in 1 min" in words
    assert "6 counted, this one included. The service admits 5." in words
    # Of the six from 08:00:00 to 08:00:25, two have to leave: those of 08:00:00 and 08:00:05.
    assert "It answers again at 08:01:05 , when 2 of them have left the window." in words
    assert "leaves at 08:01:00" in words
    assert "leaves at 08:01:05" in words
    assert "the one too many" in words
    assert 'class="over" cx="' in html
    assert html.count('class="leaving" cx="') == 3  # with the legend
    assert f'name="until" value="{START + 65:.0f}"' in html
    assert "Skip 35 s" in words


async def test_skipping_to_that_second_makes_room_for_one_more(web: Web, real: _Time) -> None:
    await web.send(id=7)
    await web.ask(6, "7")
    real.now += 0.25
    until = re.findall(r'name="until" value="(\d+)"', await web.page("limits"))[0]
    answer = await web.post("clock", until=until)
    assert answer.status_code == 303
    assert web.sandbox.now() == START + 60
    words = _words(await web.page("limits"))
    assert "It is over: one more was admitted from 08:01:00 on." in words
    assert "Skip" not in words
    assert "<error>" not in await web.call("get_status", phone=PHONE, id=7, all=0)


async def test_a_time_that_has_come_moves_nothing(web: Web) -> None:
    for until in (START, START - 100, "nan"):
        await web.post("clock", until=until)
    assert web.sandbox.now() == START
    assert (await web.post_by_htmx("clock", until="inf")).status_code == 422


async def test_a_refused_request_is_chosen_by_its_number_and_the_others_are_listed(web: Web) -> None:
    await web.send(id=7)
    await web.send(id=8)
    await web.ask(6, "7")
    await web.ask(6, "7")
    first = next(each for each in web.sandbox.requests if each.excess is not None and each.excess.rule == "status")
    html = await web.page("limits", request=first.number)
    assert "6th status request" in _words(html)
    assert "refused, counts too" in _words(html)
    assert "2nd identical send in 1 min" in _words(await web.page("limits", request=2))
    assert len(re.findall(r'id="other\d', html)) == len([each for each in web.sandbox.requests if each.excess]) - 1
    for none in ("1", "999"):
        assert "The service admits" not in await web.page("limits", request=none)
    for unreadable in ("x", "<script>", "-1"):  # the last one then
        assert "12th status request" in await web.page("limits", request=unreadable)


async def test_many_messages_to_one_phone_are_a_row_whose_requests_are_found_by_its_messages(real: _Time) -> None:
    web = Web(Sandbox(clock=real, limits=Limits(subscriber=Streak(3, 120.0))))
    for number in range(4):
        await web.send(f"text {number}")
        real.now += 10
    html = await web.page("limits")
    words = _words(html)
    assert "4th message to one phone without a pause of 2 min" in words
    assert "It answers again at 08:02:30" in words
    assert "4 of 3 in a row, pauses under 2 min" in words
    assert "since 08:00:00" in words
    assert html.count('id="behind') == 4
    assert "Skip 1 min 50 s" in words


async def test_a_blocked_address_says_until_when(real: _Time) -> None:
    web = Web(Sandbox(clock=real, limits=Limits(login_failures=Block(2, 600.0, 1800.0))))
    for _ in range(2):
        await web.send(psw="wrong")
    await web.send("blocked")
    html = await web.page("limits")
    words = _words(html)
    assert "Blocked after 2 wrong logins in 10 min" in words
    assert "blocked until 08:30:00" in words
    assert 'data-level="blocked"' in html
    assert "Blocked, error 4" in words
    assert "Address 127.0.0.1 : 2 counted. The service admits 2." in words


async def test_requests_in_flight_are_over_as_soon_as_one_is_answered(real: _Time) -> None:
    web = Web(Sandbox(clock=real, limits=Limits(in_flight=0)))
    await web.call("get_balance")
    words = _words(await web.page("limits"))
    assert "1st request in flight at once" in words
    assert "It is over." in words


async def test_requests_in_flight_are_shown_while_they_are(web: Web) -> None:
    web.sandbox.faults.add("delay seconds=100 operation=balance")
    async with anyio.create_task_group() as group:
        group.start_soon(web.call, "get_balance")
        while not web.sandbox.limits():
            await anyio.lowlevel.checkpoint()
        html = await web.page("limits")
        await web.sandbox.advance(100)
    assert "1 of 14 at once" in _words(html)
    assert "delay" in _words(html).partition("Requests in flight")[2]


async def test_of_identical_sends_only_the_repeated_ones_have_a_card(web: Web) -> None:
    for text in ("one", "two", "one"):
        await web.send(text)
    words = _words(await web.page("limits"))
    assert words.count("Identical sends") == 1
    assert "2 of 1 in 1 min" in words
    assert "because they are less full: 1." in words
    assert "To +7 999 123-45-67 \N{MIDDLE DOT} account demo" in words


async def test_limits_that_are_off_and_uses_without_a_card_are_said(real: _Time) -> None:
    web = Web(Sandbox(clock=real, limits=Limits(balance=None, status=Window(5, 60.0))))
    for number in range(8):
        await web.ask(1, str(number))
    words = _words(await web.page("limits"))
    assert "because they are less full: 2." in words
    assert "Switched off: Balance requests." in words


async def test_a_paused_clock_needs_no_look_every_two_seconds(web: Web) -> None:
    await web.send()
    web.sandbox.clock.speed = 0
    assert "every 2s" not in await web.page("limits")


async def test_more_requests_than_are_listed_are_counted(real: _Time) -> None:
    web = Web(Sandbox(clock=real, limits=Limits(balance=Window(10, 60.0))))
    for _ in range(15):
        await web.call("get_balance")
    words = _words(await web.page("limits"))
    assert "and 3 more" in words
    assert "15th balance request in 1 min" in words


async def test_requests_that_are_not_kept_any_more_leave_the_numbers(web: Web) -> None:
    await web.send(id=7)
    await web.ask(6, "7")
    last = web.sandbox.requests[-1]
    web.sandbox._exchanges.clear()
    assert "6 of 5" in _words(await web.page("limits"))
    web.sandbox._exchanges.add(last)
    words = _words(await web.page("limits"))
    assert "It answers again at 08:01:00" in words


@pytest.mark.parametrize("login", ["<script>alert(1)</script>", "&quot;x", "'onload='"])
async def test_a_hostile_login_and_phone_are_escaped(login: str, real: _Time) -> None:
    web = Web(Sandbox(clock=real, accounts=[Account(login=login, password="demo")]))
    safe = login.replace("&", "&amp;").replace("<", "&lt;")
    await web.send(login=safe, id=7)
    for _ in range(6):
        await web.call("get_status", login=safe, phone="&lt;img src=x&gt;", id="7", all=0)
    html = await web.page("limits")
    assert "6th status request" in html
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "'onload='" not in html
