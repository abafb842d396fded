"""The fields of a request and of an answer, between the envelope and the service.

A request is refused by raising `ServiceError`; the service turns it into the answer's `error`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias

from pydantic import JsonValue

from ._limits import LimitUse

__all__ = ["REASONS", "Answer", "ServiceError", "Value", "plain", "read_text", "refuse"]

# `None` is xsi:nil, a list is the same child repeated, a dict is a child with children.
Value: TypeAlias = JsonValue


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the service, and the slot in flight that the request holds until it leaves.

    Attributes:
        fields: The children of the result element, in the order of their type; absent fields are left out.
        error: The service's error code, 0 when there is none.
        ticket: Identifies the slot in flight; `None` when the request has none.
        reason: Why there is an error, in words without phones, texts and credentials.
        login: The login of the customer; `None` where the credentials were not accepted.
        excess: The limit that was exceeded, if that is the reason.
        messages: The keys of the messages that were accepted.
    """

    fields: dict[str, Value]
    error: int = 0
    ticket: int | None = None
    reason: str = ""
    login: str | None = None
    excess: LimitUse | None = None
    messages: tuple[int, ...] = ()


class ServiceError(Exception):
    """The service refuses a request.

    Attributes:
        code: The service's error code.
        id: The message id, which errors 3, 6, 7 and 8 of a send carry.
        errors: The refused recipients with their codes, where the request asked for them.
        reason: Why, in words without phones, texts and credentials.
        excess: The limit that was exceeded, if that is the reason.
    """

    def __init__(
        self,
        code: int,
        *,
        id: str = "",  # noqa: A002
        errors: tuple[tuple[str, int], ...] = (),
        reason: str = "",
        excess: LimitUse | None = None,
    ) -> None:
        super().__init__(f"error {code}")
        self.code = code
        self.id = id
        self.errors = errors
        self.reason = reason or (excess.text if excess is not None else REASONS.get(code, ""))
        self.excess = excess


REASONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "a parameter is missing or wrong",
        2: "wrong login, password or apikey",
        3: "not enough money",
        4: "the IP address is blocked",
        5: "the time is wrong",
        6: "the text or the sender is forbidden",
        7: "the phone has a wrong format",
        8: "the account has no route to this phone",
        9: "too often",
    }
)
"""What the error codes mean."""


def refuse(code: int, *, excess: LimitUse | None = None) -> NoReturn:
    """Raise `ServiceError` with an error code, and the limit that was exceeded, if any."""
    raise ServiceError(code, excess=excess)


def read_text(fields: Mapping[str, Value], name: str) -> str:
    """Return a field's text; absent, nil and empty are the same.

    PHP's SoapServer hands a repeated child over as an array, and an array is no text: error 1.
    """
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        refuse(1)
    return value


def plain(amount: Decimal) -> str:
    """Write an amount as the service does: no exponent, no trailing zeros, no minus before zero."""
    return f"{amount.normalize() + 0:f}"
