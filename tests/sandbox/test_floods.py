"""Long requests are worked on by a thread, one request at a time, while the event loop serves others."""

import threading
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

import anyio
import anyio.lowlevel
import httpx
import pytest

from smsc_async._protocol import receive, tags
from smsc_async.sandbox import Account, Limits, Sandbox, _soap
from tests.doubles import URL

PHONES = ",".join(f"7916{number:07}" for number in range(7_000))


class Prices(Mapping[str, Decimal]):
    """Prices that count how often they are asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __getitem__(self, prefix: str) -> Decimal:
        self.asked += 1
        return {"": Decimal(2), "791": Decimal(1)}[prefix]

    def __iter__(self) -> Iterator[str]:
        return iter(("", "791"))

    def __len__(self) -> int:
        return 2


class Desk:
    """A sandbox whose work on long requests waits for a gate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        account = Account(login="demo", password="demo", apikey="demo", balance=Decimal(10**6))
        self.sandbox = Sandbox(accounts=[account], limits=Limits.off())
        self.threads: list[threading.Thread] = []
        self.gate = threading.Event()
        self._arrive = self.sandbox._service.arrive
        monkeypatch.setattr(self.sandbox._service, "arrive", self._note)

    def _note(self, *args: object, **options: object) -> object:
        self.threads.append(threading.current_thread())
        if threading.current_thread() is not threading.main_thread():
            assert self.gate.wait(10)
        return self._arrive(*args, **options)  # type: ignore[arg-type]

    async def send(self, phones: str) -> httpx.Response:
        fields = f"<apikey>demo</apikey><phones>{phones}</phones><mes>Hi</mes>"
        body = (
            '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
            f'xmlns:n="{URL}"><e:Body><n:send>{fields}</n:send></e:Body></e:Envelope>'
        )
        async with httpx.AsyncClient(transport=self.sandbox.transport()) as client:
            return await client.post(URL, content=body.encode())

    async def until_at_work(self) -> None:
        while not self.threads:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(("address", "price"), [("7916" + "0" * 100_000, 1), ("a" * 100_000, 2), ("79", 2), ("", 2)])
def test_a_price_is_looked_for_no_longer_than_the_longest_prefix(address: str, price: int) -> None:
    prices = Prices()
    assert Account(login="a", password="b", prices=prices).price(address) == price
    assert prices.asked <= 4


def test_an_account_without_prices_has_no_route() -> None:
    assert Account(login="a", password="b", prices={}).price("79161234567") is None


async def test_a_short_request_is_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "_known", set())
    desk = Desk(monkeypatch)
    assert (await desk.send("79161234567")).status_code == 200
    assert desk.threads == [threading.main_thread()]


async def test_requests_wait_for_a_long_one_without_holding_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    async with anyio.create_task_group() as group:
        group.start_soon(desk.send, PHONES)
        await desk.until_at_work()
        group.start_soon(desk.send, "79161234567")
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert len(desk.threads) == 1
        desk.gate.set()
    assert threading.main_thread() not in desk.threads
    assert len(desk.sandbox.messages) == 7_001
    assert desk.sandbox._service.in_flight == 0


async def test_a_client_that_goes_while_its_request_is_worked_on_leaves_no_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(desk.send, PHONES)
            await desk.until_at_work()
            scope.cancel()
    desk.gate.set()
    desk.threads[0].join()
    assert len(desk.sandbox.messages) == 7_000
    assert desk.sandbox._service.in_flight == 0


async def test_names_of_hostile_requests_end_with_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    real = receive

    def noting(body: bytes, *, namespaces: Collection[str]) -> object:
        threads.append(threading.current_thread())
        return real(body, namespaces=namespaces)

    monkeypatch.setattr(_soap, "receive", noting)
    async with httpx.AsyncClient(transport=Sandbox().transport()) as client:
        for number in range(100):
            names = "".join(f"<n{number}x{each}/>" for each in range(1_000))
            assert (await client.post(URL, content=f"<a>{names}</a>")).status_code == 500
    assert len(set(threads)) == 100
    assert not any(thread.is_alive() for thread in threads)
