"""What is sent to open pages: nothing is missed, nothing is queued for those that do not read."""

import re
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing
from itertools import count
from typing import Any

import anyio
import httpx
import pytest

from smsc_async import Client, testing
from smsc_async.sandbox import DeliveryPlan, Sandbox
from smsc_async.sandbox._lookup import Lookup
from smsc_async.sandbox._messages import AcceptedMessage
from smsc_async.sandbox._pages.live import Live, LiveEvent

PHONE = "+79991234567"


class Words:
    """Renders in words, and counts how often."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.rows = 0

    def row(self, message: AcceptedMessage, now: float) -> str:
        self.rows += 1
        return f"{message.text} {message.status_at(now)}"

    def status(self, message: AcceptedMessage, now: float) -> str:
        return str(message.status_at(now))

    def strip(self) -> Mapping[str, tuple[object, str]]:
        return {"total": (len(self.sandbox.messages), str(len(self.sandbox.messages)))}


class Page:
    """An open page, which reads when it is asked to."""

    def __init__(self, live: Live, position: str) -> None:
        self._stream = live.stream(position)
        self.position = position

    async def read(self) -> list[tuple[str, str]]:
        """Return the next events: their names and data."""
        with anyio.fail_after(5):
            while True:
                text = await anext(self._stream)
                if text.startswith("id"):
                    break
        self.position = re.findall(r"^id: (.*)$", text, re.MULTILINE)[-1]
        return re.findall(r"^event: (.*)\ndata: (.*)$", text, re.MULTILINE)

    async def close(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]


@pytest.fixture
def sandbox() -> Sandbox:
    plan = DeliveryPlan(spread=0, outcomes=DeliveryPlan.delivered().outcomes)
    return Sandbox(delivery=plan, clock=lambda: 1_795_000_000.0)  # it moves only when it is advanced


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with testing.client(sandbox) as client:
        yield client


def _live(sandbox: Sandbox, **options: Any) -> tuple[Live, Words]:
    words = Words(sandbox)
    return Live(sandbox, sandbox._lookup, words, **options), words


def _events(live: Live, number: int = 0) -> list[tuple[str, str]]:
    live.position()  # collects
    return [(event.name, event.data) for event in live.since(number)]


async def test_a_message_and_each_change_of_its_status_is_an_event(sandbox: Sandbox, client: Client) -> None:
    live, _ = _live(sandbox)
    page = Page(live, live.position())
    await client.send(PHONE, "first")
    assert ("refresh", "1") in await page.read()  # the first of a day has a heading
    await client.send(PHONE, "second")
    assert ("message", "second -1") in await page.read()
    await sandbox.advance(1)
    assert {("s1", "0"), ("s2", "0")} <= set(await page.read())
    await sandbox.advance(10)
    assert {("s1", "1"), ("s2", "1")} <= set(await page.read())
    sandbox.set_status(2, 20, 6)
    assert await page.read() == [("s2", "20")]
    await page.close()


async def test_a_page_that_was_away_gets_what_it_has_missed(sandbox: Sandbox, client: Client) -> None:
    await client.send(PHONE, "zero")
    live, _ = _live(sandbox)
    page = Page(live, live.position())
    await client.send(PHONE, "one")
    assert ("message", "one -1") in await page.read()
    await page.close()
    await client.send(PHONE, "two")
    await client.send(PHONE, "three")
    back = Page(live, page.position)
    texts = [data for name, data in await back.read() if name == "message"]
    assert texts == ["two -1", "three -1"]
    await back.close()


@pytest.mark.parametrize("position", ["", "x", "0", "other-0", "{run}-99", "{run}-x", "{run}-", "{run}--1"])
async def test_a_page_of_another_run_or_position_is_told_to_reload(
    sandbox: Sandbox, client: Client, position: str
) -> None:
    live, _ = _live(sandbox)
    await client.send(PHONE, "zero")
    run = live.position().partition("-")[0]
    page = Page(live, position.format(run=run))
    assert await page.read() == [("reload", "1")]
    await client.send(PHONE, "one")
    assert ("message", "one -1") in await page.read()  # and goes on from there
    await page.close()


async def test_a_page_that_is_behind_the_kept_events_is_told_to_reload(sandbox: Sandbox, client: Client) -> None:
    live, _ = _live(sandbox)
    page = Page(live, live.position())
    await client.send(PHONE, "zero")
    await page.read()
    for _ in range(1_100):
        sandbox._changes.notify(1)
        live.position()
    assert len(live._events) == 1_000
    assert await page.read() == [("reload", "1")]
    await page.close()


async def test_many_messages_at_once_are_one_event(sandbox: Sandbox, client: Client) -> None:
    await client.send(PHONE, "zero")
    live, words = _live(sandbox)
    for number in range(30):
        await client.send(f"+7999123{number:04}", "bulk")
    assert _events(live) == [("refresh", "30"), ("total", "31")]
    assert words.rows == 0
    for number in range(100):
        await client.send(f"+7999124{number:04}", "bulk")
    await sandbox.advance(1)
    _events(live)
    at = int(live.position().rpartition("-")[2])
    sandbox.advance(3600)
    assert _events(live, at) == [("refresh", "131")]


async def test_a_jump_of_the_clock_and_a_new_day_have_lines_in_the_list(sandbox: Sandbox, client: Client) -> None:
    await client.send(PHONE, "zero")
    live, _ = _live(sandbox)
    await sandbox.advance(60)
    _events(live)
    at = int(live.position().rpartition("-")[2])
    await client.send(PHONE, "one")
    assert _events(live, at)[0] == ("refresh", "1")


async def test_forgetting_all_messages_reloads_all_pages(sandbox: Sandbox, client: Client) -> None:
    await client.send(PHONE, "zero")
    live, _ = _live(sandbox)
    sandbox.delete_messages()
    assert ("reload", "1") in _events(live)
    for _ in range(1_100):  # more changes than are kept
        sandbox._changes.notify(1)
    at = int(live.position().rpartition("-")[2])
    assert at
    sandbox.reset()
    assert _events(live, at) == [("reload", "1")]


async def test_a_message_that_was_there_before_still_changes_its_status(sandbox: Sandbox, client: Client) -> None:
    await client.send(PHONE, "zero")
    live, _ = _live(sandbox)
    await sandbox.advance(100)
    assert _events(live) == [("s1", "1")]


async def test_a_message_that_is_gone_changes_nothing(sandbox: Sandbox, client: Client) -> None:
    await client.send(PHONE, "zero")
    live, _ = _live(sandbox)
    sandbox._service.delete_messages()
    await sandbox.advance(100)
    assert [name for name, _ in _events(live)] == ["total"]


async def test_data_of_several_lines_is_sent_line_by_line(sandbox: Sandbox) -> None:
    live, _ = _live(sandbox)
    text = live._written(LiveEvent(1, "message", "a\nb\r\nc\rd\n"))
    assert text.splitlines()[1:] == ["event: message", "data: a", "data: b", "data: c", "data: d", "data: ", ""]


@pytest.mark.slow
async def test_a_quiet_connection_is_kept_alive(sandbox: Sandbox) -> None:
    times = count(step=5.0)
    live, _ = _live(sandbox, real=lambda: next(times))
    async with aclosing(live.stream(live.position())) as stream:  # type: ignore[type-var]
        assert await anext(stream) == "retry: 1000\n\n"
        assert await anext(stream) == ": still here\n\n"
        assert await anext(stream) == ": still here\n\n"


async def test_events_are_made_at_most_four_times_a_second(sandbox: Sandbox, client: Client) -> None:
    now = [100.0]
    live, words = _live(sandbox, real=lambda: now[0])
    await client.send(PHONE, "zero")
    live.collect()
    live.collect()
    for number in range(10):
        await client.send(PHONE, f"number {number}")
        live.collect()
    assert words.rows == 0
    now[0] += 0.25
    live.collect()
    assert words.rows == 10


async def test_nobody_waits_for_events_that_another_thread_makes(sandbox: Sandbox, client: Client) -> None:
    live, _ = _live(sandbox)
    await client.send(PHONE, "zero")
    with live._lock:
        live.collect()
    assert live.since(0) == []
    assert _events(live)


async def test_a_paused_clock_changes_nothing_by_itself(sandbox: Sandbox, client: Client) -> None:
    live, _ = _live(sandbox)
    await client.send(PHONE, "zero")
    live.position()
    assert live._pause() < 1
    sandbox.clock.speed = 0
    assert live._pause() == 1


async def test_a_thousand_pages_that_never_read_cost_no_memory_and_no_rendering(
    sandbox: Sandbox, client: Client
) -> None:
    await client.send(PHONE, "zero")
    live, words = _live(sandbox)
    position = live.position()
    silent = [live.stream(position) for _ in range(1_000)]
    for stream in silent:
        await anext(stream)  # they are open, and from now on never read
    tracemalloc.start()
    for number in range(200):
        await client.send(f"+7999123{number:04}", "x" * 100)
        live.position()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words.rows == 200
    assert used < 1_000_000
    assert len(sandbox._changes._listeners) == 0
    reader = Page(live, position)
    assert len([1 for name, _ in await reader.read() if name == "message"]) == 200
    await reader.close()
    for stream in silent:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_a_page_is_told_over_http_and_stops_when_the_server_does(sandbox: Sandbox, client: Client) -> None:
    with sandbox.serve() as url:
        base = url.removesuffix("/sys/soap.php")
        async with httpx.AsyncClient(base_url=base, headers={"Accept": "text/html"}) as web:
            await client.send(PHONE, "zero")
            position = re.search(r"events\?after=([0-9a-f]+-\d+)", (await web.get("/")).text)
            assert position
            async with web.stream("GET", "/_sandbox/events", params={"after": position[1]}) as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                await client.send(PHONE, "one")
                lines: list[str] = []
                async for line in answer.aiter_lines():
                    lines.append(line)
                    if line == "event: message":
                        break
                last = next(line for line in reversed(lines) if line.startswith("id: ")).removeprefix("id: ")
            run, _, number = last.rpartition("-")
            headers = {"Last-Event-ID": f"{run}-{int(number) - 1}"}
            async with web.stream("GET", "/_sandbox/events", headers=headers) as answer:
                async for line in answer.aiter_lines():
                    if line == "event: message":
                        break


async def test_an_open_page_does_not_keep_the_server_from_stopping(sandbox: Sandbox) -> None:
    async with AsyncExitStack() as opened:
        web = await opened.enter_async_context(httpx.AsyncClient(headers={"Accept": "text/html"}))
        with sandbox.serve() as url:
            events = web.stream("GET", url.replace("/sys/soap.php", "/_sandbox/events"))
            answer = await opened.enter_async_context(events)
            assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()


def test_the_lookup_has_the_changes() -> None:
    sandbox = Sandbox()
    assert isinstance(sandbox._lookup, Lookup)
    assert sandbox._lookup.changes is sandbox._changes
