"""The updates of a watch: what answers and pushes mean for the plan and for the consumer; no I/O."""

from collections import deque
from collections.abc import Callable
from typing import Final

from smsc_async._model import (
    DeliveryReport,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Outcome,
    Scope,
    SmscError,
    StatusPush,
    least_pause,
    wrong,
)

from .plan import Plan
from .registry import Registry, Update

__all__ = ["Updates", "check_push"]

_BUFFER: Final = 64
_PACE: Final = 0.05


def check_push(value: object) -> None:
    """Raise a `ValueError` unless a value is a push."""
    if not isinstance(value, StatusPush):
        raise wrong("push", "a StatusPush, as `Callbacks.unwrap` returns it", value)


class Updates:
    """The updates that the consumer has not taken. Times are by the clock of the watch.

    There are at most 64. If more is pushed, the latest status of each message is kept until there is room.

    Args:
        registry: The messages.
        plan: The plan that chooses what to request.
        workers: The most requests at once.
        lost_lasts: The seconds for which a request whose answer was lost may still be in flight.
        grace: The seconds for which the service may not know a message yet.
        wake: Called when there is an update.
    """

    def __init__(
        self,
        registry: Registry,
        plan: Plan,
        *,
        workers: int,
        lost_lasts: float,
        grace: float,
        wake: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._plan = plan
        self._workers = workers
        self._lost_lasts = lost_lasts
        self._grace = grace
        self._wake = wake
        self._queue: deque[tuple[int, Update]] = deque()
        self._pushed: dict[int, tuple[MessageStatus, bool]] = {}
        """The latest status of each message that waits for room, and whether it is the last."""
        self._overtaken: dict[int, bool] = {}
        """For each message that is being requested, whether a status was pushed since."""
        self._took = 0.0
        self.offset: float = 0.0
        """Unix time minus the time of the clock."""

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether more updates may be found out."""
        return len(self._queue) < _BUFFER

    def first(self) -> Update:
        """Return the update that is taken next. There must be one."""
        return self._queue[0][1]

    def take(self) -> Update:
        """Remove and return the first update. There must be one."""
        if not self.has_room:
            self._wake()
        key, update = self._queue.popleft()
        self._registry.take(key, update)
        self._hand_over_pushed()
        return update

    def asked(self, key: int) -> None:
        """Record that the status of a message is being requested; `answered` or `failed` must be called next."""
        self._overtaken[key] = False

    def answered(self, key: int, report: DeliveryReport, start: float, now: float) -> None:
        """Record the answer to a request that was made at `start`."""
        # The number of workers divided by the recent duration of a request is the capacity per second.
        self._took += (now - start - self._took) * (_PACE if self._took else 1.0)
        self._plan.capacity(self._workers / self._took if self._took else 0.0)
        is_late = self._overtaken.pop(key)
        changed = report.status != self._registry.status(key) and not (
            is_late and not self._is_later(key, report.status)
        )
        at = None if report.changed_at is None else report.changed_at.timestamp() - self.offset
        self._plan.answered(key, now, final=report.is_final, changed=changed, final_at=at)
        if changed or report.is_final:
            self._hand_over(key, Update(report.ref, report, is_last=report.is_final))

    def failed(self, key: int, ref: MessageRef, error: SmscError, now: float) -> float:
        """Record a failed request; return the seconds for which it may still be in flight."""
        del self._overtaken[key]
        lost = self._lost_lasts if error.outcome is Outcome.UNKNOWN else 0.0
        if error.scope is Scope.MESSAGE:
            self._refused(key, ref, error, now)
        else:
            arrival = None if error.outcome is Outcome.NOT_SENT else now + lost
            self._plan.failed(key, now, arrival=arrival, pause=least_pause(error, self._plan.interval))
        return lost

    def pushed(self, key: int, status: MessageStatus, now: float, *, is_last: bool) -> bool:
        """Record a status that was pushed; return False if it is older than what is known, or known already."""
        if not self._registry.is_open(key) or not (is_last or self._is_later(key, status)):
            return False
        if key not in self._pushed:
            self._registry.hold(key)
        elif self._pushed[key][1]:
            return False
        self._pushed[key] = status, is_last
        if key in self._overtaken:
            self._overtaken[key] = True
        if is_last:
            self._plan.reported(key, now)
        self._hand_over_pushed()
        return True

    def expired(self, key: int) -> None:
        """Record that the time of a message is over."""
        self._plan.remove(key)
        self._hand_over(key, Update(self._registry.ref(key), expired=True, is_last=True))

    def _is_later(self, key: int, status: MessageStatus) -> bool:
        """Return whether a message has this status after the one that is known: pushes may come in any order."""
        known = self._pushed[key][0] if key in self._pushed else self._registry.status(key)
        if known is None:
            return True
        was_final = MessageStatus(known).is_final
        return status > known if status.is_final is was_final else status.is_final

    def _hand_over_pushed(self) -> None:
        while self._pushed and self.has_room:
            key = next(iter(self._pushed))
            status, is_last = self._pushed.pop(key)
            if is_last or self._is_later(key, status):  # an answer may have come in the meantime
                report = DeliveryReport(ref=self._registry.ref(key), status=status)
                self._hand_over(key, Update(report.ref, report, is_last=is_last, source="push"))
            self._registry.release(key)

    def _refused(self, key: int, ref: MessageRef, error: SmscError, now: float) -> None:
        if isinstance(error, MessageNotFound) and now + self.offset < self._registry.since(key) + self._grace:
            self._plan.answered(key, now, final=False)
        else:
            self._plan.remove(key)  # without an answer: the plan must not record it as final
            self._hand_over(key, Update(ref, error=error, is_last=True))

    def _hand_over(self, key: int, update: Update) -> None:
        """Hand over an update, unless the message has had its last one."""
        if self._registry.hand_over(key, update):
            self._queue.append((key, update))
            self._wake()
