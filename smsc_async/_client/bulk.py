"""The methods of a client for batches of messages."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from functools import partial
from typing import Final, Literal, Unpack

from smsc_async._base_client import Session
from smsc_async._call import checked, name_after_client
from smsc_async._frames import PrivateDict
from smsc_async._model import UNSET, Channel, Many, Message, QueryOptions, Schedule, Sms, Unset, listing_options
from smsc_async._network import Timeout
from smsc_async._sending import ChunkCost, Concurrency, MessageOutcome, Workers, cost_in_chunks, send_in_chunks

from .progress import with_progress

__all__ = ["BulkClient", "When"]

When = Schedule | datetime | None

_SMS: Final = Sms()


class BulkClient(Session):
    """A client with the methods for batches."""

    @listing_options
    def send_batch(
        self,
        messages: Many[Message],
        *,
        sender: str | None = None,
        at: When = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        allow_duplicate: bool = False,
        workers: Workers = "auto",
        progress: bool = False,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[MessageOutcome, None]:
        """Send a different message to each recipient, many in one request (`send_sms2` with `list`).

        Accepts any iterable or async iterable and holds one wave of it in memory: the requests that are in flight at
        once, none of them while an outcome is yielded. Yields one outcome for each recipient, in order. A loop that is
        left early has sent at most the wave that it was in. Messages to one recipient are never in one wave, so that
        they arrive in order. What `list` can't carry unchanged, also a group, is sent in a request of its own. Until a
        request was accepted there is one at a time, and after an error about all messages (`Scope.ALL`) none.

        Example:
            >>> messages = [Message("+79991110001", "Hello Ann"), Message("+79991110002", "Hello Bob")]
            >>> async for outcome in client.send_batch(messages):
            ...     print(outcome.message.phone, outcome.error or "accepted")
            +79991110001 accepted
            +79991110002 accepted

        Args:
            messages: The messages.
            sender: The sender of messages that have none.
            at: When to deliver. Messages may have a `tz` of their own only with `LocalTime`.
            via: The channel of all messages.
            cost: As in `send`, for each request.
            allow_duplicate: As in `send`.
            workers: The most requests in flight, no more than fit within the limits of the guards. "auto" for as many
                as fit and leave room for other calls: the limits less 4 requests and 10 messages, which is two requests
                of 44, and ten of `batch_size` if the rule `bad_sends` is off.
            progress: Whether to show a progress bar, which needs tqdm: `pip install 'smsc-async[notebook]'`.
            timeout: The timeout of each request.
            deadline: The deadline of each request, including its repetitions.
            **options: The other parameters:

        Raises:
            ValueError: An argument or a message is wrong, and nothing has been sent yet; or an item is no `Message`.
                The messages whose outcomes were yielded before such an item may have been sent, and no others.
            SmscError: The first request was definitely not sent; later errors are part of the outcomes.
            ValueError: `progress` is True and tqdm is not installed.
        """
        checked(progress=progress)
        arguments = PrivateDict({"sender": sender, "at": at, "via": via, "cost": cost, **options})
        call = partial(self.call, allow_duplicate=allow_duplicate, timeout=timeout, deadline=deadline)
        outcomes = send_in_chunks(
            call, self._times, messages, self._concurrency(workers), arguments, abandoning=self._reconciler.abandoning
        )
        return with_progress(outcomes, messages) if progress else outcomes

    @listing_options
    def cost_batch(
        self,
        messages: Many[Message],
        *,
        via: Channel = _SMS,
        workers: Workers = "auto",
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[ChunkCost, None]:
        """Yield the cost of a batch, one result for each request that `send_batch` would make; sends nothing.

        The error of a request is part of its result.

        Example:
            >>> messages = [Message("+79991110001", "Hello Ann"), Message("+79991110002", "Hello Bob")]
            >>> async for quote in client.cost_batch(messages):
            ...     print(len(quote.messages), quote.error or quote.cost.amount)
            2 9

        Args:
            messages: The messages.
            via: The channel of all messages.
            workers: As in `send_batch`.
            timeout: The timeout of each request.
            deadline: The deadline of each request, including its repetitions.
            **options: The other parameters:

        Raises:
            ValueError: An argument or a message is wrong, and no request was made yet; or an item is no `Message`.
        """
        call = partial(self.call, timeout=timeout, deadline=deadline)
        arguments = PrivateDict({"via": via, **options})
        return cost_in_chunks(call, self._times, messages, self._concurrency(workers), arguments)

    def _concurrency(self, workers: Workers) -> Callable[[], Concurrency]:
        limits = self._limits
        return partial(
            Concurrency.of, workers, self._batch_size, in_flight=limits.in_flight, bad_sends=limits.bad_sends
        )


for _method in vars(BulkClient).values():
    name_after_client(_method)
