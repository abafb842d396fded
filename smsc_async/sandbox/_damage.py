"""What a fault makes of an answer: another one in its place, or a damaged one."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from smsc_async._protocol import CONTRACT, Incoming, RequestFault, SoapVersion, encode_answer, encode_fault

from ._connection import CutResponse, LeftoverResponse, SlowResponse, Wait
from ._fault import Fault, FaultKind
from ._faults import InjectedFault
from ._fields import Value

__all__ = ["damaged", "delay_of", "instead", "refusal_of"]

_BLOCKED: Final = 4
_WITH_ID: Final = frozenset({3, 6, 7, 8})
_NO_BODY: Final = frozenset({204, 304})
_HTML: Final = "text/html; charset=UTF-8"


def refusal_of(fault: Fault) -> int:
    """Return the error of the service, 0 for none."""
    return _BLOCKED if fault.kind is FaultKind.BLOCK else fault.code or 0


def delay_of(injected: InjectedFault | None) -> float:
    """Return the seconds before the answer."""
    if injected is None or injected.fault.kind is not FaultKind.DELAY:
        return 0.0
    return injected.fault.seconds or 0.0


def instead(injected: InjectedFault, incoming: Incoming) -> Response:
    """Return what comes in place of the answer to a request, executed or not."""
    fault = injected.fault
    if fault.kind in {FaultKind.LOSE_REQUEST, FaultKind.LOSE_ANSWER}:
        return CutResponse()
    if fault.kind is FaultKind.HTTP:
        return _page(fault.status or 0)
    if fault.kind is FaultKind.EMPTY:
        return Response(b"", media_type=_HTML)
    if fault.kind is FaultKind.SOAP_FAULT:
        return _fault(RequestFault(fault.faultcode or "", "injected by the sandbox", incoming.version))
    if fault.kind is FaultKind.DRIFTED_NAMESPACE:
        return _unknown_procedure(incoming)
    code = refusal_of(fault)
    sent = incoming.fields.get("id") if incoming.method.startswith("send") and code in _WITH_ID else None
    return _xml(incoming, ({"id": sent} if sent else {}) | {"error": str(code)})


def damaged(
    whole: Response, injected: InjectedFault, incoming: Incoming, fields: Mapping[str, Value], wait: Wait
) -> Response:
    """Return what comes of the answer to a request that was executed.

    Args:
        whole: The answer.
        injected: The fault.
        incoming: The request.
        fields: The fields of the answer.
        wait: Waits before the next byte.
    """
    fault = injected.fault
    made: Mapping[FaultKind, Callable[[], Response]] = {
        FaultKind.DELAY: lambda: whole,
        FaultKind.CUT: lambda: CutResponse(whole, fault.at or 0),
        FaultKind.SLOW_DRIP: lambda: SlowResponse(whole, fault.seconds or 0.0, wait),
        FaultKind.GARBAGE: lambda: _random(whole, injected),
        FaultKind.LEFTOVER_BYTES: lambda: LeftoverResponse(whole, bytes(_xml(incoming, {"error": "3"}).body)),
        FaultKind.FOREIGN_ID: lambda: _xml(incoming, {**fields, "id": str(injected.dice.randrange(1, 2**31))}),
    }
    return made[fault.kind]() if fault.kind in made else instead(injected, incoming)


def _random(whole: Response, injected: InjectedFault) -> Response:
    return Response(injected.dice.randbytes(len(whole.body)), headers={"Content-Type": whole.headers["Content-Type"]})


def _xml(incoming: Incoming, fields: Mapping[str, Value]) -> Response:
    return Response(
        encode_answer(incoming, fields, incoming.namespace), headers={"Content-Type": incoming.version.content_type}
    )


def _fault(fault: RequestFault) -> Response:
    return Response(encode_fault(fault), 500, headers={"Content-Type": fault.version.content_type})


def _unknown_procedure(incoming: Incoming) -> Response:
    if incoming.version is SoapVersion.V12:
        return _fault(RequestFault("rpc:ProcedureNotPresent", "Procedure not present", incoming.version))
    element = CONTRACT.operations[incoming.method].request
    return _fault(RequestFault("Server", f"Procedure '{element}' not present"))


def _page(status: int) -> Response:
    try:
        title = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:  # no registered status
        title = str(status)
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Response(b"" if status in _NO_BODY else page, status, media_type=_HTML)
