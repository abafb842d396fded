"""Recipients, the channel and the parameters of `query`: invalid values are refused."""

import traceback
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import Any

import pytest

from smsc_async._model.channels import Channel, Email, Flash, Hlr, Mms, Sms, Telegram, TelegramBot, Viber, Voice
from smsc_async._model.messages import Message
from smsc_async._model.operations import GetBalance, GetCost, GetListCost, GetStatus, Send, SendList
from smsc_async._model.parameters import CREDENTIALS
from smsc_async._model.types import MessageRef

PHONE = "+79991234567"
SECRET = "canary"
PRIVATE = "+79160000001"
MAIL = Email("me@a.b", "S")


def send(**fields: Any) -> Send:
    return Send.model_validate({"to": PHONE, "text": "Hi", "id": "7", **fields})


@pytest.mark.parametrize(
    "to", [PHONE, [PHONE], (PHONE,), {PHONE}, iter([PHONE]), dict.fromkeys([PHONE]).keys(), (each for each in [PHONE])]
)
def test_recipients_may_be_one_or_any_iterable(to: Iterable[str]) -> None:
    assert send(to=to).fields()["phones"] == PHONE


def test_many_recipients_go_in_one_field_in_their_order() -> None:
    assert send(to=[PHONE, "79991234568", "G5"]).fields()["phones"] == f"{PHONE},79991234568,G5"


@pytest.mark.parametrize(
    "to",
    [
        "79991234567,79991234568;G5",
        "79991234567; 79991234568 ,G5,",
        ",79991234567,,79991234568\n;G5;",
        ["79991234567,79991234568", "G5"],
        ["79991234567", "79991234568;G5"],
    ],
)
@pytest.mark.parametrize("kind", [Send, GetCost])
def test_recipients_may_be_separated_by_commas_and_semicolons(kind: type[Send | GetCost], to: str | list[str]) -> None:
    operation = kind.model_validate({"to": to, "text": "Hi"})
    assert operation.to == ("79991234567", "79991234568", "G5")
    assert operation.fields()["phones"] == "79991234567,79991234568,G5"


def test_addresses_and_names_may_be_separated_too() -> None:
    assert send(via=MAIL, to="a@b.c;d@e.f").to == ("a@b.c", "d@e.f")
    assert send(via=TelegramBot("@abc"), to="#12, nick").to == ("#12", "nick")


@pytest.mark.parametrize("to", [[], (), "", ";, ", [","], None, 79991234567, b"79991234567", {PHONE: "text"}])
def test_what_holds_no_recipient_is_refused(to: object) -> None:
    with pytest.raises(ValueError, match=r"^to"):
        send(to=to)


@pytest.mark.parametrize(
    ("to", "places"),
    [
        ([PHONE, PHONE], "1 and 2"),
        ([PHONE, "79991234567"], "1 and 2"),
        ([PHONE, "79991234568", "89991234567"], "1 and 3"),
        (["G5", "g5"], "1 and 2"),
        (f"79991234568,{PHONE}; 79991234567", "2 and 3"),
    ],
)
def test_recipient_that_is_there_twice_is_refused(to: str | list[str], places: str) -> None:
    with pytest.raises(ValueError, match=f"recipients {places} are the same and would be charged twice") as caught:
        send(to=to)
    assert "999" not in str(caught.value)


@pytest.mark.parametrize(
    ("via", "fits"),
    [
        (Sms(), {PHONE, "G5"}),
        (Viber(), {PHONE, "G5"}),
        (MAIL, {"a@b.c", "G5"}),
        (TelegramBot("@abc"), {PHONE, "G5", "#123", "nick"}),
    ],
)
@pytest.mark.parametrize("to", [PHONE, "G5", "a@b.c", "#123", "nick"])
def test_channel_takes_its_own_kind_of_recipients(via: Channel, fits: set[str], to: str) -> None:
    if to in fits:
        assert send(via=via, to=to).fields()["phones"] == to
    else:
        with pytest.raises(ValueError, match=f"recipient 1: {type(via).__name__} needs"):
            send(via=via, to=to)


def test_telegram_code_goes_to_a_nickname() -> None:
    fields = Send.model_validate({"to": "nick", "via": Telegram("4821")}).fields()
    assert (fields["phones"], fields["mes"]) == ("nick", "4821")


@pytest.mark.parametrize("kind", [Send, GetCost])
def test_channel_decides_about_the_text(kind: type[Send | GetCost]) -> None:
    assert kind.model_validate({"to": PHONE, "via": Hlr()}).fields()["mes"] == ""
    assert kind.model_validate({"to": PHONE, "via": Mms(subject="S")}).fields()["mes"] == ""
    with pytest.raises(ValueError, match="Hlr has no text"):
        kind.model_validate({"to": PHONE, "text": "Hi", "via": Hlr()})
    with pytest.raises(ValueError, match="Sms needs a text"):
        kind.model_validate({"to": PHONE})


@pytest.mark.parametrize("kind", [SendList, GetListCost])
def test_list_has_messages_that_the_channel_can_carry(kind: type[SendList | GetListCost]) -> None:
    one, other = Message(PHONE, "Hi"), Message("79991234568", "Ho")
    operation = kind.model_validate({"messages": [one, other]})
    assert operation.lines() == (one, other)
    assert (operation.fields()["phones"], operation.fields()["mes"]) == ("", "")
    with pytest.raises(ValueError, match="Hlr has no text"):
        kind.model_validate({"messages": [one], "via": Hlr()})
    with pytest.raises(ValueError, match="recipients 1 and 2 are the same"):
        kind.model_validate({"messages": [one, Message("89991234567", "Ho")]})
    with pytest.raises(ValueError, match="messages must not be empty"):
        kind.model_validate({"messages": []})


@pytest.mark.parametrize("kind", [SendList, GetListCost])
def test_a_message_with_several_recipients_is_a_line_for_each(kind: type[SendList | GetListCost]) -> None:
    operation = kind.model_validate(
        {"messages": [Message("79991234567;79991234568", "Hi", "ivan"), Message("71111", "Ho")]}
    )
    assert operation.lines() == (
        Message("79991234567", "Hi", "ivan"),
        Message("79991234568", "Hi", "ivan"),
        Message("71111", "Ho"),
    )
    for phones in ("G5", "79991234567,G5"):
        with pytest.raises(ValueError, match="a group code needs a request of its own; pass it to `send`"):
            kind.model_validate({"messages": [Message(phones, "Hi")]})


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({}, {}),
        ({"tz": 0}, {"tz": "0"}),
        ({"tz": -3}, {"tz": "-3"}),
        ({"tz": 2.5}, {"tz": "2.5"}),
        ({"period": 0.1}, {"period": "0.1"}),
        ({"period": 720, "freq": 1440}, {"period": "720", "freq": "1440"}),
        ({"smsreq": 10}, {"smsreq": "10"}),
        ({"valid": 24}, {"valid": "24"}),
        ({"valid": "1"}, {"valid": "1"}),
        ({"valid": "00:01"}, {"valid": "00:01"}),
        ({"valid": "24:00"}, {"valid": "24:00"}),
        ({"valid": timedelta(hours=24)}, {"valid": "24:00"}),
        ({"valid": timedelta(minutes=90)}, {"valid": "01:30"}),
        ({"tinyurl": True}, {"tinyurl": "1"}),
        ({"tinyurl": False, "op": False, "err": False}, {}),
        ({"maxsms": 100_000_000_000}, {"maxsms": "100000000000"}),
        ({"userip": "10.0.0.1", "imgcode": "a b"}, {"imgcode": "a b", "userip": "10.0.0.1"}),
        ({"userip": ip_address("::1")}, {"userip": "::1"}),
        ({"err": True, "op": True}, {"err": "1", "op": "1"}),
        ({"pp": 77}, {"pp": "77"}),
        ({"pp": "p7"}, {"pp": "p7"}),
        ({"via": Flash(), "extra": {"nl": True}}, {"flash": "1", "nl": "1"}),
        (
            {"extra": {"a": "b&c", "d": 1.5, "e": Decimal("0.10"), "f": False}},
            {"a": "b&c", "d": "1.5", "e": "0.10", "f": "0"},
        ),
        ({"extra": None}, {}),
    ],
)
@pytest.mark.parametrize("kind", [Send, GetCost])
def test_keyword_becomes_a_parameter(
    kind: type[Send | GetCost], fields: dict[str, object], parameters: dict[str, str]
) -> None:
    assert kind.model_validate({"to": PHONE, "text": "Hi", **fields}).parameters() == parameters


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tz": 13}, "at most 12"),
        ({"period": 0.05, "freq": 1}, "at least 0.1"),
        ({"period": 721}, "at most 720"),
        ({"period": float("nan")}, "period must be a finite number"),
        ({"period": 1, "freq": 0}, "at least 1"),
        ({"period": 1, "freq": 1441}, "at most 1440"),
        ({"freq": 5}, "freq needs period"),
        ({"smsreq": 9}, "at least 10"),
        ({"smsreq": 1000}, "at most 999"),
        ({"maxsms": 0}, "at least 1"),
        ({"imgcode": "canary"}, "imgcode needs userip"),
        ({"imgcode": "canary\x01", "userip": "::1"}, "is not allowed in XML"),
        ({"imgcode": "", "userip": "::1"}, "must not be empty"),
        ({"userip": "canary"}, "IPv4 or IPv6"),
        ({"userip": 5}, "IPv4 or IPv6"),
        ({"pp": True}, "pp must be a string, not bool"),
        ({"pp": ""}, "pp must not be empty"),
        ({"via": "canary"}, "via must be a channel, such as .* not str$"),
        ({"via": Sms}, r"not a class; did you mean Sms\(\.\.\.\)\?"),
        ({"via": None}, "not None"),
        ({"via": {"kind": "canary"}}, "`kind` must be one of"),
        ({"tinyurl": "canary"}, "tinyurl must be True or False, not str"),
        ({"extra": "canary"}, "extra must be a dict, not str"),
        ({"extra": {"canary canary": "1"}}, "names of `extra`"),
        ({"extra": {1: "1"}}, "names of `extra`"),
        ({"extra": {"x": None}}, "string or a number"),
        ({"extra": {"x": ["canary"]}}, "string or a number"),
        ({"extra": {"x": "canary\x00"}}, "is not allowed in XML"),
        ({"text": "canary\x00"}, "is not allowed in XML"),
        ({"text": " "}, "would arrive empty"),
        ({"to": "canary canary"}, "must be a phone"),
        ({"to": [PHONE, "canary;canary 2"]}, r"to\[2\] must be a phone"),
        ({"to": "canary@canary.com"}, "Sms needs a phone"),
    ],
)
@pytest.mark.parametrize("kind", [Send, GetCost])
def test_wrong_argument_is_refused_without_being_repeated(
    kind: type[Send | GetCost], fields: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        kind.model_validate({"to": PRIVATE, "text": SECRET, **fields})
    error = caught.value
    shown = f"{error!s}{error!r}{error.args}{''.join(traceback.format_exception(error))}"
    assert SECRET not in shown
    assert PRIVATE not in shown
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "valid",
    [
        *(0, 25, -1, True, 1.5, "", "25", "0", "0:00", "00:00", "24:01", "1:60", "1:5", "canary", None.__class__),
        *(timedelta(0), timedelta(minutes=-5), timedelta(seconds=90), timedelta(hours=24, minutes=1)),
        *(timedelta(minutes=1, microseconds=1), timedelta(seconds=59)),
    ],
)
def test_validity_out_of_range_is_refused_with_the_range(valid: object) -> None:
    with pytest.raises(ValueError, match="1 to 24 hours, 'hh:mm' from 00:01 to 24:00"):
        send(valid=valid)


MODELLED = (
    "phones mes id sender time query tz period freq flash bin push hlr ping mms mail soc viber whatsapp tg bot smsreq "
    "fileurl call voice param subj cost list valid tinyurl maxsms imgcode userip err op pp login psw apikey"
)


@pytest.mark.parametrize("name", MODELLED.split(" "))
def test_extra_cannot_name_what_has_an_argument_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' has an argument of its own"):
        send(extra={name: "1"})


@pytest.mark.parametrize("name", ["id", "sender", "time"])
def test_price_request_may_name_in_extra_what_it_has_no_argument_for(name: str) -> None:
    operation = GetCost.model_validate({"to": PHONE, "text": "Hi", "extra": {name: "1"}})
    assert operation.parameters() == {name: "1"}


@pytest.mark.parametrize("name", [*sorted(CREDENTIALS), "phone", "id", "all", "query"])
def test_status_request_keeps_its_own_names_out_of_extra(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' has an argument of its own"):
        GetStatus.model_validate({"ref": MessageRef(PHONE, 7), "extra": {name: "1"}})


def test_operation_without_messages_has_no_lines_no_refs_and_no_parameters() -> None:
    balance = GetBalance()
    assert (balance.fields(), balance.parameters(), balance.lines(), balance.refs()) == ({}, {}, (), ())


def test_voice_parameters_exist_on_voice_only() -> None:
    assert send(via=Voice(voice="w")).parameters() == {"call": "1", "voice": "w"}
    with pytest.raises(ValueError, match="voice is not an argument"):
        send(voice="w")
