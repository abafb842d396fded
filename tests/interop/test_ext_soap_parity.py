"""The sandbox answers odd requests as PHP's SoapServer does: the same status, the same Content-Type, the same bytes."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, TypeAlias

import httpx
import pytest
from pydantic import JsonValue

from benchmarks.ext_soap_parity import compare
from smsc_async import ApiKey, GetBalance, GetCost, GetListCost, GetStatus, Login, Operation, Send, SendList
from smsc_async._protocol.binding import RequestFault, encode, encode_answer, encode_fault, receive
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import parse
from tests.interop.judges import PhpServer
from tests.interop.probes import PROBES, Probe
from tests.interop.texts import TEXTS

Answer: TypeAlias = tuple[int, str, bytes]

DEMO: Final = Login.model_validate({"login": "demo", "password": "demo"})
DELIVERED: Final = "79000000001"
FORBIDDEN: Final = "79000009006"
UNDELIVERABLE: Final = "79000009008"

COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate", "not-really-gzip", "identity", "brotli"})
"""Probes of HTTP alone, which the codec never sees."""


def _probes(*, without: frozenset[str] = frozenset()) -> list[Any]:
    return [pytest.param(probe, id=probe.name) for probe in PROBES if probe.name not in without]


@pytest.fixture
async def in_process(sandbox: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client whose network is the sandbox."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app)) as client:
        yield client


def _seen(response: httpx.Response) -> Answer:
    return response.status_code, response.headers.get("Content-Type", ""), response.content


def _ask_php(php_server: PhpServer, body: bytes, headers: Mapping[str, str]) -> Answer:
    return _seen(httpx.post(php_server.url, content=body, headers=headers, timeout=10))


def _echo(body: bytes, namespace: str) -> Answer:
    """Answer as `server.php` does without a script: with the arguments as JSON, in the order of the WSDL."""
    try:
        incoming = receive(body, namespaces=(namespace,))
    except RequestFault as refusal:
        return 500, refusal.version.content_type, encode_fault(refusal)
    names = [field.name for field in CONTRACT.operations[incoming.method].fields]
    fields = {name: incoming.fields[name] for name in names if name in incoming.fields}
    echo: dict[str, JsonValue] = {"error": json.dumps(fields, ensure_ascii=False, separators=(",", ":"))}
    return 200, incoming.version.content_type, encode_answer(incoming, echo, namespace)


def _script(php_server: PhpServer, answer: Answer) -> None:
    """Let PHP's service answer with the fields that the sandbox has answered with, if it has."""
    status, _, body = answer
    if status == 200 and body:
        envelope = parse(body)
        (result,) = envelope.fields.values()
        php_server.answer(
            **{
                name: {"fields": result}
                for name, operation in CONTRACT.operations.items()
                if operation.response == envelope.element
            }
        )


@pytest.mark.parametrize("probe", _probes(without=COMPRESSED))
def test_codec_understands_what_ext_soap_understands(php_server: PhpServer, probe: Probe) -> None:
    body = probe.body(php_server.url)
    assert _echo(body, php_server.url) == _ask_php(php_server, body, probe.headers)


@pytest.mark.parametrize("probe", _probes())
async def test_sandbox_answers_a_probe_as_ext_soap_does(
    in_process: httpx.AsyncClient, php_server: PhpServer, probe: Probe
) -> None:
    body = probe.body(php_server.url)
    ours = _seen(await in_process.post(php_server.url, content=body, headers=probe.headers))
    _script(php_server, ours)
    assert ours == _ask_php(php_server, body, probe.headers)


CONVERSATION: Final[tuple[Operation[Any], ...]] = (
    Send.model_validate({"to": DELIVERED, "text": "Hello", "id": 7}),
    Send.model_validate({"to": [DELIVERED, FORBIDDEN], "text": "Hi", "cost": 3}),
    Send.model_validate({"to": [DELIVERED, FORBIDDEN, UNDELIVERABLE], "text": "Ho", "cost": 2}),
    Send.model_validate({"to": FORBIDDEN, "text": "Hello", "id": 8}),
    SendList.model_validate({"messages": [{"phone": DELIVERED, "text": "One\nTwo"}], "id": 9}),
    GetCost.model_validate({"to": DELIVERED, "text": "Hello"}),
    GetCost.model_validate({"to": DELIVERED, "text": "Hello", "tinyurl": True}),
    GetListCost.model_validate({"messages": [{"phone": DELIVERED, "text": "Hello"}]}),
    GetStatus.model_validate({"ref": {"phone": DELIVERED, "id": "7"}}),
    GetStatus.model_validate({"ref": {"phone": DELIVERED, "id": "7"}, "detail": 1}),
    GetStatus.model_validate({"ref": {"phone": DELIVERED, "id": "7"}, "detail": 2, "extra": {"x": "1"}}),
    GetStatus.model_validate({"ref": {"phone": DELIVERED, "id": "404"}}),
    GetBalance(),
)


async def test_a_conversation_reads_as_if_ext_soap_had_led_it(
    in_process: httpx.AsyncClient, php_server: PhpServer
) -> None:
    for operation in CONVERSATION:
        request = encode(operation, DEMO, php_server.url)
        ours = _seen(await in_process.post(php_server.url, content=request.body, headers=request.headers))
        _script(php_server, ours)
        assert ours == _ask_php(php_server, request.body, request.headers)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_a_text_reads_as_if_ext_soap_had_written_it(
    in_process: httpx.AsyncClient, php_server: PhpServer, text: str
) -> None:
    status = GetStatus.model_validate({"ref": {"phone": DELIVERED, "id": "7"}, "detail": 1})
    for operation in (Send.model_validate({"to": DELIVERED, "text": text, "id": 7}), status):
        request = encode(operation, ApiKey.model_validate({"key": "demo"}), php_server.url)
        ours = _seen(await in_process.post(php_server.url, content=request.body, headers=request.headers))
        _script(php_server, ours)
        assert ours == _ask_php(php_server, request.body, request.headers)
    (result,) = parse(ours[2]).fields.values()
    assert isinstance(result, dict)
    assert result["message"] == text


@pytest.mark.parametrize("query", ["", "?wsdl", "?WSDL", "?wsdl=1", "?x&wsdl"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_for_the_page_or_the_wsdl_gets_what_php_serves(
    in_process: httpx.AsyncClient, php_server: PhpServer, method: str, query: str
) -> None:
    url = php_server.url + query
    ours = _seen(await in_process.request(method, url))
    async with httpx.AsyncClient(timeout=10) as network:
        assert ours == _seen(await network.request(method, url))


@pytest.mark.slow
async def test_mutated_requests_get_the_answers_of_ext_soap(php_server: PhpServer) -> None:
    """`benchmarks/ext_soap_parity.py` sends 6,000."""
    kinds, unknown = await compare(php_server, seed=4, count=200)
    assert not unknown
    assert kinds.total() < 4
