"""The contract is the recorded interface with its three listed differences, and every request keeps to it.

The judge of the requests is libxml2's own validator with the schema of `wsdl_snapshot/soap.wsdl`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import SecretStr

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
from smsc_async._model.credentials import ApiKey, Credentials, Login
from smsc_async._model.messages import Message
from smsc_async._model.operations import GetBalance, GetCost, GetListCost, GetStatus, Operation, Send, SendList
from smsc_async._model.schedule import After, At, Between, LocalTime, Schedule
from smsc_async._model.types import MessageRef
from smsc_async._protocol.binding import encode
from smsc_async._protocol.contract import CONTRACT, Element

# What the provider's WSDL said in 2017-2020: `name` is required, `name?` optional, `name*:Type` repeated.
RECORDED_OPERATIONS: Final = {
    # method: body element, its fields, body element of the answer, the result in it, the stem of the other names
    "get_balance": ("balance", "login psw", "BalanceResponse", "balanceresult", "Balance"),
    "send_sms": ("send", "login psw phones mes id? sender? time?", "SendResponse", "sendresult", "Send"),
    "send_sms2": ("send2", "login psw phones mes id? sender? time? query?", "Send2Response", "sendresult", "Send2"),
    "get_sms_cost": ("cost", "login psw phones mes", "CostResponse", "costresult", "Cost"),
    "get_sms_cost2": ("cost2", "login psw phones mes query", "Cost2Response", "costresult", "Cost2"),
    "get_status": ("status", "login psw phone id all?", "StatusResponse", "statusresult", "Status"),
    "get_status2": ("status2", "login psw phone id all? query", "Status2Response", "statusresult", "Status2"),
}
RECORDED_STATUS: Final = (
    "status? last_date? last_timestamp? err? error? send_date? send_timestamp? phone? cost? sender_id? status_name? "
    "message? operator? region?"
)
RECORDED_TYPES: Final = {
    "BalanceResponseType": "balance? error?",
    "SendResponseType": "id? balance? cost? cnt? error?",
    "Error": "phone status",
    "Send2ResponseType": "id? balance? cost? cnt? error? errors*:Error",
    "CostResponseType": "cost? cnt? error?",
    "Cost2ResponseType": "cost? cnt? error?",
    "StatusResponseType": RECORDED_STATUS,
    "Status2ResponseType": RECORDED_STATUS,
}
# The service's page lists `apikey` instead of login and psw on every method, and `sms_cnt` in a status.
CREDENTIALS_OF_THE_PAGE: Final = "login? psw? apikey?"

SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"


def _schema() -> Any:
    wsdl: Any = etree.parse(Path(__file__).parent.parent.parent / "wsdl_snapshot" / "soap.wsdl")
    (schema,) = wsdl.iter("{http://www.w3.org/2001/XMLSchema}schema")
    return etree.XMLSchema(etree.fromstring(etree.tostring(schema)))


SCHEMA: Final = _schema()

LOGIN = Login(login=SecretStr("alex"), password=SecretStr("p<&>'\" ]]>"))
KEY = ApiKey(key=SecretStr("5ecre7"))
PHONE = "+79991234567"
FILE = "https://files.example/a.bin?x=1&y=2"
MOMENT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
CHANNELS: Final[tuple[Channel, ...]] = (
    Sms(),
    Flash(),
    Binary("00FF", udh="0401020304", pid=1, dcs=2),
    Binary(b"\x00"),
    WapPush("https://a.example/?b&c", "A <title>"),
    Hlr(),
    Ping(),
    Mms(subject="Hi", file_url=FILE),
    Email("me@a.example", "Hi", file_url=FILE),
    Social(),
    Viber(),
    WhatsApp(file_url=FILE),
    Telegram("4821"),
    TelegramBot("@a_bot"),
    Voice(voice="w2", language="en", answer_wait=10, repeat_interval=10, attempts=1, file_url=FILE),
)
SCHEDULES: Final[tuple[Schedule | None, ...]] = (
    None,
    At(MOMENT),
    LocalTime(MOMENT.replace(tzinfo=None)),
    Between(9, 21),
    After(30),
)
ALL_OPTIONS: Final[Mapping[str, Any]] = {
    "tz": -2.5,
    "period": 0.1,
    "freq": 1,
    "smsreq": 10,
    "valid": "23:59",
    "tinyurl": True,
    "maxsms": 3,
    "imgcode": "a&b=c d+e",
    "userip": "2001:db8::1",
    "err": True,
    "op": True,
    "pp": 77,
    "extra": {"nl": "1", "later_invention": "<&>"},
}


def _spell(fields: Iterable[Element]) -> str:
    words = []
    for field in fields:
        mark = "*" if field.repeated else "" if field.required else "?"
        words.append(field.name + mark + ("" if field.type == "string" else f":{field.type}"))
    return " ".join(words)


def _violations(operation: Operation[Any], credentials: Credentials) -> list[str]:
    request = encode(operation, credentials, CONTRACT.namespace)
    body: Any = etree.fromstring(request.body).find(f"{SOAP}Body")
    (element,) = body
    assert element.tag == f"{{{CONTRACT.namespace}}}{RECORDED_OPERATIONS[request.method][0]}"
    SCHEMA.validate(etree.fromstring(etree.tostring(element)))
    return [line.message for line in SCHEMA.error_log]


def _recipient(via: Channel) -> str:
    return "you@b.example" if isinstance(via, Email) else PHONE


def _text(via: Channel) -> str | None:
    return None if via._text_use.value == "refused" else "Hello"


def test_operations_are_the_recorded_ones_with_the_credentials_of_the_page() -> None:
    described = {
        name: (
            operation.request,
            _spell(operation.fields),
            operation.response,
            operation.result,
            (operation.result_type, operation.in_message, operation.out_message),
        )
        for name, operation in CONTRACT.operations.items()
    }
    assert described == {
        name: (
            request,
            fields.replace("login psw", CREDENTIALS_OF_THE_PAGE),
            response,
            result,
            (f"{stem}ResponseType", f"{stem}In", f"{stem}Out"),
        )
        for name, (request, fields, response, result, stem) in RECORDED_OPERATIONS.items()
    }


def test_types_are_the_recorded_ones_with_the_sms_cnt_of_the_page() -> None:
    described = {name: _spell(fields) for name, fields in CONTRACT.types.items()}
    assert described == {name: text.replace("message?", "message? sms_cnt?") for name, text in RECORDED_TYPES.items()}


def test_namespace_is_the_address_of_the_service() -> None:
    assert CONTRACT.namespace == "https://smscentre.com/sys/soap.php"


@pytest.mark.parametrize("credentials", [LOGIN, KEY], ids=["login", "apikey"])
@pytest.mark.parametrize("via", CHANNELS, ids=lambda via: type(via).__name__)
@pytest.mark.parametrize("options", [{}, ALL_OPTIONS], ids=["plain", "every-option"])
def test_sends_and_prices_of_every_channel_fit_the_schema(
    via: Channel, credentials: Credentials, options: Mapping[str, Any]
) -> None:
    dispatch = {"to": _recipient(via), "text": _text(via), "via": via, **options}
    assert _violations(GetCost.model_validate(dispatch), credentials) == []
    sender = {} if isinstance(via, Email) else {"sender": "ivan"}
    for at in SCHEDULES:
        for own in ({}, {"id": 7, "cost": 3, **sender}):
            assert _violations(Send.model_validate({**dispatch, **own, "at": at}), credentials) == []


@pytest.mark.parametrize("credentials", [LOGIN, KEY], ids=["login", "apikey"])
@pytest.mark.parametrize("options", [{}, ALL_OPTIONS], ids=["plain", "every-option"])
def test_batches_fit_the_schema(credentials: Credentials, options: Mapping[str, Any]) -> None:
    at = LocalTime(MOMENT.replace(tzinfo=None))
    messages = (Message(PHONE, "a\nb"), Message("79990000000", "c|d", sender="ivan", tz=-1))
    batch = {"messages": messages, **options}
    assert _violations(SendList.model_validate({**batch, "at": at, "cost": 2}), credentials) == []
    assert _violations(GetListCost.model_validate(batch), credentials) == []


@pytest.mark.parametrize("credentials", [LOGIN, KEY], ids=["login", "apikey"])
@pytest.mark.parametrize("extra", [{}, {"fmt": "1"}], ids=["plain", "extra"])
@pytest.mark.parametrize("detail", [0, 1, 2])
def test_statuses_and_balance_fit_the_schema(credentials: Credentials, extra: dict[str, str], detail: int) -> None:
    status = GetStatus.model_validate({"ref": MessageRef(PHONE, "a-1"), "detail": detail, "extra": extra})
    assert _violations(status, credentials) == []
    assert _violations(GetBalance(), credentials) == []


xml_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda character: character >= " " or character in "\t\n\r"
    ),
    min_size=1,
    max_size=1000,
).filter(lambda text: text.strip(" \t\r\n"))
phones = st.from_regex(r"\+?[0-9]{11,15}", fullmatch=True)
senders = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=11)
options_of_query = st.fixed_dictionaries(
    {},
    optional={
        "tz": st.integers(-15, 12),
        "period": st.floats(0.1, 720),
        "smsreq": st.integers(10, 999),
        "valid": st.integers(1, 24),
        "tinyurl": st.booleans(),
        "maxsms": st.integers(1, 99),
        "userip": st.ip_addresses().map(str),
        "err": st.none() | st.booleans(),
        "op": st.booleans(),
        "pp": xml_text,
        "extra": st.dictionaries(st.from_regex("x_[A-Za-z0-9_]{1,9}", fullmatch=True), xml_text, max_size=3),
    },
)
sends = st.builds(
    lambda fixed, options: Send.model_validate({**fixed, **options}),
    st.fixed_dictionaries(
        {
            "to": st.lists(phones, min_size=1, max_size=4, unique_by=lambda phone: phone.lstrip("+")[-10:]),
            "text": xml_text,
            "via": st.sampled_from([Sms(), Flash(), Social(), Viber(), WhatsApp(file_url=FILE), Mms(), Voice()]),
            "at": st.sampled_from(SCHEDULES),
        },
        optional={
            "id": st.integers(1, 2**31 - 1) | st.from_regex(r"[A-Za-z._-]{1,40}", fullmatch=True),
            "sender": senders,
            "cost": st.sampled_from([2, 3]),
        },
    ),
    options_of_query,
)
credentials_of_any_kind = st.one_of(
    st.builds(lambda key: ApiKey(key=SecretStr(f"k{key}y")), xml_text),
    st.builds(
        lambda login, psw: Login(login=SecretStr(f"l{login}n"), password=SecretStr(f"p{psw}w")), xml_text, xml_text
    ),
)


@example(operation=Send.model_validate({"to": PHONE, "text": "a\r\nb\rc\td ]]> &amp;"}), credentials=LOGIN)
@settings(deadline=None)
@given(operation=sends, credentials=credentials_of_any_kind)
def test_any_send_fits_the_schema_and_carries_its_text(operation: Send, credentials: Credentials) -> None:
    assert _violations(operation, credentials) == []
    body = encode(operation, credentials, CONTRACT.namespace).body
    assert etree.fromstring(body).findtext(".//mes") == operation.text


def test_the_judge_refuses_what_is_not_in_the_schema() -> None:
    """Otherwise the tests above would prove nothing."""
    for wrong in ("<stranger/>", "<phones>1</phones>", "<mes>1</mes><phones>1</phones>"):
        element = etree.fromstring(f'<n:send xmlns:n="{CONTRACT.namespace}">{wrong}</n:send>')
        assert not SCHEMA.validate(element)
