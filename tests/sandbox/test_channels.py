import pytest

from smsc_async.sandbox._channels import Channel, count_parts
from smsc_async.sandbox._fields import Refusal


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.SMS])
def test_each_flag_chooses_its_channel(channel: Channel) -> None:
    value = "@my_bot" if channel is Channel.TELEGRAM_BOT else "1"
    assert Channel.read({channel.value: value}) is channel


def test_flags_that_are_off_leave_sms() -> None:
    assert Channel.read({"flash": "0", "viber": "", "bot": ""}) is Channel.SMS


def test_binary_may_be_hexadecimal() -> None:
    assert Channel.read({"bin": "2"}) is Channel.BINARY


@pytest.mark.parametrize("params", [{"flash": "2"}, {"hlr": "yes"}, {"bin": "3"}, {"flash": "1", "viber": "1"}])
def test_unknown_value_or_two_channels_are_bad_parameters(params: dict[str, str]) -> None:
    with pytest.raises(Refusal, match="error 1"):
        Channel.read(params)


@pytest.mark.parametrize(
    ("channel", "text", "sender", "params"),
    [
        (Channel.SMS, "hi", "", {}),
        (Channel.HLR, "", "", {}),
        (Channel.PING, "", "", {}),
        (Channel.MMS, "hi", "", {}),
        (Channel.MMS, "", "", {"subj": "s"}),
        (Channel.MMS, "", "", {"fileurl": "http://a/b"}),
        (Channel.MAIL, "hi", "a@b.c", {"subj": "s"}),
        (Channel.PUSH, "http://a/b\ntitle", "", {}),
        (Channel.BINARY, "00ff", "", {"bin": "2"}),
        (Channel.BINARY, "00FF\n~~~\npid: 1, dcs: 2", "", {"bin": "2"}),
        (Channel.BINARY, "raw", "", {"bin": "1"}),
        (Channel.VOICE, "", "", {"fileurl": "http://a/b"}),
    ],
)
def test_channel_takes_what_is_documented(channel: Channel, text: str, sender: str, params: dict[str, str]) -> None:
    channel.check_text(text, sender, params)


@pytest.mark.parametrize(
    ("channel", "text", "sender", "params"),
    [
        (Channel.SMS, "", "", {}),
        (Channel.VOICE, "", "", {}),
        (Channel.MMS, "", "", {}),
        (Channel.MAIL, "", "a@b.c", {"subj": "s"}),
        (Channel.MAIL, "hi", "", {"subj": "s"}),
        (Channel.MAIL, "hi", "a@b.c", {}),
        (Channel.PUSH, "http://a/b", "", {}),
        (Channel.BINARY, "0g", "", {"bin": "2"}),
        (Channel.BINARY, "0", "", {"bin": "2"}),
        (Channel.BINARY, "00 ff", "", {"bin": "2"}),
        (Channel.BINARY, "\n~~~\npid: 1, dcs: 2", "", {"bin": "2"}),
    ],
)
def test_channel_refuses_what_it_cannot_carry(channel: Channel, text: str, sender: str, params: dict[str, str]) -> None:
    with pytest.raises(Refusal, match="error 1"):
        channel.check_text(text, sender, params)


@pytest.mark.parametrize(
    ("channel", "text", "params", "count"),
    [
        (Channel.SMS, "a" * 161, {}, 2),
        (Channel.FLASH, "я" * 71, {}, 2),
        (Channel.VIBER, "a" * 1000, {}, 1),
        (Channel.HLR, "", {}, 1),
        (Channel.BINARY, "00" * 140, {"bin": "2"}, 1),
        (Channel.BINARY, "00" * 141 + "\n~~~\npid: 1, dcs: 2", {"bin": "2"}, 2),
        (Channel.BINARY, "a" * 140, {"bin": "1"}, 1),
        (Channel.BINARY, "a" * 141, {"bin": "1"}, 2),
    ],
)
def test_parts_are_counted_where_a_message_is_made_of_sms(
    channel: Channel, text: str, params: dict[str, str], count: int
) -> None:
    assert count_parts(channel, text, params) == count


def test_only_messengers_tell_that_a_message_was_read() -> None:
    assert {channel for channel in Channel if channel.tells_reading} == {Channel.VIBER, Channel.WHATSAPP}


def test_only_telegram_knows_nicknames() -> None:
    assert {channel for channel in Channel if channel.is_telegram} == {Channel.TELEGRAM, Channel.TELEGRAM_BOT}
