"""A watch keeps the limits of the rules in force by itself: no request of it waits inside the guards."""

import time

import anyio
import pytest

from smsc_async import ApiKey, Client, Credentials, Guards, MessageRef, MessageStatus, Rule, Rules, Update
from smsc_async._network.httpx import HttpxTransport
from smsc_async.guards._waiters import Waiters
from smsc_async.sandbox import DeliveryPlan, Sandbox
from smsc_async.sandbox._delivery import Share
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import Network
from tests.virtual import virtual_time
from tests.watching.life import REFS

DELIVERED_AFTER = 200.0
RULES = {
    "as the service": Rules(),
    "Rule(4, 60)": Rules(status=Rule(4, 60)),
    "Rule(1, 60)": Rules(status=Rule(1, 60)),
    "Rule(5, 300)": Rules(status=Rule(5, 300)),
    "one at a time": Rules(status_in_flight=Rule(1)),
    "two at a time": Rules(status_in_flight=Rule(2)),
    "one in flight": Rules(in_flight=Rule(1)),
    "raise": Rules(status=Rule(3, 60)).with_policies(status="raise", status_in_flight="raise", in_flight="raise"),
    "off": Rules(status=Rule(50, 1), status_in_flight=Rule(50)).with_policies(status="off", status_in_flight="off"),
    "no guards": None,
}


class Lagging(Network):
    """A network before a sandbox whose messages are delivered late."""

    def __init__(self, *script: str, then: str = "slow") -> None:
        super().__init__(*script, then=then)
        began = time.time() - anyio.current_time()
        plan = DeliveryPlan(outcomes=(Share(1, 0, 1),), to_operator=1, to_decision=DELIVERED_AFTER, spread=0)
        self.sandbox = Sandbox(delivery=plan, clock=lambda: began + anyio.current_time())
        self._inner = HttpxTransport(self.sandbox.transport())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the rule of each request that waits inside guards."""
    rules: list[str] = []
    join = Waiters.join

    def recorded(self: Waiters, demand: object, free: float) -> object:
        rules.append(demand.rule)  # type: ignore[attr-defined]
        return join(self, demand, free)  # type: ignore[arg-type]

    monkeypatch.setattr(Waiters, "join", recorded)
    return rules


async def sent(client: Client, count: int = 12) -> list[MessageRef]:
    return [(await client.send(f"+7916123{number:04}", "Hi")).ref for number in range(count)]


async def watched(client: Client, refs: list[MessageRef]) -> list[Update]:
    async with client.watch(refs, delay_per_request=0.1) as updates:
        return [update async for update in updates]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("fault", ["", "lost", pytest.param("gone", marks=pytest.mark.slow)])
@virtual_time
async def test_a_watch_keeps_the_limits_in_force_and_ends_in_time(
    rules: Rules | None, fault: str, waits: list[str]
) -> None:
    network = Lagging(*["slow"] * 12)
    guards = None if rules is None else Guards(rules=rules)
    client = network.client(guards=guards, retries=3)
    refs = await sent(client)
    network.script = ["slow", fault or "slow"] * 20
    began = anyio.current_time()
    updates = await watched(client, refs)
    assert [update.status for update in updates if update.is_last] == [MessageStatus.DELIVERED] * 12
    assert network.sandbox.counts["get_status", 9] == 0
    assert waits == []
    # After the delivery, a message is requested as soon as its limit has room: in the longest interval, if the
    # requests before were made at once.
    longest = 61.2 if rules is None or rules.status.policy == "off" else rules.status.seconds + 1.2
    assert anyio.current_time() - began < DELIVERED_AFTER + longest + 10


@virtual_time
async def test_a_window_that_others_have_filled_does_not_block_a_worker(waits: list[str]) -> None:
    network = Lagging()
    client = network.client(guards=Guards())
    refs = await sent(client)
    await anyio.sleep(DELIVERED_AFTER + 2)
    for _ in range(5):
        await client.status(refs[0])
    began, at = anyio.current_time(), dict[MessageRef, float]()
    async with client.watch(refs) as updates:
        async for update in updates:
            at[update.ref] = anyio.current_time() - began
    assert waits == []
    assert 60 < at.pop(refs[0]) < 62
    assert max(at.values()) < 11  # a watch takes them for new


@virtual_time
async def test_guards_whose_patience_is_shorter_than_a_window_do_not_end_a_watch(waits: list[str]) -> None:
    network = Lagging()
    client = network.client(guards=Guards(max_wait=0.0))
    refs = await sent(client)
    for _ in range(5):
        await client.status(refs[0])
    updates = await watched(client, refs)
    assert [update.status for update in updates if update.is_last] == [MessageStatus.DELIVERED] * 12
    assert waits == []


@pytest.mark.parametrize("with_guards", [False, True])
@virtual_time
async def test_error_9_from_another_program_delays_its_message_by_a_window(
    waits: list[str], *, with_guards: bool
) -> None:
    network = Lagging()
    client, other = network.client(guards=Guards() if with_guards else None), network.client()
    refs = await sent(client, 3)
    await anyio.sleep(DELIVERED_AFTER + 2)
    for _ in range(5):
        await other.status(refs[0])
    began = anyio.current_time()
    updates = await watched(client, refs)
    assert [update.status for update in updates] == [MessageStatus.DELIVERED] * 3
    assert network.sandbox.counts["get_status", 9] == 1
    assert 60 < anyio.current_time() - began < 75
    assert waits == []


@virtual_time
async def test_a_watch_asks_the_next_url_after_a_failure() -> None:
    network = Lagging("slow", "gone", "gone")
    client = network.client(fallback_urls=["https://backup.test/sys/soap.php"], retries=3)
    urls: list[str] = []
    post = network.post

    async def recorded(url: str, *rest: object) -> object:
        urls.append(url.split("/")[2])
        return await post(url, *rest)  # type: ignore[arg-type]

    network.post = recorded  # type: ignore[method-assign,assignment]
    refs = await sent(client, 1)
    network.sandbox.advance(DELIVERED_AFTER + 2)
    await watched(client, refs)
    assert urls == ["sms.test", "sms.test", "backup.test", "sms.test"]


@virtual_time
async def test_a_watch_goes_on_with_rotated_credentials() -> None:
    service = FakeService([answer("get_status", status="0"), answer("get_status", error="2")])
    keys = ["old"]

    def source() -> Credentials:
        return ApiKey.model_validate({"key": keys[-1]})

    client = make_client(service, apikey=None, credentials=source, guards=Guards(), account="ours")
    async with client.watch(REFS) as updates:
        async for update in updates:
            assert update.error is None
            keys.append("new")
        assert updates.done == len(REFS)
    assert [service.requests[at].fields["apikey"] for at in (0, -1)] == ["old", "new"]
