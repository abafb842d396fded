"""Finds messages, also those that are still to come."""

from dataclasses import replace
from math import inf

import anyio

from ._changes import Changes
from ._messages import AcceptedMessage
from ._outbox import MessageFilter
from ._sandbox_clock import SandboxClock
from ._service import Service

__all__ = ["Lookup"]


class Lookup:
    """Finds messages.

    Args:
        service: The service that has them.
        clock: The clock by which their statuses change.
        changes: What is notified of new messages and changed ones.
    """

    def __init__(self, service: Service, clock: SandboxClock, changes: Changes) -> None:
        self._service = service
        self._clock = clock
        self._changes = changes

    @property
    def changes(self) -> Changes:
        """What is notified of new messages and changed ones."""
        return self._changes

    def search(self, wanted: MessageFilter) -> list[AcceptedMessage]:
        """Return the messages that match, the newest first."""
        return self._service.search(wanted, self._clock.now())

    async def wait(self, wanted: MessageFilter, seconds: float) -> list[AcceptedMessage]:
        """Return the messages that match as soon as there are any, or none after this many real seconds."""
        found: list[AcceptedMessage] = []
        with anyio.move_on_after(seconds):
            while not found:
                with self._changes.listen() as changed:
                    found, wanted, later = self._look(wanted)
                    if not found:
                        with self._clock.deadline(later):
                            await changed.wait()
        return found

    def _look(self, wanted: MessageFilter) -> tuple[list[AcceptedMessage], MessageFilter, float]:
        """Return what is found, what is still wanted, and when to look again even if nothing is sent."""
        now, newest = self._clock.now(), self._service.last_key
        found = self._service.search(wanted, now)
        if found or wanted.status is not None:
            return found, wanted, inf if found else self._service.next_change(wanted, now)
        return found, replace(wanted, after=newest), inf  # the others will not match later either
