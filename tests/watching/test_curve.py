"""The curve learnt from answers, and the schedule computed from it."""

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async._watching.curve import BINS, EDGES, Curve, bin_at, edge_near
from smsc_async._watching.plan import Plan
from smsc_async._watching.worth import Worth
from tests.watching.life import LIMIT


@given(st.floats(0, 2e6))
def test_an_age_is_in_its_bin_and_next_to_its_edge(age: float) -> None:
    number = bin_at(age)
    assert EDGES[number] <= age * (1 + 1e-9)
    assert age < EDGES[number + 1] * (1 + 1e-9) or number == BINS - 1
    assert edge_near(age) in {max(number, 1), number + 1}


def learnt(answers: Callable[[Curve, random.Random], None], count: int = 4000) -> Curve:
    curve, chance = Curve(), random.Random(3)  # noqa: S311 - repeatable on purpose
    for _ in range(count):
        answers(curve, chance)
        curve.answered()
    return curve


def dated_answer(curve: Curve, chance: random.Random) -> None:
    final = chance.expovariate(1 / 100)
    curve.final_in(0, bin_at(final))


def interval_answer(curve: Curve, chance: random.Random) -> None:
    final, asked, last = chance.expovariate(1 / 100), 0.0, 0
    while True:
        asked += chance.uniform(5, 80)
        if final <= asked:
            curve.final(last, max(edge_near(asked), last))
            return
        curve.survived(last, edge_near(asked))
        last = edge_near(asked)


@pytest.mark.parametrize("answers", [dated_answer, interval_answer])
def test_the_curve_is_learnt_from_times_and_from_intervals(answers: Callable[[Curve, random.Random], None]) -> None:
    curve = learnt(answers)
    for age in (30.0, 60.0, 100.0, 200.0):
        assert 1 - curve.chance(0, age) == pytest.approx(math.exp(-age / 100), abs=0.03)


def test_a_curve_follows_a_change() -> None:
    curve = Curve()
    for age, count in ((10.0, 40_000), (1000.0, 120_000)):
        for number in range(count):
            curve.final(0, edge_near(age)) if number % 2 else curve.final_in(0, bin_at(age))
            if number % 2000 == 1999:
                curve.learn()
    assert 1 - curve.chance(0, 500.0) > 0.8


def test_a_final_status_between_two_requests_counts_once_and_where_it_is_expected() -> None:
    curve = Curve()
    chance = curve.chance(12, EDGES[18]), curve.chance(12, EDGES[30])
    for _ in range(100):
        curve.final(12, 30)
    curve.learn()
    assert curve._between == {}
    assert sum(curve._events) == pytest.approx(100.0)
    assert sum(curve._events[12:18]) == pytest.approx(100 * chance[0] / chance[1])
    assert sum(curve._events[12:30]) == pytest.approx(100.0)
    assert sum(curve._risk) == pytest.approx(0.0, abs=1e-9)


def test_a_time_before_the_last_request_counts_from_there_and_one_beyond_all_ages_in_the_last_bin() -> None:
    curve = Curve()
    curve.final_in(30, 10)
    curve.final_in(BINS, BINS)
    assert curve._events[30] == 1.0
    assert curve._events[BINS - 1] == 1.0
    curve.learn()
    assert all(hazard > 0 for hazard in curve.hazards)


@given(st.lists(st.tuples(st.integers(0, BINS), st.integers(0, BINS), st.sampled_from("sdb")), max_size=60))
@settings(deadline=None)
def test_whatever_is_learnt_hazards_stay_positive_and_waits_bounded(answers: list[tuple[int, int, str]]) -> None:
    curve = Curve()
    for one, other, kind in answers:
        start, end = min(one, other), max(one, other)
        if kind == "s":
            curve.survived(start, end)
        elif kind == "d":
            curve.final(start, end)
        else:
            curve.final_in(start, end)
    curve.learn()
    assert all(0 < hazard < math.inf for hazard in curve.hazards)
    for delay_per_request in (0.01, 10.0, 1e5):
        for worth in (Worth(delay_per_request), Worth(delay_per_request, by_age=True, spread=LIMIT)):
            assert all(0 < wait <= 6 * 3600 for wait in curve.waits(worth))


@pytest.mark.parametrize(("mean", "delay_per_request"), [(200.0, 10.0), (3600.0, 10.0), (100.0, 1.0)])
def test_a_constant_hazard_gives_the_constant_waits_that_the_documentation_promises(
    mean: float, delay_per_request: float
) -> None:
    curve = Curve()
    curve._publish([-math.expm1(-(later - earlier) / mean) for earlier, later in itertools.pairwise(EDGES)])
    waits = curve.waits(Worth(delay_per_request))
    best = math.sqrt(2 * mean * delay_per_request)
    for number in range(edge_near(best), edge_near(4 * best)):
        assert waits[number] == pytest.approx(best, rel=0.15)


def test_nothing_is_worth_a_long_wait_once_nearly_all_are_final() -> None:
    curve = Curve()
    for _ in range(3000):
        curve.final_in(0, bin_at(4.0))
    curve.learn()
    assert curve.waits(Worth(1000.0))[0] < 12.0


def test_the_first_request_is_not_held_back_if_nearly_all_messages_are_final_by_then() -> None:
    auto, curve = Worth(2.7, by_age=True, spread=LIMIT), Curve()
    assert curve.waits(auto)[0] == pytest.approx(3.2)
    for _ in range(3000):
        curve.final_in(0, bin_at(1.0))
    curve.learn()
    assert curve.waits(auto)[0] < 2.0


def test_a_request_is_worth_less_for_a_young_message_and_more_for_an_old_one() -> None:
    worth = Worth(5.0, by_age=True)
    assert worth.at(1.0) < 1.0
    assert worth.at(100.0) == worth.at(10_000.0) == 5.0
    assert worth.at(200_000.0) > 5.0


def test_waits_are_shared_until_the_curve_changes_and_few_are_kept() -> None:
    curve = Curve()
    first = curve.waits(Worth(10.0))
    assert curve.waits(Worth(10.0)) is first
    for seconds in range(1, 40):
        curve.waits(Worth(float(seconds)))
    assert len(curve._waits) <= 16
    one, other = Plan(curve=curve, interval_limit=LIMIT), Plan(curve=curve, delay_per_request=1.0, interval_limit=LIMIT)
    for key in range(4):
        for plan in (one, other):
            plan.add(key, 0.0)
            plan.answered(key, 100.0, final=True)
    assert curve.lessons == 1
    other.add(9, 100.0)
    other.answered(9, 200.0, final=False)
    assert other._waits is curve.waits(Worth(1.0))
