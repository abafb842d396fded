"""Sends and their reconciliation: when the answer is lost, status requests show whether the send was executed."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, TypeVar

import anyio

from smsc_async._call import Caller, Trace
from smsc_async._clock import DiskTime, disk_time
from smsc_async._model import (
    AnyRef,
    AnySend,
    ClientClosed,
    DeliveryReport,
    DuplicateSend,
    GuardError,
    MessageRef,
    Operation,
    Outcome,
    Result,
    Scope,
    Send,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    TooManyRequests,
    UnresolvedSend,
    is_aware,
    is_group,
    is_own_id,
    refs_of,
    wrong,
)
from smsc_async._network import Timeout

from .bulk import AskStatus, statuses_of
from .evidence import Evidence

__all__ = ["OnUnknown", "ReconcileDelays", "Reconciler", "unresolved_of"]

_log = logging.getLogger("smsc_async")

R = TypeVar("R", bound=Result)
OnUnknown: TypeAlias = Literal["reconcile", "raise", "resend"]

_PATIENCE: Final = 90.0  # seconds, where there is no deadline
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0


@dataclass(frozen=True, slots=True)
class ReconcileDelays:
    """How long to wait before a lost request can be reconciled or repeated.

    Attributes:
        late: Seconds after its failure in which the request may still arrive.
        duplicate: Seconds after that in which the service refuses the same message.
        skew: Seconds by which the service's clock may be behind this machine's.
    """

    late: float
    duplicate: float
    skew: float


@dataclass(frozen=True, slots=True)
class _Terms:
    """The options that apply to all attempts of one send.

    Attributes:
        timeout: The timeout of each step of a request.
        end: The event loop time at which the send is given up.
        allow_duplicate: Whether the same message may have been sent in the last minute.
        is_own_id: Whether no other message uses its id.
        ask: Requests a status, None for the client's own way.
    """

    timeout: Timeout
    end: float
    allow_duplicate: bool
    is_own_id: bool
    ask: AskStatus | None = None


class Reconciler:
    """Sends messages, and reconciles those whose answer is lost.

    Args:
        caller: Executes one operation.
        delays: How long to wait for a lost request.
        on_unknown: What to do when an answer is lost, see `Client`.
        on_unresolved: Called with each send whose outcome stays unknown.
        workers: The most status requests at once.
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
        """Send, and give up at the event loop time `end` (infinity for never); see `Client.call`."""
        is_own_id = unique_id or attempt > 1 or "id" not in operation.model_fields_set
        terms = _Terms(timeout, end, allow_duplicate, is_own_id)
        trace: Trace[SentMessage] = Trace(reconciles=self._on_unknown != "raise")
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
            # Cancelled, or the transport raised another exception: a request that was sent can't be taken back.
            if trace.may_have_left:
                self._hand_over(_unresolved(operation, terms, trace.began))
            raise
        finally:
            self._caller.reconciled(trace, None)

    async def resolve(
        self, unresolved: UnresolvedSend, timeout: Timeout, end: float, ask: AskStatus | None = None
    ) -> SentMessage | None:
        """Reconcile an unresolved send; return None if nothing was sent.

        Raises:
            SendOutcomeUnknown: It can't be reconciled, or not in time.
        """
        # Not by `failed`: the wall clock may have been set since then, or may be that of another machine.
        since = None if unresolved.clocks is None else disk_time().since(DiskTime(*unresolved.clocks))
        left = self._delays.late - (since or 0.0)
        terms = _Terms(timeout, end, allow_duplicate=False, is_own_id=unresolved.is_own_id, ask=ask)
        evidence = await self._reconcile(unresolved, terms, max(left, 0.0))
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
            except (GuardError, ClientClosed) as error:
                # Another attempt that holds or recently held the claim to this message may have sent it.
                claimed = is_repeat and isinstance(error, DuplicateSend)
                found = await self._look_up(operation, terms, wait=False) if claimed else None
                if found is not None:
                    return found
                if trace.may_have_left or (claimed and trace.check is not None):
                    # This attempt sent nothing, but the outcome of the earlier ones is unknown.
                    unresolved = _unresolved(operation, terms, trace.began)
                    raise error.replace(outcome=Outcome.UNKNOWN, unresolved=unresolved) from error.__cause__
                raise
            except SmscError as error:
                lost, failed_at = error, anyio.current_time()
                # Error 9 says that the same message was sent recently, which may have been an earlier attempt or not.
                trace.may_have_left = lost.outcome is Outcome.UNKNOWN or (
                    is_repeat and isinstance(lost, TooManyRequests)
                )
                if not trace.may_have_left or lost.unresolved is not None:
                    raise
            found = await self._reconciled_by_status(lost, _unresolved(operation, terms, trace.began), terms)
            trace.may_have_left = False
            self._caller.reconciled(trace, found, absent=found is None)
            if found is not None:
                return found
            again_at = failed_at + self._delays.late + self._delays.duplicate
            if isinstance(lost, TooManyRequests) or self._on_unknown != "resend" or again_at >= terms.end:
                raise _not_sent(lost) from lost.__cause__
            await self._caller.closing.sleep_until(again_at)
            is_repeat = True

    async def _reconciled_by_status(
        self, lost: SmscError, unresolved: UnresolvedSend, terms: _Terms
    ) -> SentMessage | None:
        """Return the send if the service accepted it, None if it definitely did not.

        Raises:
            SmscError: It can't be reconciled, or `on_unknown` is "raise".
        """
        if self._on_unknown == "raise" and not isinstance(lost, TooManyRequests):
            raise lost.replace(unresolved=unresolved) from lost.__cause__
        _log.info("the answer to a send is lost (%s); requesting its status to reconcile it", type(lost).__name__)
        evidence = await self._reconcile(unresolved, terms, self._delays.late)
        if evidence.is_conclusive:
            return evidence.result() if evidence.accepted else None
        raise _unknown(unresolved, evidence) from lost

    async def _look_up(self, operation: AnySend, terms: _Terms, *, wait: bool) -> SentMessage | None:
        """Return the send if an earlier attempt was accepted, None if it definitely was not.

        Args:
            operation: The send.
            terms: The options of this attempt.
            wait: Whether to wait for an earlier request that may still arrive. If not, the first answer counts.
        """
        unresolved = _unresolved(operation, terms, None)
        evidence = await self._reconcile(unresolved, terms, self._delays.late if wait else math.inf)
        if evidence.is_conclusive and evidence.accepted:
            return evidence.result()
        if evidence.is_conclusive or not wait:
            return None
        raise _unknown(unresolved, evidence)

    async def _reconcile(self, unresolved: UnresolvedSend, terms: _Terms, late: float) -> Evidence:
        """Request the status of each recipient until all results are known or the time is over.

        Args:
            unresolved: The send.
            terms: The options of the send.
            late: Seconds in which its request may still arrive; infinity to not wait for it.

        Raises:
            SendOutcomeUnknown: No status could be requested: the client was closed, or the transport is broken.
        """
        evidence = Evidence(unresolved, self._delays.skew)
        try:
            await self._ask(evidence, unresolved, terms, late)
        except Exception as failure:
            raise _unknown(unresolved, evidence) from failure
        return evidence

    async def _ask(self, evidence: Evidence, unresolved: UnresolvedSend, terms: _Terms, late: float) -> None:
        now = anyio.current_time()
        arrived, end, pause = now + late, now + _PATIENCE if terms.end == math.inf else terms.end, _FIRST_PAUSE
        if late > 0:
            # One recipient is enough: if it is found, the request was received. Its execution may not be complete yet.
            await self._learn(evidence, unresolved.refs[:1], terms, end, in_time=False)
            if evidence.accepted:
                await self._learn(evidence, evidence.unresolved, terms, end, in_time=False)
            if not evidence.unresolved or arrived >= end:
                return
            await self._caller.closing.sleep_until(arrived)
        while evidence.unresolved and anyio.current_time() < end:
            answers = await self._learn(evidence, evidence.unresolved, terms, end, in_time=True)
            if not _is_worth_asking_again(answers) or anyio.current_time() + pause >= end:
                break
            await self._caller.closing.sleep_until(anyio.current_time() + pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _learn(
        self, evidence: Evidence, refs: tuple[MessageRef, ...], terms: _Terms, end: float, *, in_time: bool
    ) -> list[DeliveryReport | SmscError]:
        async def ask(operation: Operation[R], /) -> R:
            return await self._caller.call(operation, terms.timeout, end)

        answers = await statuses_of(terms.ask or ask, refs, 1, workers=self._workers)
        for ref, answer in zip(refs, answers, strict=True):
            evidence.learn(ref, answer, in_time=in_time)
        return answers

    def _hand_over(self, unresolved: UnresolvedSend) -> None:
        if self._on_unresolved is None:
            return
        try:
            self._on_unresolved(unresolved)
        except Exception as error:  # noqa: BLE001 - the caller's own code; its failure must not hide the send
            _log.error("on_unresolved failed (%s); an unresolved send is lost", type(error).__name__)


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
        clocks=disk_time(),
    )


def unresolved_of(send: AnyRef | UnresolvedSend | SmscError, since: datetime | None) -> UnresolvedSend:
    """Return the send to reconcile; see `Client.resolve`.

    Raises:
        ValueError: The error is not about an unresolved send, or `since` is not an aware datetime.
    """
    if since is not None and not is_aware(since):
        raise wrong("since", "an aware datetime, such as datetime.now(UTC), or None", since)
    if isinstance(send, UnresolvedSend):
        return send
    if isinstance(send, SmscError):
        if send.unresolved is None:
            raise ValueError(f"{type(send).__name__} is not about an unresolved send: its outcome is {send.outcome}")
        return send.unresolved
    given: object = send
    if not isinstance(given, MessageRef | SentMessage | str):
        raise wrong("send", "an error with `unresolved`, an UnresolvedSend, a MessageRef or a SentMessage", given)
    now = datetime.now(UTC)
    refs = refs_of(send)
    is_own = since is None and is_own_id(refs[0].id)
    return UnresolvedSend(id=refs[0].id, refs=refs, is_own_id=is_own, began=since or now, failed=now)


def _is_worth_asking_again(answers: Sequence[DeliveryReport | SmscError]) -> bool:
    errors = [answer for answer in answers if isinstance(answer, SmscError)]
    # After one of these errors the other statuses were not requested; repeated wrong credentials block the IP address.
    if any(error.scope is Scope.ALL for error in errors):
        return False
    return not all(error.scope is Scope.MESSAGE for error in errors)


def _not_sent(lost: SmscError) -> SmscError:
    """Return the error of a lost answer, with the outcome that status requests have proved: nothing was sent."""
    if lost.outcome is not Outcome.UNKNOWN:
        return lost
    return lost.replace(f"{lost}; the service does not know the message, so it was not sent", outcome=Outcome.NOT_SENT)


def _unknown(unresolved: UnresolvedSend, evidence: Evidence) -> SendOutcomeUnknown:
    return SendOutcomeUnknown(
        "the outcome is unknown: the message may have been sent; do not send it again, reconcile it with "
        "Client.resolve(error)",
        accepted=evidence.accepted,
        unsent=evidence.missing,
    ).replace(id=unresolved.id, refs=evidence.unresolved, unresolved=unresolved)
