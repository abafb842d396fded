"""What the answers to status requests say about a send in doubt; pure.

One request is executed as a whole or not at all. So a recipient that is found proves that the service has executed it,
and another that isn't found was refused by itself.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from smsc_async._model import (
    DeliveryReport,
    MessageNotFound,
    MessageRef,
    SentMessage,
    SmscError,
    UnresolvedSend,
    is_phone,
)

__all__ = ["Evidence"]

_AT_ONCE: Final = timedelta(hours=1)  # far more than it takes, also if the service's clock is ahead


class Evidence:
    """What is known about each recipient of a send in doubt.

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
        """The recipients of whom nothing is known yet."""
        return tuple(ref for ref in self._unresolved.refs if ref not in self._reports and ref not in self._missing)

    @property
    def accepted(self) -> tuple[MessageRef, ...]:
        """The recipients whose message the service has."""
        return tuple(ref for ref in self._unresolved.refs if ref in self._reports)

    @property
    def missing(self) -> tuple[MessageRef, ...]:
        """The recipients whose message the service surely doesn't have."""
        return tuple(ref for ref in self._unresolved.refs if ref in self._missing)

    @property
    def is_conclusive(self) -> bool:
        """Whether each recipient is known, those of group codes by what became of the others."""
        return not self.unresolved and (bool(self._reports) or not self._unresolved.groups)

    def learn(self, ref: MessageRef, answer: DeliveryReport | SmscError, *, in_time: bool) -> None:
        """Take the answer to a status request.

        Args:
            ref: Whom it is about.
            answer: What came.
            in_time: Whether the lost request could no longer arrive when this one was made. If it could, "not found"
                proves nothing.
        """
        if isinstance(answer, DeliveryReport):
            if self._unresolved.is_own_id or self._is_of_then(answer.sent_at):
                self._reports[ref] = answer
        elif isinstance(answer, MessageNotFound) and in_time and is_phone(ref.phone) and ref.phone.startswith("+"):
            # soap-api: "If the number is passed without the + sign, it can be corrected", so it is known under another.
            self._missing.add(ref)

    def _is_of_then(self, sent_at: datetime | None) -> bool:
        # soap-api: an id is "not necessarily unique". An older message under it must not pass for this one, not even if
        # it is scheduled for a time to come.
        return sent_at is not None and self._since <= sent_at and (self._until is None or sent_at <= self._until)

    def result(self) -> SentMessage:
        """Return the send as its own answer would have told it, as far as status answers tell."""
        reports: Sequence[DeliveryReport] = [self._reports[ref] for ref in self.accepted]
        costs = [report.cost for report in reports]
        parts = [report.parts for report in reports]
        return SentMessage(
            id=self._unresolved.id,
            refs=self.accepted,
            cost=None if None in costs else sum(filter(None, costs), Decimal()),
            sms_count=None if None in parts else sum(filter(None, parts)),
            reconciled=True,
            missing=self.missing,
        )
