"""Every exception of the package.

Each answers one question, "may I send it again?", in `outcome`: NOT_SENT (nothing left, repeat freely), REJECTED (the
service refused it and did nothing), UNKNOWN (it may have been done: settle it before repeating).

* SmscError
  * GuardError                                 NOT_SENT; UNKNOWN of an attempt whose forerunner may have been done
    x DuplicateSend          x SubscriberFlood
    x StatusTooOften         x CostTooOften           x BalanceTooOften
    x TooManyInFlight        x BreakerOpen            x GuardStoreError
  * TransportError
    x ConnectError (also a ConnectionError)                            NOT_SENT
    x PoolTimeout (also a TimeoutError)                                NOT_SENT
    x ConnectionLost (also a ConnectionError)                          UNKNOWN
    x ReadTimeout (also a TimeoutError)                                UNKNOWN
    x HTTPStatusError                          REJECTED for 3xx, 404, 405, 413, else UNKNOWN
  * ProtocolError                                                      UNKNOWN
    x MalformedEnvelope
    x SoapFault                                REJECTED where the Fault proves that nothing was executed
  * ApiError                                                           REJECTED
    x InvalidParameters 1      x AuthenticationFailed 2
    x InsufficientFunds 3 (sending and prices)
    x MessageNotFound 3 (status)
    x AddressBlocked 4         x InvalidDate 5
    x MessageForbidden 6       x InvalidPhone 7
    x Undeliverable 8          x TooManyRequests 9
  * SendOutcomeUnknown                                                 UNKNOWN
  * JournalError                                                       UNKNOWN
    x JournalInUse                                                     NOT_SENT

Wrong arguments are `ValueError` (pydantic's `ValidationError` is one), raised before anything is sent.
No message holds a credential, a phone or a text; those of an interrupted send are in the attributes `id` and `refs`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from .types import MessageRef
from .unresolved import UnresolvedSend

__all__ = [
    "AddressBlocked",
    "ApiError",
    "AuthenticationFailed",
    "BalanceTooOften",
    "BreakerOpen",
    "ConnectError",
    "ConnectionLost",
    "CostTooOften",
    "DuplicateSend",
    "GuardError",
    "GuardStoreError",
    "HTTPStatusError",
    "InsufficientFunds",
    "InvalidDate",
    "InvalidParameters",
    "InvalidPhone",
    "JournalError",
    "JournalInUse",
    "MalformedEnvelope",
    "MessageForbidden",
    "MessageNotFound",
    "Outcome",
    "PoolTimeout",
    "ProtocolError",
    "ReadTimeout",
    "SendOutcomeUnknown",
    "SmscError",
    "SoapFault",
    "StatusTooOften",
    "SubscriberFlood",
    "TooManyInFlight",
    "TooManyRequests",
    "TransportError",
    "Undeliverable",
]


class Outcome(StrEnum):
    """What became of a request that failed."""

    NOT_SENT = "not_sent"
    """Nothing left this machine: repeating is safe."""
    REJECTED = "rejected"
    """The service refused it and executed nothing."""
    UNKNOWN = "unknown"
    """It may have been executed: ask for the status of `refs` before repeating a send."""


class SmscError(Exception):
    """Any failure of this package that isn't a wrong argument.

    Attributes:
        outcome: What became of the request.
        id: The message id of the send that failed, None for other operations.
        refs: One reference for each recipient of the send that failed, for `Client.status`.
        unresolved: What `Client.resolve` needs, where a send may have been done; None otherwise.
    """

    outcome: Outcome = Outcome.UNKNOWN

    def __init__(self, message: str, /) -> None:
        super().__init__(message)
        self.id: str | None = None
        self.refs: tuple[MessageRef, ...] = ()
        self.unresolved: UnresolvedSend | None = None

    def concerning(self, id: str | None, refs: Sequence[MessageRef]) -> None:  # noqa: A002 - the service's own word
        """Note which message this is about; never part of `str()` or `repr()`."""
        self.id = id
        self.refs = tuple(refs)


class GuardError(SmscError):
    """The client's own brake refused the request, to stay inside the limits of the service.

    A later attempt at a send that is refused before it could ask for the earlier one is UNKNOWN and has a `unresolved`.

    Attributes:
        retry_after: Seconds until the request may succeed, None where nobody can know.
    """

    outcome = Outcome.NOT_SENT

    def __init__(self, message: str, /, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DuplicateSend(GuardError):
    """The same message went to the same recipients less than a minute ago, or is on its way."""


class SubscriberFlood(GuardError):
    """A recipient has had 50 messages with gaps under two minutes; the service would block the next."""


class StatusTooOften(GuardError):
    """The status of this message was asked for five times within a minute."""


class CostTooOften(GuardError):
    """The same price was asked for five times within a minute."""


class BalanceTooOften(GuardError):
    """The balance was asked for ten times within a minute."""


class TooManyInFlight(GuardError):
    """No place among the requests in flight became free in time."""


class BreakerOpen(GuardError):
    """The service blocks this address, or would after one more failure (wrong credentials, bad sends)."""


class GuardStoreError(GuardError):
    """The store that the guards share can't be reached or can't be trusted, so nothing is sent."""


class TransportError(SmscError):
    """The network failed."""


class ConnectError(TransportError, ConnectionError):
    """No connection could be made (name, route, refusal, TLS, proxy, connect timeout)."""

    outcome = Outcome.NOT_SENT


class PoolTimeout(TransportError, TimeoutError):
    """No connection of the pool became free in time."""

    outcome = Outcome.NOT_SENT


class ConnectionLost(TransportError, ConnectionError):
    """The connection was cut while the request was written or the answer read."""


class ReadTimeout(TransportError, TimeoutError):
    """The request left and no complete answer came in time."""


class HTTPStatusError(TransportError):
    """The answer is an HTTP error without a SOAP Fault in it.

    Attributes:
        status_code: The HTTP status.
    """

    def __init__(self, message: str, /, *, status_code: int = 0) -> None:
        super().__init__(message)
        self.status_code = status_code
        # A redirect isn't followed, and 404, 405 and 413 are said by web servers before the service runs.
        if 300 <= status_code < 400 or status_code in {404, 405, 413}:  # noqa: PLR2004 - HTTP's own numbers
            self.outcome = Outcome.REJECTED


class ProtocolError(SmscError):
    """An answer came, and it isn't what the contract says."""


class MalformedEnvelope(ProtocolError):
    """The answer is not a SOAP envelope of this operation."""


class SoapFault(ProtocolError):
    """The answer is a SOAP Fault.

    Attributes:
        fault_code: The code without its prefix, such as `Server` or `Client`.
        fault_string: The server's words, with everything private of the request blotted out.
    """

    # Said by a SOAP server about the request itself, before any procedure runs; Sender is SOAP 1.2's word for Client.
    _before_execution: ClassVar[frozenset[str]] = frozenset({"Client", "Sender", "VersionMismatch", "MustUnderstand"})

    def __init__(self, message: str, /, *, fault_code: str = "", fault_string: str = "") -> None:
        super().__init__(message)
        self.fault_code = fault_code
        self.fault_string = fault_string
        if fault_code in self._before_execution or self.procedure_missing:
            self.outcome = Outcome.REJECTED

    @property
    def procedure_missing(self) -> bool:
        """Whether the server knows no such body element: the namespace is wrong, nothing was executed."""
        return self.fault_string.startswith("Procedure ") and self.fault_string.endswith(" not present")


class ApiError(SmscError):
    """The service itself said no, with a code.

    Attributes:
        code: The service's error number.
    """

    outcome = Outcome.REJECTED
    advice: ClassVar[str] = "the service refused the request with an undocumented code"

    def __init__(self, message: str, /, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class InvalidParameters(ApiError):
    """Error 1: something in the parameters is wrong."""

    advice = "the service finds an error in the parameters; check the arguments and `extra`"


class AuthenticationFailed(ApiError):
    """Error 2: wrong credentials, or an IP address that the account doesn't allow."""

    advice = (
        "wrong login, password or apikey, or an IP address missing from the account's list of allowed ones; "
        "five such failures in 30 minutes block the IP address"
    )


class InsufficientFunds(ApiError):
    """Error 3 of a send: the account has too little money."""

    advice = "the account has too little money; top it up"


class MessageNotFound(ApiError):
    """Error 3 or status -3 of a status request: no message has this phone and id."""

    advice = "no message has this phone and id; use the MessageRef that the send returned"


class AddressBlocked(ApiError):
    """Error 4: the service blocks this IP address for a while, because of frequent errors."""

    advice = "the service blocks this IP address for 10 to 30 minutes because of frequent errors; stop until then"


class InvalidDate(ApiError):
    """Error 5: the date isn't valid."""

    advice = "the service can't read the date of `at`"


class MessageForbidden(ApiError):
    """Error 6: the text or the sender isn't allowed."""

    advice = "the text or the sender name isn't allowed for this account"


class InvalidPhone(ApiError):
    """Error 7: the phone number isn't valid."""

    advice = "a phone number is not valid; give it in international format"


class Undeliverable(ApiError):
    """Error 8: the message can't be delivered to this number."""

    advice = "messages to this number can't be delivered"


class TooManyRequests(ApiError):
    """Error 9: the same request too often within a minute."""

    advice = "the same request came too often within a minute; wait a minute"


class SendOutcomeUnknown(SmscError):
    """A send may have been done, and its status could not settle it in time; hand it to `Client.resolve`.

    Attributes:
        refs: The recipients in doubt.
        accepted: Recipients whose message the service has.
        unsent: Recipients whose message it surely does not have.
    """

    def __init__(
        self, message: str, /, *, accepted: Sequence[MessageRef] = (), unsent: Sequence[MessageRef] = ()
    ) -> None:
        super().__init__(message)
        self.accepted = tuple(accepted)
        self.unsent = tuple(unsent)

    @property
    def ref(self) -> MessageRef:
        """The reference of the only recipient in doubt.

        Raises:
            ValueError: There isn't exactly one; see `refs`.
        """
        if len(self.refs) != 1:
            raise ValueError(f"{len(self.refs)} recipients are in doubt, not one; use .refs")
        return self.refs[0]


class JournalError(SmscError):
    """A journal can't be read or written, so the job stops; what it had attempted is settled at the next start."""


class JournalInUse(JournalError):
    """Another process works with the journal."""

    outcome = Outcome.NOT_SENT
