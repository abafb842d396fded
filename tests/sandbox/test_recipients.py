import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._recipients import Addressee, as_stored, canonical, read_recipients, split


def addresses(
    phones: str, channel: ServiceChannel = ServiceChannel.SMS, groups: dict[int, tuple[str, ...]] | None = None
) -> list[str]:
    """Return the addresses; the wrong ones end with a question mark."""
    found = read_recipients(phones, channel, groups or {})
    return [recipient.address + "?" * recipient.is_wrong for recipient in found]


def test_numbers_are_separated_by_commas_and_semicolons() -> None:
    assert list(split(" 7,8 ;;9;")) == ["7", "8", "9"]
    assert addresses("79991234567, +79991234568;4915112345678;") == ["79991234567", "79991234568", "4915112345678"]


@pytest.mark.parametrize(
    "written", ["+79991234567", "79991234567", "89991234567", "9991234567", "8 (999) 123-45-67", " 7 999 123 45 67 "]
)
def test_spellings_of_one_number_are_one_subscriber(written: str) -> None:
    assert addresses(f"79991234567,{written}") == ["79991234567"]
    assert canonical(written) == "79991234567"


def test_plus_turns_correction_off() -> None:
    assert addresses("+89991234567,+9991234567") == ["89991234567", "9991234567"]
    assert addresses("+7 999 123-45-67") == ["7 999 123-45-67?"]


@pytest.mark.parametrize("written", ["123", "7999123456", "799912345678", "1234567890123456", "+0123456789", "phone"])
def test_wrong_number_is_kept_as_it_was_written(written: str) -> None:
    assert addresses(written) == [written.removeprefix("+") + "?"]


def test_group_stands_for_its_members() -> None:
    groups: dict[int, tuple[str, ...]] = {7: ("+79991234567", "12", "89991234568")}
    assert addresses("G7,79991234567", groups=groups) == ["79991234567", "12?", "79991234568"]


def test_unknown_and_empty_groups_are_wrong_numbers() -> None:
    assert addresses("G8,g9", groups={9: ()}) == ["G8?", "g9?"]


def test_mail_takes_addresses_and_nothing_else() -> None:
    assert addresses("Ivan@Example.com,79991234567", ServiceChannel.MAIL) == ["ivan@example.com", "79991234567?"]
    assert addresses("ivan@example.com") == ["ivan@example.com?"]


@pytest.mark.parametrize("channel", [ServiceChannel.TELEGRAM, ServiceChannel.TELEGRAM_BOT])
def test_telegram_takes_nicknames_ids_and_numbers(channel: ServiceChannel) -> None:
    assert addresses("@Ivan_1,#123456,olga,89991234567,no", channel) == [
        "@ivan_1",
        "#123456",
        "olga",
        "79991234567",
        "no?",
    ]
    assert addresses("G1234", channel) == ["G1234?"]
    assert addresses("#123456") == ["#123456?"]


@given(st.from_regex(r"[1-689][0-9]{7,14}", fullmatch=True))
def test_number_with_a_plus_is_kept_as_given(digits: str) -> None:
    assert read_recipients(f"+{digits}", ServiceChannel.SMS, {}) == (Addressee(digits),)


@given(st.text())
def test_any_phones_are_read_without_duplicates(phones: str) -> None:
    for channel in (ServiceChannel.SMS, ServiceChannel.MAIL, ServiceChannel.TELEGRAM):
        found = read_recipients(phones, channel, {1: ("79991234567",)})
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+7 (999) 123-45-67", "79991234567"),
        ("+7\u2011999\u2011123\u201345\u201367", "79991234567"),
        ("+7.999.123.45.67", "79991234567"),
        ("tel:+7-999-123-45-67", "79991234567"),
        ("8/999/123.45.67", "79991234567"),
        ("+84 912 345 678", "84912345678"),
        ("Anna@Example.test", "anna@example.test"),
        ("@Anna_99", "@anna_99"),
        ("#12345678", "#12345678"),
        ("5+79991234567", "5+79991234567"),
        ("", ""),
    ],
)
def test_a_number_is_searched_in_any_notation(written: str, stored: str) -> None:
    assert as_stored(written) == stored


def test_the_service_reads_a_number_with_a_plus_only_if_digits_follow() -> None:
    assert addresses("+7 (999) 123-45-67") == ["7 (999) 123-45-67?"]
