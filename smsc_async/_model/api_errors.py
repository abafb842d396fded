"""The errors by which the service refuses a request, one class for each number."""

from collections.abc import Iterable
from typing import ClassVar

from .outcome import Outcome, Scope, SmscError
from .refusals import RecipientError

__all__ = [
    "AddressBlocked",
    "ApiError",
    "AuthenticationFailed",
    "InsufficientFunds",
    "InvalidDate",
    "InvalidParameters",
    "InvalidPhone",
    "MessageForbidden",
    "MessageNotFound",
    "TooManyRequests",
    "Undeliverable",
]


class ApiError(SmscError):
    """The service refused the request.

    Attributes:
        code: Its error number, 0 for none.
        errors: The refused recipients, each with its own number, if the service returned them (see `err`). The request
            as a whole has one number even if they differ.
    """

    outcome = Outcome.REJECTED
    scope = Scope.MESSAGE
    advice: ClassVar[str] = "the service refused the request with an undocumented code"

    def __init__(self, message: str, /, *, code: int = 0, errors: Iterable[RecipientError] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.errors: tuple[RecipientError, ...] = tuple(errors)


class InvalidParameters(ApiError):
    """Error 1: something in the parameters is wrong."""

    advice = "the service found an error in the parameters; check the arguments and `extra`"


class AuthenticationFailed(ApiError):
    """Error 2: wrong credentials, or an IP address that the account doesn't allow."""

    scope = Scope.ALL
    advice = (
        "wrong login, password or apikey, or an IP address missing from the account's list of allowed ones; "
        "five such failures in 30 minutes block the IP address"
    )


class InsufficientFunds(ApiError):
    """Error 3 of a send: the account has too little money."""

    scope = Scope.ALL
    advice = "the account has too little money; top it up"


class MessageNotFound(ApiError):
    """Error 3 or status -3 of a status request: no message has this phone and id."""

    advice = "no message has this phone and id; use the MessageRef that the send returned"


class AddressBlocked(ApiError):
    """Error 4: the service blocks this IP address for a while, because of frequent errors."""

    scope = Scope.ALL
    advice = "the service blocks this IP address for 10 to 30 minutes because of frequent errors; stop until then"


class InvalidDate(ApiError):
    """Error 5: the date isn't valid."""

    advice = "the service can't read the date of `at`"


class MessageForbidden(ApiError):
    """Error 6: the text or the sender isn't allowed."""

    advice = "the text or the sender name isn't allowed for this account"


class InvalidPhone(ApiError):
    """Error 7: the phone number isn't valid."""

    advice = "a phone number is not valid; pass it in international format"


class Undeliverable(ApiError):
    """Error 8: the message can't be delivered to this number."""

    advice = "messages to this number can't be delivered"


class TooManyRequests(ApiError):
    """Error 9: the same request too often within a minute."""

    scope = Scope.MOMENT
    advice = "the same request came too often within a minute; wait a minute"
