"""The arithmetic of limits, against the service that counts arrivals and against a reference that recounts all."""

from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async.guards._limits import BlockLimit, History, LoginLimit, Release, StreakLimit, WindowLimit

KEPT = Release(keep=1)


def after(limit: WindowLimit | StreakLimit, *released: float, flying: int = 0) -> History:
    """Return the history of requests that were released at these instants and of some that are in flight."""
    history: History = (inf,) * (len(released) + flying)
    for now in released:
        history = limit.released(history, now, 0, 1, KEPT)
    return history


# --- windows


def test_a_window_lets_its_first_requests_go_at_once() -> None:
    window = WindowLimit(5, 60)
    assert window.delay((), 0, 1) == 0
    assert window.delay((0, 0, 0, 0), 0, 1) == 0
    assert window.delay((), 0, 5) == 0


def test_a_full_window_has_a_slot_when_its_oldest_request_has_been_released_for_its_whole_span() -> None:
    window = WindowLimit(2, 60)
    assert window.delay((10, 30), 40, 1) == 30
    assert window.delay((10, 30), 69.5, 1) == 0.5
    assert window.fresh((10, 30), 69.5) == (10, 30)
    assert window.fresh((10, 30), 70) == (30,)
    assert window.delay((30,), 70, 1) == 0


def test_several_slots_of_a_window_are_free_when_the_last_of_them_is() -> None:
    window = WindowLimit(3, 60)
    assert window.delay((10, 20, 30), 40, 2) == 40
    assert window.delay((10, 20, 30), 40, 3) == 50
    assert window.delay((10,), 40, 3) == 30


def test_the_delay_of_a_window_full_of_requests_in_flight_is_unknown() -> None:
    window = WindowLimit(3, 60)
    assert window.delay((inf, inf, inf), 0, 1) == inf
    assert window.delay((10, inf, inf), 20, 1) == 50
    assert window.delay((10, inf, inf), 20, 2) == inf


def test_a_window_over_its_limit_waits_until_it_is_under_it() -> None:
    assert WindowLimit(1, 60).delay((10, 20, 30), 40, 1) == 50


def test_a_delay_is_never_negative() -> None:
    assert WindowLimit(1, 60).delay((10,), 100, 1) == 0
    assert StreakLimit(1, 60).delay((10,), 100, 1) == 0
    assert BlockLimit(600, 1800, 1800).delay((10,), 100, 1) == 0


def test_an_unknown_key_has_no_history() -> None:
    for limit in (WindowLimit(1, 60), StreakLimit(1, 60), BlockLimit(1, 2, 3)):
        assert limit.fresh((), 5) == ()


def test_a_window_of_no_seconds_counts_only_what_is_in_flight() -> None:
    gate = WindowLimit(2, 0)
    assert gate.fresh((5, inf), 5) == (inf,)
    assert gate.delay((inf,), 5, 1) == 0
    assert gate.delay((inf, inf), 5, 1) == inf
    assert gate.released((inf, inf), 5, 0, 1, Release()) == (inf,)


def test_a_lost_request_holds_its_slot_at_the_gate_for_a_while() -> None:
    gate = WindowLimit(2, 0)
    history = gate.released((inf, inf), 5, 0, 1, Release(keep=1, late=6.2))
    assert history == (11.2, inf)
    assert gate.delay(gate.fresh(history, 8), 8, 1) == pytest.approx(3.2)
    assert gate.fresh(history, 11.2) == (inf,)


# --- logins


def test_one_login_is_in_flight_at_a_time() -> None:
    login = LoginLimit(3, 1800)
    assert login.delay((), 0, 1) == 0
    assert login.delay((inf,), 0, 1) == inf
    assert login.delay((10, inf), 20, 1) == inf


def test_an_answered_login_leaves_an_entry_only_if_it_was_refused() -> None:
    login = LoginLimit(3, 1800)
    assert login.released((10, inf), 20, 15, 1, Release()) == (10,)
    assert login.released((10, inf), 20, 15, 1, KEPT) == (10, 20)


def test_as_many_refused_logins_as_it_allows_close_it_until_the_oldest_is_a_span_ago() -> None:
    login = LoginLimit(3, 1800)
    assert login.delay((10, 20), 30, 1) == 0
    assert login.delay((10, 20, 30), 40, 1) == 1770
    assert login.fresh((10, 20, 30), 1810) == (20, 30)


# --- releasing, the same for windows and streaks


@pytest.mark.parametrize("limit", [WindowLimit(3, 60), StreakLimit(3, 60)])
class TestReleasing:
    def test_a_request_that_never_left_leaves_nothing(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((5, inf, inf), 10, 9, 1, Release()) == (5, inf)
        assert limit.released((inf, inf, inf), 10, 9, 3, Release()) == ()

    def test_an_answered_request_is_dated_at_its_answer(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((5, inf), 10, 9, 1, KEPT) == (5, 10)

    def test_those_still_in_flight_come_after_it(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((5, inf, inf), 10, 9, 1, KEPT) == (5, 10, inf)

    def test_a_lost_request_is_dated_later(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((5, inf), 10, 9, 1, Release(keep=1, late=5)) == (5, 15)

    def test_an_answer_after_a_lost_one_stands_in_order(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((5, 15, inf, inf), 12, 9, 1, KEPT) == (5, 12, 15, inf)

    def test_of_many_slots_as_many_stay_as_are_kept(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((inf, inf, inf, inf), 10, 9, 3, Release(keep=2)) == (10, 10, inf)

    def test_what_took_no_slot_can_still_leave_an_entry(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((5,), 10, 9, 0, KEPT) == (5, 10)
        assert limit.released((), 10, 9, 0, KEPT) == (10,)

    def test_a_good_end_forgets_only_what_ended_before_it_started(self, limit: WindowLimit | StreakLimit) -> None:
        clear = Release(clear=True)
        assert limit.released((4, 9, 9.5, inf, inf), 10, 9, 1, clear) == (9.5, inf)
        assert limit.released((4, 9, inf), 10, 9, 1, Release(keep=1, clear=True)) == (10,)

    def test_filling_leaves_no_slot(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((8, inf), 10, 9, 1, Release(keep=1, fill=True)) == (8, 10, 10)
        assert limit.released((8, inf, inf), 10, 9, 1, Release(keep=1, fill=True)) == (8, 10, inf)

    def test_filling_what_is_full_still_counts_the_request_itself(self, limit: WindowLimit | StreakLimit) -> None:
        assert limit.released((7, 8, 9, inf), 10, 9, 1, Release(keep=1, fill=True)) == (7, 8, 9, 10)

    def test_filling_after_a_request_that_took_no_slot_fills_all_the_same(
        self, limit: WindowLimit | StreakLimit
    ) -> None:
        assert limit.released((), 10, 9, 0, Release(fill=True)) == (10, 10, 10)


def test_what_has_expired_while_the_request_was_on_its_way_fills_no_window() -> None:
    window = WindowLimit(5, 60)
    history = window.released((0, 0, 0, 0, inf), 100, 50, 1, Release(keep=1, fill=True))
    assert window.delay(window.fresh(history, 100), 100, 1) == 60


# --- streaks


def test_a_streak_is_full_until_a_quiet_time_has_passed_since_its_last_message() -> None:
    streak = StreakLimit(3, 120)
    assert streak.delay((0, 100), 200, 1) == 0
    assert streak.delay((0, 100, 200), 201, 1) == 119
    assert streak.delay((0, 100), 201, 2) == 19
    assert streak.fresh((0, 100, 200), 319.5) == (0, 100, 200)
    assert streak.fresh((0, 100, 200), 320) == ()


def test_the_end_of_a_streak_with_requests_in_flight_is_unknown() -> None:
    streak = StreakLimit(2, 120)
    assert streak.delay((0, inf), 500, 1) == inf
    assert streak.fresh((0, inf), 500) == (0, inf)


def test_a_streak_that_was_quiet_only_while_a_request_was_on_its_way_goes_on() -> None:
    streak = StreakLimit(3, 120)
    assert streak.released((0, 100, inf), 300, 150, 1, KEPT) == (0, 100, 300)


# --- blocks


BLOCK = BlockLimit(first=600, again=1800, span=1800)
MET = Release(keep=1)
NONE_MET = Release(clear=True)


def test_the_first_block_lasts_ten_minutes() -> None:
    assert BLOCK.released((), 100, 90, 0, MET) == (700,)
    assert BLOCK.delay((700,), 100, 0) == 600
    assert BLOCK.delay((700,), 699, 0) == 1
    assert BLOCK.delay((700,), 700, 0) == 0
    assert BLOCK.delay((), 0, 0) == 0


def test_a_block_met_again_after_its_end_lasts_half_an_hour() -> None:
    assert BLOCK.released((700,), 710, 705, 0, MET) == (2510,)
    assert BLOCK.released((700,), 710, 700, 0, MET) == (2510,)


def test_requests_that_were_on_their_way_do_not_lengthen_a_block() -> None:
    assert BLOCK.released((700,), 110, 95, 0, MET) == (700,)
    assert BLOCK.released((700,), 900, 699, 0, MET) == (700,)


def test_an_ordinary_answer_after_the_end_of_a_block_makes_the_next_one_a_first_one() -> None:
    assert BLOCK.released((700,), 710, 700, 0, NONE_MET) == ()
    assert BLOCK.released((), 710, 700, 0, NONE_MET) == ()


def test_an_ordinary_answer_to_a_request_from_before_the_block_ends_nothing() -> None:
    assert BLOCK.released((700,), 710, 699, 0, NONE_MET) == (700,)


def test_a_lost_request_says_nothing_about_a_block() -> None:
    assert BLOCK.released((700,), 710, 705, 0, Release()) == (700,)


def test_a_block_is_remembered_for_half_an_hour_after_its_end() -> None:
    assert BLOCK.fresh((700,), 2499) == (700,)
    assert BLOCK.fresh((700,), 2500) == ()


def test_a_block_that_is_no_longer_remembered_makes_the_next_one_no_longer() -> None:
    assert BLOCK.released((700,), 5000, 4990, 0, MET) == (5600,)


# --- against the service and the reference, whatever the order of starts and answers

INSTANT = st.integers(0, 60).map(float)


@dataclass(eq=False)
class Request:
    """One request: when it started, arrived and was released."""

    start: float
    arrival: float
    released: float
    amount: int = 1
    counted: bool = True


@dataclass
class Key:
    """One key under a limit, and every request that was let through."""

    limit: WindowLimit | StreakLimit
    history: History = ()
    requests: list[Request] = field(default_factory=list)

    def release_until(self, now: float) -> None:
        for request in sorted(self.requests, key=lambda each: each.released):
            if request.released <= now and request not in self._done:
                self._done.append(request)
                keep = request.amount if request.counted else 0
                release = Release(keep=keep)
                self.history = self.limit.released(
                    self.history, request.released, request.start, request.amount, release
                )

    def try_to_start(self, request: Request) -> float:
        self.release_until(request.start)
        fresh = self.limit.fresh(self.history, request.start)
        delay = self.limit.delay(fresh, request.start, request.amount)
        if not delay:
            self.history = fresh + (inf,) * request.amount
            self.requests.append(request)
        return delay

    def __post_init__(self) -> None:
        self._done: list[Request] = []


Life: TypeAlias = tuple[float, float, float, int, bool]
LIVES = st.lists(st.tuples(INSTANT, INSTANT, INSTANT, st.integers(1, 2), st.booleans()), max_size=30)


def requests_of(lives: list[Life], *, all_counted: bool = False) -> list[Request]:
    """Return the requests by their start; one that is not counted never arrives."""
    return [
        Request(start, start + up, start + up + down, amount, counted or all_counted)
        for start, up, down, amount, counted in sorted(lives)
    ]


def arrivals(key: Key) -> list[float]:
    return sorted(each.arrival for each in key.requests if each.counted for _ in range(each.amount))


@given(LIVES, st.integers(2, 6), st.integers(1, 40))
def test_no_window_of_the_service_ever_holds_more_than_the_limit(lives: list[Life], count: int, span: int) -> None:
    key = Key(WindowLimit(count, span))
    for request in requests_of(lives):
        key.try_to_start(request)
    arrived = arrivals(key)
    assert all(sum(end - span < at <= end for at in arrived) <= count for end in arrived)


@given(LIVES, st.integers(2, 6), st.integers(1, 40))
def test_no_row_at_the_service_ever_is_longer_than_the_limit(lives: list[Life], count: int, span: int) -> None:
    key = Key(StreakLimit(count, span))
    for request in requests_of(lives):
        key.try_to_start(request)
    row, last = 0, -inf
    for at in arrivals(key):
        row = row + 1 if at - last < span else 1
        last = at
        assert row <= count


def counted_naively(key: Key, now: float, span: float) -> tuple[int, int]:
    """Recount all requests: return the slots of those in flight, and of those released less than a span ago."""
    flying = sum(each.amount for each in key.requests if each.released > now)
    recent = sum(each.amount for each in key.requests if each.counted and now - span < each.released <= now)
    return flying, recent


@given(LIVES, st.integers(2, 6), st.integers(0, 40))
def test_a_window_agrees_with_a_recount_of_all_requests(lives: list[Life], count: int, span: int) -> None:
    key = Key(WindowLimit(count, span))
    for request in requests_of(lives):
        flying, recent = counted_naively(key, request.start, span)
        delay = key.try_to_start(request)
        assert (delay == 0) is (flying + recent + request.amount <= count)
        if delay == inf:
            assert flying + request.amount > count
        elif delay:
            # Not a moment too early, and not one too late, if what is in flight stays there.
            history = key.history
            free = request.start + delay
            assert len(key.limit.fresh(history, free)) + request.amount <= count
            assert len(key.limit.fresh(history, free - 0.5)) + request.amount > count


@given(LIVES, st.integers(2, 6), st.integers(1, 40))
def test_a_streak_agrees_with_a_recount_of_all_requests(lives: list[Life], count: int, span: int) -> None:
    key = Key(StreakLimit(count, span))
    row: list[Request] = []
    for request in requests_of(lives, all_counted=True):
        if all(each.released <= request.start - span for each in row):
            row = []
        delay = key.try_to_start(request)
        slots = sum(each.amount for each in row)
        assert (delay == 0) is (slots + request.amount <= count)
        if not delay:
            row.append(request)
        else:
            last = max(each.released for each in row)
            assert delay == (inf if last > request.start else last + span - request.start)


@given(st.lists(INSTANT), st.lists(st.tuples(INSTANT, st.integers(0, 2), INSTANT, st.booleans(), st.booleans())))
def test_a_history_is_always_in_order_and_keeps_those_in_flight(
    starts: list[float], ends: list[tuple[float, int, float, bool, bool]]
) -> None:
    window = WindowLimit(5, 20)
    history: History = (inf,) * len(starts)
    flying = len(starts)
    for now, keep, late, clear, fill in sorted(ends):
        amount = min(1, flying)
        flying -= amount
        history = window.released(history, now, now - 3, amount, Release(keep, late, clear, fill))
        assert list(history) == sorted(history)
        assert history.count(inf) == flying
        if fill:
            assert window.delay(window.fresh(history, now), now, 1) > 0
