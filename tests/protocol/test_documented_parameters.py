"""Every parameter that the service documents can be reached with what a user would type, and lands in the request.

The lists of names are ours, from the tables of the service's page; the request is read back by the server's side.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from smsc_async._model.channels import (
    Binary,
    Email,
    Flash,
    Hlr,
    Mms,
    Ping,
    Social,
    Telegram,
    TelegramBot,
    Viber,
    Voice,
    WapPush,
    WhatsApp,
)
from smsc_async._model.credentials import ApiKey, Credentials, Login
from smsc_async._model.messages import Message
from smsc_async._model.operations import GetBalance, GetCost, GetListCost, GetStatus, Send, SendList
from smsc_async._model.schedule import After, At, Between, LocalTime
from smsc_async._model.types import MessageRef
from smsc_async._protocol.binding import encode, receive
from smsc_async._protocol.contract import CONTRACT

PHONE = "+79991234567"
URL = "https://example.com/f.mp3"
LOGIN = Login.model_validate({"login": "alex", "password": "p&s"})
KEY = ApiKey.model_validate({"key": "k"})
AnyOperation = Send | SendList | GetCost | GetListCost | GetStatus | GetBalance

# The tables of the page: fields of each method, then the parameters of `query`.
FIELDS = {
    "send_sms": "login psw apikey phones mes id sender time",
    "send_sms2": "login psw apikey phones mes id sender time query",
    "get_sms_cost": "login psw apikey phones mes",
    "get_sms_cost2": "login psw apikey phones mes query",
    "get_status": "login psw apikey phone id all",
    "get_status2": "login psw apikey phone id all query",
    "get_balance": "login psw apikey",
}
PARAMETERS = (
    "tz period freq flash bin push hlr ping mms mail soc viber whatsapp tg bot smsreq fileurl call voice param subj "
    "cost list nl valid tinyurl maxsms imgcode userip err op pp"
)


def received(operation: AnyOperation, credentials: Credentials = LOGIN) -> tuple[str, dict[str, Any]]:
    request = encode(operation, credentials, CONTRACT.namespace)
    incoming = receive(request.body, namespaces=(CONTRACT.namespace,))
    return incoming.method, dict(incoming.fields)


def query_of(operation: AnyOperation) -> dict[str, str]:
    query = received(operation)[1].get("query", "")
    assert "+" not in query
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def send(**fields: Any) -> Send:
    return Send.model_validate({"to": PHONE, "text": "Hi", "id": 7, **fields})


BARE = {"text": None}
MESSAGE = Message(PHONE, "one\ntwo: 100 % & +", "ivan", 2)
WALL = LocalTime(datetime(2024, 3, 9, 7, 5))  # noqa: DTZ001 - a wall clock time is the point

TYPED: list[tuple[str, AnyOperation, str]] = [
    ("tz", send(tz=-3), "-3"),
    ("period", send(period=0.1), "0.1"),
    ("freq", send(period=720, freq=1440), "1440"),
    ("flash", send(via=Flash()), "1"),
    ("bin", send(**BARE, via=Binary(b"\xff")), "2"),
    ("push", send(**BARE, via=WapPush(URL, "A title")), "1"),
    ("hlr", send(**BARE, via=Hlr()), "1"),
    ("ping", send(**BARE, via=Ping()), "1"),
    ("mms", send(via=Mms()), "1"),
    ("mail", send(to="a@b.c", via=Email("me@a.b", "S")), "1"),
    ("soc", send(via=Social()), "1"),
    ("viber", send(via=Viber()), "1"),
    ("whatsapp", send(via=WhatsApp()), "1"),
    ("tg", send(**BARE, via=Telegram("4821")), "1"),
    ("bot", send(to="#123", via=TelegramBot("@botname_bot")), "@botname_bot"),
    ("smsreq", send(smsreq=10), "10"),
    ("fileurl", send(via=Mms(file_url=URL)), URL),
    ("fileurl", send(to="a@b.c", via=Email("me@a.b", "S", file_url=URL)), URL),
    ("fileurl", send(via=WhatsApp(file_url=URL)), URL),
    ("fileurl", send(**BARE, via=Voice(file_url=URL)), URL),
    ("call", send(via=Voice()), "1"),
    *(
        ("voice", send(via=Voice.model_validate({"voice": v})), v)
        for v in ("m", "m2", "m3", "m4", "w", "w2", "w3", "w4")
    ),
    ("voice", send(via=Voice(voice="w", language="de")), "w,de"),
    ("param", send(via=Voice(answer_wait=25, repeat_interval=10, attempts=9)), "25,10,9"),
    ("subj", send(via=Mms(subject="Тема & +")), "Тема & +"),
    ("subj", send(to="a@b.c", via=Email("me@a.b", "S=1")), "S=1"),
    ("cost", send(cost=2), "2"),
    ("cost", send(cost=3), "3"),
    (
        "list",
        SendList(messages=(MESSAGE, Message("79991234568", "Ho", "x")), at=WALL),
        f"ivan,2|{PHONE}:one\\ntwo: 100 % & +\nx|79991234568:Ho",
    ),
    ("list", GetListCost(messages=(Message(PHONE, "Hi"),)), f"{PHONE}:Hi"),
    ("nl", send(extra={"nl": 1}), "1"),
    ("valid", send(valid=24), "24"),
    ("valid", send(valid="00:01"), "00:01"),
    ("tinyurl", send(tinyurl=True), "1"),
    ("maxsms", send(maxsms=3), "3"),
    ("imgcode", send(imgcode="aB3", userip="10.0.0.1"), "aB3"),
    ("userip", send(userip="10.0.0.1"), "10.0.0.1"),
    ("err", send(to=[PHONE, "79991234568"]), "1"),
    ("err", send(err=True), "1"),
    ("op", send(op=True), "1"),
    ("pp", send(pp=77), "77"),
]


@pytest.mark.parametrize(("name", "operation", "value"), TYPED)
def test_parameter_lands_in_query(name: str, operation: AnyOperation, value: str) -> None:
    assert query_of(operation)[name] == value
    assert received(operation)[0] in {"send_sms2", "get_sms_cost2"}


def test_every_documented_parameter_is_tried_and_no_other() -> None:
    assert {name for name, _, _ in TYPED} == set(PARAMETERS.split(" "))


@pytest.mark.parametrize(
    ("operation", "method", "fields"),
    [
        (send(sender="ivan", at=After(30)), "send_sms", {"id": "7", "sender": "ivan", "time": "+30"}),
        (send(at=Between(9, 21)), "send_sms", {"time": "9-21"}),
        (send(at=At(datetime(2024, 3, 9, tzinfo=UTC))), "send_sms", {"time": "01709942400"}),
        (send(at=WALL, tz=1), "send_sms2", {"time": "0903240705", "query": "tz=1"}),
        (send(sender="ivan", at=After(30), tz=0), "send_sms2", {"sender": "ivan", "query": "tz=0"}),
        (GetCost(to=(PHONE,), text="Hi"), "get_sms_cost", {"phones": PHONE, "mes": "Hi"}),
        (GetCost(to=(PHONE,), text="Hi", tz=0), "get_sms_cost2", {"phones": PHONE, "mes": "Hi", "query": "tz=0"}),
        (GetStatus(ref=MessageRef(PHONE, 7), detail=1), "get_status", {"phone": PHONE, "id": "7", "all": "1"}),
        (
            GetStatus(ref=MessageRef(PHONE, 7), extra={"a": "é +"}),
            "get_status2",
            {"phone": PHONE, "id": "7", "all": "0", "query": "a=%C3%A9%20%2B"},
        ),
        (GetBalance(), "get_balance", {}),
    ],
)
@pytest.mark.parametrize("credentials", [LOGIN, KEY])
def test_fields_land_in_the_request_of_the_right_method(
    operation: AnyOperation, method: str, fields: dict[str, str], credentials: Credentials
) -> None:
    came_by, came = received(operation, credentials)
    assert came_by == method
    assert {**came, **fields, **credentials.fields()} == came
    assert set(came) <= set(FIELDS[method].split())


def test_every_documented_field_of_every_method_can_be_filled() -> None:
    full: list[AnyOperation] = [
        send(sender="ivan", at=After(1)),
        send(sender="ivan", at=After(1), op=True),
        GetCost(to=(PHONE,), text="Hi"),
        GetCost(to=(PHONE,), text="Hi", op=True),
        GetStatus(ref=MessageRef(PHONE, 7)),
        GetStatus(ref=MessageRef(PHONE, 7), extra={"a": "b"}),
        GetBalance(),
    ]
    filled: dict[str, set[str]] = {}
    for operation in full:
        for credentials in (LOGIN, KEY):
            method, fields = received(operation, credentials)
            filled.setdefault(method, set()).update(fields)
    assert filled == {method: set(names.split()) for method, names in FIELDS.items()}


def test_cost_1_is_a_method_of_its_own_and_never_a_parameter_of_a_send() -> None:
    assert received(GetCost(to=(PHONE,), text="Hi"))[0] == "get_sms_cost"
    with pytest.raises(ValueError, match=r"use `Client\.cost` for a price"):
        send(cost=1)


def test_channel_supplies_mes_where_the_page_says_so() -> None:
    assert received(send(**BARE, via=Binary("ff", pid=1, dcs=2)))[1]["mes"] == "00FF\n~~~\npid: 1, dcs: 2"
    assert received(send(**BARE, via=WapPush(URL, "A title")))[1]["mes"] == f"{URL}\nA title"
    assert received(send(**BARE, via=Telegram("4821")))[1]["mes"] == "4821"


@pytest.mark.parametrize("to", [PHONE, "79991234567", "G12", ["+79991234567", "79991234568"]])
def test_recipients_of_every_kind_land_in_phones(to: str | list[str]) -> None:
    assert received(send(to=to))[1]["phones"] == (to if isinstance(to, str) else ",".join(to))
