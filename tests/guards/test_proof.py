"""The guards against a model of the service that counts arrivals."""

import math
from random import Random
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, core, given, settings

from smsc_async import (
    GetBalance,
    GetStatus,
    Login,
    Message,
    MessageRef,
    Operation,
    Send,
    SendList,
)
from smsc_async.guards import Identity
from tests.guards.service_model import LIMITS
from tests.guards.traffic import (
    ACCOUNT,
    STATUS,
    Limiter,
    NoLimiter,
    Scenario,
    StartCounting,
    Traffic,
    codes_of,
    errors,
    guards,
    hammered,
    highest,
    lateness,
    many,
    request_of,
    scenarios,
    service_of,
    traffic,
)


def test_the_model_counts_refused_arrivals_as_well_and_keeps_a_window_open_at_its_end() -> None:
    asked = [(at, STATUS) for at in (0.0, 1.0, 2.0, 3.0, 4.0, 59.9, 60.0, 61.0, 119.9)]

    assert codes_of(service_of(), asked) == [0, 0, 0, 0, 0, 9, 9, 9, 0]


@pytest.mark.parametrize(("whole_seconds", "codes"), [(False, [0, 0]), (True, [0, 9])])
def test_the_model_may_count_whole_seconds(whole_seconds: bool, codes: list[int]) -> None:
    first, again = (
        Send(to=("+79990000001", "+79990000002"), text="a"),
        Send(to=("89990000002", "79990000001"), text="a"),
    )

    assert codes_of(service_of(whole_seconds=whole_seconds), [(0.1, first), (60.9, again)]) == codes


@pytest.mark.parametrize(("gap", "code"), [(119.9, 9), (120.0, 0)])
def test_the_model_counts_messages_to_a_subscriber_until_a_quiet_time(gap: float, code: int) -> None:
    sent: list[tuple[float, Operation[Any]]] = [
        (119.0 * number, Send(to=("+79990000001",), text=f"{number}")) for number in range(50)
    ]
    last = SendList(messages=(Message("+79990000001", "last"), Message("+79990000002", "last")))

    assert codes_of(service_of(), [*sent, (119.0 * 49 + gap, last)]) == [*[0] * 50, code]


def test_the_model_counts_a_request_until_its_answer_has_left() -> None:
    service, who = service_of(), Identity(Login.model_validate({"login": ACCOUNT, "password": "right"}))
    asked = [request_of(who, GetStatus(ref=MessageRef("+79990000001", f"a{number}"))) for number in range(6)]
    arrivals = [service.arrive(request, 0.0) for request in asked[:4]]
    over = service.arrive(asked[4], 0.5)
    service.leave(over)
    service.leave(arrivals[0])

    assert over.code == 9
    assert service.arrive(asked[5], 1.0).code == 0
    with pytest.raises(ValueError, match="left already"):
        service.leave(over)


def test_the_model_blocks_the_address_at_the_fifth_wrong_password_for_half_an_hour() -> None:
    service, asked = service_of(), [(100.0 * number, GetBalance()) for number in range(5)]

    assert codes_of(service, asked, "wrong") == [2, 2, 2, 2, 4]
    assert codes_of(service, [(2199.0, GetBalance()), (2201.0, GetBalance())]) == [4, 0]


@pytest.mark.parametrize(("good", "code"), [([], 4), ([(2.5, Send(to=("+79990000001",), text="good"))], 7)])
def test_the_model_blocks_the_address_at_the_hundredth_bad_send_in_a_row(
    good: list[tuple[float, Operation[Any]]], code: int
) -> None:
    lists: list[tuple[float, Operation[Any]]] = [
        (at, SendList(messages=tuple(Message(f"+7000{number:07}", f"{at}") for number in range(33))))
        for at in (0.0, 1.0, 2.0)
    ]
    last = Send(to=("+70000000000",), text="bad")

    assert codes_of(service_of(), [*lists, *good, (3.0, last)]) == [7, 7, 7, *[0] * len(good), code]


# A run of the whole suite is the same each time; --hypothesis-seed chooses other scenarios.
@pytest.mark.slow
@settings(
    max_examples=150,
    derandomize=core.global_force_seed is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(scenarios)
def test_the_service_never_counts_more_than_it_allows_whatever_the_network_does(scenario: Scenario) -> None:
    found = traffic(scenario)

    assert found.service.broken == {}
    assert errors([found], 4, 9) == 0


@pytest.mark.slow
def test_crowds_reach_every_limit_and_pass_none() -> None:
    crowds = [
        *many(4, clients=4, acts=3, burst=30),
        *many(2, network="busy", clients=4, burst=30),
        *many(2, focus="bad", clients=4, acts=3, burst=30),
        *many(1, focus="flood", clients=4, acts=3, burst=30),
        # Answers get lost while all slots in flight are taken, and others wait for them.
        *many(4, network="busy", focus="gate", clients=4, burst=30, lost=0.1, refused=0.0, cancelled=0.0),
    ]
    found = [traffic(scenario) for scenario in crowds]

    assert [each.service.broken for each in found if each.service.broken] == []
    assert errors(found, 4, 9) == 0
    assert highest(found) == {name: most for name, (most, _) in LIMITS.items()}


@pytest.mark.slow
def test_without_guards_every_limit_is_passed() -> None:
    found = [traffic(scenario, lambda _: [NoLimiter()]) for scenario in many(8, burst=30)]

    assert {name for name, count in highest(found).items() if count > LIMITS[name][0]} == set(LIMITS)
    assert errors(found, 4) > 0
    assert errors(found, 9) > 0


@pytest.mark.parametrize("weakness", [{"margin": 0.0}, {"late_arrival": 0.0}])
def test_guards_without_margin_or_without_late_arrivals_break_a_limit(weakness: dict[str, float]) -> None:
    found = (traffic(scenario, lambda each: guards(each, **weakness)) for scenario in many(100, lost=0.4))

    assert any(each.service.broken for each in found)


@pytest.mark.slow
@pytest.mark.parametrize("focus", ["status", "balance", "cost"])
def test_a_limiter_that_counts_starts_earns_error_9_where_the_guards_earn_none(focus: str) -> None:
    slow = [Scenario(seed, "slow", focus, clients=6, acts=8, burst=6, pause=5.0, patient=True) for seed in range(3)]
    ours = [traffic(scenario) for scenario in slow]
    theirs = [traffic(scenario, lambda _: [StartCounting()]) for scenario in slow]

    assert errors(ours, 4, 9) == 0
    assert errors(theirs, 9) > sum(len(each.starts) for each in theirs) / 10


@pytest.mark.parametrize(("sharers", "slack"), [(1, 0.01), (2, 1.01)])
def test_a_hammered_status_gets_97_percent_of_what_the_service_allows_and_no_slot_stays_free(
    sharers: int, slack: float
) -> None:
    async def ask_for_an_hour(found: Traffic, limiter: Limiter, chance: Random) -> None:
        while trio.current_time() < 3600:
            await found.call(limiter, STATUS, chance)

    found = hammered(Scenario(1, "fast", clients=20, guards=sharers, patient=True), ask_for_an_hour)

    assert errors([found], 9) == 0
    assert sum(start < 3600 for start in found.starts) >= 0.97 * 3600 * 5 / 60
    assert lateness(found) <= slack


@pytest.mark.parametrize(("sharers", "slack"), [(1, 0.01), (2, 1.01)])
def test_waiters_that_are_cancelled_delay_no_other(sharers: int, slack: float) -> None:
    async def ask(found: Traffic, limiter: Limiter, chance: Random) -> None:
        await trio.sleep(chance.uniform(0, 5))
        impatient = len(found.starts) == 5 and chance.random() < 0.8
        with trio.move_on_after(chance.uniform(0, 50) if impatient else math.inf) as scope:
            await found.call(limiter, STATUS, chance)
        cancelled.append(scope.cancelled_caught)

    cancelled: list[bool] = []
    found = hammered(Scenario(1, "fast", clients=60, guards=sharers, patient=True), ask)

    assert sum(cancelled) > 30
    assert len(found.starts) == 60 - sum(cancelled)
    assert lateness(found) <= slack
