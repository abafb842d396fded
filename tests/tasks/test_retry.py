"""The pause before the next attempt of a task fits the error."""

import pytest

from smsc_async import (
    AddressBlocked,
    BreakerOpen,
    ClientClosed,
    ConnectionLost,
    DuplicateSend,
    GuardStoreError,
    InsufficientFunds,
    InvalidPhone,
    ReadTimeout,
    SmscError,
    TooManyRequests,
)
from smsc_async._tasks import pause_after


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (DuplicateSend("x", retry_after=40.0), 40, 40),
        (DuplicateSend("x"), 0.5, 1),
        (ReadTimeout("x"), 0.5, 1),
        (TooManyRequests("x", code=9), 60, 62),
        (AddressBlocked("x", code=4), 600, 600),
        (BreakerOpen("x", retry_after=600.0), 60, 60),
        (ClientClosed("x"), 0.5, 1),
        (GuardStoreError("x", retry_after=40.0), 40, 40),
        (GuardStoreError("x", retry_after=631.0), 60, 60),
    ],
)
def test_an_error_that_may_pass_has_its_pause(error: SmscError, least: float, most: float) -> None:
    pause = pause_after(error, 1, 61.2)
    assert pause is not None
    assert least <= pause <= most


def test_pauses_grow_up_to_a_maximum() -> None:
    pauses = [pause_after(ConnectionLost("x"), tries, 61.2) or 0.0 for tries in (1, 5, 5_000)]
    assert pauses == sorted(pauses)
    assert 30 <= pauses[-1] <= 60


@pytest.mark.parametrize("error", [InvalidPhone("x", code=7), InsufficientFunds("x", code=3)])
def test_a_permanent_refusal_is_not_tried_again(error: SmscError) -> None:
    assert pause_after(error, 1, 61.2) is None


def test_error_9_waits_for_the_window_of_the_rule() -> None:
    assert pause_after(TooManyRequests("x", code=9), 1, 300.0) == 300.0
