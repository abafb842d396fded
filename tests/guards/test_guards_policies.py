"""The policies of the rules: wait, raise and off."""

import pytest

from smsc_async import (
    BalanceTooOften,
    CostTooOften,
    DuplicateSend,
    GetCost,
    GuardError,
    StatusTooOften,
    SubscriberFlood,
    TooManyInFlight,
)
from smsc_async._model.operations import Operation
from smsc_async._model.result_base import Result
from smsc_async.guards import Policy, Rule, Rules
from tests.guards.desk import (
    BALANCE,
    PHONE,
    TRUSTING,
    Desk,
    code,
    send,
    status,
)
from tests.virtual import virtual_time

WAIT: Policy = "wait"


RAISE: Policy = "raise"


OFF: Policy = "off"


REFUSALS: list[tuple[str, Rules, Operation[Result], type[GuardError]]] = [
    ("status", Rules(status=Rule(1, 60)), status(), StatusTooOften),
    ("balance", Rules(balance=Rule(1, 60)), BALANCE, BalanceTooOften),
    ("identical_cost", Rules(identical_cost=Rule(1, 60)), GetCost(to=(PHONE,), text="Hi"), CostTooOften),
    ("identical_send", Rules(), send(), DuplicateSend),
    ("subscriber", Rules(subscriber=Rule(1, 60), identical_send=Rule(9, 60)), send(), SubscriberFlood),
]


@pytest.mark.parametrize(("rule", "rules", "operation", "error"), REFUSALS, ids=[each[0] for each in REFUSALS])
class TestPolicies:
    @virtual_time
    async def test_wait_lets_a_request_wait(
        self, rule: str, rules: Rules, operation: Operation[Result], error: type[GuardError]
    ) -> None:
        desk = Desk(rules.with_policies(**{rule: WAIT}))
        await desk.call(operation)
        assert await desk.call(operation) == pytest.approx(61.2)
        assert isinstance(await desk.refused(operation, within=1), error)

    @virtual_time
    async def test_raise_refuses_it_at_once(
        self, rule: str, rules: Rules, operation: Operation[Result], error: type[GuardError]
    ) -> None:
        desk = Desk(rules.with_policies(**{rule: RAISE}))
        await desk.call(operation)
        refusal = await desk.refused(operation)
        assert isinstance(refusal, error)
        assert refusal.retry_after == pytest.approx(61.2)
        assert not desk.guards.awaits(operation)

    @virtual_time
    async def test_off_ignores_the_limit(
        self, rule: str, rules: Rules, operation: Operation[Result], error: type[GuardError]
    ) -> None:
        desk = Desk(rules.with_policies(**{rule: OFF}))
        for _ in range(4):
            assert await desk.call(operation) == 0, error
        assert rule not in (await desk.guards.snapshot()).rules


@virtual_time
async def test_requests_can_wait_for_the_breakers_or_switch_them_off() -> None:
    waiting = Desk(Rules().with_policies(blocked="wait", login_failures="wait"))
    await waiting.call(completion=code(4))
    assert await waiting.call(completion=code(4)) == 600
    assert await waiting.call() == 2400
    careless = Desk(Rules().with_policies(blocked="off", login_failures="off", address_failures="off"))
    for _ in range(5):
        await careless.call(completion=code(4))
        await careless.call(completion=code(2))


@virtual_time
async def test_a_gate_that_raises_can_not_say_when_it_will_be_free() -> None:
    desk = Desk(TRUSTING.with_policies(in_flight="raise", status_in_flight="raise"))
    for number in range(4):
        await desk.reserve(status(number))
    error = await desk.refused(status(9))
    assert isinstance(error, TooManyInFlight)
    assert error.retry_after is None


@virtual_time
async def test_without_gates_all_requests_go_at_once() -> None:
    desk = Desk(TRUSTING.with_policies(in_flight="off", status_in_flight="off"))
    for number in range(30):
        await desk.reserve(status(number))
