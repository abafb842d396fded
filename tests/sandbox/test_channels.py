import pytest

from smsc_async.sandbox._channels import ServiceChannel, count_parts
from smsc_async.sandbox._fields import ServiceError


@pytest.mark.parametrize("channel", [channel for channel in ServiceChannel if channel is not ServiceChannel.SMS])
def test_each_flag_chooses_its_channel(channel: ServiceChannel) -> None:
    value = "@my_bot" if channel is ServiceChannel.TELEGRAM_BOT else "1"
    assert ServiceChannel.read({channel.value: value}) is channel


def test_flags_that_are_off_leave_sms() -> None:
    assert ServiceChannel.read({"flash": "0", "viber": "", "bot": ""}) is ServiceChannel.SMS


def test_binary_may_be_hexadecimal() -> None:
    assert ServiceChannel.read({"bin": "2"}) is ServiceChannel.BINARY


@pytest.mark.parametrize("params", [{"flash": "2"}, {"hlr": "yes"}, {"bin": "3"}, {"flash": "1", "viber": "1"}])
def test_unknown_value_or_two_channels_are_bad_parameters(params: dict[str, str]) -> None:
    with pytest.raises(ServiceError, match="error 1"):
        ServiceChannel.read(params)


@pytest.mark.parametrize(
    ("channel", "text", "sender", "params"),
    [
        (ServiceChannel.SMS, "hi", "", {}),
        (ServiceChannel.HLR, "", "", {}),
        (ServiceChannel.PING, "", "", {}),
        (ServiceChannel.MMS, "hi", "", {}),
        (ServiceChannel.MMS, "", "", {"subj": "s"}),
        (ServiceChannel.SMS, "", "", {"fileurl": "http://a/b"}),
        (ServiceChannel.VIBER, "", "", {"fileurl": "http://a/b"}),
        (ServiceChannel.MAIL, "hi", "a@b.c", {"subj": "s"}),
        (ServiceChannel.PUSH, "http://a/b\ntitle", "", {}),
        (ServiceChannel.BINARY, "00ff", "", {"bin": "2"}),
        (ServiceChannel.BINARY, "00FF\n~~~\npid: 1, dcs: 2", "", {"bin": "2"}),
        (ServiceChannel.BINARY, "raw", "", {"bin": "1"}),
        (ServiceChannel.VOICE, "", "", {"fileurl": "http://a/b"}),
    ],
)
def test_channel_takes_what_is_documented(
    channel: ServiceChannel, text: str, sender: str, params: dict[str, str]
) -> None:
    channel.check_text(text, sender, params)


@pytest.mark.parametrize(
    ("channel", "text", "sender", "params"),
    [
        (ServiceChannel.SMS, "", "", {}),
        (ServiceChannel.VOICE, "", "", {}),
        (ServiceChannel.MMS, "", "", {}),
        (ServiceChannel.MMS, "", "", {"fileurl": "http://a/b"}),
        (ServiceChannel.MAIL, "", "a@b.c", {"subj": "s"}),
        (ServiceChannel.MAIL, "hi", "", {"subj": "s"}),
        (ServiceChannel.MAIL, "hi", "a@b.c", {}),
        (ServiceChannel.PUSH, "http://a/b", "", {}),
        (ServiceChannel.BINARY, "0g", "", {"bin": "2"}),
        (ServiceChannel.BINARY, "0", "", {"bin": "2"}),
        (ServiceChannel.BINARY, "00 ff", "", {"bin": "2"}),
        (ServiceChannel.BINARY, "\n~~~\npid: 1, dcs: 2", "", {"bin": "2"}),
    ],
)
def test_channel_refuses_what_it_cannot_carry(
    channel: ServiceChannel, text: str, sender: str, params: dict[str, str]
) -> None:
    with pytest.raises(ServiceError, match="error 1"):
        channel.check_text(text, sender, params)


@pytest.mark.parametrize(
    ("channel", "text", "params", "count"),
    [
        (ServiceChannel.SMS, "a" * 161, {}, 2),
        (ServiceChannel.FLASH, "я" * 71, {}, 2),
        (ServiceChannel.VIBER, "a" * 1000, {}, 1),
        (ServiceChannel.HLR, "", {}, 1),
        (ServiceChannel.SMS, "", {"fileurl": "http://a/b"}, 1),
        (ServiceChannel.BINARY, "00" * 140, {"bin": "2"}, 1),
        (ServiceChannel.BINARY, "00" * 141 + "\n~~~\npid: 1, dcs: 2", {"bin": "2"}, 2),
        (ServiceChannel.BINARY, "a" * 140, {"bin": "1"}, 1),
        (ServiceChannel.BINARY, "a" * 141, {"bin": "1"}, 2),
    ],
)
def test_parts_are_counted_where_a_message_is_made_of_sms(
    channel: ServiceChannel, text: str, params: dict[str, str], count: int
) -> None:
    assert count_parts(channel, text, params) == count


def test_only_messengers_report_that_a_message_was_read() -> None:
    assert {channel for channel in ServiceChannel if channel.reports_reading} == {
        ServiceChannel.VIBER,
        ServiceChannel.WHATSAPP,
    }


def test_only_telegram_knows_nicknames() -> None:
    assert {channel for channel in ServiceChannel if channel.is_telegram} == {
        ServiceChannel.TELEGRAM,
        ServiceChannel.TELEGRAM_BOT,
    }
