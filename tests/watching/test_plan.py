"""The plan: which message is requested next, and when, within the limits."""

import itertools
import math
from collections import defaultdict
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smsc_async._watching.plan import Plan
from tests.watching.life import LIMIT

DAY = 86_400.0


HAPPENINGS = [*["pick"] * 3, "add", "pending", "changed", "final", "dated", "fail", "lost", "unsent", "hint", "remove"]


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
    """Uses a plan as a watcher does, and records the requests."""

    def __init__(
        self, limit: tuple[int, float] = (5, 61.2), delay_per_request: float | Literal["auto"] = "auto"
    ) -> None:
        self.plan = Plan(delay_per_request=delay_per_request, interval_limit=limit)
        self.limit = limit
        self.now = 0.0
        self.following: set[int] = set()
        self.hinted: set[int] = set()
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
            self.hinted.discard(key)
            self.picked.append((self.now, key))
        return key

    def end(self, key: int, how: str) -> None:
        if key in self.flying:
            self.flying.remove(key)
        if how in {"fail", "lost", "unsent"}:
            arrival = {"fail": self.now, "lost": self.now + 5.0, "unsent": None}[how]
            if arrival is not None:
                self.ended[key].append(arrival)
            self.plan.failed(key, self.now, arrival=arrival)
            return
        self.ended[key].append(self.now)
        final = how in {"final", "dated"}
        at = self.now - 3.0 if how == "dated" else None
        self.plan.answered(key, self.now, final=final, changed=how == "changed", final_at=at)
        if final:
            self.forget(key)

    def forget(self, key: int) -> None:
        self.following.discard(key)
        self.hinted.discard(key)

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
                self.hinted.add(key)
            else:
                self.plan.remove(key)
                self.forget(key)
                self.flying = [other for other in self.flying if other != key]
        elif self.flying:
            self.end(self.flying[which % len(self.flying)], what)

    def finish(self) -> None:
        """Answer every request until no message is left."""
        for key in self.flying[:]:
            self.end(key, "pending")
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
            self.end(chosen, "final" if asked[chosen] == 3 else "pending")


def play(
    what: list[tuple[str, int, float]], limit: tuple[int, float], delay_per_request: float | Literal["auto"] = "auto"
) -> Watcher:
    watcher = Watcher(limit, delay_per_request)
    for step in what:
        watcher.step(*step)
    return watcher


@given(steps, limits, st.sampled_from(["auto", 10.0]))
@settings(max_examples=150, deadline=None)
def test_no_message_is_requested_beyond_its_limit_and_each_until_it_is_final_or_removed(
    what: list[tuple[str, int, float]], limit: tuple[int, float], delay_per_request: float | Literal["auto"]
) -> None:
    watcher = play(what, limit, delay_per_request)
    assert len(watcher.plan) == len(watcher.following)
    watcher.finish()
    assert watcher.following == set()
    assert len(watcher.plan) == 0
    assert watcher.plan.next_at(watcher.now) == math.inf or watcher.plan.pick(watcher.now + DAY) is None


@given(steps, limits)
@settings(max_examples=50, deadline=None)
def test_the_same_events_lead_to_the_same_requests(
    what: list[tuple[str, int, float]], limit: tuple[int, float]
) -> None:
    one, other = play(what, limit), play(what, limit)
    assert one.picked == other.picked
    assert one.plan.next_at(one.now) == other.plan.next_at(other.now)


@given(steps, limits, st.floats(0, 0.999))
@settings(max_examples=100, deadline=None)
def test_no_message_is_picked_before_next_at(
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
@example([("add", 1, 0.0), ("pick", 0, 0.0), ("add", 0, 0.0), ("hint", 0, 0.0), ("pending", 0, 0.0)], (1, 0.0))
@example([("add", 0, 0.0), ("hint", 0, 0.0), ("remove", 0, 0.0)], (1, 0.0))
@settings(max_examples=100, deadline=None)
def test_a_hinted_message_is_the_next(what: list[tuple[str, int, float]], limit: tuple[int, float]) -> None:
    """Only messages hinted before it, and neither requested, removed nor final since, come first."""
    watcher = play(what, limit)
    watcher.now += 100.0  # no limit holds, no pause lasts
    while earlier := watcher.hinted.difference(watcher.flying):
        assert watcher.pick() in earlier
    waiting = sorted(watcher.following - set(watcher.flying))
    if waiting:
        watcher.plan.hint(waiting[-1], watcher.now)
        assert watcher.plan.next_at(watcher.now) == watcher.now
        assert watcher.pick() == waiting[-1]


def test_a_hint_during_a_request_causes_another_request() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.add(1, 0.0)
    plan.hint(1, 0.0)
    assert plan.pick(0.0) == 1
    plan.hint(1, 0.1)
    plan.answered(1, 0.2, final=False)
    assert plan.pick(0.2) == 1
    plan.answered(1, 0.3, final=False)
    assert plan.pick(0.3) is None


def test_a_hint_beyond_the_limit_waits_and_is_then_picked_first() -> None:
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


def test_a_failed_message_is_retried_after_growing_pauses() -> None:
    plan, now, pauses = Plan(interval_limit=(99, 1.0)), 1000.0, []
    plan.add(1, 0.0)
    for _ in range(8):
        assert plan.pick(now) == 1
        plan.failed(1, now, arrival=now)
        assert plan.pick(now) is None
        pauses.append(plan.next_at(now) - now)
        now += pauses[-1]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_failure_that_says_until_when_it_lasts_is_retried_then() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.add(1, 0.0, sent_at=-100.0)
    assert plan.pick(0.0) == 1
    plan.failed(1, 0.0, pause=300.0)
    assert plan.pick(299.9) is None
    assert plan.next_at(299.9) == 300.0
    assert plan.pick(300.0) == 1


@pytest.mark.parametrize(("arrival", "at"), [(None, 2.0), (0.0, 60.0), (5.0, 65.0)])
def test_a_failed_request_counts_from_its_latest_arrival_if_it_left(arrival: float | None, at: float) -> None:
    plan = Plan(interval_limit=(1, 60.0))
    plan.add(1, 0.0, sent_at=-100.0)
    assert plan.pick(0.0) == 1
    plan.failed(1, 0.0, arrival=arrival)
    assert plan.pick(at - 0.1) is None
    assert plan.pick(at) == 1


def test_a_removed_message_is_never_picked_wherever_it_waited() -> None:
    plan = Plan(interval_limit=(1, 60.0))
    for key in range(5):
        plan.add(key, 0.0, sent_at=-100.0)
    asked = [plan.pick(0.0), plan.pick(0.0)]
    assert asked == [0, 1]
    plan.failed(0, 0.0)
    plan.answered(1, 0.0, final=False)  # as often as its limit allows
    plan.hint(2, 0.0)
    for key in range(4):
        plan.remove(key)
    assert len(plan) == 1
    assert plan.pick(0.0) == 4
    plan.answered(4, 0.0, final=True)
    assert plan.pick(1e6) is None
    assert plan.next_at(1e6) == math.inf


def test_unknown_keys_are_ignored() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.answered(1, 0.0, final=True)
    plan.failed(1, 0.0)
    plan.hint(1, 0.0)
    plan.remove(1)
    assert len(plan) == 0
    assert plan.pick(0.0) is None


def test_an_answer_without_a_pick_is_accepted() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.add(1, 0.0)
    plan.answered(1, 50.0, final=False)
    assert plan.pick(50.0) is None
    plan.answered(1, 51.0, final=True)
    assert len(plan) == 0


def test_a_key_can_be_added_only_once() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.add(1, 0.0)
    with pytest.raises(ValueError, match="key must be 0 or more and not in use, not 1"):
        plan.add(1, 0.0)


@pytest.mark.parametrize("delay_per_request", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_delay_per_request_is_refused(delay_per_request: float) -> None:
    with pytest.raises(ValueError, match="delay_per_request must be"):
        Plan(delay_per_request=delay_per_request, interval_limit=LIMIT)


@pytest.mark.parametrize("limit", [(0, 60.0), (5, -1.0), (5, math.nan)])
def test_an_impossible_interval_limit_is_refused(limit: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="interval_limit must be"):
        Plan(interval_limit=limit)


def test_a_young_message_leaves_one_request_of_its_limit_to_others_and_a_hint_may_use_it() -> None:
    plan, at, now = Plan(interval_limit=LIMIT), list[float](), 0.0
    plan.add(1, 0.0)
    while now < 200.0:
        if plan.pick(now) is None:
            now = plan.next_at(now)
            continue
        at.append(now)
        plan.answered(1, now, final=False)
    assert len([age for age in at if age < 61.2]) == 4
    assert at[4] == pytest.approx(at[0] + 61.2)  # no other five within the interval either
    hinted = Plan(interval_limit=LIMIT)
    hinted.add(1, 0.0)
    for age in at[:4]:
        assert hinted.pick(age) == 1
        hinted.answered(1, age, final=False)
    hinted.hint(1, 30.0)
    assert hinted.pick(30.0) == 1


@pytest.mark.parametrize("limit", [(1, 61.2), (2, 61.2), (3, 60.0), (5, 61.2), (5, 300.0), (50, 1.0), (5, 86_400.0)])
def test_the_first_requests_begin_soon_and_the_last_one_is_kept_for_late_in_the_interval(
    limit: tuple[int, float],
) -> None:
    plan, at, now = Plan(interval_limit=limit), list[float](), 0.0
    plan.add(1, 0.0)
    while now < limit[1] and len(at) < 100:
        if plan.pick(now) is not None:
            at.append(now)
            plan.answered(1, now, final=False)
        now = max(plan.next_at(now), math.nextafter(now, math.inf))
    assert at == [] if limit == (50, 1.0) else at[0] < 5.0
    assert len(at) <= (limit[0] if limit[0] < 3 else limit[0] - 1)
    assert all(later > 1.8 * earlier for earlier, later in itertools.pairwise(at))


def test_a_backlog_makes_requests_rare_and_a_short_one_frequent() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.capacity(10.0)
    plan.add(0, 0.0, sent_at=-3600.0)
    plan.pick(0.0)
    plan.answered(0, 0.0, final=False)
    alone = plan.next_at(0.0)
    for key in range(1, 2000):
        plan.add(key, 0.0, sent_at=9000.0)
    assert plan.next_at(0.0) == 0.0  # choose again
    assert plan.pick(0.0) is None
    assert plan.next_at(0.0) > 1.5 * alone


def test_a_message_hinted_again_and_again_while_its_limit_holds_it_takes_no_more_memory() -> None:
    plan = Plan(interval_limit=(1, 60.0))
    plan.add(1, 0.0, sent_at=-100.0)
    assert plan.pick(0.0) == 1
    plan.answered(1, 0.0, final=False)
    for tenth in range(100):
        plan.hint(1, tenth / 10)
    assert len(plan._later) == 1
    assert plan.pick(60.0) == 1


def test_a_hint_before_the_pause_of_a_failure_is_over_does_not_shorten_the_pause_of_the_next_failure() -> None:
    plan = Plan(interval_limit=(99, 60.0))
    plan.add(1, 0.0, sent_at=-100.0)
    assert plan.pick(0.0) == 1
    plan.failed(1, 0.0)  # until 2.0
    plan.hint(1, 1.0)
    assert plan.pick(1.0) == 1
    plan.failed(1, 1.0)  # until 5.0
    assert plan.pick(2.0) is None
    assert plan.pick(5.0) == 1


def test_a_message_sent_later_is_not_picked_before() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.add(1, 0.0, sent_at=3600.0)
    assert plan.pick(0.0) is None
    assert plan.next_at(0.0) > 3600.0
    plan.answered(1, 10.0, final=False)  # an answer that the plan did not cause
    assert plan.pick(20.0) is None


def test_a_changed_status_restarts_the_age_of_a_message() -> None:
    plan, other = Plan(interval_limit=LIMIT), Plan(interval_limit=LIMIT)
    for followed, changed in ((plan, True), (other, False)):
        followed.add(1, 0.0, sent_at=-3600.0)
        followed.pick(0.0)
        followed.answered(1, 0.0, final=False, changed=True)  # the first answer is no change
        followed.answered(1, 1000.0, final=False, changed=changed)
        assert followed.pick(1000.0) is None
    assert plan.next_at(1000.0) - 1000.0 < 15 < other.next_at(1000.0) - 1000.0
