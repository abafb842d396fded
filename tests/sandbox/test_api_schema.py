"""Random requests that follow the API's OpenAPI document, and such that do not: none is answered with 500."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from smsc_async.sandbox import Sandbox

pytestmark = pytest.mark.slow

OPERATIONS = [
    "GET /messages",
    "DELETE /messages",
    "GET /messages/{key}",
    "POST /messages/{key}/status",
    "GET /clock",
    "POST /clock",
    "GET /faults",
    "POST /faults",
    "DELETE /faults",
    "DELETE /faults/{id}",
    "POST /reset",
    "GET /limits",
    "GET /requests",
    "GET /requests/{number}",
    "GET /accounts",
    "GET /accounts/{login}",
    "PUT /accounts/{login}",
    "GET /callback",
    "PUT /callback",
    "DELETE /callback",
    "GET /callbacks",
    "GET /callbacks/{id}",
    "POST /callbacks/{id}/again",
    "POST /incoming",
    "POST /calls",
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    sandbox = Sandbox()
    with sandbox.serve() as service:
        yield service.removesuffix("/sys/soap.php") + "/_sandbox/api"


def _send(url: str) -> None:
    fields = "<apikey>demo</apikey><phones>+79991234567</phones><mes>Your code is 4821</mes>"
    soap = 'xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="https://smscentre.com/sys/soap.php"'
    body = f"<e:Envelope {soap}><e:Body><n:send>{fields}</n:send></e:Body></e:Envelope>"
    httpx.post(url.replace("/_sandbox/api", "/sys/soap.php"), content=body)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_no_request_is_answered_with_500(url: str, operation: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    operations = {f"{each.method.upper()} {each.path}": each for each in found}
    assert list(operations) == OPERATIONS
    httpx.post(f"{url}/reset")
    httpx.put(f"{url}/callback", json={"url": "http://127.0.0.1:9/", "secret": "secret"})
    httpx.post(f"{url}/calls", json={"phone": "+79991234567"})
    _send(url)
    asked = 0

    @given(case=operations[operation].as_strategy(generation_mode=mode))
    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        nonlocal asked
        if isinstance(case.query, dict):
            case.query.pop("wait", None)  # it would wait
        response = case.call()
        asked += 1
        case.validate_response(
            response, checks=[not_a_server_error, response_schema_conformance, status_code_conformance]
        )

    ask()
    assert asked
