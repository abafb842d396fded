"""zeep, sync and async, against the sandbox server by its own WSDL."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, TypeAlias

import httpx
import pytest
import requests
import zeep.helpers
import zeep.transports
from lxml import etree
from zeep.exceptions import Fault

from tests.interop.judges import AppServer
from tests.interop.texts import TEXTS

DEMO: Final = {"login": "demo", "psw": "demo"}
DELIVERED: Final = "79000000001"
FORBIDDEN: Final = "79000009006"
UNDELIVERABLE: Final = "79000009008"
TIMEOUT: Final = 15

# zeep has no annotations, so it is called as what it is for a type checker: anything.
ZEEP: Final[Any] = zeep
Call: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]


class _OtherNamespace:
    """A plugin that sends requests in another namespace than the WSDL's."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def egress(self, envelope: Any, http_headers: Any, operation: Any, binding_options: Any) -> Any:
        del operation, binding_options
        text = etree.tostring(envelope).decode()
        return etree.fromstring(text.replace(self._namespace, "urn:other")), http_headers

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> Any:
        del operation
        return envelope, http_headers


@pytest.fixture
def zeep_client(sandbox_server: AppServer) -> Iterator[zeep.Client]:
    with requests.Session() as session:
        transport = ZEEP.Transport(session=session, timeout=TIMEOUT, operation_timeout=TIMEOUT)
        yield ZEEP.Client(f"{sandbox_server.url}?wsdl", transport=transport)


@pytest.fixture
async def async_zeep_client(sandbox_server: AppServer) -> AsyncIterator[zeep.AsyncClient]:
    with httpx.Client(timeout=TIMEOUT) as wsdl_client:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            transport = ZEEP.transports.AsyncTransport(client=client, wsdl_client=wsdl_client)
            yield ZEEP.AsyncClient(f"{sandbox_server.url}?wsdl", transport=transport)


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    """Call a method with zeep and return the fields of its answer that are there."""
    client: Any = request.getfixturevalue("zeep_client" if request.param == "sync" else "async_zeep_client")

    async def call(method: str, **fields: Any) -> dict[str, Any]:
        answer = getattr(client.service, method)(**fields)
        if request.param == "async":
            answer = await answer
        return {
            name: value
            for name, value in ZEEP.helpers.serialize_object(answer, dict).items()
            if value not in (None, [])
        }

    return call


async def test_get_balance(call: Call) -> None:
    assert await call("get_balance", **DEMO) == {"balance": "10000"}


async def test_apikey(call: Call) -> None:
    assert await call("get_balance", apikey="demo") == {"balance": "10000"}


async def test_send_sms_and_get_status(call: Call) -> None:
    sent = await call("send_sms", **DEMO, phones=DELIVERED, mes="Hello", id="7", sender="ivan", time="0")
    assert (sent["id"], sent["cnt"], "error" in sent) == ("7", "1", False)
    status = await call("get_status", **DEMO, phone=DELIVERED, id="7", all="1")
    assert (status["status"], status["message"], status["sender_id"]) == ("1", "Hello", "ivan")
    assert "operator" not in status


async def test_send_sms2_and_get_status2(call: Call) -> None:
    sent = await call("send_sms2", **DEMO, phones=DELIVERED, mes="Hello", id="7", query="cost=3&viber=1")
    assert sent.keys() == {"id", "balance", "cost", "cnt"}
    status = await call("get_status2", **DEMO, phone=DELIVERED, id="7", all="2", query="x=1")
    assert status.keys() >= {"status", "message", "operator", "region"}


async def test_get_sms_cost_and_get_sms_cost2(call: Call) -> None:
    assert await call("get_sms_cost", **DEMO, phones=DELIVERED, mes="Hello") == {"cost": "4.5", "cnt": "1"}
    assert (await call("get_sms_cost2", **DEMO, phones=DELIVERED, mes="", query="hlr=1")).keys() == {"cost", "cnt"}


# lxml writes a carriage return as a character reference, so zeep's requests keep it.
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_text_goes_and_comes_back_exactly(call: Call, text: str) -> None:
    await call("send_sms", **DEMO, phones=DELIVERED, mes=text, id="7")
    assert (await call("get_status", **DEMO, phone=DELIVERED, id="7", all="1"))["message"] == text


async def test_an_api_error_is_a_field_of_an_answer(call: Call) -> None:
    assert await call("get_balance", login="demo", psw="wrong") == {"error": "2"}
    assert await call("get_status", **DEMO, phone=DELIVERED, id="404") == {"error": "3"}
    assert await call("send_sms", **DEMO, phones=FORBIDDEN, mes="Hello", id="9") == {"id": "9", "error": "6"}


@pytest.mark.parametrize("refused", [{FORBIDDEN: "6"}, {FORBIDDEN: "6", UNDELIVERABLE: "8"}], ids=["one", "two"])
async def test_refused_recipients_are_errors_elements(call: Call, refused: dict[str, str]) -> None:
    phones = ",".join([DELIVERED, *refused])
    sent = await call("send_sms2", **DEMO, phones=phones, mes="Hello", query="err=1")
    assert sent["cnt"] == "1"
    assert sent["errors"] == [{"phone": phone, "status": status} for phone, status in refused.items()]


async def test_a_header_that_must_be_understood_is_a_fault(call: Call) -> None:
    header = etree.fromstring(
        '<x xmlns="urn:h" xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" e:mustUnderstand="1"/>'
    )
    with pytest.raises(Fault) as fault:
        await call("get_balance", **DEMO, _soapheaders=[header])
    assert (fault.value.code, fault.value.message) == ("SOAP-ENV:MustUnderstand", "Header not understood")


def test_a_wrong_namespace_is_a_fault(zeep_client: zeep.Client, sandbox_server: AppServer) -> None:
    zeep_client.plugins.append(_OtherNamespace(sandbox_server.url))
    with pytest.raises(Fault) as fault:
        zeep_client.service.get_balance(**DEMO)
    assert (fault.value.code, fault.value.message) == ("SOAP-ENV:Server", "Procedure 'balance' not present")


async def test_a_wrong_namespace_is_a_fault_for_the_async_client(
    async_zeep_client: zeep.AsyncClient, sandbox_server: AppServer
) -> None:
    async_zeep_client.plugins.append(_OtherNamespace(sandbox_server.url))
    with pytest.raises(Fault) as fault:
        await async_zeep_client.service.get_balance(**DEMO)
    assert fault.value.message == "Procedure 'balance' not present"
