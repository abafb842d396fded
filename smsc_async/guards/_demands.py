"""The slots that a request needs, the keys under which they count, and their release when it ends; pure.

A key is a keyed hash: it reveals no phone, text or password.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

from smsc_async._model import (
    BAD_CODES,
    AnySend,
    ApiError,
    ApiKey,
    Credentials,
    GetBalance,
    GetCost,
    GetListCost,
    GetStatus,
    HTTPStatusError,
    MessageList,
    Operation,
    Outcome,
    ProtocolError,
    RecipientError,
    Result,
    Send,
    SendList,
    SentMessage,
    SmscError,
    SoapFault,
    is_group,
    recipient_key,
)

from ._limits import Limit, Release
from ._spend import units_of
from ._store import PAUSE, Demand

__all__ = ["HELD_UNTIL_RECONCILED", "Completion", "Part", "Planner", "RequestArrival", "releases", "window_of"]

# These parameters only change the answer, so two sends that differ only in them are identical for their recipients.
_ANSWER_SHAPE: Final = frozenset({"err", "op", "cost"})
HELD_UNTIL_RECONCILED: Final = frozenset({"bad_sends", "spend"})
"""The rules under which a lost send holds its slots until it is reconciled."""

_NO_RELEASE: Final = Release()
_PROVEN: Final = Release(proof=True)
_NOT_THE_SERVICE: Final = -1
_WRONG_CREDENTIALS: Final = 2
_ADDRESS_BLOCKED: Final = 4
_TOO_OFTEN: Final = 9
# The service returns these codes about the content of a request, after it has accepted the credentials.
_SAID_TO_AN_ACCOUNT: Final = frozenset({0, 3, 6, 7, 8})
# Too many messages to one subscriber also cause error 9, but the answer doesn't say which of several it was.
_SAID_BY_ERROR_9: Final = frozenset({"identical_send", "identical_cost", "status", "balance"})
_GATES: Final = frozenset({"in_flight", "status_in_flight"})

Priced: TypeAlias = GetCost | GetListCost


class Part(Enum):
    """The slots that a send reserves; a caller with a lookup to make in between reserves the two parts separately."""

    ALL = "all"
    CLAIM = "claim"
    """The slots that make this the only send of this message."""
    PASSAGE = "passage"
    """The slots that let the request through to the service."""


class RequestArrival(Enum):
    """Whether a request arrived at the service, which may then have counted it."""

    UNSENT = "unsent"
    """It was definitely not sent, or definitely not executed."""
    ANSWERED = "answered"
    """It arrived and was answered."""
    LOST = "lost"
    """The outcome is unknown; it may still arrive."""


@dataclass(frozen=True, slots=True)
class Completion:
    """How a request ended, as far as the limits are concerned.

    Attributes:
        arrival: Whether the request arrived at the service.
        code: The error number of the answer, 0 for none, -1 for an answer that isn't from the service.
        bad: The number of bad sends among the messages of an accepted request.
        good: Whether at least one of its messages was accepted.
        accepted: The number of messages that were accepted, None if that is unknown.
        cost: Their cost in units of 1/10,000, None if that is unknown.
    """

    arrival: RequestArrival
    code: int = 0
    bad: int = 0
    good: bool = False
    accepted: int | None = None
    cost: int | None = None

    @property
    def is_silent(self) -> bool:
        """Whether there was no answer at all, not even from a proxy in front of the service."""
        return self.arrival is RequestArrival.LOST and self.code != _NOT_THE_SERVICE

    @classmethod
    def of_result(cls, operation: Operation[Result], result: Result) -> "Completion":
        """Return the completion of a request with this result."""
        if operation.is_read or not isinstance(result, SentMessage):
            return _FINE
        if result.reconciled:  # by status requests: this attempt sent nothing
            return _UNSENT
        accepted, cost = _accepted(operation, result), None if result.cost is None else units_of(result.cost)
        if not isinstance(operation, SendList):
            return cls(RequestArrival.ANSWERED, good=True, accepted=accepted, cost=cost)
        # Without `err` the answer lists no wrong numbers; at least one message was accepted.
        bad = len(operation.messages) - 1 if operation.err is False else sum(map(_is_bad, result.errors))
        return cls(RequestArrival.ANSWERED, bad=bad, good=True, accepted=accepted, cost=cost)

    @classmethod
    def of_reconciled(cls, sent: SentMessage | None, *, absent: bool = False) -> "Completion":
        """Return the completion of a lost send that has been reconciled.

        Args:
            sent: The send, None if the service isn't known to have it.
            absent: Whether the service definitely doesn't have it.
        """
        if sent is None:
            return _ABSENT if absent else _LOST
        known = sent.cost is not None
        return cls(
            RequestArrival.ANSWERED,
            bad=len(sent.missing),
            good=True,
            accepted=len(sent.refs) if known else None,
            cost=units_of(sent.cost) if sent.cost is not None else None,
        )

    @classmethod
    def of_failure(cls, error: BaseException, *, posted: bool) -> "Completion":
        """Return the completion of a request that failed; `posted` says whether anything may have been sent before."""
        if isinstance(error, ApiError):
            return cls(RequestArrival.ANSWERED, error.code)
        if not posted or (isinstance(error, SmscError) and error.outcome is Outcome.NOT_SENT):
            return _UNSENT
        if isinstance(error, SoapFault):
            # Only a fault about a missing procedure proves that the server executed and counted nothing.
            return _UNSENT if error.procedure_missing else _FAULT
        if isinstance(error, SmscError) and error.outcome is Outcome.REJECTED:
            return _FAULT
        return _GATEWAY if isinstance(error, HTTPStatusError | ProtocolError) else _LOST


_UNSENT: Final = Completion(RequestArrival.UNSENT)
_LOST: Final = Completion(RequestArrival.LOST)
_GATEWAY: Final = Completion(RequestArrival.LOST, code=_NOT_THE_SERVICE)
_FAULT: Final = Completion(RequestArrival.ANSWERED, code=_NOT_THE_SERVICE)
_ABSENT: Final = Completion(RequestArrival.LOST, accepted=0)
_FINE: Final = Completion(RequestArrival.ANSWERED)


def _is_bad(refusal: RecipientError) -> bool:
    return refusal.code is None or refusal.code in BAD_CODES


def window_of(operation: Operation[Result]) -> str | None:
    """Return the rule that error 9 to a read refers to, None for an operation that isn't a read."""
    if isinstance(operation, GetStatus):
        return "status"
    if isinstance(operation, GetBalance):
        return "balance"
    return "identical_cost" if isinstance(operation, GetCost | GetListCost) else None


def releases(
    demands: Sequence[Demand], amounts: Sequence[int], completion: Completion, late: float, slack: float
) -> list[Release]:
    """Return the release of each demand.

    Args:
        demands: The demands of the request.
        amounts: The number of slots that each of them holds.
        completion: How the request ended.
        late: Seconds for which a request with an unknown outcome may still be on its way.
        slack: Seconds that the service may then take to answer it.
    """
    if completion.arrival is RequestArrival.UNSENT:
        return [_NO_RELEASE] * len(demands)
    found = []
    for (rule, *_), amount in zip(demands, amounts, strict=True):
        if rule == "spend":
            found.append(_spent(amount, completion))
        elif completion.arrival is RequestArrival.ANSWERED:
            found.append(_answered(rule, amount, completion.code, completion.bad, completion.good))
        else:
            found.append(_lost(rule, amount, late, slack))
    return found


def _spent(amount: int, completion: Completion) -> Release:
    if completion.arrival is RequestArrival.ANSWERED and not completion.good:
        return _NO_RELEASE  # the service charges for what it accepts
    kept = amount if completion.accepted is None else completion.accepted
    return Release(keep=kept, cost=completion.cost)


@lru_cache(maxsize=256)
def _answered(rule: str, amount: int, code: int, bad: int, good: bool) -> Release:
    if rule in _GATES:
        return _NO_RELEASE
    if rule == "blocked":
        # An answer that isn't from the service does not prove that the service has not blocked this address.
        return Release(keep=int(code == _ADDRESS_BLOCKED), clear=code not in {_ADDRESS_BLOCKED, _NOT_THE_SERVICE})
    if rule in {"login_failures", "address_failures"}:
        if code == _WRONG_CREDENTIALS:
            return Release(keep=1, proof=False)
        return _PROVEN if code in _SAID_TO_AN_ACCOUNT else _NO_RELEASE
    if rule == "bad_sends":
        return Release(keep=amount if code in BAD_CODES else bad, clear=good)
    return Release(keep=amount, fill=code == _TOO_OFTEN and rule in _SAID_BY_ERROR_9)


def _lost(rule: str, amount: int, late: float, slack: float) -> Release:
    # The service answers wrong credentials with error 2, so a missing answer does not indicate them.
    if rule in {"login_failures", "address_failures", "blocked", PAUSE.rule}:
        return _NO_RELEASE
    return Release(keep=amount, late=late + slack if rule in _GATES else late)


class Planner:
    """Plans the demands of one caller's operations.

    Args:
        limits: The limits, by the name of their rule.
        salt: The key of the hashes.
        credentials: The credentials of the caller.
        account: The name under which all credentials of one account count together, None for the login or the apikey.
        egress: Any name for the IP address that the service sees.
    """

    def __init__(
        self, limits: Mapping[str, Limit], salt: bytes, credentials: Credentials, account: str | None, egress: str
    ) -> None:
        self._limits = limits
        self._salt = salt
        key = credentials.key if isinstance(credentials, ApiKey) else credentials.login
        self._account = self._hash(account if account is not None else key.get_secret_value())
        address = self._hash(egress)
        # Two bytes distinguish a corrected password from a wrong one, and are too few to confirm a guessed password.
        proof = self._account + self._hash(sorted(credentials.fields().items()))[:2]
        self._address = address
        # When several rules refuse, the first one is reported: first those that raise, the gates last.
        self._first = _present(
            self._demand("blocked", address, amount=0),
            self._demand("login_failures", proof, proof=proof),
            self._demand("address_failures", address, proof=proof),
        )
        self._gates = _present(self._demand("in_flight", self._account))
        self._status_gates = _present(
            self._demand("status_in_flight", self._account), self._demand("in_flight", self._account)
        )
        self._balance = _present(self._demand("balance", self._account))

    def demands(
        self, operation: Operation[Result], *, allow_duplicate: bool = False, part: Part = Part.ALL
    ) -> Sequence[Demand]:
        """Return the demands of an operation or of a part of it; an unknown operation has only the common ones."""
        if isinstance(operation, GetStatus):
            ref = operation.ref
            message = self._hash(self._account, recipient_key(ref.phone), ref.id)
            return self._first + _present(self._demand("status", message)) + self._status_gates
        if isinstance(operation, GetBalance):
            return self._first + self._balance + self._gates
        if isinstance(operation, GetCost | GetListCost):
            content = self._hash(self._account, _content(operation))
            return self._first + _present(self._demand("identical_cost", content)) + self._gates
        first = self._first if operation.is_read else (PAUSE, *self._first)
        if isinstance(operation, Send | SendList) and part is not Part.PASSAGE:
            claim = self._sending(operation, allow_duplicate=allow_duplicate)
            return claim if part is Part.CLAIM else first + claim + self._gates
        return first + self._gates

    def _sending(self, operation: AnySend, *, allow_duplicate: bool) -> tuple[Demand, ...]:
        content = self._hash(self._account, _content(operation))
        if isinstance(operation, SendList):
            people = [message.phone for message in operation.messages]
            sends = len(people)
        else:
            people = [to for to in operation.to if not is_group(to)]
            sends = 1
        return _present(
            self._demand("bad_sends", self._address, amount=sends),
            self._demand("identical_send", content, forced=allow_duplicate),
            *(self._demand("subscriber", self._hash(self._account, recipient_key(person))) for person in people),
            self._demand("spend", self._account, amount=_messages(operation)),
        )

    def _demand(
        self, rule: str, key: bytes, *, amount: int = 1, proof: bytes | None = None, forced: bool = False
    ) -> Demand | None:
        limit = self._limits.get(rule)
        return None if limit is None else Demand(rule, key, limit, amount, proof, forced)

    def _hash(self, *parts: object) -> bytes:
        # Histories are stored by rule and key, so the same parts under two rules do not collide.
        return blake2b(repr(parts).encode(), digest_size=16, key=self._salt).digest()


def _present(*demands: Demand | None) -> tuple[Demand, ...]:
    return tuple(demand for demand in demands if demand is not None)


def _accepted(operation: Operation[Result], sent: SentMessage) -> int:
    """Return the number of messages that an accepted send consists of; parts stand for the members of a group."""
    asked = _messages(operation) - len(sent.errors)
    count = asked if sent.sms_count is None else sent.sms_count
    is_counted = isinstance(operation, Send) and any(map(is_group, operation.to))
    return max(count if is_counted else min(asked, count), 1)


def _messages(operation: Operation[Result]) -> int:
    return len(operation.messages if isinstance(operation, SendList) else getattr(operation, "to", "?"))


def _content(operation: Priced | AnySend) -> object:
    """Return a value that is equal for two requests if the service treats them as identical."""
    sender = getattr(operation, "sender", None)
    lines: list[tuple[object, ...]]
    if isinstance(operation, MessageList):
        lines = [
            ((recipient_key(line.phone),), line.text, sender if line.sender is None else line.sender, line.tz)
            for line in operation.messages
        ]
    else:
        lines = [(tuple(sorted(map(recipient_key, operation.to))), operation.text, sender, None)]
    schedule = getattr(operation, "at", None)
    parameters = {name: value for name, value in operation.parameters().items() if name not in _ANSWER_SHAPE}
    return (
        sorted(lines, key=repr),
        type(operation.via).__name__,
        sorted(operation.via.fields().items()),
        schedule and schedule.wire(),
        sorted(parameters.items()),
    )
