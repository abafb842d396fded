"""Logins in awkward company: other addresses, other clients, impatient calls, credentials that change meanwhile."""

import asyncio
from collections.abc import Mapping

import pytest
import trio

from smsc_async import (
    ApiKey,
    AuthenticationFailed,
    BreakerOpen,
    Client,
    ClientClosed,
    Credentials,
    Guards,
    Outcome,
    ReadTimeout,
    Reply,
    SmscError,
    Timeout,
    TooManyInFlight,
)
from smsc_async._protocol.binding import Incoming
from tests.doubles import URL, FakeService, answer, make_client
from tests.sending.lossy_service import PHONE, Network
from tests.virtual import virtual_time

OTHER_URL = "https://other.test/sys/soap.php"


class TwoAddresses(Network):
    """A network on which the first address of the service is silent."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Send the request; those to the first address get lost."""
        self.script = ["silent"] if url == URL else ["ok"]
        return await super().post(URL, headers, body, timeout)


@virtual_time
async def test_the_probe_also_asks_the_other_addresses_of_the_service() -> None:
    network = TwoAddresses()
    client = network.client(fallback_urls=[OTHER_URL], guards=Guards(), timeout=10, retries=3)
    await client.cost(PHONE, "Hi")
    assert trio.current_time() < 40


@virtual_time
async def test_calls_that_wait_for_nothing_still_get_one_probe() -> None:
    network = Network("gone")
    client = network.client(guards=Guards(max_wait=0))
    with pytest.raises(ReadTimeout):
        await client.balance()
    with pytest.raises(TooManyInFlight):
        await client.cost(PHONE, "Hi")
    await trio.sleep(2)
    await client.cost(PHONE, "Ho")


@virtual_time
async def test_a_proof_of_one_client_frees_the_calls_of_all_that_share_its_guards() -> None:
    network, guards = Network(then="silent"), Guards()
    clients = [network.client(guards=guards, timeout=20) for _ in range(20)]
    served: list[float] = []

    async def ask(client: Client, number: int) -> None:
        while True:
            try:
                await client.cost(PHONE, f"text {number}")
            except SmscError:
                await trio.sleep(1)
            else:
                served.append(trio.current_time())
                return

    async with trio.open_nursery() as nursery:
        for number, client in enumerate(clients):
            nursery.start_soon(ask, client, number)
        await trio.sleep(600)
        network.then = "ok"
    assert max(served) - 600 <= 50
    assert guards.awaiting_proof == set()


# --- credentials that change


def _keys(*values: str) -> list[ApiKey]:
    return [ApiKey.model_validate({"key": value}) for value in values]


def _service(*valid: str, latency: float = 0.0) -> FakeService:
    def step(request: Incoming) -> Reply:
        is_valid = request.fields["apikey"] in valid
        if request.method == "get_balance" and is_valid:
            return answer("get_balance", balance="1")
        return answer(request.method, cost="1", cnt="1") if is_valid else answer(request.method, error="2")

    return FakeService([step] * 500, latency=latency)


async def test_credentials_are_read_again_also_by_a_client_that_repeats_nothing() -> None:
    left = _keys("old", "new")
    client = make_client(
        _service("new"), apikey=None, credentials=lambda: left.pop(0), account="ours", guards=Guards(), retries=0
    )
    with pytest.raises(AuthenticationFailed):
        await client.balance()
    await client.balance()


@virtual_time
async def test_of_many_calls_with_old_credentials_one_is_refused_and_all_succeed() -> None:
    left = _keys("old", "new")
    service = _service("new", latency=1)
    client = make_client(
        service, apikey=None, credentials=lambda: left.pop(0), account="ours", guards=Guards(), retries=3
    )
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(client.cost, PHONE, f"text {number}")
    keys = [str(request.fields["apikey"]) for request in service.requests]
    assert (keys.count("old"), keys.count("new")) == (1, 50)


@virtual_time
async def test_a_source_that_is_late_is_read_again_while_the_guards_refuse_its_credentials() -> None:
    current = "old"

    def source() -> Credentials:
        return _keys(current)[0]

    client = make_client(_service("new"), apikey=None, credentials=source, account="ours", guards=Guards())
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            await client.balance()
    with pytest.raises(BreakerOpen):
        await client.balance()
    current = "new"
    with pytest.raises(BreakerOpen):  # read a moment ago
        await client.balance()
    await trio.sleep(10)
    await client.balance()


@virtual_time
async def test_a_source_that_hangs_ends_at_the_deadline() -> None:
    async def source() -> Credentials:
        await trio.sleep_forever()
        raise AssertionError

    client = make_client(FakeService(), apikey=None, credentials=source)
    with pytest.raises(SmscError, match="did not return before the deadline") as caught:
        await client.balance(deadline=10)
    assert trio.current_time() == 10
    assert caught.value.outcome is Outcome.NOT_SENT


async def test_a_source_that_hangs_ends_with_the_client() -> None:
    async def source() -> Credentials:
        await asyncio.sleep(1000)
        raise AssertionError

    client = make_client(FakeService(), apikey=None, credentials=source)
    waiting = asyncio.create_task(client.balance())
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(ClientClosed):
        await waiting
