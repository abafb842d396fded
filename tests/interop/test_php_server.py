"""PHP's SoapServer receives the requests of the client."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl

import pytest

from smsc_async import (
    After,
    At,
    Between,
    Binary,
    Channel,
    Client,
    DeliveryError,
    Email,
    Flash,
    Hlr,
    LocalTime,
    Message,
    MessageRef,
    MessageStatus,
    Mms,
    Ping,
    Schedule,
    Sms,
    Social,
    Telegram,
    TelegramBot,
    Viber,
    Voice,
    WapPush,
    WhatsApp,
)
from smsc_async._protocol.contract import CONTRACT, Element
from smsc_async._protocol.wsdl import write_wsdl
from tests.interop.judges import Call, PhpServer
from tests.interop.php_calls import PHONE
from tests.interop.texts import TEXTS

LOGIN: Final = {"login": "alex", "psw": "secret"}


every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


async def test_get_balance(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_balance={"fields": {"balance": "1871.62"}})
    assert (await client.balance()).amount == Decimal("1871.62")
    assert php_server.only_call() == Call("get_balance", LOGIN, {})


async def test_get_balance_with_error_0_is_no_error(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_balance={"fields": {"balance": "-0.50", "error": "0"}})
    assert (await client.balance()).amount == Decimal("-0.50")


async def test_send_sms(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms={"fields": {"id": "77", "cnt": "2"}})
    sent = await client.send(PHONE, "Hello", id=77, sender="ivan", at=After(minutes=30))
    assert (sent.id, sent.sms_count, sent.refs) == ("77", 2, (MessageRef(PHONE, "77"),))
    fields = {**LOGIN, "phones": PHONE, "mes": "Hello", "id": "77", "sender": "ivan", "time": "+30"}
    assert php_server.only_call() == Call("send_sms", fields, {})


async def test_send_sms_leaves_out_what_is_not_given(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms={"fields": {"cnt": "1"}})
    sent = await client.send(PHONE, "Hello")
    assert php_server.only_call().fields == {**LOGIN, "phones": PHONE, "mes": "Hello", "id": sent.id}


async def test_send_sms2(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms2={"fields": {"id": "a-1", "balance": "1225.56", "cost": "9", "cnt": "2"}})
    sent = await client.send([PHONE, "79990000002"], "Hello", id="a-1", cost=3, tinyurl=True)
    assert (sent.balance, sent.cost, sent.sms_count) == (Decimal("1225.56"), Decimal(9), 2)
    call = php_server.only_call()
    query = call.fields.pop("query")
    assert call.fields == {**LOGIN, "phones": f"{PHONE},79990000002", "mes": "Hello", "id": "a-1"}
    assert call.query == {"err": "1", "tinyurl": "1", "cost": "3"} == dict(parse_qsl(query))


async def test_get_sms_cost(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_sms_cost={"fields": {"cost": "1.44", "cnt": "1"}})
    cost = await client.cost(PHONE, "Hello")
    assert (cost.amount, cost.sms_count) == (Decimal("1.44"), 1)
    assert php_server.only_call() == Call("get_sms_cost", {**LOGIN, "phones": PHONE, "mes": "Hello"}, {})


async def test_get_sms_cost2(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_sms_cost2={"fields": {"cost": "3"}})
    assert (await client.cost(PHONE, via=Hlr())).amount == Decimal(3)
    fields = {**LOGIN, "phones": PHONE, "mes": "", "query": "hlr=1"}
    assert php_server.only_call() == Call("get_sms_cost2", fields, {"hlr": "1"})


async def test_get_status(client: Client, php_server: PhpServer) -> None:
    php_server.answer(
        get_status={
            "fields": {
                "status": "20",
                "last_date": "28.12.2019 19:20:22",
                "last_timestamp": "1577550022",
                "err": "6",
                "send_date": "28.12.2019 19:20:20",
                "phone": "79991234567",
                "cost": "1.44",
                "sender_id": "ivan",
                "status_name": "Невозможно доставить",
                "message": "a\r\nb",
                "sms_cnt": "2",
                "operator": "Op & Co",
                "region": "<R>",
            }
        }
    )
    report = await client.status(MessageRef(PHONE, 5), detail=2)
    assert (report.status, report.error) == (MessageStatus.UNDELIVERABLE, DeliveryError.OFFLINE)
    assert report.changed_at == datetime(2019, 12, 28, 16, 20, 22, tzinfo=UTC)
    assert report.sent_at == datetime(2019, 12, 28, 16, 20, 20, tzinfo=UTC)
    assert (report.cost, report.parts, report.text) == (Decimal("1.44"), 2, "a\r\nb")
    assert (report.operator, report.region, report.status_name) == ("Op & Co", "<R>", "Невозможно доставить")
    assert report.extra == {}
    assert php_server.only_call() == Call("get_status", {**LOGIN, "phone": PHONE, "id": "5", "all": "2"}, {})


async def test_get_status2(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_status2={"fields": {"status": "1", "err": "0"}})
    report = await client.status(MessageRef(PHONE, "a.b"), extra={"del": "1", "note": "a&b"})
    assert report.is_delivered
    call = php_server.only_call()
    assert (call.method, call.query) == ("get_status2", {"del": "1", "note": "a&b"})
    assert call.fields == {**LOGIN, "phone": PHONE, "id": "a.b", "all": "0", "query": "del=1&note=a%26b"}


@every_text
async def test_text_arrives_exactly(client: Client, php_server: PhpServer, text: str) -> None:
    php_server.answer(send_sms={"fields": {"cnt": "1"}})
    await client.send(PHONE, text)
    assert php_server.only_call().fields["mes"] == text


@every_text
async def test_text_comes_back_exactly(client: Client, php_server: PhpServer, text: str) -> None:
    php_server.answer(get_status={"fields": {"status": "1", "message": text}})
    assert (await client.status(MessageRef(PHONE, 5), detail=1)).text == text


@every_text
async def test_query_carries_any_text_exactly(client: Client, php_server: PhpServer, text: str) -> None:
    php_server.answer(send_sms2={"fields": {"cnt": "1"}})
    await client.send(PHONE, "Hello", imgcode=text, userip="192.0.2.1")
    assert php_server.only_call().query == {"imgcode": text, "userip": "192.0.2.1"}


@every_text
async def test_list_carries_any_text_exactly(client: Client, php_server: PhpServer, text: str) -> None:
    php_server.answer(send_sms2={"fields": {"cnt": "1"}}, send_sms={"fields": {"cnt": "1"}})
    (outcome,) = [each async for each in client.send_batch([Message(PHONE, text)])]
    assert outcome.error is None
    call = php_server.only_call()
    if call.method == "send_sms2" and "list" in call.query:
        phone, _, line = call.query["list"].partition(":")
        assert (phone, line.replace(r"\n", "\n")) == (PHONE, text)
    else:
        assert (call.fields["phones"], call.fields["mes"]) == (PHONE, text)


async def test_list_lines_arrive_exactly(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms2={"fields": {"cnt": "4"}})
    messages = [
        Message("79990000001", "plain: colons; and, commas"),
        Message("79990000002", "two\nlines + 100% & more = #1", sender="ivan"),
        Message("79990000003", "a | bar 😀", sender="petr", tz=-1.5),
        Message("79990000004", "<b>\"quoted\" & 'single' ]]></b>", sender="ivan", tz=0),
    ]
    at = LocalTime(datetime(2030, 1, 2, 3, 4))  # noqa: DTZ001 - a wall clock time is naive
    outcomes = [each async for each in client.send_batch(messages, at=at, via=Viber())]
    call = php_server.only_call()
    assert [outcome.ref for outcome in outcomes] == [
        MessageRef(message.phone, call.fields["id"]) for message in messages
    ]
    assert call.query == {
        "list": "79990000001:plain: colons; and, commas\n"
        r"ivan|79990000002:two\nlines + 100% & more = #1" + "\n"
        "petr,-1.5|79990000003:a | bar 😀\n"
        "ivan,0|79990000004:<b>\"quoted\" & 'single' ]]></b>",
        "viber": "1",
        "err": "1",
    }
    assert (call.fields["phones"], call.fields["mes"], call.fields["time"]) == ("", "", "0201300304")


@pytest.mark.parametrize("text", ["a|b", r"a\nb", "a\rb", " a", "a\t"])
async def test_a_text_that_a_line_would_change_travels_by_itself(
    client: Client, php_server: PhpServer, text: str
) -> None:
    php_server.answer(send_sms={"fields": {"cnt": "1"}}, send_sms2={"fields": {"cnt": "1"}})
    messages = [Message(PHONE, "plain"), Message("79990000002", text), Message("79990000003", "plain")]
    outcomes = [each async for each in client.send_batch(messages)]
    assert [outcome.message for outcome in outcomes] == messages
    assert [call.query.get("list") for call in php_server.calls()] == [f"{PHONE}:plain", None, "79990000003:plain"]
    assert php_server.calls()[1].fields["mes"] == text


async def test_cost_of_a_list(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_sms_cost2={"fields": {"cost": "2.88", "cnt": "2"}})
    messages = [Message(PHONE, "a"), Message("79990000002", "b")]
    (price,) = [each async for each in client.cost_batch(messages)]
    assert price.cost is not None
    assert price.cost.amount == Decimal("2.88")
    assert php_server.only_call().query == {"list": f"{PHONE}:a\n79990000002:b"}


FILE: Final = "https://files.example/a%20b.bin?x=1&y=2#z"


@pytest.mark.parametrize(
    ("via", "mes", "query"),
    [
        (Sms(), "Hi", {}),
        (Flash(), "Hi", {"flash": "1"}),
        (Binary("00ff", udh=b"\x01\xaa", pid=1, dcs=4), "01AA00FF\n~~~\npid: 1, dcs: 4", {"bin": "2"}),
        (WapPush("https://a.example/?b&c", "A <title>"), "https://a.example/?b&c\nA <title>", {"push": "1"}),
        (Hlr(), "", {"hlr": "1"}),
        (Ping(), "", {"ping": "1"}),
        (Mms(subject="A & B", file_url=FILE), "Hi", {"mms": "1", "subj": "A & B", "fileurl": FILE}),
        (Email("me@a.example", "Тема"), "Hi", {"mail": "1", "subj": "Тема"}),
        (Social(), "Hi", {"soc": "1"}),
        (Viber(), "Hi", {"viber": "1"}),
        (WhatsApp(file_url=FILE), "Hi", {"whatsapp": "1", "fileurl": FILE}),
        (Telegram("4821"), "4821", {"tg": "1"}),
        (TelegramBot("@a_bot"), "Hi", {"bot": "@a_bot"}),
        (
            Voice(voice="w2", language="en", answer_wait=10, repeat_interval=20, attempts=3),
            "Hi",
            {"call": "1", "voice": "w2,en", "param": "10,20,3"},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Channel) else "",
)
async def test_channels_arrive_exactly(
    client: Client, php_server: PhpServer, via: Channel, mes: str, query: Mapping[str, str]
) -> None:
    php_server.answer(send_sms={"fields": {"cnt": "1"}}, send_sms2={"fields": {"cnt": "1"}})
    to = "you@b.example" if isinstance(via, Email) else PHONE
    await client.send(to, "Hi" if mes == "Hi" else None, via=via)
    call = php_server.only_call()
    assert (call.fields["phones"], call.fields["mes"], call.query) == (to, mes, query)
    assert call.fields.get("sender") == ("me@a.example" if isinstance(via, Email) else None)


async def test_every_option_arrives_exactly(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms2={"fields": {"cnt": "1"}})
    await client.send(
        PHONE,
        "Hello",
        tz=-2.5,
        period=1.5,
        freq=10,
        smsreq=10,
        valid=timedelta(hours=23, minutes=59),
        tinyurl=True,
        maxsms=3,
        imgcode="a&b=c d+e%20;я",
        userip="2001:db8::1",
        err=True,
        op=True,
        pp=77,
        cost=2,
        extra={"nl": 1, "later_invention": "<&>\r\n😀"},
    )
    assert php_server.only_call().query == {
        "tz": "-2.5",
        "period": "1.5",
        "freq": "10",
        "smsreq": "10",
        "valid": "23:59",
        "tinyurl": "1",
        "maxsms": "3",
        "imgcode": "a&b=c d+e%20;я",
        "userip": "2001:db8::1",
        "err": "1",
        "op": "1",
        "pp": "77",
        "cost": "2",
        "nl": "1",
        "later_invention": "<&>\r\n😀",
    }


@pytest.mark.parametrize(
    ("at", "time"),
    [
        (datetime(2030, 1, 2, 3, 4, tzinfo=UTC), "01893553440"),
        (At(datetime(2030, 1, 2, 3, 4, tzinfo=UTC)), "01893553440"),
        (LocalTime(datetime(2030, 1, 2, 3, 4)), "0201300304"),  # noqa: DTZ001 - a wall clock time is naive
        (Between(9, 21), "9-21"),
        (After(minutes=30), "+30"),
    ],
)
async def test_every_schedule_arrives_exactly(
    client: Client, php_server: PhpServer, at: datetime | Schedule, time: str
) -> None:
    php_server.answer(send_sms={"fields": {"cnt": "1"}})
    await client.send(PHONE, "Hello", at=at)
    assert php_server.only_call().fields["time"] == time


async def test_login_and_password_of_any_characters_arrive_exactly(php_server: PhpServer) -> None:
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    login, password = "ал & ex", " <p>\"'&amp;]]>\r\n😀 "
    async with Client(login=login, password=password, url=php_server.url) as client:
        await client.balance()
    assert php_server.only_call().fields == {"login": login, "psw": password}


async def test_apikey_arrives_in_place_of_login_and_password(php_server: PhpServer) -> None:
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    async with Client(apikey="5ecre7&<", url=php_server.url) as client:
        await client.balance()
    assert php_server.only_call().fields == {"apikey": "5ecre7&<"}


def _wsdl_of_2017(url: str) -> bytes:
    """Return the WSDL as it was recorded: no apikey, login and psw required, no sms_cnt."""

    def old(fields: tuple[Element, ...]) -> tuple[Element, ...]:
        kept = (field for field in fields if field.name not in {"apikey", "sms_cnt"})
        return tuple(replace(field, required=True) if field.name in {"login", "psw"} else field for field in kept)

    operations = {
        name: replace(operation, fields=old(operation.fields)) for name, operation in CONTRACT.operations.items()
    }
    types = {name: old(fields) for name, fields in CONTRACT.types.items()}
    return write_wsdl(replace(CONTRACT, operations=operations, types=types), url)


async def test_a_server_of_the_old_wsdl_serves_login_and_password(client: Client, php_server: PhpServer) -> None:
    php_server.serve(_wsdl_of_2017(php_server.url))
    php_server.answer(get_status={"fields": {"status": "1", "sms_cnt": "2"}})
    assert (await client.status(MessageRef(PHONE, 5))).is_delivered
    assert php_server.only_call().fields == {**LOGIN, "phone": PHONE, "id": "5", "all": "0"}


async def test_a_server_of_the_old_wsdl_drops_an_apikey_without_a_fault(php_server: PhpServer) -> None:
    php_server.serve(_wsdl_of_2017(php_server.url))
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    async with Client(apikey="5ecre7", url=php_server.url) as client:
        await client.balance()
    assert php_server.only_call().fields == {}
