"""Find out whether a journal is outdated: whether the service has messages that the journal lists as planned.

A journal is outdated if an older copy was restored, or if its last changes were lost with a part of the file. The ids
of all messages are fixed when the job is planned, so status requests show what was sent since.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from smsc_async._model import (
    DeliveryReport,
    GetStatus,
    InvalidParameters,
    MessageNotFound,
    MessageRef,
    is_international,
)

from .requests import operation_of
from .store import JournalStore, RunBlocking

__all__ = ["Witness"]

_ENOUGH_MESSAGES: Final = 100  # the service blocks an IP address after this many consecutive bad messages
_ENOUGH_RECIPIENTS: Final = 3


class _Request(NamedTuple):
    """A planned request.

    Attributes:
        refs: Up to three of its messages whose status proves whether the service has it; none if no status does.
        messages: How many messages it has.
        is_own_id: Whether no other message has its id.
    """

    refs: tuple[MessageRef, ...]
    messages: int
    is_own_id: bool


class Witness:
    """Finds out which planned requests the service has.

    Args:
        store: The journal's file.
        run_blocking: Calls a method of the store off the event loop.
        status: A function that requests a status.
        workers: How many requests may have been in flight at once, and so may have arrived in any order.
        planned_at: When the job was planned; an older message with the same id is a different one.
        skew: Seconds by which the clock of the service may be behind that of this machine.
    """

    def __init__(
        self,
        store: JournalStore,
        run_blocking: RunBlocking,
        status: Callable[[GetStatus], Awaitable[DeliveryReport]],
        *,
        workers: int,
        planned_at: datetime,
        skew: float,
    ) -> None:
        self._store = store
        self._run_blocking = run_blocking
        self._status = status
        self._workers = workers
        self._since = planned_at - timedelta(seconds=skew)
        self.unproved: list[int] = []

    async def last_known(self, keys: Sequence[int]) -> int | None:
        """Return the position of a request that the service has, None if the search finds none.

        The requests are checked in sending order until consecutive unknown ones cover 100 messages and as many requests
        as there are workers: messages that were refused are unknown too. From there to the end of the job, the
        distances double. After a known request they also double, as long as requests are known. Then `unproved` has
        the keys of the requests in the first part about which nothing can be proved.

        Raises:
            SmscError: A status could not be requested.
        """
        self.unproved = []
        position = messages = requests = 0
        while position < len(keys) and (messages < _ENOUGH_MESSAGES or requests < self._workers):
            request = await self._request(keys[position])
            found = await self._is_known(request)
            if found:
                return await self._end_of_known(keys, position)
            if found is None:
                self.unproved.append(keys[position])
            else:
                messages += request.messages
                requests += 1
            position += 1
        distance = 1
        while position < len(keys):
            found = await self._is_known(await self._request(keys[position]))
            if found:
                return await self._end_of_known(keys, position)
            if found is None:  # the next one that can prove something
                position += 1
            else:
                distance *= 2
                position += distance
        return None

    async def _end_of_known(self, keys: Sequence[int], position: int) -> int:
        distance = 1
        while position + distance < len(keys) and await self._is_known(await self._request(keys[position + distance])):
            position += distance
            distance *= 2
        return position

    async def _is_known(self, request: _Request) -> bool | None:
        """Return whether the service has a request, None if the answers prove nothing."""
        found: bool | None = None
        for ref in request.refs:
            try:
                report = await self._status(GetStatus(ref=ref, detail=1))
            except MessageNotFound:
                found = False
                continue
            except InvalidParameters:
                continue
            if request.is_own_id or (report.sent_at is not None and report.sent_at >= self._since):
                return True
            return None  # an older message with the same id, which can't be distinguished from ours
        return found

    async def _request(self, key: int) -> _Request:
        chunk = await self._run_blocking(self._store.chunk, key)
        refs = operation_of(chunk).refs()
        exact = [ref for ref in refs if is_international(ref.phone)]
        # Refused numbers may be adjacent, so take the first, the last and one from the middle.
        chosen = dict.fromkeys((*exact[:1], *exact[-1:], *exact[len(exact) // 2 :][:1]))
        return _Request(tuple(chosen)[:_ENOUGH_RECIPIENTS], len(refs), chunk.is_own_id)
