from dataclasses import fields

import pytest

from smsc_async.sandbox._limits import Block, Limits, Streak, Window


def test_defaults_are_the_published_numbers() -> None:
    assert Limits() == Limits(
        identical_send=Window(1, 60),
        identical_cost=Window(5, 60),
        status=Window(5, 60),
        balance=Window(10, 60),
        subscriber=Streak(50, 120),
        in_flight=14,
        status_in_flight=4,
        login_failures=Block(5, 30 * 60, 30 * 60),
        bad_sends=Block(100, 10 * 60, 10 * 60),
    )


def test_off_is_off_for_each_limit() -> None:
    limits = Limits.off()
    assert [getattr(limits, field.name) for field in fields(limits)] == [None] * len(fields(limits))


def test_limit_of_nothing_is_refused() -> None:
    for wrong in (lambda: Window(0, 60), lambda: Streak(50, 0), lambda: Block(5, 60, -1)):
        with pytest.raises(ValueError, match="to switch it off"):
            wrong()
