from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async.sandbox._fields import ServiceError
from smsc_async.sandbox._schedule import read_time, spread

MOSCOW = timezone(timedelta(hours=3))
NOW = datetime(2026, 3, 10, 12, 30, 15, tzinfo=MOSCOW).timestamp()


def moscow(*args: int) -> float:
    return datetime(*args, tzinfo=MOSCOW).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", NOW),
        ("0", NOW),
        ("1103261530", moscow(2026, 3, 11, 15, 30)),
        ("11.03.26 15:30", moscow(2026, 3, 11, 15, 30)),
        ("11.03.26 15: 30", moscow(2026, 3, 11, 15, 30)),
        ("0103270000", moscow(2027, 3, 1)),
        ("1003261229", NOW),
        ("01.01.25 00:00", NOW),
        ("9-21", NOW),
        ("12-13", NOW),
        ("13-21", moscow(2026, 3, 10, 13)),
        ("0-12", moscow(2026, 3, 11)),
        ("9-12", moscow(2026, 3, 11, 9)),
        ("22-24", moscow(2026, 3, 10, 22)),
        ("22-6", moscow(2026, 3, 10, 22)),
        ("12-6", moscow(2026, 3, 11, 12)),
        ("9-9", moscow(2026, 3, 11, 9)),
        (f"0{int(NOW) + 90}", int(NOW) + 90),
        (f"0{int(NOW) - 90}", NOW),
        ("07", NOW),
        ("+30", NOW + 1800),
        ("+0", NOW),
    ],
)
def test_time_has_four_formats_and_is_never_past(text: str, moment: float) -> None:
    assert read_time(text, now=NOW, zone=MOSCOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "3202261530",
        "31.02.26 10:00",
        "0103262400",
        "1.3.26 10:00",
        "9-25",
        "24-6",
        "tomorrow",
        "+1.5",
        "+",
        "30",
        "099999999999",
        "2026-03-10",
    ],
)
def test_anything_else_is_a_bad_date(text: str) -> None:
    with pytest.raises(ServiceError, match="error 5"):
        read_time(text, now=NOW, zone=MOSCOW)


def test_local_time_counts_in_the_zone() -> None:
    assert read_time("1103261530", now=NOW, zone=UTC) - read_time("1103261530", now=NOW, zone=MOSCOW) == 3 * 3600
    assert read_time("12-13", now=NOW, zone=UTC) == moscow(2026, 3, 10, 15)


@given(st.text(alphabet="0123456789+-.: ", max_size=14))
def test_any_time_is_read_or_refused(text: str) -> None:
    try:
        code = 0 if read_time(text, now=NOW, zone=MOSCOW) >= NOW else -1
    except ServiceError as refusal:
        code = refusal.code
    assert code in {0, 5}


@given(st.integers(0, 23), st.integers(1, 24), st.floats(0, 4e9))
def test_range_of_hours_begins_within_a_day_and_inside_the_range(first: int, last: int, now: float) -> None:
    if first >= last:
        return
    moment = read_time(f"{first}-{last}", now=now, zone=MOSCOW)
    assert now <= moment < now + 86_400
    assert first <= datetime.fromtimestamp(moment, MOSCOW).hour < last


def test_mailing_is_spread_in_equal_groups() -> None:
    moments = [spread(1000, index, 7, step=60, groups=3) for index in range(7)]
    assert moments == [1000, 1000, 1000, 1060, 1060, 1060, 1120]


def test_more_groups_than_recipients_are_one_recipient_each() -> None:
    assert [spread(0, index, 3, step=60, groups=10) for index in range(3)] == [0, 60, 120]


def test_without_a_step_all_leave_at_once() -> None:
    assert [spread(5, index, 3, step=0, groups=1) for index in range(3)] == [5, 5, 5]
