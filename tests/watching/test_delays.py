"""How soon the plan discovers final statuses, and with how many requests."""

import math
import random
from collections.abc import Callable

import anyio
import pytest

from smsc_async import MessageRef
from smsc_async._watching.curve import Curve
from smsc_async._watching.plan import Plan
from tests.doubles import FakeService, make_client
from tests.virtual import virtual_time
from tests.watching.life import LIMIT, Life


def simulate(
    plan: Plan, decisions: dict[int, float], *, capacity: float = 50.0, dated: bool = True, sent: float = 0.0
) -> tuple[float, float, list[tuple[float, int]]]:
    """Follow messages with one request at a time; return requests per message, mean delay, and (time, key) of each."""
    plan.capacity(capacity)
    for key in decisions:
        plan.add(key, sent)
    now, delays, asked = sent, 0.0, []
    while len(plan):
        chosen = plan.pick(now)
        if chosen is None:
            now = max(plan.next_at(now), math.nextafter(now, math.inf))
            continue
        asked.append((now, chosen))
        now += 1 / capacity
        final = sent + decisions[chosen] <= now
        delays += now - sent - decisions[chosen] if final else 0.0
        plan.answered(chosen, now, final=final, final_at=sent + decisions[chosen] if dated and final else None)
    return len(asked) / len(decisions), delays / len(decisions), asked


def drawn(count: int, draw: Callable[[random.Random], float], seed: int = 1) -> dict[int, float]:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return {key: draw(chance) for key in range(count)}


def humps(chance: random.Random) -> float:
    return chance.uniform(2, 10) if chance.random() < 0.9 else chance.lognormvariate(math.log(7200), 0.4)


@pytest.mark.parametrize("dated", [True, False])
def test_between_two_humps_hardly_any_request_is_made(dated: bool) -> None:
    plan = Plan(interval_limit=LIMIT)
    simulate(plan, drawn(1000, humps), dated=dated)
    before = len(plan)
    requests, delay, asked = simulate(plan, drawn(1000, humps, 2), dated=dated, sent=1e6)
    quiet = [at for at, _ in asked if 200 < at - 1e6 < 1500]
    assert before == 0
    assert requests < 4.5
    assert delay < 45  # a request every 40 s has the same delay and needs more than 20 requests
    assert len(quiet) < 0.1 * len(asked)


@pytest.mark.parametrize("dated", [True, False])
def test_at_a_constant_hazard_the_plan_is_as_good_as_fixed_intervals(dated: bool) -> None:
    mean, plan = 300.0, Plan(interval_limit=LIMIT)

    def draw(chance: random.Random) -> float:
        return chance.expovariate(1 / mean)

    simulate(plan, drawn(1000, draw), dated=dated)
    requests, delay, _ = simulate(plan, drawn(1000, draw, 2), dated=dated, sent=1e6)
    interval = 2 * delay  # within 2 %: the optimum asks at a fixed interval
    assert requests < 1.15 / -math.expm1(-interval / mean)


def test_a_larger_delay_per_request_means_fewer_requests() -> None:
    outcomes = [
        simulate(Plan(delay_per_request=delay_per_request, interval_limit=LIMIT), drawn(300, humps))[:2]
        for delay_per_request in (1.0, 10.0, 100.0)
    ]
    requests, delays = zip(*outcomes, strict=True)
    assert sorted(requests, reverse=True) == list(requests)
    assert sorted(delays) == list(delays)


def test_with_a_backlog_no_message_is_requested_twice_before_all_were_requested_once() -> None:
    decisions = drawn(3000, humps)
    _, _, asked = simulate(Plan(interval_limit=LIMIT), decisions, capacity=20.0)
    first = [key for _, key in asked[:2400]]
    assert len(set(first)) > 2220
    assert min(at for at, key in asked if key == 2999) < 170.0


def test_an_old_message_is_requested_however_many_young_ones_are_added() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.capacity(10.0)
    plan.add(0, 0.0)
    key, asked, last, longest = 1, 0, 0.0, 0.0
    for tenth in range(50_000):
        now = tenth / 10
        for _ in range(2):  # twice as many as can be requested
            plan.add(key, now)
            key += 1
        picked = plan.pick(now)
        if picked is None:
            continue
        if picked == 0:
            asked += 1
            longest, last = max(longest, now - last), now
        plan.answered(picked, now, final=picked != 0)
    assert asked > 2
    assert max(longest, 5000.0 - last) < 3000.0


def test_the_end_of_an_outage_is_detected_and_all_messages_are_requested() -> None:
    plan = Plan(interval_limit=LIMIT)

    def draw(chance: random.Random) -> float:
        return 5000 + chance.uniform(0, 5) if chance.random() < 0.3 else chance.lognormvariate(math.log(4), 0.5)

    decisions = drawn(1000, draw)
    _, _, asked = simulate(plan, decisions)
    late = {key: final for key, final in decisions.items() if final >= 5000}
    found = [at - late[key] for at, key in asked if key in late and at >= late[key]]
    assert len(late) > 250
    assert sum(found) / len(found) < 150  # otherwise each would wait about 800 s between two requests


def test_a_surge_ends_when_messages_no_longer_become_final() -> None:
    plan = Plan(interval_limit=LIMIT)
    for key in range(200):
        plan.add(key, 0.0, sent_at=-3600.0)
        plan.answered(key, 0.0, final=False)
    for key in range(10):
        plan.answered(key, 20.0, final=True)
    assert plan._surge > 0.3
    asked = 0
    while (picked := plan.pick(21.0)) is not None:
        plan.answered(picked, 21.0, final=False)
        asked += 1
    assert 2 <= asked < 30


def test_single_messages_are_requested_early_when_many_were_requested_together() -> None:
    few, many = Plan(interval_limit=LIMIT), Plan(interval_limit=LIMIT)
    for plan, count in ((few, 5), (many, 200)):
        for key in range(count):
            plan.add(key, 0.0, sent_at=-3600.0)
            plan.answered(key, 0.0, final=False)
        while plan.pick(0.0) is not None:  # the first early request is made at once
            pass
    assert many.next_at(0.0) < few.next_at(0.0) / 2
    assert many.pick(many.next_at(0.0)) is not None


def test_a_capacity_of_zero_is_ignored() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.capacity(5.0)
    plan.capacity(0.0)
    assert plan.requests_a_second == 5.0


def test_a_plan_profits_from_the_curve_of_an_earlier_one() -> None:
    def late(chance: random.Random) -> float:
        return chance.uniform(2000, 3000)

    earlier = Plan(delay_per_request=10.0, interval_limit=LIMIT)
    cold = simulate(earlier, drawn(500, late))
    warm = simulate(Plan(delay_per_request=10.0, curve=earlier.curve, interval_limit=LIMIT), drawn(500, late, 2))
    assert 10 * warm[0] + warm[1] < 0.95 * (10 * cold[0] + cold[1])  # at delay_per_request=10


def fast(chance: random.Random) -> float:
    """Half within 4 s, 99 % within 26 s."""
    return chance.lognormvariate(math.log(4), 0.8)


def test_the_final_status_of_a_single_message_is_discovered_within_three_seconds_on_the_mean() -> None:
    curve, chance = Curve(), random.Random(5)  # noqa: S311 - repeatable on purpose
    watches = [simulate(Plan(interval_limit=LIMIT, curve=curve), {0: fast(chance)}, dated=False) for _ in range(1000)]
    requests, delays, asked = zip(*watches, strict=True)
    assert sum(delays) / len(delays) < 2.9
    assert sum(requests) / len(requests) < 2.4
    assert max(sum(at < 60.0 for at, _ in each) for each in asked) == 4  # one is left to others


def test_once_it_is_known_that_messages_are_final_at_once_they_are_requested_sooner() -> None:
    curve, chance = Curve(), random.Random(5)  # noqa: S311 - repeatable on purpose
    delays = [
        simulate(Plan(interval_limit=LIMIT, curve=curve), {0: chance.lognormvariate(0.2, 0.5)})[1] for _ in range(1000)
    ]
    assert sum(delays[500:]) / 500 < 0.8 * sum(delays[:20]) / 20


@virtual_time
async def test_a_one_time_code_is_reported_within_three_seconds_of_its_delivery_on_average() -> None:
    """One after the other through a whole client, half of them delivered within 4 s and nearly all within 26 s."""
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    delays: list[float] = []
    for number in range(150):
        final = chance.lognormvariate(math.log(4), 0.8)
        sent = anyio.current_time()
        client = make_client(FakeService([Life((final, 0), since=sent)] * 99, latency=0.06))
        report = await client.wait_final(MessageRef("+79991234567", f"code-{number}"))
        assert report.is_delivered
        delays.append(anyio.current_time() - sent - final)
    assert sum(delays) / len(delays) <= 2.9
