"""A limit on status requests about unknown messages: frequent errors block the IP address."""

from typing import Final

import anyio

from smsc_async._client import Client
from smsc_async._clock import disk_time
from smsc_async._model import ApiError, DeliveryReport, GetStatus

from .lock import JournalLock

__all__ = ["UnknownPace"]

_FIRST: Final = 20  # as fast as the service answers
_INTERVAL: Final = 1.0  # seconds for each further one


class UnknownPace:
    """Requests statuses; after 20 errors, one a second. The limit survives a restart.

    Args:
        client: The client.
        lock: The lock file, which stores the limit.
        most: The maximum number of concurrent requests.
    """

    def __init__(self, client: Client, lock: JournalLock, *, most: int) -> None:
        self._client = client
        self._lock = lock
        self._slots = anyio.Semaphore(most)
        record = lock.record
        # A damaged record must not delay the job for long.
        backlog = min(record.backlog, _FIRST * _INTERVAL) - (disk_time().since(record.at) or 0.0)
        self._until = anyio.current_time() + backlog
        self._asking = 0
        self._answered = anyio.Event()

    def delay(self, number: int) -> float:
        """Return the maximum number of seconds until `number` requests are answered, if all messages are unknown."""
        return self._backlog() + number * _INTERVAL

    async def status(self, operation: GetStatus) -> DeliveryReport:
        """Request a status as soon as one more unknown message is allowed.

        Raises:
            SmscError: As in `Client.status`.
        """
        while (wait := self._backlog() - (_FIRST - 1) * _INTERVAL) > 0:
            with anyio.move_on_after(wait):
                await self._answered.wait()
        self._asking += 1
        try:
            async with self._slots:
                return await self._client.call(operation)
        except ApiError:
            self._until = max(self._until, anyio.current_time()) + _INTERVAL
            self._lock.update(backlog=self._until - anyio.current_time(), at=disk_time())
            raise
        finally:
            self._asking -= 1
            self._answered.set()
            self._answered = anyio.Event()

    def _backlog(self) -> float:
        return max(0.0, self._until - anyio.current_time()) + self._asking * _INTERVAL
