"""Sends whose outcome is told by status requests when the answer is lost: never repeated in doubt, never forgotten."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, TypeVar

import anyio

from smsc_async._call import Caller, Trace
from smsc_async._model import (
    AddressBlocked,
    AnySend,
    AuthenticationFailed,
    BreakerOpen,
    DeliveryReport,
    DuplicateSend,
    GuardError,
    InvalidParameters,
    MessageNotFound,
    MessageRef,
    Operation,
    Outcome,
    Result,
    Send,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    TooManyRequests,
    UnresolvedSend,
    is_group,
    is_own_id,
)
from smsc_async._network import Timeout

from .bulk import statuses_of
from .evidence import Evidence

__all__ = ["OnUnknown", "ReconcileDelays", "Reconciler", "unresolved_of"]

_log = logging.getLogger("smsc_async")

R = TypeVar("R", bound=Result)
OnUnknown: TypeAlias = Literal["reconcile", "raise", "resend"]

_PATIENCE: Final = 90.0  # seconds, where there is no deadline
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0
# The next answer would be the same, or there would be none: to all questions, or to this one.
_ENDS_ALL: Final = (AuthenticationFailed, AddressBlocked, BreakerOpen)
_WILL_NOT_CHANGE: Final = (MessageNotFound, InvalidParameters)


@dataclass(frozen=True, slots=True)
class ReconcileDelays:
    """How long what a lost request may still do is waited for.

    Attributes:
        late: Seconds after its failure in which it may still arrive.
        duplicate: Seconds after that in which the service refuses the same message.
        skew: Seconds by which the service's clock may be behind this machine's.
    """

    late: float
    duplicate: float
    skew: float


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for all tries of one send.

    Attributes:
        timeout: Of each step of a request.
        end: The time of the event loop at which all is given up.
        allow_duplicate: Whether it may be what was sent in the last minute.
        is_own_id: Whether nobody else uses its id.
    """

    timeout: Timeout
    end: float
    allow_duplicate: bool
    is_own_id: bool


class Reconciler:
    """Does sends, and settles those whose answer is lost.

    Args:
        caller: Does one operation.
        delays: How long a lost request is waited for.
        on_unknown: What is done about a lost answer, see `Client`.
        on_unresolved: Is told of each doubt that a send leaves behind.
        workers: How many statuses are asked for at once.
    """

    def __init__(
        self,
        caller: Caller,
        delays: ReconcileDelays,
        *,
        on_unknown: OnUnknown,
        on_unresolved: Callable[[UnresolvedSend], None] | None,
        workers: int,
    ) -> None:
        self._caller = caller
        self._delays = delays
        self._on_unknown = on_unknown
        self._on_unresolved = on_unresolved
        self._workers = workers

    async def send(
        self,
        operation: AnySend,
        timeout: Timeout,
        end: float,
        *,
        allow_duplicate: bool = False,
        attempt: int = 1,
        unique_id: bool = False,
    ) -> SentMessage:
        """Do a send until this time of the event loop, infinity for no end; see `Client.call`."""
        is_own_id = unique_id or attempt > 1 or "id" not in operation.model_fields_set
        terms = _Terms(timeout, end, allow_duplicate, is_own_id)
        trace: Trace[SentMessage] = Trace()
        if attempt > 1:
            trace.check = lambda: self._look_up(operation, terms, wait=True)
            trace.may_have_left = True
        try:
            return await self._try(operation, terms, trace, is_repeat=attempt > 1)
        except SmscError as error:
            if error.unresolved is not None and error.outcome is Outcome.UNKNOWN:
                self._hand_over(error.unresolved)
            raise
        except BaseException:
            # Cancelled, or a transport that raised what it shouldn't: what has left is not called back.
            if trace.may_have_left:
                self._hand_over(_unresolved(operation, terms, trace.began))
            raise

    async def resolve(self, unresolved: UnresolvedSend, timeout: Timeout, end: float) -> SentMessage | None:
        """Settle a doubt; return None if nothing was sent.

        Raises:
            SendOutcomeUnknown: It can't be settled, or not in time.
        """
        since = (datetime.now(UTC) - unresolved.failed).total_seconds()
        # It may have been dated by the clock of another machine, which may differ from this one's.
        left = self._delays.late + self._delays.skew - since if since >= 0 else self._delays.late
        evidence = await self._reconcile(unresolved, _Terms(timeout, end, False, unresolved.is_own_id), max(left, 0.0))
        if evidence.is_conclusive:
            return evidence.result() if evidence.accepted else None
        raise _unknown(unresolved, evidence)

    async def _try(
        self, operation: AnySend, terms: _Terms, trace: Trace[SentMessage], *, is_repeat: bool
    ) -> SentMessage:
        while True:
            try:
                return await self._caller.call(
                    operation, terms.timeout, terms.end, allow_duplicate=terms.allow_duplicate, trace=trace
                )
            except GuardError as error:
                # Who holds the claim to this message, or held it lately, may have sent it.
                claimed = is_repeat and isinstance(error, DuplicateSend)
                found = await self._look_up(operation, terms, wait=False) if claimed else None
                if found is not None:
                    return found
                if trace.may_have_left or (claimed and trace.check is not None):
                    # This attempt sent nothing, and nobody knows what became of the ones before.
                    error.outcome, error.unresolved = Outcome.UNKNOWN, _unresolved(operation, terms, trace.began)
                raise
            except SmscError as error:
                lost, failed_at = error, anyio.current_time()
                # Error 9 says that the same message came lately, which may have been an earlier attempt, and may not.
                trace.may_have_left = lost.outcome is Outcome.UNKNOWN or (
                    is_repeat and isinstance(lost, TooManyRequests)
                )
                if not trace.may_have_left or lost.unresolved is not None:
                    raise
            found = await self._reconciled_by_status(lost, _unresolved(operation, terms, trace.began), terms)
            trace.may_have_left = False
            if found is not None:
                return found
            again_at = failed_at + self._delays.late + self._delays.duplicate
            if isinstance(lost, TooManyRequests) or self._on_unknown != "resend" or again_at >= terms.end:
                raise _not_sent(lost)
            await anyio.sleep_until(again_at)
            is_repeat = True

    async def _reconciled_by_status(
        self, lost: SmscError, unresolved: UnresolvedSend, terms: _Terms
    ) -> SentMessage | None:
        """Return the send if the service has accepted it, None if it surely hasn't.

        Raises:
            SmscError: It can't be settled, or shall not be.
        """
        if self._on_unknown == "raise" and not isinstance(lost, TooManyRequests):
            lost.unresolved = unresolved
            raise lost
        _log.info("the answer to a send is lost (%s); its status will tell", type(lost).__name__)
        evidence = await self._reconcile(unresolved, terms, self._delays.late)
        if evidence.is_conclusive:
            return evidence.result() if evidence.accepted else None
        raise _unknown(unresolved, evidence) from lost

    async def _look_up(self, operation: AnySend, terms: _Terms, *, wait: bool) -> SentMessage | None:
        """Return the send if an earlier attempt was accepted, None if it surely wasn't.

        Args:
            operation: The send.
            terms: Of this attempt.
            wait: Whether an earlier request that is still on its way is waited for; else the first answer counts.
        """
        unresolved = _unresolved(operation, terms, None)
        evidence = await self._reconcile(unresolved, terms, self._delays.late if wait else math.inf)
        if evidence.is_conclusive and evidence.accepted:
            return evidence.result()
        if evidence.is_conclusive or not wait:
            return None
        raise _unknown(unresolved, evidence)

    async def _reconcile(self, unresolved: UnresolvedSend, terms: _Terms, late: float) -> Evidence:
        """Ask for the status of each recipient until all is known or the time is over.

        Args:
            unresolved: The send.
            terms: Of the send.
            late: For so many seconds its request may still arrive; infinity where nobody waits for that.

        Raises:
            SendOutcomeUnknown: It can't be asked for: the client was closed, or the transport is broken.
        """
        evidence = Evidence(unresolved, self._delays.skew)
        try:
            await self._ask(evidence, unresolved, terms, late)
        except Exception as failure:
            raise _unknown(unresolved, evidence) from failure
        return evidence

    async def _ask(self, evidence: Evidence, unresolved: UnresolvedSend, terms: _Terms, late: float) -> None:
        now = anyio.current_time()
        arrived, end, pause = now + late, min(terms.end, now + _PATIENCE), _FIRST_PAUSE
        if late > 0:
            # One recipient speaks for all: who is found shows that the request is executed. It need not be done yet.
            await self._learn(evidence, unresolved.refs[:1], terms, end, in_time=False)
            if evidence.accepted:
                await self._learn(evidence, evidence.unresolved, terms, end, in_time=False)
            if not evidence.unresolved or arrived >= end:
                return
            await anyio.sleep_until(arrived)
        while evidence.unresolved and anyio.current_time() < end:
            answers = await self._learn(evidence, evidence.unresolved, terms, end, in_time=True)
            if not _is_worth_asking_again(answers) or anyio.current_time() + pause >= end:
                break
            await anyio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _learn(
        self, evidence: Evidence, refs: tuple[MessageRef, ...], terms: _Terms, end: float, *, in_time: bool
    ) -> list[DeliveryReport | SmscError]:
        async def ask(operation: Operation[R], /) -> R:
            return await self._caller.call(operation, terms.timeout, end)

        answers = await statuses_of(ask, refs, 1, workers=self._workers)
        for ref, answer in zip(refs, answers, strict=True):
            evidence.learn(ref, answer, in_time=in_time)
        return answers

    def _hand_over(self, unresolved: UnresolvedSend) -> None:
        if self._on_unresolved is None:
            return
        try:
            self._on_unresolved(unresolved)
        except Exception as error:  # noqa: BLE001 - the caller's own code; what it fails with must not hide the doubt
            _log.error("on_unresolved failed (%s); a doubt about a send is lost", type(error).__name__)


def _unresolved(operation: AnySend, terms: _Terms, began: datetime | None) -> UnresolvedSend:
    now = datetime.now(UTC)
    return UnresolvedSend(
        id=operation.id,
        refs=operation.refs(),
        groups=sum(map(is_group, operation.to)) if isinstance(operation, Send) else 0,
        is_own_id=terms.is_own_id,
        at_once=operation.at is None,
        began=began or now,
        failed=now,
    )


def unresolved_of(send: MessageRef | UnresolvedSend | SmscError, since: datetime | None) -> UnresolvedSend:
    """Return what there is to settle; see `Client.resolve`.

    Raises:
        ValueError: There is nothing.
    """
    if isinstance(send, UnresolvedSend):
        return send
    if isinstance(send, SmscError):
        if send.unresolved is None:
            raise ValueError(f"{type(send).__name__} leaves no doubt about a send: its outcome is {send.outcome}")
        return send.unresolved
    now = datetime.now(UTC)
    return UnresolvedSend(
        id=send.id, refs=(send,), is_own_id=since is None and is_own_id(send.id), began=since or now, failed=now
    )


def _is_worth_asking_again(answers: Sequence[DeliveryReport | SmscError]) -> bool:
    errors = [answer for answer in answers if isinstance(answer, SmscError)]
    # Where one says that no other will be answered, the others were not asked; wrong credentials block the address.
    if any(isinstance(error, _ENDS_ALL) for error in errors):
        return False
    return not all(isinstance(error, _WILL_NOT_CHANGE) for error in errors)


def _not_sent(lost: SmscError) -> SmscError:
    """Return the error of a lost answer, knowing that nothing was sent."""
    if lost.outcome is Outcome.UNKNOWN:
        lost.outcome = Outcome.NOT_SENT
        lost.args = (f"{lost}; the service does not know the message, so it was not sent", *lost.args[1:])
    return lost


def _unknown(unresolved: UnresolvedSend, evidence: Evidence) -> SendOutcomeUnknown:
    error = SendOutcomeUnknown(
        "nobody knows whether it was sent, and its status could not tell; do not send it again, settle it with "
        "Client.resolve(error)",
        accepted=evidence.accepted,
        unsent=evidence.missing,
    )
    error.unresolved = unresolved
    error.concerning(unresolved.id, evidence.unresolved)
    return error
