"""Long and strange answers are read on threads that end with them, and never hold up the event loop."""

import threading
from collections.abc import Awaitable, Callable
from types import ModuleType

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from smsc_async import MalformedEnvelope, Outcome, Reply, SentMessage
from smsc_async._call import answer as reading
from smsc_async._call import namespaces
from smsc_async._protocol import tags
from tests.doubles import XML, FakeService, answer, make_client, wsdl

PHONE = "+79161234567"
LONG = answer("send_sms2", cnt="1", errors=[{"phone": str(number), "status": "7"} for number in range(2_000)])


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "_known", set())


class Readers:
    """The threads on which a function ran.

    Attributes:
        gate: What the function waits for on any thread but the event loop's.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
        self.threads: list[threading.Thread] = []
        self.gate = threading.Event()
        self.gate.set()
        self._real: Callable[..., object] = getattr(module, name)
        monkeypatch.setattr(module, name, self._read)

    def _read(self, *args: object, **options: object) -> object:
        self.threads.append(threading.current_thread())
        if not self.on_the_loop:
            self.gate.wait(10)
        return self._real(*args, **options)

    @property
    def on_the_loop(self) -> bool:
        return self.threads[-1] is threading.main_thread()


def _strange(number: int) -> Reply:
    names = "".join(f"<n{number}x{each}/>" for each in range(1_000))
    return Reply(200, XML, f"<a>{names}</a>".encode())


def _run(backend: str, main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_long_answer_is_read_on_another_thread_and_a_short_one_is_not(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    readers = Readers(monkeypatch, reading, "decode")

    async def main() -> None:
        client = make_client(FakeService([LONG]))
        sent = await client.send(PHONE, "Hi")
        assert len(sent.errors) == 2_000
        assert not readers.on_the_loop
        assert isinstance(await client.send(PHONE, "Hi"), SentMessage)
        assert readers.on_the_loop

    _run(backend, main)


async def test_names_of_hostile_answers_end_with_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = Readers(monkeypatch, reading, "decode")
    client = make_client(FakeService([_strange(number) for number in range(300)]))
    for _ in range(300):
        with pytest.raises(MalformedEnvelope) as caught:
            await client.send(PHONE, "Hi")
        assert caught.value.outcome is Outcome.UNKNOWN
    assert len(set(readers.threads)) == 300
    assert not any(thread.is_alive() for thread in readers.threads)
    assert not tags._known


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_other_tasks_run_while_an_answer_is_read_and_a_cancelled_call_leaves_at_once(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    readers = Readers(monkeypatch, reading, "decode")
    readers.gate.clear()

    async def main() -> None:
        client = make_client(FakeService([LONG]))
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(client.send, PHONE, "Hi")
                while not readers.threads:
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        assert scope.cancelled_caught
        assert not readers.gate.is_set()
        readers.gate.set()
        assert (await client.send(PHONE, "Hi")).sms_count == 1

    _run(backend, main)


async def test_busy_threads_of_the_program_do_not_hold_up_an_answer() -> None:
    gate = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    client = make_client(FakeService([LONG]))
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, gate.wait, 10)
        while limiter.borrowed_tokens < 1:
            await anyio.lowlevel.checkpoint()
        assert (await client.send(PHONE, "Hi")).sms_count == 1
        gate.set()
    limiter.total_tokens = before


async def test_a_thread_that_can_not_start_leaves_the_outcome_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(reading, "in_own_thread", no_thread)
    with pytest.raises(MalformedEnvelope, match="RuntimeError") as caught:
        await make_client(FakeService([LONG])).send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("padding", "at_once"), [(0, True), (70_000, False)])
async def test_a_long_wsdl_is_read_on_another_thread(
    monkeypatch: pytest.MonkeyPatch, padding: int, at_once: bool
) -> None:
    readers = Readers(monkeypatch, namespaces, "target_namespace")
    right = wsdl("urn:other")
    service = FakeService(namespace="urn:other", wsdl=Reply(200, XML, right.body + b" " * padding))
    await make_client(service).send(PHONE, "Hi")
    assert readers.on_the_loop is at_once


def test_clients_of_several_event_loops_read_long_answers() -> None:
    async def main() -> None:
        assert (await make_client(FakeService([LONG])).send(PHONE, "Hi")).sms_count == 1

    for run in (anyio.run, trio.run, anyio.run):
        run(main)
