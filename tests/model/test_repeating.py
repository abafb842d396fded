"""The pause before a repetition grows with each failure, and no further than to its longest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async._model import Backoff


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(0.25, 8.0)
    assert [backoff.pause(failures) for failures in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_a_pause_may_grow_more_slowly() -> None:
    assert [Backoff(2.0, 4.0, growth=1.5).pause(failures) for failures in range(3)] == [2.0, 3.0, 4.0]


@given(st.integers(0, 10**9))
def test_a_pause_with_jitter_is_never_longer_and_never_under_its_share(failures: int) -> None:
    full = Backoff(0.5, 60.0).pause(failures)
    assert full / 2 <= Backoff(0.5, 60.0, jitter=0.5).pause(failures) <= full <= 60.0


def test_clients_that_fail_together_pause_differently() -> None:
    backoff = Backoff(1.0, 1.0, jitter=0.5)
    assert len({backoff.pause(0) for _ in range(20)}) > 1


@pytest.mark.parametrize("failures", [10**6, 10**18])
def test_no_number_of_failures_is_too_large(failures: int) -> None:
    assert Backoff(1.0, 30.0).pause(failures) == 30.0
