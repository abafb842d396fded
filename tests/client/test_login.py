"""Until the service has accepted the credentials: silence blocks nobody, and a wrong password is tried three times."""

import asyncio
import logging
import math
from collections.abc import Callable
from functools import partial

import anyio
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
    Login,
    Outcome,
    ReadTimeout,
    Reply,
    SmscError,
    TooManyInFlight,
)
from smsc_async._protocol.binding import Incoming
from smsc_async.guards import Rule, Rules
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import PHONE, Network
from tests.virtual import virtual_time

WRONG = answer("get_balance", error="2")
BALANCE = "balance"


class Web:
    """Web handlers that ask for something each second, and when the first of them got an answer."""

    def __init__(self, network: Network, client: Client, *, within: float = math.inf) -> None:
        self.network = network
        self.client = client
        self.within = within
        self.served: list[float] = []
        self.errors: list[SmscError] = []
        self.asked: list[str] = []

    async def run(self, seconds: float, *, then: str = "ok") -> float:
        """Run over a network that recovers after `seconds`; return how long after that the first call succeeded."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._recover, seconds, then)
            for _ in range(int(seconds) + 100):
                nursery.start_soon(self._handle)
                await trio.sleep(1)
        return self.served[0] - seconds

    async def _recover(self, seconds: float, then: str) -> None:
        await trio.sleep(seconds)
        self.asked = self.network.asked.copy()
        self.network.then = then

    async def _handle(self) -> None:
        with trio.move_on_after(self.within):
            try:
                await self.client.cost(PHONE, f"text at {trio.current_time()}")
            except SmscError as error:
                self.errors.append(error)
            else:
                self.served.append(trio.current_time())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "within"),
    [
        ("refused", math.inf),
        ("html", 3.0),
        pytest.param("refused", 3.0, marks=pytest.mark.slow),
        pytest.param("html", math.inf, marks=pytest.mark.slow),
    ],
)
@virtual_time
async def test_after_ten_minutes_of_refusals_the_first_call_succeeds_within_two_seconds(
    fault: str, within: float
) -> None:
    network = Network(then=fault)
    web = Web(network, network.client(guards=Guards(), retries=3), within=within)
    assert await web.run(600) <= 2
    assert len(network.asked) > 600


@virtual_time
async def test_connections_that_are_refused_after_a_lost_answer_are_not_counted() -> None:
    network = Network("silent", then="refused")
    web = Web(network, network.client(guards=Guards(), retries=3))
    assert await web.run(600) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("within", [math.inf, 3.0])
@virtual_time
async def test_after_ten_minutes_of_silence_the_first_call_succeeds_within_a_read_timeout_and_half_a_minute(
    within: float,
) -> None:
    network = Network(then="silent")
    web = Web(network, network.client(guards=Guards(), timeout=20.0), within=within)
    assert await web.run(600) <= 50
    assert len(web.asked) < 30
    assert set(web.asked[1:]) == {BALANCE}


def test_the_client_asks_for_its_balance_at_growing_intervals_while_anybody_waits() -> None:
    async def main() -> list[float]:
        network = Network(then="gone")
        times: list[float] = []
        post = network.post

        async def timed(*args: object) -> object:
            times.append(trio.current_time())
            return await post(*args)  # type: ignore[arg-type]

        network.post = timed  # type: ignore[assignment,method-assign]
        client = network.client(guards=Guards(), deadline=None)
        with pytest.raises(ReadTimeout):
            await client.balance()
        with trio.move_on_after(150):
            await client.cost(PHONE, "Hi")
        count = len(times)
        await trio.sleep(1000)
        assert len(times) == count, "nobody waits"
        return times

    times = virtual_time(main)()
    assert times == [0, 0, 1, 3, 7, 15, 31, 61, 91, 121]


@virtual_time
async def test_the_probe_is_not_cancelled_with_the_call_that_started_it() -> None:
    network = Network("gone", "slow", "slow")
    client = network.client(guards=Guards())
    with pytest.raises(ReadTimeout):
        await client.balance()
    with trio.move_on_after(0.05):
        await client.cost(PHONE, "Hi")
    await trio.sleep(0.2)
    assert network.asked == [BALANCE, BALANCE]
    await client.cost(PHONE, "Ho")
    assert network.asked == [BALANCE, BALANCE, "cost"]


@virtual_time
async def test_fifty_callers_that_are_cancelled_at_the_start_lock_nobody_out() -> None:
    network = Network(then="silent")
    client = network.client(guards=Guards())
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(partial(client.send, PHONE, f"text {number}"))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    network.then = "ok"
    began = trio.current_time()
    await client.send(PHONE, "Hi")
    assert trio.current_time() == began
    assert network.accepted == 1


@virtual_time
async def test_a_wrong_password_is_tried_three_times_by_all_callers_together_also_after_silence() -> None:
    for script in ([], ["silent"] * 3):
        network = Network(*script)
        client = network.client(apikey="wrong", guards=Guards(), timeout=5)
        errors: list[type[SmscError]] = []

        async def attempt(number: int, client: Client = client, errors: list[type[SmscError]] = errors) -> None:
            try:
                await client.cost(PHONE, f"text {number}")
            except SmscError as error:
                errors.append(type(error))

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(attempt, number)
        assert len(network.asked) - len(script) == 3
        assert errors.count(BreakerOpen) >= 27
        with pytest.raises(BreakerOpen):
            await client.balance()


@virtual_time
async def test_a_call_that_waits_in_vain_was_not_sent_and_says_what_is_waited_for() -> None:
    network = Network(then="silent")
    client = network.client(guards=Guards(max_wait=10))
    with pytest.raises(ReadTimeout):
        await client.balance()
    began = trio.current_time()
    with pytest.raises(TooManyInFlight, match="asks for its balance until the service answers") as caught:
        await client.send(PHONE, "Hi")
    assert trio.current_time() == began + 10
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retry_after is not None


@virtual_time
async def test_a_read_that_waited_for_the_service_in_vain_fails_as_its_own_request_did() -> None:
    network = Network(then="silent")
    client = network.client(guards=Guards(), retries=3)
    with pytest.raises(ReadTimeout):
        await client.cost(PHONE, "Hi", deadline=60)
    assert trio.current_time() == 60


@virtual_time
async def test_a_read_repeats_itself_once_the_service_answers() -> None:
    network = Network("silent", "gone", "gone")
    await network.client(guards=Guards(), retries=3).cost(PHONE, "Hi")
    assert network.asked == ["cost", BALANCE, BALANCE, BALANCE, "cost"]


@virtual_time
async def test_proved_credentials_meet_silence_without_a_probe_until_the_proof_is_half_an_hour_old() -> None:
    network = Network()
    client = network.client(guards=Guards())
    await client.balance()
    network.script = ["gone"] * 5
    for number in range(5):
        with pytest.raises(ReadTimeout):
            await client.cost(PHONE, f"text {number}")
    assert BALANCE not in network.asked[1:]
    await trio.sleep(1800)
    network.script = ["gone"]
    with pytest.raises(ReadTimeout):
        await client.cost(PHONE, "Hi")
    await client.cost(PHONE, "Ho")
    assert network.asked[-2:] == [BALANCE, "cost"]


@virtual_time
async def test_a_block_of_the_address_ends_the_wait() -> None:
    guards, network = Guards(), Network("gone")
    client = network.client(guards=guards)
    with pytest.raises(ReadTimeout):
        await client.balance()
    blocked = make_client(FakeService([answer("get_balance", error="4")]), apikey="another", guards=guards)
    with pytest.raises(SmscError):
        await blocked.balance()
    with pytest.raises(BreakerOpen):
        await client.balance()
    assert network.asked == [BALANCE]


@virtual_time
async def test_a_block_that_comes_while_the_probe_pauses_reaches_the_calls_that_wait() -> None:
    guards, network = Guards(), Network(then="gone")
    client = network.client(guards=guards)
    blocked = make_client(FakeService([answer("get_balance", error="4")]), apikey="another", guards=guards)
    with pytest.raises(ReadTimeout):
        await client.balance()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(BreakerOpen):
                await client.cost(PHONE, "Hi")

        await trio.sleep(5)
        with pytest.raises(SmscError):
            await blocked.balance()
        began, asked = trio.current_time(), len(network.asked)
    assert trio.current_time() <= began + 30
    assert len(network.asked) == asked


@virtual_time
async def test_a_client_that_is_closed_ends_its_probe() -> None:
    network = Network(then="silent")
    client = network.client(guards=Guards())
    with pytest.raises(ReadTimeout):
        await client.balance()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(ClientClosed):
                await client.cost(PHONE, "Hi")

        await trio.sleep(5)
        began = trio.current_time()
        await client.aclose(timeout=0)
    assert trio.current_time() == began
    assert len(network.asked) == 2


async def test_on_asyncio_a_probe_serves_all_and_leaves_no_task() -> None:
    service = FakeService([ReadTimeout("late")])
    client = make_client(service, guards=Guards(), retries=0)
    with pytest.raises(ReadTimeout):
        await client.balance()
    await asyncio.gather(*(client.cost(PHONE, f"text {number}") for number in range(20)))
    assert [request.method for request in service.requests[:2]] == ["get_balance", "get_balance"]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_on_asyncio_a_closed_client_leaves_no_probe() -> None:
    service = FakeService([ReadTimeout("late"), ReadTimeout("late")])
    client = make_client(service, guards=Guards(), retries=0)
    with pytest.raises(ReadTimeout):
        await client.balance()
    waiting = asyncio.create_task(client.cost(PHONE, "Hi"))
    await anyio.wait_all_tasks_blocked()
    await client.aclose()
    with pytest.raises(ClientClosed):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual_time
async def test_without_the_login_rules_there_is_no_probe() -> None:
    network = Network("gone")
    rules = Rules().with_policies(login_failures="off", address_failures="off")
    client = network.client(guards=Guards(rules=rules))
    with pytest.raises(ReadTimeout):
        await client.cost(PHONE, "Hi")
    await client.cost(PHONE, "Ho")
    assert BALANCE not in network.asked


# --- credentials that are rotated


def rotating(*values: str) -> tuple[Callable[[], Credentials], list[str]]:
    left = list(values)
    read: list[str] = []

    def credentials() -> Credentials:
        read.append(left[0])
        return ApiKey.model_validate({"key": left.pop(0) if len(left) > 1 else left[0]})

    return credentials, read


def refusing(*keys: str) -> FakeService:
    """Return a service that refuses these keys."""
    service = FakeService()

    def step(request: Incoming) -> Reply:
        if request.fields["apikey"] in keys:
            return answer(request.method, error="2")
        return answer("get_balance", balance="1")

    service.script = [step] * 20
    return service


async def test_credentials_are_read_before_the_first_request_and_again_after_an_error_2() -> None:
    source, read = rotating("old", "new")
    service = refusing("old")
    client = make_client(service, apikey=None, credentials=source, account="ours", guards=Guards())
    assert read == []
    assert (await client.balance()).amount == 1
    await client.balance()
    assert read == ["old", "new"]
    assert [request.fields["apikey"] for request in service.requests] == ["old", "new", "new"]


async def test_a_source_may_be_a_coroutine_function() -> None:
    async def source() -> Credentials:
        await asyncio.sleep(0)
        return Login.model_validate({"login": "ivan", "password": "secret"})

    service = FakeService()
    await make_client(service, apikey=None, credentials=source).balance()
    assert service.requests[0].fields["login"] == "ivan"


async def test_the_same_credentials_again_are_not_tried_again() -> None:
    source, read = rotating("old")
    service = refusing("old")
    client = make_client(service, apikey=None, credentials=source, guards=Guards())
    with pytest.raises(AuthenticationFailed):
        await client.balance()
    assert read == ["old", "old"]
    assert len(service.requests) == 1


async def test_many_calls_with_old_credentials_read_the_new_ones_once() -> None:
    source, read = rotating("old", "new")
    client = make_client(FakeService(latency=0.001), apikey=None, credentials=source, account="ours")
    await client.balance()
    service = refusing("old")
    client._caller._transport = service
    await asyncio.gather(*(client.balance() for _ in range(5)))
    assert read == ["old", "new"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda: dict[str, Credentials]()["secret"], "it raised KeyError"),
        (lambda: "an apikey", "it returned str, not ApiKey or Login"),
    ],
)
async def test_a_source_that_fails_sends_nothing(source: Callable[[], Credentials], words: str) -> None:
    service = FakeService()
    with pytest.raises(SmscError, match=words) as caught:
        await make_client(service, apikey=None, credentials=source).send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert service.requests == []


async def test_a_source_that_fails_after_an_error_2_leaves_that_error(caplog: pytest.LogCaptureFixture) -> None:
    left = [ApiKey.model_validate({"key": "old"})]
    client = make_client(refusing("old"), apikey=None, credentials=left.pop)
    with caplog.at_level(logging.ERROR), pytest.raises(AuthenticationFailed):
        await client.balance()
    assert "credentials() failed (it raised IndexError)" in caplog.text


@pytest.mark.parametrize("wrong", ["key", ApiKey, 5])
def test_a_source_that_is_no_function_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="credentials must be a function that returns an ApiKey or a Login"):
        Client(credentials=wrong)  # type: ignore[arg-type]


def test_a_source_beside_other_credentials_is_refused() -> None:
    with pytest.raises(ValueError, match="not several of them"):
        Client(apikey="key", credentials=lambda: ApiKey.model_validate({"key": "key"}))


# --- lost sends and bad ones


@virtual_time
async def test_lost_sends_are_no_bad_ones_once_the_service_is_known_to_have_them() -> None:
    network = Network()
    rules = Rules(bad_sends=Rule(5, 600, "raise"))
    client = network.client(guards=Guards(rules=rules))
    await client.balance()
    for number in range(20):
        network.script = ["lost"]
        assert (await client.send(PHONE, f"text {number}")).reconciled
    assert network.accepted == 20


@virtual_time
async def test_a_lost_send_that_the_service_does_not_have_counts_as_a_bad_one() -> None:
    network = Network()
    client = network.client(guards=Guards(rules=Rules(bad_sends=Rule(2, 600, "raise"))))
    await client.balance()
    for number in range(2):
        network.script = ["gone"]
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, f"text {number}")
    with pytest.raises(BreakerOpen):
        await client.send(PHONE, "Hi")


@pytest.mark.parametrize("ending", ["cancelled", "unresolved"])
@virtual_time
async def test_a_lost_send_that_nobody_reconciles_any_more_counts_as_a_bad_one(ending: str) -> None:
    network = Network()
    guards = Guards(rules=Rules(bad_sends=Rule(1, 600, "raise")))
    client = network.client(guards=guards)
    await client.balance()
    network.script, network.then = ["lost"], "gone"
    with trio.move_on_after(8 if ending == "cancelled" else 100):
        with pytest.raises(SmscError):
            await client.send(PHONE, "Hi", deadline=60)
    network.then = "ok"
    with pytest.raises(BreakerOpen):
        await client.send(PHONE, "Ho")
    assert (await guards.snapshot()).rules["bad_sends"].in_flight == 0


@virtual_time
async def test_a_lost_send_is_reconciled_where_bad_sends_are_not_counted() -> None:
    network = Network("ok", "lost")
    client = network.client(guards=Guards(rules=Rules().with_policies(bad_sends="off")))
    await client.balance()
    assert (await client.send(PHONE, "Hi")).reconciled
    assert (await client.guards.snapshot()).waiting == 0
