"""Sends and their reconciliation: when the answer is lost, status requests show whether the send was executed."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, TypeVar

from smsc_async._call import Caller, Recording, Trace
from smsc_async._clock import DiskTime, disk_time, utc_now
from smsc_async._model import (
    AnyRef,
    AnySend,
    Backoff,
    ClientClosed,
    DeliveryReport,
    DuplicateSend,
    GuardError,
    MessageRef,
    Operation,
    Outcome,
    Result,
    SentMessage,
    SmscError,
    TooManyRequests,
    UnresolvedSend,
)
from smsc_async._network import Timeout

from .bulk import AskStatus, statuses_of
from .evidence import Evidence, is_worth_asking_again, not_sent
from .unresolved import lost_send, unresolved_of

__all__ = ["OnUnknown", "ReconcileDelays", "Reconciler"]

_log = logging.getLogger("smsc_async")

R = TypeVar("R", bound=Result)
OnUnknown: TypeAlias = Literal["reconcile", "raise", "resend"]

_PATIENCE: Final = 90.0  # seconds, where there is no deadline
_BACKOFF: Final = Backoff(1.0, 15.0)


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
        end: The time of the clock at which the send is given up.
        allow_duplicate: Whether the same message may have been sent in the last minute.
        is_own_id: Whether no other message uses its id.
        ask: Requests a status, None for the client's own function.
        recording: Notifies the observers, None if there are none.
    """

    timeout: Timeout
    end: float
    allow_duplicate: bool
    is_own_id: bool
    ask: AskStatus | None = None
    recording: Recording | None = None


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
        """Send, and give up when the clock reaches `end` (infinity for never); see `Client.call`."""
        is_later = is_repeat = attempt > 1
        recording = self._caller.observing.start(operation)
        is_own = unique_id or is_later or "id" not in operation.model_fields_set
        terms = _Terms(timeout, end, allow_duplicate, is_own, recording=recording)
        trace = Trace(may_have_left=is_later, reconciles=self._on_unknown != "raise", recording=recording)
        with self._handing_over(operation, terms, trace):
            while True:
                try:
                    if is_later:
                        return await self._send_if_absent(operation, terms, trace)
                    return await self._caller.call(
                        operation, timeout, end, allow_duplicate=allow_duplicate, trace=trace
                    )
                except DuplicateSend as error:
                    # Another attempt that holds or recently held the claim to this message may have sent it.
                    found = await self._look_up(operation, terms, wait=False) if is_repeat else None
                    if found is not None:
                        return found
                    raise self._refused(error, operation, terms, trace, may_be_sent=is_later) from error.__cause__
                except (GuardError, ClientClosed) as error:
                    raise self._refused(error, operation, terms, trace) from error.__cause__
                except SmscError as error:
                    lost = error
                found = await self._after_loss(lost, operation, terms, trace, is_repeat=is_repeat)
                if found is not None:
                    return found
                is_repeat = True

    @contextmanager
    def _handing_over(self, operation: AnySend, terms: _Terms, trace: Trace) -> Iterator[None]:
        """Report the send if its outcome stays unknown, and notify the observers of the result."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, SmscError):
                unresolved = error.unresolved if error.outcome is Outcome.UNKNOWN else None
            else:
                # Cancelled, or the transport raised another exception: a request that was sent can't be taken back.
                unresolved = self._lost(operation, terms, trace) if trace.may_have_left else None
            if unresolved is not None:
                self._hand_over(unresolved)
            if trace.recording is not None:
                trace.recording.finished(error, may_have_left=trace.may_have_left)
            raise
        else:
            if trace.recording is not None:
                trace.recording.finished(None)
        finally:
            self._caller.reconciled(trace, None)

    async def resolve(
        self,
        send: AnyRef | UnresolvedSend | SmscError,
        since: datetime | None,
        timeout: Timeout,
        end: float,
        ask: AskStatus | None = None,
    ) -> SentMessage | None:
        """Reconcile an unresolved send; return None if nothing was sent; see `Client.resolve`.

        Raises:
            ValueError: The error is not about an unresolved send.
            SendOutcomeUnknown: It can't be reconciled, or not in time.
        """
        unresolved = unresolved_of(send, since, self._caller.clock)
        # Not by `failed`: the wall clock may have been set since then, or may be that of another machine.
        passed = None if unresolved.clocks is None else disk_time().since(DiskTime(*unresolved.clocks))
        left = self._delays.late - (passed or 0.0)
        terms = _Terms(timeout, end, allow_duplicate=False, is_own_id=unresolved.is_own_id, ask=ask)
        evidence = await self._reconcile(unresolved, terms, max(left, 0.0))
        if evidence.is_conclusive:
            return evidence.result() if evidence.accepted else None
        raise evidence.error()

    async def _send_if_absent(self, operation: AnySend, terms: _Terms, trace: Trace) -> SentMessage:
        """Send what no earlier attempt has sent; no other call can send it while its status is requested."""
        caller = self._caller
        with caller.running(operation, trace):
            attempt = await caller.begin(terms.timeout, terms.end, trace, allow_duplicate=terms.allow_duplicate)
            while True:
                try:
                    async with caller.exclusive(operation, attempt):
                        found = await self._look_up(operation, terms, wait=True)
                        trace.may_have_left = False
                        return found or await caller.execute(operation, attempt)
                except SmscError as error:
                    await caller.again(operation, attempt, error)

    async def _after_loss(
        self, lost: SmscError, operation: AnySend, terms: _Terms, trace: Trace, *, is_repeat: bool
    ) -> SentMessage | None:
        """Return the send if it was accepted, None when it may be repeated.

        Raises:
            SmscError: It was not sent and can't be repeated, or its outcome is unknown.
        """
        failed_at = self._caller.clock.now()
        # Error 9 says that the same message was sent recently, which may or may not have been an earlier attempt.
        trace.may_have_left = lost.outcome is Outcome.UNKNOWN or (is_repeat and isinstance(lost, TooManyRequests))
        if not trace.may_have_left or lost.unresolved is not None:
            raise lost
        found = await self._reconciled_by_status(lost, self._lost(operation, terms, trace), terms)
        trace.may_have_left = False
        self._caller.reconciled(trace, found, absent=found is None)
        if found is not None:
            return found
        again_at = failed_at + self._delays.late + self._delays.duplicate
        if isinstance(lost, TooManyRequests) or self._on_unknown != "resend" or again_at >= terms.end:
            raise not_sent(lost) from lost.__cause__
        await self._caller.closing.sleep_until(again_at)
        return None

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
        raise evidence.error() from lost

    async def _look_up(self, operation: AnySend, terms: _Terms, *, wait: bool) -> SentMessage | None:
        """Return the send if an earlier attempt was accepted, None if it definitely was not.

        Args:
            operation: The send.
            terms: The options of this attempt.
            wait: Whether to wait for an earlier request that may still arrive. If not, the first answer counts.
        """
        unresolved = lost_send(operation, None, self._caller.clock, is_own=terms.is_own_id)
        evidence = await self._reconcile(unresolved, terms, self._delays.late if wait else math.inf)
        if evidence.is_conclusive and evidence.accepted:
            return evidence.result()
        if evidence.is_conclusive or not wait:
            return None
        raise evidence.error()

    async def _reconcile(self, unresolved: UnresolvedSend, terms: _Terms, late: float) -> Evidence:
        """Request the status of each recipient until all results are known or time runs out.

        Args:
            unresolved: The send.
            terms: The options of the send.
            late: Seconds in which its request may still arrive; infinity to not wait for it.

        Raises:
            SendOutcomeUnknown: No status could be requested: the client was closed, or the transport is broken.
        """
        evidence, start = Evidence(unresolved, self._delays.skew), self._caller.clock.now()
        try:
            await self._ask(evidence, unresolved, terms, late)
        except Exception as failure:
            raise evidence.error() from failure
        finally:
            sent = bool(evidence.accepted) if evidence.is_conclusive else None
            self._caller.observing.reconciled(terms.recording, unresolved, is_sent=sent, start=start)
        return evidence

    async def _ask(self, evidence: Evidence, unresolved: UnresolvedSend, terms: _Terms, late: float) -> None:
        clock, asked = self._caller.clock, 0
        now = clock.now()
        arrived, end = now + late, now + _PATIENCE if terms.end == math.inf else terms.end
        if late > 0:
            # One recipient is enough: if it is found, the request was received. Its execution may not be complete yet.
            await self._learn(evidence, unresolved.refs[:1], terms, end, in_time=False)
            if evidence.accepted:
                await self._learn(evidence, evidence.unresolved, terms, end, in_time=False)
            if not evidence.unresolved or arrived >= end:
                return
            await self._caller.closing.sleep_until(arrived)
        while evidence.unresolved and clock.now() < end:
            answers = await self._learn(evidence, evidence.unresolved, terms, end, in_time=True)
            again_at = clock.now() + _BACKOFF.pause(asked)
            if not is_worth_asking_again(answers) or again_at >= end:
                break
            await self._caller.closing.sleep_until(again_at)
            asked += 1

    async def _learn(
        self, evidence: Evidence, refs: tuple[MessageRef, ...], terms: _Terms, end: float, *, in_time: bool
    ) -> list[DeliveryReport | SmscError]:
        async def ask(operation: Operation[R], /) -> R:
            return await self._caller.call(operation, terms.timeout, end)

        answers = await statuses_of(terms.ask or ask, refs, 1, workers=self._workers)
        for ref, answer in zip(refs, answers, strict=True):
            evidence.learn(ref, answer, in_time=in_time)
        return answers

    def abandoning(self) -> Callable[[AnySend], None]:
        """Return a function that reports a send whose outcome nobody receives although it is known.

        The send began after this call.
        """
        began = utc_now(self._caller.clock)

        def abandon(operation: AnySend) -> None:
            is_own = "id" not in operation.model_fields_set
            self._hand_over(lost_send(operation, began, self._caller.clock, is_own=is_own))

        return abandon

    def _hand_over(self, unresolved: UnresolvedSend) -> None:
        if self._on_unresolved is None:
            return
        try:
            self._on_unresolved(unresolved)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the caller's own code; its failure must not hide the send
            _log.error("on_unresolved failed (%s); an unresolved send is lost", type(error).__name__)

    def _lost(self, operation: AnySend, terms: _Terms, trace: Trace) -> UnresolvedSend:
        return lost_send(operation, trace.began, self._caller.clock, is_own=terms.is_own_id)

    def _refused(
        self, error: SmscError, operation: AnySend, terms: _Terms, trace: Trace, *, may_be_sent: bool = False
    ) -> SmscError:
        """Return the error of an attempt that sent nothing, with the outcome of the earlier ones."""
        if trace.may_have_left or may_be_sent:
            return error.replace(outcome=Outcome.UNKNOWN, unresolved=self._lost(operation, terms, trace))
        return error
