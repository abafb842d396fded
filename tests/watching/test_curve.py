"""The curve learnt from answers, and the schedule computed from it."""

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async._watching.curve import BINS, EDGES, Curve, PollingSchedule, bin_at, edge_near, steady_gap
from smsc_async._watching.plan import Plan
from tests.watching.life import LIMIT


@given(st.floats(0, 2e6))
def test_an_age_is_in_its_bin_and_next_to_its_edge(age: float) -> None:
    number = bin_at(age)
    assert EDGES[number] <= age * (1 + 1e-9)
    assert age < EDGES[number + 1] * (1 + 1e-9) or number == BINS - 1
    assert edge_near(age) in {max(number, 1), number + 1}


def learnt(answers: Callable[[Curve, random.Random], None], count: int = 4000) -> Curve:
    curve, chance = Curve(), random.Random(3)  # noqa: S311 - repeatable on purpose
    for number in range(count):
        answers(curve, chance)
        if number % 500 == 499:
            curve.learn()
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
        assert math.exp(-curve.pending_to(age)) == pytest.approx(math.exp(-age / 100), abs=0.03)


def test_a_curve_follows_a_change() -> None:
    curve = Curve()
    for age, count in ((10.0, 40_000), (1000.0, 120_000)):
        for number in range(count):
            curve.final(0, edge_near(age)) if number % 2 else curve.final_in(0, bin_at(age))
            if number % 2000 == 1999:
                curve.learn()
    assert math.exp(-curve.pending_to(500.0)) > 0.8
    assert len(curve._between) == 2


def test_faded_intervals_are_removed() -> None:
    curve = Curve()
    curve.final(0, 40)
    for _ in range(60):
        for _ in range(10_500):
            curve.final_in(0, 60)
        curve.learn()
    assert curve._between == {}


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
        assert all(0 < wait <= 6 * 3600 for wait in PollingSchedule(curve, delay_per_request).waits)


@given(st.floats(1e-7, 10), st.floats(0.01, 1e6))
def test_a_steady_gap_balances_delay_and_requests(hazard: float, delay_per_request: float) -> None:
    gap = steady_gap(hazard, delay_per_request)
    assert math.expm1(hazard * gap) == pytest.approx(hazard * (gap + delay_per_request), rel=1e-6)


def test_a_constant_hazard_gives_constant_waits() -> None:
    curve = Curve()
    curve._publish([-math.expm1(-(later - earlier) / 200) for earlier, later in itertools.pairwise(EDGES)])
    schedule = PollingSchedule(curve, 10.0)
    best = steady_gap(1 / 200, 10.0)
    steady = range(edge_near(20.0), edge_near(400.0))  # beyond, a bin is so long that it decides nearly all
    assert sum(schedule.waits[number] for number in steady) / len(steady) == pytest.approx(best, rel=0.1)
    for number in steady:
        assert schedule.waits[number] == pytest.approx(best, rel=0.35)


def test_a_schedule_is_shared_per_delay_per_request_until_the_curve_changes() -> None:
    curve = Curve()
    first = curve.schedule(10.0)
    assert curve.schedule(10.0) is first
    for delay_per_request in range(1, 10):
        curve.schedule(float(delay_per_request))
    assert len(curve._schedules) <= 8
    one, other = Plan(curve=curve, interval_limit=LIMIT), Plan(curve=curve, delay_per_request=1.0, interval_limit=LIMIT)
    for key in range(4):
        for plan in (one, other):
            plan.add(key, 0.0)
            plan.answered(key, 100.0, final=True)
    assert curve.lessons == 1
    other.add(9, 100.0)
    other.answered(9, 200.0, final=False)
    assert other._schedule is curve.schedule(1.0)
