"""The methods of a client for batches of messages."""

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial
from typing import Final, Literal, Unpack

from smsc_async._base_client import Session, name_after_client
from smsc_async._frames import PrivateDict
from smsc_async._model import UNSET, Channel, Many, Message, QueryOptions, Schedule, Sms, Unset, listing_options
from smsc_async._network import Timeout
from smsc_async._sending import ChunkCost, MessageOutcome, cost_in_chunks, send_in_chunks

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
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[MessageOutcome, None]:
        """Send a different message to each recipient, many in one request (`send_sms2` with `list`).

        Accepts any iterable or async iterable, holds one chunk of it in memory, and makes one request at a time. Yields
        one outcome for each recipient, in order. What `list` can't carry unchanged, also a group, is sent in a request
        of its own. After an error about all messages (`Scope.ALL`), nothing more is sent.

        Args:
            messages: The messages.
            sender: The sender of messages that have none.
            at: When to deliver. Messages may have a `tz` of their own only with `LocalTime`.
            via: The channel of all messages.
            cost: As in `send`, for each request.
            allow_duplicate: As in `send`.
            timeout: The timeout of each request.
            deadline: The deadline of each request, including its repetitions.
            **options: The other parameters:

        Raises:
            ValueError: An argument or a message is wrong, and nothing has been sent yet; or an item is no `Message`.
                The messages whose outcomes were yielded before such an item may have been sent, and no others.
            SmscError: The first request was definitely not sent; later errors are part of the outcomes.
        """
        arguments = PrivateDict({"sender": sender, "at": at, "via": via, "cost": cost, **options})
        call = partial(self.call, allow_duplicate=allow_duplicate, timeout=timeout, deadline=deadline)
        return send_in_chunks(call, self._times, messages, self._batch_size, arguments)

    @listing_options
    def cost_batch(
        self,
        messages: Many[Message],
        *,
        via: Channel = _SMS,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[ChunkCost, None]:
        """Yield the cost of a batch, one result for each request that `send_batch` would make; sends nothing.

        Args:
            messages: The messages.
            via: The channel of all messages.
            timeout: The timeout of each request.
            deadline: The deadline of each request, including its repetitions.
            **options: The other parameters:

        Raises:
            ValueError: An argument or a message is wrong, and no request was made yet; or an item is no `Message`.
        """
        call = partial(self.call, timeout=timeout, deadline=deadline)
        return cost_in_chunks(call, self._times, messages, self._batch_size, PrivateDict({"via": via, **options}))


for _method in vars(BulkClient).values():
    name_after_client(_method)
