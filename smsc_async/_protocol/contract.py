"""The contract of the service: its operations, their elements and their fields, as its WSDL described them.

Restored from the public WSDL of 2017-2020 and the service's page. Three things differ from that WSDL, as on the
page: `apikey` is a field of every request, `login` and `psw` are therefore optional, and a status has `sms_cnt`.
`wsdl_snapshot/soap.wsdl` is this contract as a document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["CONTRACT", "Contract", "Element", "OperationContract"]


@dataclass(frozen=True, slots=True)
class Element:
    """One field.

    Attributes:
        name: The element's name.
        required: Whether it must be present.
        repeated: Whether it may occur more than once.
        type: The name of its type, "string" for text.
    """

    name: str
    required: bool = False
    repeated: bool = False
    type: str = "string"


@dataclass(frozen=True, slots=True)
class OperationContract:
    """One operation; the body element of its request is *not* its name.

    Attributes:
        request: The body element of the request.
        fields: Its children, in the order of the schema.
        response: The body element of the answer.
        result: The only child of the answer, which holds the fields.
        result_type: The name of the type of the result.
        in_message: The name of the WSDL message of the request.
        out_message: The name of the WSDL message of the answer.
    """

    request: str
    fields: tuple[Element, ...]
    response: str
    result: str
    result_type: str
    in_message: str
    out_message: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A service's interface.

    Attributes:
        namespace: The targetNamespace; the service uses its own URL for it, and for every SOAPAction.
        operations: The operations by name.
        types: The fields of each named type.
    """

    namespace: str
    operations: Mapping[str, OperationContract]
    types: Mapping[str, tuple[Element, ...]]


def _fields(names: str) -> tuple[Element, ...]:
    """Read `name?` as optional, `name*` as repeated, `name*:Type` as of that type, and a plain name as required."""
    elements = []
    for word in names.split():
        name, _, kind = word.partition(":")
        elements.append(Element(name.rstrip("?*"), not name.endswith(("?", "*")), name.endswith("*"), kind or "string"))
    return tuple(elements)


def _operation(stem: str, result: str, fields: str) -> OperationContract:
    name = stem.capitalize()
    # The service answers with the result element of the plain method in both variants: sendresult, never send2result.
    return OperationContract(
        request=stem,
        fields=_fields("login? psw? apikey? " + fields),
        response=f"{name}Response",
        result=f"{result}result",
        result_type=f"{name}ResponseType",
        in_message=f"{name}In",
        out_message=f"{name}Out",
    )


_STATUS_FIELDS: Final = _fields(
    "status? last_date? last_timestamp? err? error? send_date? send_timestamp? phone? cost? sender_id? status_name? "
    "message? sms_cnt? operator? region?"
)

CONTRACT: Final = Contract(
    namespace="https://smscentre.com/sys/soap.php",
    operations={
        "get_balance": _operation("balance", "balance", ""),
        "send_sms": _operation("send", "send", "phones mes id? sender? time?"),
        "send_sms2": _operation("send2", "send", "phones mes id? sender? time? query?"),
        "get_sms_cost": _operation("cost", "cost", "phones mes"),
        "get_sms_cost2": _operation("cost2", "cost", "phones mes query"),
        "get_status": _operation("status", "status", "phone id all?"),
        "get_status2": _operation("status2", "status", "phone id all? query"),
    },
    types={
        "BalanceResponseType": _fields("balance? error?"),
        "SendResponseType": _fields("id? balance? cost? cnt? error?"),
        "Error": _fields("phone status"),
        "Send2ResponseType": _fields("id? balance? cost? cnt? error? errors*:Error"),
        "CostResponseType": _fields("cost? cnt? error?"),
        "Cost2ResponseType": _fields("cost? cnt? error?"),
        "StatusResponseType": _STATUS_FIELDS,
        "Status2ResponseType": _STATUS_FIELDS,
    },
)
"""The contract for https://smscentre.com; the namespace of another URL is that URL."""
