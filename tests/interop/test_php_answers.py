"""The client reads the errors, Faults and namespaces of PHP's SoapServer."""

import logging
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest

from smsc_async import (
    Client,
    HTTPStatusError,
    InsufficientFunds,
    InvalidPhone,
    Message,
    MessageForbidden,
    MessageNotFound,
    MessageRef,
    Outcome,
    RecipientError,
    SoapFault,
    Undeliverable,
)
from smsc_async._protocol.contract import CONTRACT, Element
from smsc_async._protocol.wsdl import differences, read_wsdl, write_wsdl
from tests.interop.judges import PhpServer
from tests.interop.php_calls import PHONE


async def test_code_3_is_no_money_on_a_send_and_no_message_on_a_status(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms={"fields": {"id": "8", "error": "3"}}, get_status={"fields": {"error": "3"}})
    with pytest.raises(InsufficientFunds) as no_money:
        await client.send(PHONE, "Hello", id=8)
    assert (no_money.value.id, no_money.value.outcome) == ("8", Outcome.REJECTED)
    with pytest.raises(MessageNotFound):
        await client.status(MessageRef(PHONE, 8))


async def test_status_minus_3_is_no_message(client: Client, php_server: PhpServer) -> None:
    php_server.answer(get_status={"fields": {"status": "-3"}})
    with pytest.raises(MessageNotFound):
        await client.status(MessageRef(PHONE, 8))


@pytest.mark.parametrize(
    "errors",
    [
        [{"phone": "79990000001", "status": "6"}],
        [{"phone": "79990000001", "status": "6"}, {"phone": "79990000002", "status": "8"}],
    ],
    ids=["one", "two"],
)
async def test_errors_name_the_refused(client: Client, php_server: PhpServer, errors: list[dict[str, str]]) -> None:
    php_server.answer(send_sms2={"fields": {"id": "7", "cnt": "1", "errors": errors}})
    sent = await client.send([PHONE, "79990000001", "79990000002"], "Hello", id=7)
    refused = tuple(RecipientError(phone=each["phone"], code=int(each["status"])) for each in errors)
    assert sent.errors == refused
    accepted = [to for to in (PHONE, "79990000001", "79990000002") if to not in {each.phone for each in refused}]
    assert sent.refs == tuple(MessageRef(to, "7") for to in accepted)


async def test_errors_of_a_list_belong_to_their_messages(client: Client, php_server: PhpServer) -> None:
    errors = [{"phone": "79990000001", "status": "6"}, {"phone": "79990000003", "status": "8"}]
    php_server.answer(send_sms2={"fields": {"cnt": "1", "errors": errors}})
    messages = [Message(f"7999000000{number}", "Hi") for number in (1, 2, 3)]
    outcomes = [each async for each in client.send_batch(messages)]
    assert [type(outcome.error) for outcome in outcomes] == [MessageForbidden, type(None), Undeliverable]
    assert [outcome.ref and outcome.ref.phone for outcome in outcomes] == [None, "79990000002", None]


async def test_all_recipients_refused_is_an_error_with_the_id(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms={"fields": {"id": "9", "error": "7"}})
    with pytest.raises(InvalidPhone) as refused:
        await client.send("+70000", "Hello", id=9)
    assert refused.value.id == "9"


@pytest.mark.parametrize(
    ("code", "outcome"), [("Server", Outcome.UNKNOWN), ("Client", Outcome.REJECTED), ("Other", Outcome.UNKNOWN)]
)
async def test_a_fault_is_a_soap_fault(client: Client, php_server: PhpServer, code: str, outcome: Outcome) -> None:
    php_server.answer(send_sms={"fault": [code, "trouble <&> \r\n 😀"]})
    with pytest.raises(SoapFault) as fault:
        await client.send(PHONE, "Hello", id=9)
    assert (fault.value.fault_code, fault.value.fault_string) == (code, "trouble <&> \r\n 😀")
    assert (fault.value.outcome, fault.value.id) == (outcome, "9")
    assert len(php_server.calls()) == 1


async def test_a_fault_that_quotes_the_request_does_not_leak_it(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms={"fault": ["Server", f"login alex psw secret to {PHONE}: Hello <you>"]})
    with pytest.raises(SoapFault) as fault:
        await client.send(PHONE, "Hello <you>")
    assert fault.value.fault_string == "login *** psw *** to ***: ***"


async def test_a_crash_of_the_service_leaves_the_send_unknown(client: Client, php_server: PhpServer) -> None:
    php_server.answer(send_sms={"crash": True})
    with pytest.raises(HTTPStatusError) as crash:
        await client.send(PHONE, "Hello", id=9)
    assert (crash.value.status_code, crash.value.outcome, crash.value.id) == (500, Outcome.UNKNOWN, "9")
    assert len(php_server.calls()) == 1


OTHER_NAMESPACE: Final = "http://smsc.ru/sys/soap.php"


def _served_elsewhere(php_server: PhpServer) -> bytes:
    """Return a WSDL whose namespace is not the address, as of a brand that answers under another's name."""
    wsdl = write_wsdl(CONTRACT, OTHER_NAMESPACE)
    return wsdl.replace(f'location="{OTHER_NAMESPACE}"'.encode(), f'location="{php_server.url}"'.encode())


async def test_the_address_is_the_namespace_at_once(
    client: Client, php_server: PhpServer, caplog: pytest.LogCaptureFixture
) -> None:
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    caplog.set_level(logging.INFO, "smsc_async")
    await client.balance()
    assert php_server.only_call().soap_action == f'"{php_server.url}"'
    assert [record for record in caplog.records if record.name == "smsc_async"] == []


async def test_a_namespace_guessed_wrong_is_read_from_the_wsdl(client: Client, php_server: PhpServer) -> None:
    php_server.serve(_served_elsewhere(php_server))
    php_server.answer(send_sms={"fields": {"cnt": "1"}}, get_balance={"fields": {"balance": "1"}})
    await client.send(PHONE, "Hello")
    await client.balance()
    assert [call.method for call in php_server.calls()] == ["send_sms", "get_balance"]


async def test_a_namespace_said_wrong_is_healed_with_one_warning(
    php_server: PhpServer, caplog: pytest.LogCaptureFixture
) -> None:
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    async with Client(apikey="k", url=php_server.url, namespace="https://smsc.kz/sys/soap.php") as client:
        await client.balance()
        await client.balance()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert php_server.url in warnings[0].getMessage()


async def test_a_namespace_said_right_needs_no_look(php_server: PhpServer, caplog: pytest.LogCaptureFixture) -> None:
    php_server.serve(_served_elsewhere(php_server))
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    caplog.set_level(logging.INFO, "smsc_async")
    async with Client(apikey="k", url=php_server.url, namespace=OTHER_NAMESPACE) as client:
        await client.balance()
    assert [record for record in caplog.records if record.name == "smsc_async"] == []


@pytest.mark.parametrize("addition", ["", "?wsdl"])
async def test_the_address_works_with_and_without_wsdl(php_server: PhpServer, addition: str) -> None:
    php_server.answer(get_balance={"fields": {"balance": "1"}})
    async with Client(apikey="k", url=php_server.url + addition) as client:
        await client.balance()
    assert len(php_server.calls()) == 1


def test_php_serves_a_wsdl_whose_differences_we_name(php_server: PhpServer) -> None:
    operation, result = CONTRACT.operations["get_status"], CONTRACT.types["BalanceResponseType"]
    changed = replace(
        CONTRACT,
        operations={**CONTRACT.operations, "get_status": replace(operation, fields=operation.fields[:-1])},
        types={**CONTRACT.types, "BalanceResponseType": (*result, Element("currency"))},
    )
    php_server.serve(write_wsdl(changed, OTHER_NAMESPACE))
    served: Any = httpx.get(f"{php_server.url}?wsdl", timeout=10).content
    assert differences(read_wsdl(served)) == [
        "The namespace is http://smsc.ru/sys/soap.php, expected https://smscentre.com/sys/soap.php.",
        "Operation get_status: the field all is missing.",
        "Type BalanceResponseType: there is an unknown field currency.",
    ]
