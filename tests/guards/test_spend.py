"""The rule `spend` over a rolling day, on clocks set by hand."""

import math
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async import (
    GetBalance,
    Message,
    MessageRef,
    Outcome,
    Rules,
    Send,
    SendList,
    SentMessage,
    Spend,
    SpendLimitReached,
    TooManyInFlight,
)
from smsc_async._model.refusals import RecipientError
from smsc_async.guards import MemoryStore
from smsc_async.guards._demands import Completion, Planner, RequestArrival, releases
from smsc_async.guards._limits import Release, SpendLimit
from smsc_async.guards._spend import DAY, Slice, SpendHistory, units_of
from smsc_async.guards._store import Demand, Reservation
from tests.guards.desk import LOST, UNSENT, Desk, code, identity, send
from tests.guards.planner import LOGIN, OTHER, PHONE, SALT
from tests.virtual import virtual_time

TEN = SpendLimit(10, DAY)
SLICE = 300.0
UNKNOWN = Release(keep=1)
LINES = SendList(messages=tuple(Message(f"+7999123456{number}", "Hi") for number in range(5)))
RULES = Rules(spend=Spend(10)).with_policies(login_failures="off", address_failures="off", identical_send="off")


def priced(cost: int, messages: int = 1) -> Release:
    return Release(keep=messages, cost=cost)


def paid(cost: str) -> Completion:
    return Completion(RequestArrival.ANSWERED, good=True, accepted=1, cost=units_of(Decimal(cost)))


def history(*slices: Slice) -> SpendHistory:
    spent = SpendHistory()
    for each in slices:
        spent.add(each)
    return spent


# --- the window
@given(st.floats(0, 10 * DAY), st.floats(0, SLICE))
def test_what_was_spent_counts_for_a_day_and_at_most_five_minutes_longer(at: float, later: float) -> None:
    spent = history(Slice(at, 10, 0, 1))
    spent.add(Slice(at + later, 0))
    assert spent.delay(TEN, at + DAY - 1, 1) > 0
    assert spent.delay(TEN, at + DAY + SLICE + 1, 1) == 0
    assert spent.forget(TEN, at + DAY + SLICE + 1)


def test_the_delay_is_that_of_the_slice_that_has_to_go() -> None:
    spent = history(Slice(0, 6, 0, 2), Slice(1000, 2, 0, 2), Slice(2000, 2, 0, 2))
    assert spent.delay(TEN, 3000, 1) == DAY - 3000
    assert spent.delay(TEN, 3000, 3) == DAY - 3000
    assert spent.delay(TEN, 3000, 4) == DAY - 2000
    assert spent.delay(TEN, 3000, 100) == DAY - 1000


def test_a_day_of_traffic_is_a_bounded_number_of_slices() -> None:
    spent = SpendHistory()
    for now in range(0, int(3 * DAY), 60):
        spent.delay(TEN, now, 1)
        spent.add(Slice(now, 1, 0, 1))
    assert len(spent.slices) <= DAY / SLICE + 1


def test_the_dearest_cost_is_remembered_as_long_as_it_stands_for_a_message() -> None:
    spent = history(Slice(0, 4, 0, 4))
    spent.flights["lost"] = 1, math.inf
    spent.release("lost", UNKNOWN, 1000)
    assert spent.delay(TEN, DAY + 1, 2) > 0
    assert spent.delay(TEN, DAY + 1, 1) == 0
    assert spent.delay(TEN, DAY + 1000, 100) == 0


@pytest.mark.parametrize(
    ("cost", "units"),
    [("3", 30_000), ("0.00001", 1), ("-5", 0), ("1e40", 10**13), ("1e-40", 1), ("0", 0), ("1e999999", 10**13)],
)
def test_costs_are_rounded_up_to_units_and_bounded(cost: str, units: int) -> None:
    assert units_of(Decimal(cost)) == units


@given(st.integers(0, 2**32))
def test_reservations_are_never_more_than_the_limit_whatever_happens(seed: int) -> None:
    """What is known to be spent in any day stays within the limit, if no message costs more than those before."""
    chance, spent, now = Random(seed), SpendHistory(), 0.0  # noqa: S311 - it plays traffic
    ledger: list[tuple[float, int]] = []
    flights: list[int] = []
    spent.add(Slice(0.0, 0, 0, 3))
    for number in range(60):
        now += chance.choice((0, 1, 400, 20_000))
        spent.add(Slice(now, 0, 0, 3))
        messages = chance.randint(1, 3)
        if spent.delay(TEN, now, messages) == 0:
            spent.flights[number] = messages, math.inf
            flights.append(number)
        if flights and chance.random() < 0.6:
            flight = flights.pop(chance.randrange(len(flights)))
            cost = sum(chance.randint(0, 3) for _ in range(spent.flights[flight][0]))
            spent.release(flight, Release(keep=spent.flights[flight][0], cost=cost), now)
            ledger.append((now, cost))
            assert sum(cost for at, cost in ledger if at > now - DAY) <= 10


async def test_idle_accounts_are_forgotten_after_a_day() -> None:
    now = 0.0
    store = MemoryStore(lambda: now)

    async def pay(key: bytes) -> None:
        answer = await store.acquire([Demand("spend", key, TEN)], 30)
        assert isinstance(answer, Reservation)
        store.release(answer, [priced(1)])

    for number in range(20):
        await pay(bytes([number]))
    now = DAY + SLICE
    await pay(b"new")
    assert len(store._spent) == 1
    assert list(store.spent(bytes([1]))) == []


async def test_a_release_after_another_one_was_held_changes_nothing() -> None:
    store = MemoryStore(lambda: 0.0)
    demands = [Demand("spend", b"a", TEN), Demand("bad_sends", b"a", RULES.limits(0)["bad_sends"])]
    answer = await store.acquire(demands, 30)
    assert isinstance(answer, Reservation)
    store.release(answer, [priced(4), Release(hold=True)])
    store.release(answer, [priced(4), Release()])
    assert list(store.spent(b"a")) == [Slice(0.0, 4, 0, 4)]


# --- what a send demands, and what its end leaves
def test_each_message_of_a_send_counts_and_a_group_as_one() -> None:
    planner = Planner(RULES.limits(1.2), SALT, LOGIN, None, "default")

    def amount(operation: Any) -> int:
        return sum(demand.amount for demand in planner.demands(operation) if demand.rule == "spend")

    assert amount(send()) == 1
    assert amount(send(to=[PHONE, OTHER])) == 2
    assert amount(Send(to=(PHONE, "G1"), text="Hi")) == 2
    assert amount(LINES) == 5
    assert amount(GetBalance()) == 0


def left_by(completion: Completion, amount: int = 5) -> Release:
    (release,) = releases([Demand("spend", b"a", TEN, amount)], [amount], completion, 5.0, 1.2)
    return release


@pytest.mark.parametrize("number", [-1, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_what_the_service_refused_costs_nothing(number: int) -> None:
    assert left_by(code(number)) == Release()


def test_a_lost_send_keeps_all_its_messages_unless_the_service_does_not_have_it() -> None:
    assert left_by(LOST) == Release(keep=5)
    assert left_by(Completion.of_reconciled(None)) == Release(keep=5)
    assert left_by(Completion.of_reconciled(None, absent=True)) == Release()
    assert left_by(UNSENT) == Release()


def test_a_reconciled_send_costs_what_the_reports_say() -> None:
    refs = (MessageRef(PHONE, "1"), MessageRef(OTHER, "1"))
    sent = SentMessage(id="1", refs=refs, cost=Decimal(3), reconciled=True)
    assert left_by(Completion.of_reconciled(sent)) == priced(30_000, 2)
    assert left_by(Completion.of_reconciled(sent.model_copy(update={"cost": None}))) == Release(keep=5)
    assert left_by(Completion.of_result(LINES, sent)) == Release()  # another attempt has counted it


def left_by_result(operation: Send | SendList, **fields: Any) -> Release:
    return left_by(Completion.of_result(operation, SentMessage(id="1", **fields)))


def test_the_cost_of_a_send_is_that_of_its_accepted_messages() -> None:
    wrong = tuple(RecipientError(phone=PHONE, code=7) for _ in range(2))
    assert left_by_result(LINES, sms_count=3, cost=Decimal(9), errors=wrong) == priced(90_000, 3)
    assert left_by_result(LINES, sms_count=10, cost=Decimal(9)) == priced(90_000, 5)  # two parts each
    assert left_by_result(LINES, sms_count=1, cost=Decimal(9)) == priced(90_000, 1)  # `err` was off
    assert left_by_result(LINES, cost=Decimal(9)) == priced(90_000, 5)
    assert left_by_result(LINES) == Release(keep=5)
    assert left_by_result(send(), sms_count=0, cost=Decimal(0)) == priced(0, 1)


def test_the_members_of_a_group_are_counted_by_their_parts() -> None:
    assert left_by_result(Send(to=("G1",), text="Hi"), sms_count=300, cost=Decimal(900)) == priced(9_000_000, 300)
    assert left_by_result(Send(to=("G1",), text="Hi"), sms_count=300) == Release(keep=300)


# --- the guards
@virtual_time
async def test_sends_to_different_numbers_stop_at_the_limit_and_go_on_after_a_day() -> None:
    desk = Desk(RULES)
    for _ in range(3):
        await desk.call(send(), paid("3"))
    error = await desk.refused(send())
    assert isinstance(error, SpendLimitReached)
    assert error.retry_after == pytest.approx(DAY)
    assert "rule spend" in str(error)
    assert "no such request is sent until" in str(error)
    assert await desk.call(send(), within=DAY / 2, who=identity(name="another")) == 0
    await desk.call(GetBalance())
    waiting = Desk(RULES.with_policies(spend="wait"))
    for _ in range(3):
        await waiting.call(send(), paid("3"))
    assert DAY <= await waiting.call(send(), paid("3")) <= DAY + SLICE


@virtual_time
async def test_a_list_is_refused_if_it_may_cost_too_much_and_a_smaller_one_goes() -> None:
    desk = Desk(RULES)
    await desk.call(send(), paid("1.8"))
    assert isinstance(await desk.refused(LINES), SpendLimitReached)
    await desk.call(send())


@virtual_time
async def test_a_list_of_more_messages_than_units_is_no_wrong_argument() -> None:
    desk = Desk(Rules(spend=Spend(Decimal("0.0002"))).with_policies(login_failures="off", address_failures="off"))
    await desk.call(LINES, Completion(RequestArrival.ANSWERED, good=True, accepted=5, cost=0))


@virtual_time
async def test_a_send_waits_for_the_costs_of_those_in_flight_whatever_the_policy_is() -> None:
    desk = Desk(RULES)
    held = await desk.reserve(send())
    with pytest.raises(TooManyInFlight, match="the requests in flight may cost all") as caught:
        await desk.reserve(send(), within=3)
    assert caught.value.outcome is Outcome.NOT_SENT
    desk.guards.release(held, paid("3"))
    await desk.call(send(), paid("3"))
    assert await desk.state() == (0, 0)


@virtual_time
async def test_the_snapshot_of_the_guards_shows_the_rule() -> None:
    desk = Desk(RULES)
    await desk.call(send(), paid("10"))
    shown = (await desk.guards.snapshot()).rules["spend"]
    assert (shown.count, shown.keys, len(shown.full)) == (100_000, 1, 1)


def test_only_sends_are_asked_for_their_cost_and_only_under_the_rule() -> None:
    guards, without = Desk(RULES).guards, Desk().guards
    for operation in (send(), LINES):
        assert guards.prepared(operation) == operation.model_copy(update={"cost": 2})
        assert without.prepared(operation) is operation
    for other in (GetBalance(), Send(to=(PHONE,), text="Hi", cost=3)):
        assert guards.prepared(other) is other
