"""The fields of a request and of an answer, between the envelope and the service.

A request is refused by raising `ServiceError`; the service turns it into the answer's `error`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn, TypeAlias

from pydantic import JsonValue

__all__ = ["Answer", "ServiceError", "Value", "plain", "read_text", "refuse"]

# `None` is xsi:nil, a list is the same child repeated, a dict is a child with children.
Value: TypeAlias = JsonValue


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the service, and the slot in flight that the request holds until it leaves.

    Attributes:
        fields: The children of the result element, in the order of their type; absent fields are left out.
        error: The service's error code, 0 when there is none.
        ticket: Identifies the slot in flight; `None` when the request has none.
    """

    fields: dict[str, Value]
    error: int = 0
    ticket: int | None = None


class ServiceError(Exception):
    """The service refuses a request.

    Attributes:
        code: The service's error code.
        id: The message id, which errors 3, 6, 7 and 8 of a send carry.
        errors: The refused recipients with their codes, where the request asked for them.
    """

    def __init__(self, code: int, *, id: str = "", errors: tuple[tuple[str, int], ...] = ()) -> None:  # noqa: A002
        super().__init__(f"error {code}")
        self.code = code
        self.id = id
        self.errors = errors


def refuse(code: int) -> NoReturn:
    """Raise `ServiceError` with an error code only."""
    raise ServiceError(code)


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
    """Write an amount as the service does: no exponent, no trailing zeros."""
    return f"{amount.normalize():f}"
