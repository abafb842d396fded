"""How amounts, counts, codes and moments are read, and what is left unread."""

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pydantic import JsonValue

from smsc_async._model.details import moment, read_amount, read_code, read_count, read_price

MOSCOW = ZoneInfo("Europe/Moscow")
AT = datetime(2024, 3, 9, 7, 5, 59, tzinfo=UTC)


def changed(zone: tzinfo = MOSCOW, **fields: JsonValue) -> tuple[datetime | None, dict[str, JsonValue]]:
    extra = {"other": "1", **fields}
    return moment(extra, "last_timestamp", "last_date", zone), {k: v for k, v in extra.items() if k != "other"}


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("09.03.2024 10: 05: 59", 59),
        ("09.03.2024 10:05:59", 59),
        ("09.03.2024  10: 05:59\n", 59),
        ("09.03.24 10: 05", 0),
        ("09.03.24 10:05", 0),
        ("09.03.2024 10:05", 0),
        ("9.3.2024 10:5:9", 9),
    ],
)
def test_the_dates_of_the_services_page_are_read(text: str, second: int) -> None:
    assert changed(last_date=text) == (AT.replace(second=second), {})


@pytest.mark.parametrize(
    "text",
    [
        *("09.03.2024", "10:05:59", "2024-03-09 10:05:59", "09.03.024 10:05:59", "09.13.2024 10:05:59", "x"),
        *("09.03.2024 24:05:59", "09.03.2024 10:05:60", "09.03.2024 10 : 05 : 59", "09.03.2024 10:05:59 MSK"),
        *("00.00.0000 00:00:00", "01.01.0001 00:00:00", "01.01.1970 03:00:00", "31.12.9999 23:59:59"),
        *("0903241005", "1709967959", "\u0660\u0669.03.2024 10:05:59"),
    ],
)
def test_no_other_date_is_guessed(text: str) -> None:
    """Ten digits may be DDMMYYhhmm or Unix time; a zero date is no time yet."""
    assert changed(last_date=text) == (None, {"last_date": text})


@pytest.mark.parametrize("zone", [UTC, MOSCOW, ZoneInfo("Asia/Kamchatka"), ZoneInfo("America/Adak")])
@pytest.mark.parametrize("text", ["01.01.0001 00:00:00", "31.12.9999 23:59:59", "16.11.5138 00:00:00"])
def test_a_moment_that_is_read_exists_in_every_zone(zone: tzinfo, text: str) -> None:
    at, _ = changed(zone, last_date=text)
    assert at is None or at.astimezone(UTC).astimezone(MOSCOW) == at


def test_an_odd_date_beside_a_timestamp_stays_in_extra_and_the_other_way_round() -> None:
    assert changed(last_timestamp="1709967959", last_date="x") == (AT, {"last_date": "x"})
    assert changed(last_timestamp="x", last_date="09.03.2024 10:05:59") == (AT, {"last_timestamp": "x"})
    both: dict[str, JsonValue] = {"last_timestamp": ["1", "2"], "last_date": None}
    assert changed(MOSCOW, **both) == (None, both)


@pytest.mark.parametrize("nothing", ["", " ", "0"])
def test_no_time_yet_is_no_odd_one(nothing: str) -> None:
    assert changed(last_timestamp=nothing, last_date="") == (None, {})
    assert changed(last_timestamp=nothing) == (None, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", "0"), ("1.44", "1.44"), ("+1", "1"), (".50", "0.50"), ("5.", "5"), ("0012.5", "12.5")),
        *(("5.5511151231258E-17", "5.5511151231258E-17"), ("1.0E+5", "1.0E+5"), ("999999999999.99", "999999999999.99")),
    ],
)
def test_an_amount_is_written_with_a_point(text: str, value: str) -> None:
    assert read_amount(text) == read_price(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "3,50",
            "1,234.50",
            "1 234",
            "1_0",
            "3.50 RUB",
            "x",
            ".",
            "",
            "NaN",
            "-NaN",
            "sNaN",
            "Infinity",
            "0x1",
            "\u0661",
        ),
        *("1e400", "1e12", "1000000000000", "9" * 5000, "0." + "1" * 21),
    ],
)
def test_no_other_amount_is_guessed(text: str) -> None:
    assert read_amount(text) is None
    assert read_price(text) is None


@pytest.mark.parametrize("text", ["-1", "-0", "-0.00"])
def test_a_debt_is_an_amount_and_no_price(text: str) -> None:
    assert read_amount(text) == Decimal(text)
    assert read_price(text) is None


def test_counts_and_codes_are_whole_numbers() -> None:
    texts = "0", "7", "+7", "300", "-9", "-10", "9" * 9
    assert [read_code(text) for text in texts] == [0, 7, 7, 300, -9, -10, 999_999_999]
    assert [read_count(text) for text in texts] == [0, 7, 7, 300, None, None, 999_999_999]
    for text in ("", "x", "1.0", "1e3", "1_0", "\u0661", "\u00b2", "9" * 10, "- 1"):
        assert read_code(text) is None
        assert read_count(text) is None
