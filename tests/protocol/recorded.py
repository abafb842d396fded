"""Operations, their samples, and helpers that encode and decode their answers."""

from collections.abc import Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue, SecretStr

from smsc_async._model.credentials import Credentials, Login
from smsc_async._model.messages import Message
from smsc_async._model.operations import GetBalance, GetCost, GetListCost, GetStatus, Operation, Send, SendList
from smsc_async._model.types import MessageRef
from smsc_async._protocol.binding import decode, encode
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import SoapVersion, build

NAMESPACE: Final = "https://sms.example/sys/soap.php"

SAMPLES: Final = Path(__file__).parent / "samples"

XML: Final = "text/xml; charset=utf-8"

MOSCOW: Final = timezone(timedelta(hours=3))

LOGIN: Final = Login(login=SecretStr("alex"), password=SecretStr("pa<&>ss"))

PHONES: Final = ("+79215550101", "+79215550102", "+79215550103")

REF: Final = MessageRef(PHONES[0], 7)

BALANCE: Final = GetBalance()

STATUS: Final = GetStatus.model_validate({"ref": REF})

FULL_STATUS: Final = GetStatus.model_validate({"ref": REF, "detail": 2, "extra": {"nl": "1"}})

SEND: Final = Send.model_validate({"to": PHONES[0], "text": "Table 7 is yours", "id": 41})

SEND_MANY: Final = Send.model_validate({"to": PHONES, "text": "Table 7 is yours", "id": 42})

SEND_LIST: Final = SendList.model_validate(
    {"messages": (Message(PHONES[0], "One\nmore"), Message(PHONES[1], "Two", sender="IVAN")), "id": 43}
)

COST: Final = GetCost.model_validate({"to": PHONES[0], "text": "Table 7 is yours"})

COST_TWO: Final = GetCost.model_validate({"to": PHONES[0], "text": "Table 7 is yours", "tinyurl": True})

COST_LIST: Final = GetListCost.model_validate({"messages": (Message(PHONES[0], "One"),)})

EVERY: Final[tuple[Operation[Any], ...]] = (
    BALANCE, STATUS, FULL_STATUS, SEND, SEND_MANY, SEND_LIST, COST, COST_TWO, COST_LIST,
)  # fmt: skip


def decoded(
    operation: Operation[Any],
    body: bytes,
    *,
    status_code: int = 200,
    content_type: str = XML,
    credentials: Credentials = LOGIN,
) -> Any:
    request = encode(operation, credentials, NAMESPACE)
    return decode(operation, request, status_code=status_code, content_type=content_type, body=body, timezone=MOSCOW)


def answer_to(
    operation: Operation[Any], fields: Mapping[str, JsonValue], version: SoapVersion = SoapVersion.V11
) -> bytes:
    contract = CONTRACT.operations[operation.methods[0]]
    return build(contract.response, {contract.result: dict(fields)}, namespace=NAMESPACE, version=version)
