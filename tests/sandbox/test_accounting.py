from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from smsc_async.sandbox._accounting import Blocks, InFlight, Streaks, Turnstile
from smsc_async.sandbox._limits import Block, Limits, Streak, Window

# Gaps in quarters of a second are exact in binary, so that the boundaries are hit and not missed by rounding.
arrivals = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30).map(lambda gap: gap / 4)), max_size=60)


def moments(gaps: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    now = 1000.0
    found = []
    for key, gap in gaps:
        now += gap
        found.append((key, now))
    return found


@given(arrivals)
def test_window_is_full_when_it_already_holds_the_most(gaps: Sequence[tuple[str, float]]) -> None:
    turnstile = Turnstile(Window(3, 5))
    past: list[tuple[str, float]] = []
    for key, now in moments(gaps):
        before = sum(other == key and now - 5 < moment <= now for other, moment in past)
        assert turnstile.admit((key,), now) is (before < 3)
        past.append((key, now))


@given(arrivals)
def test_streak_ends_with_a_quiet_gap_and_with_nothing_else(gaps: Sequence[tuple[str, float]]) -> None:
    streaks = Streaks(Streak(3, 5))
    runs = {"a": [0.0], "b": [0.0]}
    for key, now in moments(gaps):
        runs[key] = [*runs[key], now] if now - runs[key][-1] < 5 else [now]
        assert streaks.admit((key,), now) is (len(runs[key]) <= 3)


def test_refused_arrivals_keep_the_window_full() -> None:
    turnstile = Turnstile(Window(1, 60))
    assert [turnstile.admit(("key",), now) for now in (0, 59, 118, 178)] == [True, False, False, True]


def test_refused_arrivals_interrupt_the_quiet_gap() -> None:
    streaks = Streaks(Streak(1, 120))
    assert [streaks.admit(("key",), now) for now in (0, 119, 238, 358)] == [True, False, False, True]


def test_idle_keys_vanish() -> None:
    turnstile, streaks, blocks = Turnstile(Window(5, 60)), Streaks(Streak(50, 120)), Blocks(Block(5, 60, 60))
    for key in range(1000):
        turnstile.admit((str(key),), 0.0)
        streaks.admit((str(key),), 0.0)
        blocks.fail(str(key), 0.0)
    turnstile.admit(("last",), 60.0)
    streaks.admit(("last",), 120.0)
    blocks.fail("last", 60.0)
    assert len(turnstile) == len(streaks) == len(blocks) == 1


def test_key_that_arrives_again_outlives_the_idle_ones() -> None:
    turnstile, streaks = Turnstile(Window(2, 60)), Streaks(Streak(2, 60))
    for registry in (turnstile, streaks):
        for key, now in [("busy", 0.0), ("idle", 1.0), ("busy", 50.0), ("other", 70.0)]:
            assert registry.admit((key,), now)
        assert len(registry) == 2


def test_limit_that_is_off_refuses_and_remembers_nothing() -> None:
    turnstile, streaks, blocks = Turnstile(None), Streaks(None), Blocks(None)
    assert all(turnstile.admit(("key",), 0) and streaks.admit(("key",), 0) for _ in range(1000))
    for _ in range(1000):
        blocks.fail("key", 0)
    assert not blocks.holds("key", 0)
    assert len(turnstile) == len(streaks) == len(blocks) == 0


def test_slots_are_counted_by_account_and_separately_for_status() -> None:
    slots = InFlight(Limits(in_flight=3, status_in_flight=1))
    assert [slots.take("a", is_status=True)[1] for _ in range(2)] == [True, False]
    assert [slots.take("a", is_status=False)[1] for _ in range(2)] == [True, False]
    assert slots.take("b", is_status=True)[1]
    assert len(slots) == 5


def test_refused_request_holds_its_slot_until_it_leaves() -> None:
    slots = InFlight(Limits(in_flight=1))
    (first, fits_first), (second, fits_second) = (slots.take("a", is_status=False) for _ in range(2))
    assert (fits_first, fits_second) == (True, False)
    slots.free(first)
    slots.free(first)
    assert not slots.take("a", is_status=False)[1]
    slots.free(second)
    assert len(slots) == 1


def test_slots_without_limits_never_run_out() -> None:
    slots = InFlight(Limits.off())
    assert all(slots.take("a", is_status=bool(number % 2))[1] for number in range(100))


def test_last_of_too_many_failures_blocks_the_address_for_a_while() -> None:
    blocks = Blocks(Block(3, 60, 30))
    for now in (0, 10, 20):
        assert not blocks.holds("bad", now)
        blocks.fail("bad", now)
    assert [blocks.holds("bad", now) for now in (20, 49, 50)] == [True, True, False]
    assert not blocks.holds("other", 20)
    assert len(blocks) == 0


def test_failures_far_apart_do_not_block() -> None:
    blocks = Blocks(Block(3, 60, 30))
    for now in range(0, 600, 30):
        blocks.fail("bad", now)
        assert not blocks.holds("bad", now)


def test_success_resets_the_count_of_failures() -> None:
    blocks = Blocks(Block(2, 60, 30))
    for now in range(10):
        blocks.fail("bad", now)
        blocks.succeed("bad")
    assert not blocks.holds("bad", 10)
    blocks.succeed("unknown")
