"""Each channel sets its own flag and parameters, and refuses wrong arguments."""

import pickle

import pytest

from smsc_async._model.channels import (
    Binary,
    Channel,
    Email,
    Flash,
    Hlr,
    Mms,
    Ping,
    Sms,
    Social,
    Telegram,
    TelegramBot,
    Viber,
    Voice,
    WapPush,
    WhatsApp,
)

URL = "https://example.com/a.jpg"
MEN_AND_WOMEN = ["m", "m2", "m3", "m4", "w", "w2", "w3", "w4"]

CHANNELS: list[tuple[Channel, dict[str, str], dict[str, str]]] = [
    (Sms(), {}, {}),
    (Flash(), {"flash": "1"}, {}),
    (Binary(b"\xab\x00"), {"bin": "2"}, {"mes": "00AB00"}),
    (Binary("0a0B", udh="0605040b8423f0"), {"bin": "2"}, {"mes": "0605040B8423F00A0B"}),
    (Binary("ff", udh=b"\0"), {"bin": "2"}, {"mes": "00FF"}),
    (Binary("ff", pid=0, dcs=245), {"bin": "2"}, {"mes": "00FF\n~~~\npid: 0, dcs: 245"}),
    (WapPush("http://a.b/c", "A title"), {"push": "1"}, {"mes": "http://a.b/c\nA title"}),
    (Hlr(), {"hlr": "1"}, {}),
    (Ping(), {"ping": "1"}, {}),
    (Mms(), {"mms": "1"}, {}),
    (Mms(subject="S", file_url=URL), {"mms": "1", "subj": "S", "fileurl": URL}, {}),
    (Email("me@a.b", "S"), {"mail": "1", "subj": "S"}, {"sender": "me@a.b"}),
    (Email("me@a.b", "S", file_url=URL), {"mail": "1", "subj": "S", "fileurl": URL}, {"sender": "me@a.b"}),
    (Social(), {"soc": "1"}, {}),
    (Viber(), {"viber": "1"}, {}),
    (WhatsApp(), {"whatsapp": "1"}, {}),
    (WhatsApp(file_url=URL), {"whatsapp": "1", "fileurl": URL}, {}),
    (Telegram("4821"), {"tg": "1"}, {"mes": "4821"}),
    (TelegramBot("@botname_bot"), {"bot": "@botname_bot"}, {}),
    (Voice(), {"call": "1"}, {}),
    (Voice(language="en"), {"call": "1", "voice": "m3,en"}, {}),
    (Voice(voice="w", language="fr"), {"call": "1", "voice": "w,fr"}, {}),
    (Voice(answer_wait=10, repeat_interval=3600, attempts=9), {"call": "1", "param": "10,3600,9"}, {}),
    (Voice(answer_wait=0, repeat_interval=0, attempts=0), {"call": "1", "param": "0,0,0"}, {}),
    (Voice(answer_wait=99, repeat_interval=9, attempts=1), {"call": "1", "param": "99,9,1"}, {}),
    (Voice(file_url=URL), {"call": "1", "fileurl": URL}, {}),
    (Sms(file_url=URL), {"fileurl": URL}, {}),
    (Flash(file_url=URL), {"flash": "1", "fileurl": URL}, {}),
    (Binary("ff", file_url=URL), {"bin": "2", "fileurl": URL}, {"mes": "00FF"}),
    (WapPush("http://a.b/c", "T", file_url=URL), {"push": "1", "fileurl": URL}, {"mes": "http://a.b/c\nT"}),
    (Social(file_url=URL), {"soc": "1", "fileurl": URL}, {}),
    (Viber(file_url=URL), {"viber": "1", "fileurl": URL}, {}),
    (Telegram("4821", file_url=URL), {"tg": "1", "fileurl": URL}, {"mes": "4821"}),
    (TelegramBot("@botname_bot", file_url=URL), {"bot": "@botname_bot", "fileurl": URL}, {}),
]


@pytest.mark.parametrize(("channel", "parameters", "fields"), CHANNELS)
def test_channel_sets_its_own_parameters_and_fields(
    channel: Channel, parameters: dict[str, str], fields: dict[str, str]
) -> None:
    assert channel.parameters() == parameters
    assert channel.fields() == fields


@pytest.mark.parametrize("channel", [channel for channel, _, _ in CHANNELS])
def test_channel_survives_pickle_and_json(channel: Channel) -> None:
    assert pickle.loads(pickle.dumps(channel)) == channel  # noqa: S301 - our own bytes
    assert type(channel).model_validate_json(channel.model_dump_json()) == channel
    assert Channel.revive(channel.model_dump(mode="json")) == channel
    assert Channel.revive(channel) is channel


@pytest.mark.parametrize("described", [{}, {"kind": "Pigeon"}, {"kind": ["Sms"]}, {"voice": "m"}])
def test_description_of_no_known_channel_is_refused(described: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="`kind` must be one of Binary, Email, Flash"):
        Channel.revive(described)


@pytest.mark.parametrize("voice", MEN_AND_WOMEN)
def test_every_documented_voice_can_be_chosen(voice: str) -> None:
    assert Voice.model_validate({"voice": voice}).parameters() == {"call": "1", "voice": voice}


@pytest.mark.parametrize("kind", [Hlr, Ping])
def test_channel_that_sends_no_message_refuses_a_file(kind: type[Channel]) -> None:
    with pytest.raises(ValueError, match="file_url must be left out, because this channel sends no message"):
        kind.model_validate({"file_url": URL})


FILES: list[Channel] = [
    channel for channel, given, _ in CHANNELS if "fileurl" in given and not isinstance(channel, Email | Mms)
]


@pytest.mark.parametrize("channel", FILES)
def test_a_file_may_stand_in_for_the_text(channel: Channel) -> None:
    channel.check_text(None)


def test_every_channel_but_two_takes_a_file() -> None:
    assert {type(channel) for channel, given, _ in CHANNELS if "fileurl" in given} == {
        type(channel) for channel, _, _ in CHANNELS
    } - {Hlr, Ping}


@pytest.mark.parametrize(
    "channel", [Sms(), Flash(), Social(), Viber(), WhatsApp(), TelegramBot("@abc"), Email("me@a.b", "S", file_url=URL)]
)
def test_channel_that_needs_a_text_says_so(channel: Channel) -> None:
    channel.check_text("Hi")
    with pytest.raises(ValueError, match=f"{type(channel).__name__} needs a text"):
        channel.check_text(None)


@pytest.mark.parametrize("channel", [Binary("00"), WapPush("http://a.b", "t"), Hlr(), Ping(), Telegram("1")])
def test_channel_without_a_text_of_its_own_refuses_one(channel: Channel) -> None:
    channel.check_text(None)
    with pytest.raises(ValueError, match=f"{type(channel).__name__} has no text;"):
        channel.check_text("Hi")


def test_mms_needs_a_text_or_a_subject() -> None:
    Mms(subject="S").check_text(None)
    Mms().check_text("Hi")
    with pytest.raises(ValueError, match="a text or a subject"):
        Mms(file_url=URL).check_text(None)


def test_voice_needs_a_text_or_a_file() -> None:
    Voice(file_url=URL).check_text(None)
    Voice().check_text("Hi")
    with pytest.raises(ValueError, match="a text or a file_url"):
        Voice().check_text(None)


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        (Binary, {"data": "canary"}, "hexadecimal"),
        (Binary, {"data": "abc"}, "hexadecimal"),
        (Binary, {"data": b""}, "must not be empty"),
        (Binary, {"data": ""}, "must not be empty"),
        (Binary, {"data": "00", "udh": "canary"}, "hexadecimal"),
        (Binary, {"data": "00", "udh": ""}, "must not be empty"),
        (Binary, {"data": "00", "udh": "02ff"}, "first byte of udh"),
        (Binary, {"data": "00", "pid": 1}, "pid and dcs go together"),
        (Binary, {"data": "00", "dcs": 1}, "pid and dcs go together"),
        (Binary, {"data": "00", "pid": 256, "dcs": 0}, "at most 255"),
        (Binary, {"data": "00", "pid": 0, "dcs": -1}, "at least 0"),
        (WapPush, {"url": "canary", "title": "t"}, "full URL"),
        (WapPush, {"url": "ftp://canary", "title": "t"}, "full URL"),
        (WapPush, {"url": "http://canary canary", "title": "t"}, "full URL"),
        (WapPush, {"url": "http://a.b", "title": "canary\ncanary"}, "must be a single line"),
        (WapPush, {"url": "http://a.b", "title": "canary\rcanary"}, "must be a single line"),
        (WapPush, {"url": "http://a.b", "title": ""}, "must not be empty"),
        (WapPush, {"url": "http://a.b", "title": "canary\x00"}, "is not allowed in XML"),
        (Mms, {"file_url": "/canary"}, "full URL"),
        (Email, {"sender": "canary", "subject": "S"}, "must be an e-mail address"),
        (Email, {"sender": "a@b.c,canary@b.c", "subject": "S"}, "must be an e-mail address"),
        (Email, {"sender": "a@b.c"}, "unexpected keyword|missing"),
        (Telegram, {"code": "canary" * 200}, "at most 1000"),
        (Telegram, {"code": " \n"}, "would arrive empty"),
        (TelegramBot, {"name": "canary"}, "must be the name of a bot"),
        (TelegramBot, {"name": "@canary\n"}, "must be the name of a bot"),
        (Voice, {"voice": "canary"}, "must be 'm', 'm2'"),
        (Voice, {"language": "canary"}, "must be two small letters"),
        (Voice, {"language": "EN"}, "must be two small letters"),
        (Voice, {"attempts": 3}, "all three or none"),
        (Voice, {"answer_wait": 20, "repeat_interval": 60}, "all three or none"),
        (Voice, {"answer_wait": -1, "repeat_interval": 10, "attempts": 1}, "must be at least 0"),
        (Voice, {"answer_wait": 100, "repeat_interval": 10, "attempts": 1}, "at most 99"),
        (Voice, {"answer_wait": 10, "repeat_interval": -1, "attempts": 1}, "must be at least 0"),
        (Voice, {"answer_wait": 10, "repeat_interval": 3601, "attempts": 1}, "at most 3600"),
        (Voice, {"answer_wait": 10, "repeat_interval": 10, "attempts": -1}, "at least 0"),
        (Voice, {"answer_wait": 10, "repeat_interval": 10, "attempts": 10}, "at most 9"),
        (Sms, {"subject": "canary"}, "is not an argument"),
        (Viber, {"voice": "m"}, "is not an argument"),
        (Voice, {"subject": "canary"}, "is not an argument"),
    ],
)
def test_channel_cannot_be_built_wrong(kind: type[Channel], fields: dict[str, object], why: str) -> None:
    with pytest.raises((ValueError, TypeError), match=why) as caught:
        kind.model_validate(fields)
    assert "canary" not in f"{caught.value!s}{caught.value.args}"
