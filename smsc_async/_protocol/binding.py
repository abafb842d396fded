"""Operations to envelopes and back, for both roles: the client and the server.

All peculiarities of the service are here or in `contract`: the body element is not the method name, the `...2` methods
are used when there are parameters for `query`, an API error is HTTP 200, a Fault is HTTP 500, and a crash is HTTP 500
with an empty page.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from http import HTTPStatus
from typing import Final, TypeVar

from pydantic import JsonValue, ValidationError

from smsc_async._frames import PrivateBytes, PrivateDict
from smsc_async._model import (
    Credentials,
    HTTPStatusError,
    MalformedEnvelope,
    Message,
    Operation,
    ProtocolError,
    Result,
    SoapFault,
    api_error,
    read_code,
    read_refusals,
)

from . import envelope as _envelope
from .contract import CONTRACT
from .envelope import SoapVersion
from .query import encode_list, encode_query
from .received import RequestFault, read_request
from .tags import trimmed

__all__ = [
    "Incoming",
    "Request",
    "RequestFault",
    "decode",
    "encode",
    "encode_answer",
    "encode_fault",
    "namespace_of",
    "receive",
]

R = TypeVar("R", bound=Result)

_OK: Final = 200  # an attribute of an enum is looked up by a function
_METHOD_OF: Final = {operation.request: name for name, operation in CONTRACT.operations.items()}


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be posted.

    Attributes:
        method: The service's name of the method.
        headers: The HTTP headers.
        body: The envelope.
        values: The fields, the parameters and the messages of the request; they are private, so they must be hidden
            where the server quotes them in a Fault.
    """

    method: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    values: tuple[Mapping[str, str], Mapping[str, str], tuple[Message, ...]] = field(repr=False)

    def private(self) -> tuple[str, ...]:
        """Return all private values of the request; computed only after a Fault, as no other request needs them."""
        fields, parameters, lines = self.values
        phones = [message.phone for message in lines] or fields.get("phones", "").split(",")
        return (*fields.values(), *parameters.values(), *(message.text for message in lines), *phones)


def namespace_of(url: str) -> str:
    """Return the namespace that the service uses at this URL: the URL without `?wsdl`."""
    return url.partition("?")[0].partition("#")[0]


def encode(operation: Operation[R], credentials: Credentials, namespace: str) -> Request:
    """Return the request for an operation.

    Raises:
        ValueError: XML or `list` can't carry a value.
    """
    plain, with_query = operation.methods
    parameters = PrivateDict(operation.parameters())
    if lines := operation.lines():
        parameters["list"] = encode_list(lines)
    fields = PrivateDict({**credentials.fields(), **operation.fields()})
    method = plain
    if parameters and with_query is not None:
        method = with_query
        fields["query"] = encode_query(parameters)
    headers = {"Content-Type": SoapVersion.V11.content_type, "SOAPAction": f'"{namespace}"'}
    body = PrivateBytes(_envelope.build(CONTRACT.operations[method].request, fields, namespace=namespace))
    return Request(method, headers, body, (fields, parameters, lines))


def decode(
    operation: Operation[R],
    request: Request,
    *,
    status_code: int,
    content_type: str,
    body: bytes,
    timezone: tzinfo,
) -> R:
    """Read the answer to a request.

    Args:
        operation: The operation.
        request: Its request.
        status_code: The HTTP status of the answer.
        content_type: Its Content-Type header, "" for none.
        body: Its body, decompressed.
        timezone: The zone in which the service writes local times.

    Raises:
        ApiError: The service refused the request; the class is from the operation's error table.
        SoapFault: The answer is a Fault.
        HTTPStatusError: The answer is an HTTP error without a Fault.
        MalformedEnvelope: The answer doesn't match the contract.
        ProtocolError: The answer has the id of another message, so it belongs to another request.
    """
    try:
        envelope = _envelope.parse(trimmed(body), _charset(content_type))
    except MalformedEnvelope:
        if status_code != _OK:
            raise _http_error(status_code) from None
        raise
    if envelope.fault is not None:
        raise _fault(envelope.fault, request)
    if status_code != _OK:
        raise _http_error(status_code)
    wire = _result_fields(envelope, operation)
    if _is_of_another(wire.get("id"), request.values[0].get("id")):
        raise ProtocolError("the answer has the id of another message, so it belongs to another request")
    code = _error_code(wire)
    if code:
        raise api_error(operation.errors, code).replace(errors=tuple(read_refusals(wire.get("errors"))[0]))
    known = {name: value for name, value in wire.items() if name != "error"} if "error" in wire else wire
    required = operation.result.required
    if not wire.get(required[0]) and not any(wire.get(name) for name in required[1:]):
        raise MalformedEnvelope(f"the answer has none of the fields {', '.join(operation.result.required)}")
    try:
        return operation.read(known, timezone)
    except ValidationError as error:
        wrong = ", ".join(sorted({".".join(map(str, line["loc"])) for line in error.errors(include_input=False)}))
    raise MalformedEnvelope(f"fields of the answer don't match the contract: {wrong}")


@lru_cache(maxsize=16)
def _charset(content_type: str) -> str | None:
    for parameter in content_type.lower().split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value:
            return value.strip("\"' ")
    return None


def _http_error(status_code: int) -> HTTPStatusError:
    try:
        phrase = f" {HTTPStatus(status_code).phrase}"
    except ValueError:
        phrase = ""
    return HTTPStatusError(f"HTTP {status_code}{phrase} without a SOAP Fault", status_code=status_code)


_SHOWN: Final = 300  # enough of a Fault's message to understand it, too little to fill a log
_QUOTE_LENGTH: Final = 6  # the shortest part of a longer private value that is hidden
_PROCEDURE_MISSING: Final = {"Procedure not present", *(f"Procedure '{name}' not present" for name in _METHOD_OF)}


def _fault(fault: _envelope.ReceivedFault, request: Request) -> SoapFault:
    code, text = (_redact(quoted[: 2 * _SHOWN], request.private())[:_SHOWN] for quoted in (fault.code, fault.string))
    if fault.string in _PROCEDURE_MISSING:
        text = fault.string  # it holds nothing private, and the client reacts to it
    return SoapFault(f"{code or 'Fault'}: {text}", fault_code=code, fault_string=text)


def _redact(text: str, private: Iterable[str]) -> str:
    """Hide private values, also where a part of one is quoted: a phone without its +, a text that was cut."""
    haystack = "\0".join(private)
    hidden: set[int] = set()
    for start in range(len(text) - _QUOTE_LENGTH + 1):
        if text[start : start + _QUOTE_LENGTH] in haystack:
            hidden.update(range(start, start + _QUOTE_LENGTH))
    for value in {value for value in haystack.split("\0") if 1 < len(value) < _QUOTE_LENGTH}:
        for found in re.finditer(re.escape(value), text):
            hidden.update(range(*found.span()))
    return re.sub("\0+", "***", "".join("\0" if at in hidden else letter for at, letter in enumerate(text)))


def _result_fields(envelope: _envelope.Envelope, operation: Operation[R]) -> dict[str, JsonValue]:
    for method in operation.methods:
        contract = CONTRACT.operations[method] if method else None
        if contract and envelope.element == contract.response and contract.result in envelope.fields:
            fields = envelope.fields[contract.result]
            return fields if isinstance(fields, dict) else {}
    raise MalformedEnvelope("the envelope holds no answer to this operation")


def _is_of_another(said: JsonValue, asked: str | None) -> bool:
    """Return whether an answer has an id that isn't the request's; errors 1, 2, 4, 5, 9 and reads have none."""
    if asked is None or not said or said == asked:
        return False
    if isinstance(said, list):
        return any(_is_of_another(each, asked) for each in said)
    text = said.strip() if isinstance(said, str) else str(said)
    if text.isdecimal() and asked.isdecimal():  # 0 is no id, and the service may write a number without its zeros
        text, asked = text.lstrip("0"), asked.lstrip("0")
    return text not in ("", "0", asked)


def _error_code(wire: Mapping[str, JsonValue]) -> int:
    """Return the error number, 0 for none; as it decides whether the request was executed, no other form is guessed."""
    value = wire.get("error") or ""
    code = read_code(value.strip() or "0") if isinstance(value, str) else None
    if code is None:
        raise MalformedEnvelope("the answer's error is not a number")
    return code


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the server sees it.

    Attributes:
        method: The service's name of the method.
        fields: The fields: text, None for nil, a list for a repeated field.
        version: The version of SOAP to answer in.
        namespace: The namespace to answer in.
    """

    method: str
    fields: Mapping[str, JsonValue] = field(repr=False)
    version: SoapVersion
    namespace: str = ""


def receive(body: bytes, *, namespaces: Collection[str]) -> Incoming:
    """Read a request as ext-soap does; `namespaces` are those of the server.

    Raises:
        RequestFault: The request is one that ext-soap answers with this Fault.
    """
    request = read_request(body)
    method = _METHOD_OF.get(request.element)
    if method is None or request.namespace not in namespaces:
        if request.version is SoapVersion.V12:
            raise RequestFault("rpc:ProcedureNotPresent", "Procedure not present", request.version)
        raise RequestFault("Server", f"Procedure '{request.element}' not present")
    must_understand = request.check_header()
    fields = request.fields([each.name for each in CONTRACT.operations[method].fields])
    if must_understand:
        raise RequestFault("MustUnderstand", "Header not understood", request.version)
    return Incoming(method, fields, request.version, request.namespace)


def encode_answer(incoming: Incoming, fields: Mapping[str, JsonValue], namespace: str) -> bytes:
    """Return the envelope of an answer."""
    contract = CONTRACT.operations[incoming.method]
    return _envelope.build(
        contract.response, {contract.result: dict(fields)}, namespace=namespace, version=incoming.version
    )


def encode_fault(refusal: RequestFault) -> bytes:
    """Return the envelope of a Fault."""
    return _envelope.build_fault(refusal.code, refusal.string, version=refusal.version)
