"""What the answers to status requests prove about an unresolved send; no I/O.

The service executes a request as a whole or not at all. If one recipient is found, the request was executed, and a
recipient that is not found was refused individually.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from smsc_async._model import (
    DeliveryReport,
    MessageNotFound,
    MessageRef,
    Outcome,
    Scope,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    UnresolvedSend,
    is_international,
)

__all__ = ["Evidence", "is_worth_asking_again", "not_sent"]

_AT_ONCE: Final = timedelta(hours=1)  # far more than a send takes, even if the service's clock is ahead


class Evidence:
    """What is known about each recipient of an unresolved send.

    Args:
        unresolved: The send.
        skew: Seconds by which the service's clock may be behind this machine's.
    """

    def __init__(self, unresolved: UnresolvedSend, skew: float) -> None:
        self._unresolved = unresolved
        self._since = unresolved.began - timedelta(seconds=skew)
        self._until = unresolved.failed + _AT_ONCE if unresolved.at_once else None
        self._reports: dict[MessageRef, DeliveryReport] = {}
        self._missing: set[MessageRef] = set()

    @property
    def unresolved(self) -> tuple[MessageRef, ...]:
        """The recipients about which nothing is known yet."""
        return tuple(ref for ref in self._unresolved.refs if ref not in self._reports and ref not in self._missing)

    @property
    def accepted(self) -> tuple[MessageRef, ...]:
        """The recipients whose message the service has."""
        return tuple(ref for ref in self._unresolved.refs if ref in self._reports)

    @property
    def missing(self) -> tuple[MessageRef, ...]:
        """The recipients whose message the service definitely doesn't have."""
        return tuple(ref for ref in self._unresolved.refs if ref in self._missing)

    @property
    def is_conclusive(self) -> bool:
        """Whether the result is known for each recipient. That of group codes follows from the other recipients."""
        return not self.unresolved and (bool(self._reports) or not self._unresolved.groups)

    def learn(self, ref: MessageRef, answer: DeliveryReport | SmscError, *, in_time: bool) -> None:
        """Record the answer to a status request.

        Args:
            ref: The message whose status was requested.
            answer: The report, or the error.
            in_time: Whether the lost request could no longer arrive when the status was requested. If it could, "not
                found" proves nothing.
        """
        if isinstance(answer, DeliveryReport):
            if self._unresolved.is_own_id or self._is_of_then(answer.sent_at):
                self._reports[ref] = answer
        elif isinstance(answer, MessageNotFound) and in_time and is_international(ref.phone):
            # A number that the service may have stored in another form can't be proved missing.
            self._missing.add(ref)

    def _is_of_then(self, sent_at: datetime | None) -> bool:
        # soap-api: an id is "not necessarily unique". An older message with the same id must not count as this one,
        # even if it is scheduled for a later time.
        return sent_at is not None and self._since <= sent_at and (self._until is None or sent_at <= self._until)

    def result(self) -> SentMessage:
        """Return the result that the lost answer would have contained, as far as the reports show it."""
        reports: Sequence[DeliveryReport] = [self._reports[ref] for ref in self.accepted]
        # What the members of a group cost is unknown.
        costs = [*(report.cost for report in reports), *[None] * self._unresolved.groups]
        parts = [report.parts for report in reports]
        return SentMessage(
            id=self._unresolved.id,
            refs=self.accepted,
            cost=None if None in costs else sum(filter(None, costs), Decimal()),
            sms_count=None if None in parts else sum(filter(None, parts)),
            reconciled=True,
            missing=self.missing,
        )

    def error(self) -> SendOutcomeUnknown:
        """Return the error of a send that could not be reconciled."""
        return SendOutcomeUnknown(
            "the outcome is unknown: the message may have been sent; do not send it again, reconcile it with "
            "Client.resolve(error)",
            accepted=self.accepted,
            unsent=self.missing,
        ).replace(id=self._unresolved.id, refs=self.unresolved, unresolved=self._unresolved)


def is_worth_asking_again(answers: Sequence[DeliveryReport | SmscError]) -> bool:
    """Return whether requesting the same statuses again may give other answers."""
    errors = [answer for answer in answers if isinstance(answer, SmscError)]
    # After one of these errors the other statuses were not requested; repeated wrong credentials block the IP address.
    if any(error.scope is Scope.ALL for error in errors):
        return False
    return not all(error.scope is Scope.MESSAGE for error in errors)


def not_sent(lost: SmscError) -> SmscError:
    """Return the error of a lost answer, with the outcome proved by status requests: nothing was sent."""
    if lost.outcome is not Outcome.UNKNOWN:
        return lost
    return lost.replace(f"{lost}; the service does not know the message, so it was not sent", outcome=Outcome.NOT_SENT)
