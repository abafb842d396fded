"""PHP's SoapClient against the sandbox server, by its own WSDL: the client that the provider's page recommends."""

from typing import Any, Final

import pytest

from tests.interop.judges import AppServer, PhpClient
from tests.interop.texts import TEXTS

DEMO: Final = {"login": "demo", "psw": "demo"}
OK: Final = {"status": 200, "content_type": "text/xml; charset=utf-8"}
FAILED: Final = {"status": 500, "content_type": "text/xml; charset=utf-8"}
DELIVERED: Final = "79000000001"
FORBIDDEN: Final = "79000009006"
WRONG: Final = "79000009007"
UNDELIVERABLE: Final = "79000009008"


def _result(answer: dict[str, Any], element: str) -> dict[str, Any]:
    assert {name: answer[name] for name in OK} == OK
    assert list(answer["result"]) == [element]
    fields: dict[str, Any] = answer["result"][element]
    return fields


def test_get_balance(php_client: PhpClient) -> None:
    assert _result(php_client.call("get_balance", DEMO), "balanceresult") == {"balance": "10000"}


def test_send_sms_and_get_status(php_client: PhpClient) -> None:
    send, brief, long = php_client.calls(
        {"method": "send_sms", "fields": {**DEMO, "phones": f"+{DELIVERED}", "mes": "Hello", "id": "7", "time": 0}},
        {"method": "get_status", "fields": {**DEMO, "phone": DELIVERED, "id": "7"}},
        {"method": "get_status", "fields": {**DEMO, "phone": DELIVERED, "id": "7", "all": "1"}},
    )
    sent = _result(send, "sendresult")
    assert (sent["id"], sent["cnt"], "error" in sent) == ("7", "1", False)
    status = _result(brief, "statusresult")
    assert status.keys() == {"status", "last_date", "last_timestamp", "err"}
    assert (status["status"], status["err"]) == ("1", "0")
    detailed = _result(long, "statusresult")
    assert (detailed["message"], detailed["phone"], detailed["sms_cnt"]) == ("Hello", DELIVERED, "1")
    assert "operator" not in detailed


def test_send_sms2_and_get_status2(php_client: PhpClient) -> None:
    send, status = php_client.calls(
        {
            "method": "send_sms2",
            "fields": {**DEMO, "phones": DELIVERED, "mes": "Hello", "id": "7", "query": "cost=3&viber=1"},
        },
        {"method": "get_status2", "fields": {**DEMO, "phone": DELIVERED, "id": "7", "all": "2", "query": "x=1"}},
    )
    sent = _result(send, "sendresult")
    assert sent.keys() == {"id", "balance", "cost", "cnt"}
    detailed = _result(status, "statusresult")
    assert detailed.keys() >= {"status", "message", "operator", "region"}


def test_details_that_the_wsdl_does_not_declare_do_not_disturb(php_client: PhpClient) -> None:
    fields = {**DEMO, "phones": DELIVERED, "mes": "Hello", "id": "7", "query": "op=1"}
    (send,) = php_client.calls({"method": "send_sms2", "fields": fields})
    assert _result(send, "sendresult").keys() >= {"id", "balance", "cost", "cnt"}


def test_get_sms_cost_and_get_sms_cost2(php_client: PhpClient) -> None:
    plain, with_query = php_client.calls(
        {"method": "get_sms_cost", "fields": {**DEMO, "phones": f"{DELIVERED};79000000002", "mes": "Hello"}},
        {"method": "get_sms_cost2", "fields": {**DEMO, "phones": DELIVERED, "mes": "Hello", "query": "hlr=1"}},
    )
    assert _result(plain, "costresult") == {"cost": "9", "cnt": "2"}
    assert _result(with_query, "costresult").keys() == {"cost", "cnt"}


def test_list(php_client: PhpClient) -> None:
    query = f"list={DELIVERED}:One%5CnTwo%0A79000000002:%D0%94%D0%B2%D0%B0"
    send, first, second = php_client.calls(
        {"method": "send_sms2", "fields": {**DEMO, "phones": "", "mes": "", "id": "7", "query": query}},
        {"method": "get_status", "fields": {**DEMO, "phone": DELIVERED, "id": "7", "all": "1"}},
        {"method": "get_status", "fields": {**DEMO, "phone": "79000000002", "id": "7", "all": "1"}},
    )
    assert _result(send, "sendresult")["cnt"] == "2"
    assert [_result(answer, "statusresult")["message"] for answer in (first, second)] == ["One\nTwo", "Два"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_goes_and_comes_back_exactly(php_client: PhpClient, text: str) -> None:
    _, status = php_client.calls(
        {"method": "send_sms", "fields": {**DEMO, "phones": DELIVERED, "mes": text, "id": "7"}},
        {"method": "get_status", "fields": {**DEMO, "phone": DELIVERED, "id": "7", "all": "1"}},
    )
    assert _result(status, "statusresult")["message"] == text


def test_apikey(php_client: PhpClient) -> None:
    assert _result(php_client.call("get_balance", {"apikey": "demo"}), "balanceresult") == {"balance": "10000"}


@pytest.mark.parametrize(
    ("method", "element", "fields", "error"),
    [
        ("get_balance", "balanceresult", {"login": "demo", "psw": "wrong"}, "2"),
        ("get_balance", "balanceresult", {}, "1"),
        ("send_sms", "sendresult", {**DEMO, "phones": "", "mes": "Hello"}, "1"),
        ("send_sms", "sendresult", {**DEMO, "phones": DELIVERED, "mes": "Hello", "time": "tomorrow"}, "5"),
        ("send_sms", "sendresult", {**DEMO, "phones": WRONG, "mes": "Hello"}, "7"),
        ("get_status", "statusresult", {**DEMO, "phone": DELIVERED, "id": "404"}, "3"),
    ],
)
def test_an_api_error_is_a_field_of_an_answer(
    php_client: PhpClient, method: str, element: str, fields: dict[str, str], error: str
) -> None:
    # Where the WSDL says that a field must be there, PHP's client refuses to leave it out.
    assert _result(php_client.call(method, fields), element)["error"] == error


def test_one_refused_recipient_is_an_errors_element(php_client: PhpClient) -> None:
    fields = {**DEMO, "phones": f"{DELIVERED},{FORBIDDEN}", "mes": "Hello", "query": "err=1"}
    sent = _result(php_client.call("send_sms2", fields), "sendresult")
    # By default PHP returns one element as an object and several as an array.
    assert (sent["cnt"], sent["errors"]) == ("1", {"phone": FORBIDDEN, "status": "6"})


def test_refused_recipients_are_errors_elements(php_client: PhpClient) -> None:
    fields = {**DEMO, "phones": f"{DELIVERED},{FORBIDDEN},{UNDELIVERABLE}", "mes": "Hello", "query": "err=1"}
    sent = _result(php_client.call("send_sms2", fields), "sendresult")
    assert sent["errors"] == [{"phone": FORBIDDEN, "status": "6"}, {"phone": UNDELIVERABLE, "status": "8"}]


def test_a_header_that_must_be_understood_is_a_fault(php_client: PhpClient) -> None:
    assert php_client.call("get_balance", DEMO, must_understand=True) == {
        "fault": ["SOAP-ENV:MustUnderstand", "Header not understood"],
        **FAILED,
    }


def test_a_wrong_namespace_is_a_fault(php_client: PhpClient) -> None:
    assert php_client.call("status", "x", namespace="http://smsc.ru/sys/soap.php") == {
        "fault": ["SOAP-ENV:Server", "Procedure 'status' not present"],
        **FAILED,
    }


def test_a_client_without_a_wsdl_is_served_by_the_names_of_the_elements(
    php_client: PhpClient, sandbox_server: AppServer
) -> None:
    answer = php_client.call("balance", "", namespace=sandbox_server.url)
    assert answer == {"result": {"error": "1"}, **OK}
