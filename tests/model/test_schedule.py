"""The four formats of `time`, each a validated value."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from smsc_async._model.schedule import After, At, Between, LocalTime, Schedule

MOMENT = datetime(2024, 3, 9, 7, 5, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "wire"),
    [
        (At(MOMENT), "01709967959"),
        (At(MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))), "01709967959"),
        (At(MOMENT.astimezone(ZoneInfo("Europe/Moscow"))), "01709967959"),
        (At(datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)), "01000000000"),
        (LocalTime(datetime(2024, 3, 9, 7, 5, 59)), "0903240705"),  # noqa: DTZ001 - a wall clock time is the point
        (Between(0, 24), "0-24"),
        (Between(9, 21), "9-21"),
        (Between(23, 24), "23-24"),
        (Between(22, 6), "22-6"),
        (LocalTime(datetime(2000, 1, 1)), "0101000000"),  # noqa: DTZ001 - as above
        (LocalTime(datetime(2099, 12, 31, 23, 59)), "3112992359"),  # noqa: DTZ001 - as above
        (After(1), "+1"),
        (After(minutes=525_600), "+525600"),
    ],
)
def test_schedule_has_its_wire_form_and_survives_pickle_and_json(schedule: Schedule, wire: str) -> None:
    assert schedule.wire() == wire
    assert pickle.loads(pickle.dumps(schedule)) == schedule  # noqa: S301 - our own bytes
    assert type(schedule).model_validate_json(schedule.model_dump_json()).wire() == wire
    assert Schedule.revive(schedule.model_dump(mode="json")) == schedule


@pytest.mark.parametrize("fold", [0, 1])
def test_hour_that_comes_twice_is_told_apart(fold: int) -> None:
    moment = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    assert At(moment).wire() == f"0{1_729_989_000 + 3600 * fold}"


def test_instant_needs_a_zone_and_a_wall_clock_none() -> None:
    with pytest.raises(ValueError, match="moment must have a time zone"):
        At(MOMENT.replace(tzinfo=None))
    with pytest.raises(ValueError, match="moment must have no time zone"):
        LocalTime(MOMENT)


@pytest.mark.parametrize("moment", [datetime(1969, 1, 1, tzinfo=UTC), datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC)])
def test_instant_that_could_be_read_as_another_date_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="moment must be later than 2001"):
        At(moment)


@pytest.mark.parametrize("year", [1, 1999, 2100, 9999])
def test_year_that_two_digits_cannot_say_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match="moment must be in 2000 to 2099"):
        LocalTime(datetime(year, 12, 31))  # noqa: DTZ001 - a wall clock time is the point


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        (9, 9, "start and end must be different hours"),
        (-1, 9, "at least 0"),
        (24, 24, "at most 23"),
        (22, 0, "end must be at least 1; midnight is 24"),
        (22, -1, "end must be at least 0"),
        (9, 25, "at most 24"),
    ],
)
def test_hours_out_of_range_or_order_are_refused(start: int, end: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Between(start, end)


@pytest.mark.parametrize("minutes", [0, -1, 525_601])
def test_delay_out_of_range_is_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match=r"must be at (least|most)"):
        After(minutes)


def test_schedule_itself_is_no_schedule() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Schedule()  # type: ignore[abstract]  # that it's abstract is the point
