"""The plan: what it must never do, what it must always do, and that it learns."""

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async._watching.buckets import Bucket, MessageTable, Position
from smsc_async._watching.curve import BINS, EDGES, Curve, PollingSchedule, bin_at, edge_near, steady_gap
from smsc_async._watching.plan import Plan

DAY = 86_400.0
HAPPENINGS = [*["pick"] * 3, "add", "undecided", "changed", "decided", "dated", "fail", "hint", "remove"]
steps = st.lists(
    st.tuples(
        st.sampled_from(HAPPENINGS),
        st.integers(0, 5),
        st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.0, 15.3, 61.2, 900.0]),
    ),
    max_size=120,
)
limits = st.tuples(st.integers(1, 5), st.sampled_from([0.0, 10.0, 61.2]))


class Watcher:
    """Does what a watcher does, and notes it."""

    def __init__(self, limit: tuple[int, float] = (5, 61.2), delay_per_request: float = 10.0) -> None:
        self.plan = Plan(delay_per_request=delay_per_request, interval_limit=limit)
        self.limit = limit
        self.now = 0.0
        self.following: set[int] = set()
        self.flying: list[int] = []
        self.ended: dict[int, list[float]] = defaultdict(list)
        self.picked: list[tuple[float, int]] = []
        self.keys = 0

    def pick(self) -> int | None:
        key = self.plan.pick(self.now)
        if key is not None:
            assert key in self.following
            assert key not in self.flying
            most, interval = self.limit
            assert len([at for at in self.ended[key] if at > self.now - interval]) < most
            self.flying.append(key)
            self.picked.append((self.now, key))
        return key

    def end(self, key: int, how: str) -> None:
        self.ended[key].append(self.now)
        if key in self.flying:
            self.flying.remove(key)
        if how == "fail":
            self.plan.failed(key, self.now)
            return
        final = how in {"decided", "dated"}
        at = self.now - 3.0 if how == "dated" else None
        self.plan.answered(key, self.now, final=final, changed=how == "changed", final_at=at)
        if final:
            self.following.discard(key)

    def step(self, what: str, which: int, passed: float) -> None:
        self.now += passed
        if what == "add":
            self.following.add(self.keys)
            self.plan.add(self.keys, self.now, sent_at=self.now - 20.0 * which if which else None)
            self.keys += 1
        elif what == "pick":
            self.pick()
        elif what in {"hint", "remove"} and self.following:
            key = sorted(self.following)[which % len(self.following)]
            if what == "hint":
                self.plan.hint(key, self.now)
            else:
                self.plan.remove(key)
                self.following.discard(key)
                self.flying = [other for other in self.flying if other != key]
        elif self.flying:
            self.end(self.flying[which % len(self.flying)], what)

    def finish(self) -> None:
        """Answer all that is asked, until nothing is left."""
        for key in self.flying[:]:
            self.end(key, "undecided")
        asked: dict[int, int] = defaultdict(int)
        for _ in range(200 * (1 + len(self.following))):
            chosen = self.pick()
            if chosen is None:
                at = self.plan.next_at(self.now)
                if at == math.inf:
                    break
                self.now = max(at, math.nextafter(self.now, math.inf))
                continue
            asked[chosen] += 1
            self.now += 0.06
            self.end(chosen, "decided" if asked[chosen] == 3 else "undecided")


def play(what: list[tuple[str, int, float]], limit: tuple[int, float]) -> Watcher:
    watcher = Watcher(limit)
    for step in what:
        watcher.step(*step)
    return watcher


@given(steps, limits)
@settings(max_examples=150, deadline=None)
def test_no_message_is_asked_beyond_its_limit_and_each_until_it_is_decided_or_removed(
    what: list[tuple[str, int, float]], limit: tuple[int, float]
) -> None:
    watcher = play(what, limit)
    assert len(watcher.plan) == len(watcher.following)
    watcher.finish()
    assert watcher.following == set()
    assert len(watcher.plan) == 0
    assert watcher.plan.next_at(watcher.now) == math.inf or watcher.plan.pick(watcher.now + DAY) is None


@given(steps, limits)
@settings(max_examples=50, deadline=None)
def test_the_same_happenings_lead_to_the_same_requests(
    what: list[tuple[str, int, float]], limit: tuple[int, float]
) -> None:
    one, other = play(what, limit), play(what, limit)
    assert one.picked == other.picked
    assert one.plan.next_at(one.now) == other.plan.next_at(other.now)


@given(steps, limits, st.floats(0, 0.999))
@settings(max_examples=100, deadline=None)
def test_nothing_is_to_be_asked_before_the_time_it_was_promised_for(
    what: list[tuple[str, int, float]], limit: tuple[int, float], part: float
) -> None:
    watcher = play(what, limit)
    while watcher.pick() is not None:
        pass
    at = watcher.plan.next_at(watcher.now)
    assert at >= watcher.now
    between = watcher.now + part * min(at - watcher.now, DAY)
    if between < at:
        assert watcher.plan.pick(between) is None


@given(steps, limits)
@settings(max_examples=100, deadline=None)
def test_a_hinted_message_is_the_next(what: list[tuple[str, int, float]], limit: tuple[int, float]) -> None:
    watcher = play(what, limit)
    watcher.now += 100.0  # no limit holds, no pause lasts
    while watcher.plan._front:
        watcher.pick()
    waiting = sorted(watcher.following - set(watcher.flying))
    if waiting:
        watcher.plan.hint(waiting[-1], watcher.now)
        assert watcher.plan.next_at(watcher.now) == watcher.now
        assert watcher.pick() == waiting[-1]


def test_a_hint_while_the_answer_is_under_way_has_it_asked_again() -> None:
    plan = Plan()
    plan.add(1, 0.0)
    plan.hint(1, 0.0)
    assert plan.pick(0.0) == 1
    plan.hint(1, 0.1)
    plan.answered(1, 0.2, final=False)
    assert plan.pick(0.2) == 1
    plan.answered(1, 0.3, final=False)
    assert plan.pick(0.3) is None


def test_a_hint_beyond_the_limit_waits_for_it_and_goes_first_then() -> None:
    plan = Plan(interval_limit=(1, 60.0))
    plan.add(1, 0.0)
    plan.hint(1, 0.0)
    plan.hint(1, 0.0)
    assert plan.pick(0.0) == 1
    plan.answered(1, 1.0, final=False)
    plan.hint(1, 2.0)
    plan.add(2, 2.0, sent_at=-1000.0)
    assert plan.pick(2.0) == 2
    assert plan.pick(2.0) is None
    assert plan.next_at(2.0) == 61.0
    assert plan.pick(60.9) is None
    assert plan.pick(61.0) == 1


def test_a_failed_message_is_asked_again_after_growing_pauses() -> None:
    plan, now, pauses = Plan(interval_limit=(99, 1.0)), 1000.0, []
    plan.add(1, 0.0)
    for _ in range(8):
        assert plan.pick(now) == 1
        plan.failed(1, now)
        assert plan.pick(now) is None
        pauses.append(plan.next_at(now) - now)
        now += pauses[-1]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_removed_message_is_never_asked_wherever_it_was() -> None:
    plan = Plan(interval_limit=(1, 60.0))
    for key in range(5):
        plan.add(key, 0.0, sent_at=-100.0)
    asked = [plan.pick(0.0), plan.pick(0.0)]
    assert asked == [0, 1]
    plan.failed(0, 0.0)
    plan.answered(1, 0.0, final=False)  # as often as it may be
    plan.hint(2, 0.0)
    for key in range(4):
        plan.remove(key)
    assert len(plan) == 1
    assert plan.pick(0.0) == 4
    plan.answered(4, 0.0, final=True)
    assert plan.pick(1e6) is None
    assert plan.next_at(1e6) == math.inf


def test_what_is_said_of_unknown_keys_is_ignored() -> None:
    plan = Plan()
    plan.answered(1, 0.0, final=True)
    plan.failed(1, 0.0)
    plan.hint(1, 0.0)
    plan.remove(1)
    assert len(plan) == 0
    assert plan.pick(0.0) is None


def test_an_answer_that_was_not_asked_for_is_taken() -> None:
    plan = Plan()
    plan.add(1, 0.0)
    plan.answered(1, 50.0, final=False)
    assert plan.pick(50.0) is None
    plan.answered(1, 51.0, final=True)
    assert len(plan) == 0


def test_a_key_is_followed_once() -> None:
    plan = Plan()
    plan.add(1, 0.0)
    with pytest.raises(ValueError, match="1 is followed already"):
        plan.add(1, 0.0)


@pytest.mark.parametrize("delay_per_request", [0.0, -1.0, math.inf, math.nan])
def test_a_price_makes_sense(delay_per_request: float) -> None:
    with pytest.raises(ValueError, match="delay_per_request must be"):
        Plan(delay_per_request=delay_per_request)


@pytest.mark.parametrize("limit", [(0, 60.0), (5, -1.0), (5, math.nan)])
def test_a_limit_makes_sense(limit: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="interval_limit must be"):
        Plan(interval_limit=limit)


def test_a_message_sent_later_is_not_asked_before() -> None:
    plan = Plan()
    plan.add(1, 0.0, sent_at=3600.0)
    assert plan.pick(0.0) is None
    assert plan.next_at(0.0) > 3600.0
    plan.answered(1, 10.0, final=False)  # asked by somebody else
    assert plan.pick(20.0) is None


def test_a_change_starts_the_clock_of_a_message_anew() -> None:
    plan, other = Plan(), Plan()
    for followed, changed in ((plan, True), (other, False)):
        followed.add(1, 0.0, sent_at=-3600.0)
        followed.pick(0.0)
        followed.answered(1, 0.0, final=False, changed=True)  # the first answer changes nothing
        followed.answered(1, 1000.0, final=False, changed=changed)
        assert followed.pick(1000.0) is None
    assert plan.next_at(1000.0) - 1000.0 < 15 < other.next_at(1000.0) - 1000.0


def simulate(
    plan: Plan, decisions: dict[int, float], *, capacity: float = 50.0, dated: bool = True, sent: float = 0.0
) -> tuple[float, float, list[tuple[float, int]]]:
    """Follow messages with one request at a time; return requests a message, mean delay, and what was asked when."""
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
def test_between_two_humps_next_to_nothing_is_asked(dated: bool) -> None:
    plan = Plan()
    simulate(plan, drawn(1000, humps), dated=dated)
    before = len(plan)
    requests, delay, asked = simulate(plan, drawn(1000, humps, 2), dated=dated, sent=1e6)
    quiet = [at for at, _ in asked if 200 < at - 1e6 < 1500]
    assert before == 0
    assert requests < 4.5
    assert delay < 45  # every 40 s, which comes to the same delay, means more than 20 requests
    assert len(quiet) < 0.1 * len(asked)


@pytest.mark.parametrize("dated", [True, False])
def test_where_a_decision_is_always_as_likely_intervals_are_as_good_as_fixed_ones(dated: bool) -> None:
    mean, plan = 300.0, Plan()

    def draw(chance: random.Random) -> float:
        return chance.expovariate(1 / mean)

    simulate(plan, drawn(1000, draw), dated=dated)
    requests, delay, _ = simulate(plan, drawn(1000, draw, 2), dated=dated, sent=1e6)
    interval = 2 * delay  # within 2 %: the optimum asks every so many seconds
    assert requests < 1.15 / -math.expm1(-interval / mean)


def test_a_dear_request_is_made_less_often() -> None:
    outcomes = [
        simulate(Plan(delay_per_request=delay_per_request), drawn(300, humps))[:2]
        for delay_per_request in (1.0, 10.0, 100.0)
    ]
    requests, delays = zip(*outcomes, strict=True)
    assert sorted(requests, reverse=True) == list(requests)
    assert sorted(delays) == list(delays)


def test_with_a_backlog_nothing_is_asked_twice_before_all_were_asked_once() -> None:
    decisions = drawn(3000, humps)
    _, _, asked = simulate(Plan(), decisions, capacity=20.0)
    first = [key for _, key in asked[:2400]]
    assert len(set(first)) > 2220
    assert min(at for at, key in asked if key == 2999) < 170.0


def test_an_old_message_is_asked_however_many_young_ones_come() -> None:
    plan = Plan()
    plan.capacity(10.0)
    plan.add(0, 0.0)
    key, asked, last, longest = 1, 0, 0.0, 0.0
    for tenth in range(50_000):
        now = tenth / 10
        for _ in range(2):  # twice as many as can be asked
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


def test_the_end_of_an_outage_is_noticed_and_all_are_asked() -> None:
    plan = Plan()

    def draw(chance: random.Random) -> float:
        return 5000 + chance.uniform(0, 5) if chance.random() < 0.3 else chance.lognormvariate(math.log(4), 0.5)

    decisions = drawn(1000, draw)
    _, _, asked = simulate(plan, decisions)
    late = {key: final for key, final in decisions.items() if final >= 5000}
    found = [at - late[key] for at, key in asked if key in late and at >= late[key]]
    assert len(late) > 250
    assert sum(found) / len(found) < 150  # alone, each would have waited about 800 s between two requests


def test_a_surge_is_over_when_decisions_come_no_more() -> None:
    plan = Plan()
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


def test_scouts_go_ahead_of_many_that_were_asked_together() -> None:
    few, many = Plan(), Plan()
    for plan, count in ((few, 5), (many, 200)):
        for key in range(count):
            plan.add(key, 0.0, sent_at=-3600.0)
            plan.answered(key, 0.0, final=False)
        while plan.pick(0.0) is not None:  # the first scout goes at once
            pass
    assert many.next_at(0.0) < few.next_at(0.0) / 2
    assert many.pick(many.next_at(0.0)) is not None


def test_a_capacity_that_is_none_is_ignored() -> None:
    plan = Plan()
    plan.capacity(5.0)
    plan.capacity(0.0)
    assert plan.requests_a_second == 5.0


def test_what_one_plan_learnt_serves_the_next() -> None:
    def late(chance: random.Random) -> float:
        return chance.uniform(2000, 3000)

    earlier = Plan()
    cold = simulate(earlier, drawn(500, late))
    warm = simulate(Plan(curve=earlier.curve), drawn(500, late, 2))
    assert 10 * warm[0] + warm[1] < 0.9 * (10 * cold[0] + cold[1])  # at a price of 10


# --- the curve ---


@given(st.floats(0, 2e6))
def test_an_age_lies_in_its_bin_and_beside_its_edge(age: float) -> None:
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
def test_the_curve_is_learnt_from_dates_and_from_intervals(answers: Callable[[Curve, random.Random], None]) -> None:
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


def test_forgotten_intervals_leave_nothing_behind() -> None:
    curve = Curve()
    curve.final(0, 40)
    for _ in range(60):
        for _ in range(10_500):
            curve.final_in(0, 60)
        curve.learn()
    assert curve._between == {}


def test_a_decision_before_the_last_look_counts_from_there_and_one_beyond_all_ages_in_the_last_bin() -> None:
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


def test_where_the_hazard_is_steady_so_are_the_waits() -> None:
    curve = Curve()
    curve._publish([-math.expm1(-(later - earlier) / 200) for earlier, later in itertools.pairwise(EDGES)])
    schedule = PollingSchedule(curve, 10.0)
    best = steady_gap(1 / 200, 10.0)
    steady = range(edge_near(20.0), edge_near(400.0))  # beyond, a bin is so long that it decides nearly all
    assert sum(schedule.waits[number] for number in steady) / len(steady) == pytest.approx(best, rel=0.1)
    for number in steady:
        assert schedule.waits[number] == pytest.approx(best, rel=0.35)


def test_a_schedule_is_made_once_a_price_and_anew_after_a_lesson() -> None:
    curve = Curve()
    first = curve.schedule(10.0)
    assert curve.schedule(10.0) is first
    for delay_per_request in range(1, 10):
        curve.schedule(float(delay_per_request))
    assert len(curve._schedules) <= 8
    one, other = Plan(curve=curve), Plan(curve=curve, delay_per_request=1.0)
    for key in range(4):
        for plan in (one, other):
            plan.add(key, 0.0)
            plan.answered(key, 100.0, final=True)
    assert curve.lessons == 1
    other.add(9, 100.0)
    other.answered(9, 200.0, final=False)
    assert other._schedule is curve.schedule(1.0)


# --- lines ---


def waiting(bucket: Bucket, key: int, since: float) -> None:
    bucket._table.add(key, since)
    bucket.put(key)


@given(st.lists(st.floats(-100, 100), max_size=40))
def test_who_waits_longest_leaves_first(times: list[float]) -> None:
    bucket = Bucket(3, MessageTable())
    for key, since in enumerate(times):
        waiting(bucket, key, since)
    left = []
    while bucket.size:
        first = bucket.first()
        taken = bucket.take(first)
        assert taken is not None
        assert bucket.take(first - 1) is None or not bucket.size
        left.append(times[taken])
    assert left == sorted(times)
    assert bucket.take(math.inf) is None


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_those_who_left_are_passed_over(step: float) -> None:
    table = MessageTable()
    bucket = Bucket(3, table)
    for key in range(5):
        waiting(bucket, key, key * step)
    for key in (1, 2, 4):
        table.position[key] = Position.NOWHERE
        bucket.size -= 1
    assert {bucket.take(math.inf), bucket.take(math.inf)} == {0, 3}
    assert bucket.take(math.inf) is None


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_a_line_keeps_no_crowd_of_those_who_left(step: float) -> None:
    table = MessageTable()
    bucket = Bucket(3, table)
    waiting(bucket, 0, 1e6)
    for number in range(10_000):
        waiting(bucket, 1 + number, number * step)
        table.position[1 + number] = Position.NOWHERE
        bucket.size -= 1
        assert len(bucket._queue) + len(bucket._heap) < 200
    assert bucket.first() == 1e6
    assert bucket.take(math.inf) == 0
