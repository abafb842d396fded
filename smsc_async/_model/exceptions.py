"""Every exception of the package.

The attribute `outcome` shows whether the request may be sent again: NOT_SENT (nothing was sent, so repeating is safe),
REJECTED (the service refused it and executed nothing), UNKNOWN (it may have been executed: reconcile it first).

The attribute `scope` shows what a job of many requests does next:

- ALL (stop): AuthenticationFailed, InsufficientFunds, AddressBlocked, BreakerOpen, SendingPaused, SpendLimitReached,
  ClientClosed, WrongEventLoop, JournalError, JournalInUse
- MESSAGE (go on with the others): the other classes of ApiError, except TooManyRequests; DeliveryFailed; HTTP 413
- MOMENT (repeat it later): all others

* SmscError
  * GuardError                                 NOT_SENT; UNKNOWN if an earlier attempt may have been executed
    x DuplicateSend      x SubscriberFlood    x StatusTooOften     x CostTooOften       x SpendLimitReached
    x BalanceTooOften    x TooManyInFlight    x BreakerOpen        x GuardStoreError    x SendingPaused
  * TransportError
    x ConnectError (also a ConnectionError)                            NOT_SENT
    x PoolTimeout (also a TimeoutError)                                NOT_SENT
    x ConnectionLost (also a ConnectionError)    x ReadTimeout (also a TimeoutError)    UNKNOWN
    x HTTPStatusError                          REJECTED for 3xx, 404, 405, 413, else UNKNOWN
  * ProtocolError                                                      UNKNOWN
    x MalformedEnvelope    x SoapFault         REJECTED where the Fault proves that nothing was executed
  * ApiError                                                           REJECTED
    x InvalidParameters 1    x AuthenticationFailed 2    x InsufficientFunds 3 (sending and prices)
    x MessageNotFound 3 (status)    x AddressBlocked 4    x InvalidDate 5    x MessageForbidden 6
    x InvalidPhone 7         x Undeliverable 8           x TooManyRequests 9
  * SendOutcomeUnknown                                                 UNKNOWN
  * DeliveryFailed                                                     REJECTED
  * WrongEventLoop (also a RuntimeError)                               NOT_SENT
  * ClientClosed (also a RuntimeError)                                 as for GuardError
  * JournalError                                                       UNKNOWN
    x JournalInUse                                                     NOT_SENT

Wrong arguments are `ValueError`, raised before anything is sent.
No message holds a credential, a phone or a text; those of an interrupted send are in the attributes `id` and `refs`.
"""

from collections.abc import Sequence
from typing import ClassVar

from .api_errors import (
    AddressBlocked,
    ApiError,
    AuthenticationFailed,
    InsufficientFunds,
    InvalidDate,
    InvalidParameters,
    InvalidPhone,
    MessageForbidden,
    MessageNotFound,
    TooManyRequests,
    Undeliverable,
)
from .outcome import Outcome, Scope, SmscError
from .reports import DeliveryReport
from .types import MessageRef

__all__ = [
    "AddressBlocked",
    "ApiError",
    "AuthenticationFailed",
    "BalanceTooOften",
    "BreakerOpen",
    "ClientClosed",
    "ConnectError",
    "ConnectionLost",
    "CostTooOften",
    "DeliveryFailed",
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
    "Scope",
    "SendOutcomeUnknown",
    "SendingPaused",
    "SmscError",
    "SoapFault",
    "SpendLimitReached",
    "StatusTooOften",
    "SubscriberFlood",
    "TooManyInFlight",
    "TooManyRequests",
    "TransportError",
    "Undeliverable",
    "WrongEventLoop",
]


class GuardError(SmscError):
    """The guards refused the request, to stay inside the limits of the service.

    If a retry of a send is refused before the status of the earlier attempt is checked, `outcome` is UNKNOWN and
    `unresolved` is set.

    Attributes:
        retry_after: Seconds until the request may succeed, None if that is unknown.
    """

    outcome = Outcome.NOT_SENT

    def __init__(self, message: str, /, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DuplicateSend(GuardError):
    """The same message went to the same recipients less than a minute ago, or is in flight."""


class SubscriberFlood(GuardError):
    """A recipient got 50 messages with gaps shorter than two minutes; the service would block the next one."""


class StatusTooOften(GuardError):
    """The status of this message was requested five times within a minute."""


class CostTooOften(GuardError):
    """The same price was requested five times within a minute."""


class BalanceTooOften(GuardError):
    """The balance was requested ten times within a minute."""


class TooManyInFlight(GuardError):
    """No slot for another request in flight became free in time."""


class BreakerOpen(GuardError):
    """The service blocks this IP address, or would after one more failure (wrong credentials, bad sends)."""

    scope = Scope.ALL


class GuardStoreError(GuardError):
    """The shared store of the guards is unreachable or inconsistent, so nothing is sent."""


class SendingPaused(GuardError):
    """Sending was paused for all clients that share the store of the guards, until `smsc-async guards --resume`."""

    scope = Scope.ALL


class SpendLimitReached(GuardError):
    """The messages of the last 24 hours, and those to be sent, cost more than the rule `spend` allows."""

    scope = Scope.ALL


class ClientClosed(SmscError, RuntimeError):
    """The client was closed before the request could be sent."""

    scope = Scope.ALL
    outcome = Outcome.NOT_SENT


class TransportError(SmscError):
    """The network failed."""


class ConnectError(TransportError, ConnectionError):
    """No connection could be made (name, route, refusal, TLS, proxy, connect timeout)."""

    outcome = Outcome.NOT_SENT


class PoolTimeout(TransportError, TimeoutError):
    """No connection of the pool became free in time."""

    outcome = Outcome.NOT_SENT


class ConnectionLost(TransportError, ConnectionError):
    """The connection was cut while the request was being written or the answer read."""


class ReadTimeout(TransportError, TimeoutError):
    """The request was sent and no complete answer arrived in time."""


class HTTPStatusError(TransportError):
    """The answer is an HTTP error without a SOAP Fault in it; `status_code` is the HTTP status."""

    def __init__(self, message: str, /, *, status_code: int = 0) -> None:
        super().__init__(message)
        self.status_code = status_code
        # Redirects aren't followed, and web servers answer 404, 405 and 413 before the service runs.
        if 300 <= status_code < 400 or status_code in {404, 405, 413}:  # noqa: PLR2004 - HTTP's own numbers
            self.outcome = Outcome.REJECTED
        if status_code == 413:  # noqa: PLR2004 - this request is too large
            self.scope = Scope.MESSAGE


class ProtocolError(SmscError):
    """The answer doesn't match the contract."""


class MalformedEnvelope(ProtocolError):
    """The answer is not a SOAP envelope of this operation."""


class SoapFault(ProtocolError):
    """The answer is a SOAP Fault.

    Attributes:
        fault_code: The code without its prefix, such as `Server` or `Client`.
        fault_string: The server's message, with all private values of the request replaced by `***`.
    """

    # A SOAP server raises these about the request itself, before any procedure runs; SOAP 1.2 calls Client Sender.
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


class DeliveryFailed(SmscError):
    """The status of a message is final, and the message was not delivered.

    Attributes:
        report: The final report.
    """

    outcome = Outcome.REJECTED
    scope = Scope.MESSAGE
    report: DeliveryReport

    def __init__(self, message: str, /, *, report: DeliveryReport | None = None) -> None:
        super().__init__(message)
        if report is not None:  # it is None only where pickle restores the attributes later
            self.report = report
            self.id: str | None = report.ref.id
            self.refs: tuple[MessageRef, ...] = (report.ref,)


class SendOutcomeUnknown(SmscError):
    """A send may have been executed and could not be reconciled in time; pass `error.unresolved` to `Client.resolve`.

    Attributes:
        refs: The unresolved recipients.
        accepted: The recipients whose message the service accepted.
        unsent: The recipients whose message it definitely does not have.
    """

    def __init__(
        self, message: str, /, *, accepted: Sequence[MessageRef] = (), unsent: Sequence[MessageRef] = ()
    ) -> None:
        super().__init__(message)
        self.accepted: tuple[MessageRef, ...] = tuple(accepted)
        self.unsent: tuple[MessageRef, ...] = tuple(unsent)

    @property
    def ref(self) -> MessageRef:
        """The reference of the only unresolved recipient.

        Raises:
            ValueError: There isn't exactly one; see `refs`.
        """
        if len(self.refs) != 1:
            raise ValueError(f"{len(self.refs)} recipients are unresolved, not one; use .refs")
        return self.refs[0]


class WrongEventLoop(SmscError, RuntimeError):
    """A client, its transport or its guards are in use on another event loop, or don't work on this one."""

    scope = Scope.ALL
    outcome = Outcome.NOT_SENT


class JournalError(SmscError):
    """A journal can't be read or written, so the job stops; its attempts are reconciled at the next start."""

    scope = Scope.ALL


class JournalInUse(JournalError):
    """Another process is using the journal."""

    outcome = Outcome.NOT_SENT
