"""Errors of the client as answers to the user of an application, in the form of RFC 9457.

An answer says what that user can do, and nothing of the account: neither its balance, its limits nor its credentials.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from smsc_async._model import (
    AddressBlocked,
    ApiError,
    AuthenticationFailed,
    ClientClosed,
    DeliveryFailed,
    DuplicateSend,
    GuardError,
    InsufficientFunds,
    InvalidDate,
    InvalidParameters,
    InvalidPhone,
    MessageForbidden,
    MessageNotFound,
    Outcome,
    ProtocolError,
    SendOutcomeUnknown,
    SmscError,
    SubscriberFlood,
    TooManyRequests,
    TransportError,
    Undeliverable,
)

__all__ = ["PROBLEM_JSON", "HttpProblem", "problem_of"]

PROBLEM_JSON: Final = "application/problem+json"

_log = logging.getLogger("smsc_async")

_LATER: Final = (HTTPStatus.SERVICE_UNAVAILABLE, "the SMS service can't be used at the moment; try again later")
_FAILED: Final = (HTTPStatus.BAD_GATEWAY, "the SMS service gave no usable answer")
_REFUSED: Final = (HTTPStatus.UNPROCESSABLE_ENTITY, "the SMS service refused the message")
_UNKNOWN: Final = (
    HTTPStatus.ACCEPTED,
    "the message may have been sent, and its outcome is not known yet; ask for its status before sending it again",
)
_TABLE: Final[Mapping[type[SmscError], tuple[HTTPStatus, str]]] = {
    DuplicateSend: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "the same message was sent a moment ago; wait before you repeat it",
    ),
    SubscriberFlood: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "this recipient got too many messages; try again later",
    ),
    GuardError: _LATER,
    ClientClosed: _LATER,
    InsufficientFunds: _LATER,
    AuthenticationFailed: _LATER,
    AddressBlocked: _LATER,
    TooManyRequests: _LATER,
    MessageNotFound: (HTTPStatus.NOT_FOUND, "no message has this phone and id"),
    InvalidPhone: (HTTPStatus.UNPROCESSABLE_ENTITY, "the SMS service knows no such phone number"),
    Undeliverable: (HTTPStatus.UNPROCESSABLE_ENTITY, "messages to this phone number can't be delivered"),
    MessageForbidden: _REFUSED,
    InvalidParameters: _REFUSED,
    InvalidDate: _REFUSED,
    ApiError: _FAILED,
    TransportError: _FAILED,
    ProtocolError: _FAILED,
    SendOutcomeUnknown: _FAILED,
    DeliveryFailed: (HTTPStatus.BAD_GATEWAY, "the message was not delivered"),
}
"""The answer to each class; the closest base of an error counts."""


@dataclass(frozen=True, slots=True)
class HttpProblem:
    """An answer about an error.

    Attributes:
        status: The HTTP status.
        detail: What happened, in a sentence that shows nothing of the account or the message.
        retry_after: Whole seconds until a repetition may succeed, None if that is unknown.
        message_id: The id of the message that may have been sent, None for another error.
    """

    status: HTTPStatus
    detail: str
    retry_after: int | None = None
    message_id: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers besides the content type."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def body(self) -> dict[str, str | int]:
        """The members of the JSON object; `about:blank` means that the title is that of the status."""
        members: dict[str, str | int] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        return members if self.message_id is None else {**members, "message_id": self.message_id}


def problem_of(error: SmscError) -> HttpProblem | None:
    """Return the answer to an error, None for a mistake of the program, which is not the user's to know.

    The error itself is logged where somebody who runs the application should know about it.
    """
    answer = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), None)
    if answer is None:
        return None
    is_unknown_send = error.outcome is Outcome.UNKNOWN and error.id is not None
    status, detail = _UNKNOWN if is_unknown_send else answer
    if is_unknown_send or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("answered %d after %s: %s", status, type(error).__name__, error)
    seconds = error.retry_after if isinstance(error, GuardError) and not is_unknown_send else None
    known = seconds is not None and math.isfinite(seconds)
    return HttpProblem(
        status,
        detail,
        retry_after=max(1, math.ceil(seconds)) if known and seconds is not None else None,
        message_id=error.id if is_unknown_send else None,
    )
