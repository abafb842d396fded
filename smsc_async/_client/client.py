"""The client: one method for each task of the service, each of which builds an operation and passes it to `call`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, Unpack

from smsc_async._call import check_number, checked
from smsc_async._frames import without_frames
from smsc_async._model import (
    UNSET,
    AnyRef,
    Balance,
    Channel,
    Cost,
    GetBalance,
    GetCost,
    QueryOptions,
    Send,
    SentMessage,
    Sms,
    SmscError,
    UnresolvedSend,
    Unset,
    listing_options,
)
from smsc_async._network import Timeout
from smsc_async._sending import AskStatus

from .bulk import When
from .following import FollowingClient

__all__ = ["Client"]

Id = str | int | None

_SMS: Final = Sms()


class Client(FollowingClient):
    """An asynchronous client for the SOAP service of SMS Center.

    Use the client as an async context manager, or call `aclose` when it is no longer needed:

        async with Client(apikey="...") as client:
            sent = await client.send("+79991234567", "Hello")
            report = await client.wait_delivered(sent.ref)

    The examples of the methods are for a client of a `Sandbox`, in which each message is delivered at once, but for
    those to `sandbox.MAGIC_NUMBERS`. All times are in seconds, and all moments aware.

    A client serves one event loop at a time. If that loop has ended, the next loop gets new connections. One client may
    be used by many tasks at once.

    Where an argument is not passed, these environment variables count:

        SMSC_APIKEY                   apikey
        SMSC_LOGIN, SMSC_PASSWORD     login, password; if there is no SMSC_APIKEY
        SMSC_URL                      url
        SMSC_FALLBACK_URLS            fallback_urls, separated by spaces or commas
        SMSC_TIMEOUT, SMSC_DEADLINE   timeout, deadline: seconds; "none" for no deadline
        SMSC_ACCOUNT, SMSC_EGRESS     account, egress
    """

    @listing_options
    @without_frames
    async def send(
        self,
        to: str | Iterable[str],
        text: str | None = None,
        *,
        id: Id = None,  # noqa: A002 - the service's own word
        sender: str | None = None,
        at: When = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        allow_duplicate: bool = False,
        attempt: int = 1,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> SentMessage:
        """Send one text to one or many recipients (`send_sms`, `send_sms2`).

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> sent.sms_count
            1
            >>> later = await client.send("+79991234567", "See you", at=After(minutes=30), via=Viber())

        Args:
            to: Recipients, as a list or separated by commas or semicolons: phones with or without + (the service
                corrects those without), groups `G<number>`, e-mail addresses, `#ID` or a nickname for Telegram.
            text: 1 to 1000 characters; omitted where the channel has no text.
            id: A number from 1 to 2147483647, or a string of up to 40 of `[A-Za-z0-9._-]`. None for a new one.
            sender: Up to 11 characters or 15 digits. None for the account's default.
            at: When to deliver: an aware datetime, `LocalTime`, `Between` or `After`. None for immediately.
            via: The channel, such as `Viber()` or `Email(sender, subject)`.
            cost: 2 to get the cost, 3 to get the cost and the new balance.
            allow_duplicate: Whether the same message may have been sent in the last minute (the service's error 9).
            attempt: The number of this attempt at the message, counted by the caller that repeats it with the same
                `id`. No other message may use that id. From 2 on, a status request comes first, and a message that
                the service has is not sent again. Of several workers only one sends, if they share guards in which
                `identical_send` is on and do not use `allow_duplicate`.
            timeout: The timeout of each request: a `Timeout`, or the seconds for reading and for writing.
            deadline: The seconds for this call with its waits and repetitions, None for no limit.
            **options: The other parameters:

        Raises:
            ValueError: An argument is wrong. Nothing was sent.
            DuplicateSend: The same message was sent in the last minute. This attempt sent nothing.
            GuardError: Sending would break another limit of the service. This attempt sent nothing.
            ApiError: The service refused the message.
            SendOutcomeUnknown: The outcome is unknown: the message may have been sent. Call `resolve` later.
            SmscError: Another failure, see its `outcome`.
        """
        arguments = {"to": to, "text": text, "id": id, "sender": sender, "at": at, "via": via, "cost": cost, **options}
        operation = Send.model_validate(arguments)
        check_number(operation.to, self._max_recipients)
        return await self.call(
            operation, allow_duplicate=allow_duplicate, attempt=attempt, timeout=timeout, deadline=deadline
        )

    @without_frames
    async def resolve(
        self,
        send: AnyRef | UnresolvedSend | SmscError,
        *,
        since: datetime | None = None,
        ask: AskStatus | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> SentMessage | None:
        """Reconcile a send whose outcome is unknown; return None if it was definitely not executed.

        "Not found" proves nothing about a recipient that the service may store in another form: a phone without + that
        may be a local number, or an e-mail address. Such a send can only be reconciled if it is found.

        Example:
            >>> careful = client.with_options(on_unknown="raise")
            >>> fault = sandbox.faults.add("lose_answer", operation="send", times=1)
            >>> try:
            ...     sent = await careful.send("+79991234567", "Your code is 4821")
            ... except SmscError as error:
            ...     sent = await client.resolve(error)
            >>> sent.reconciled
            True

        Args:
            send: The error, its `unresolved`, or the message in one of the forms that `status` takes.
            since: With a message, when the first attempt began, aware. An older message with the same id is a
                different one. Without `since`, only an id generated by this package is accepted as proof.
            ask: Requests one status, for example `client.call` with a rate limit. None for `client.call`.
            timeout: The timeout of each request.
            deadline: The deadline for the whole call, None for 90 s.

        Raises:
            ValueError: The error is not about an unresolved send.
            SendOutcomeUnknown: The send can't be reconciled, or not in time.
        """
        checked(ask=ask)
        self._caller.bind()
        return await self._reconciler.resolve(send, since, *self._times(timeout, deadline), ask)

    @listing_options
    @without_frames
    async def cost(
        self,
        to: str | Iterable[str],
        text: str | None = None,
        *,
        via: Channel = _SMS,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> Cost:
        """Return the cost of a send without sending (`get_sms_cost`, `get_sms_cost2`).

        Example:
            >>> quote = await client.cost(["+79991234567", "+79991234568"], "Hello")
            >>> quote.amount, quote.sms_count
            (Decimal('9'), 2)

        Args:
            to: The recipients.
            text: The text.
            via: The channel.
            timeout: As in `send`.
            deadline: As in `send`.
            **options: The other parameters:

        Raises:
            ValueError: An argument is wrong. Nothing was requested.
            InvalidPhone: A recipient is wrong.
            ApiError: The service refused the text, the sender or the channel.
            CostTooOften: The limit of five identical requests a minute is used up, and the rule `identical_cost` says
                "raise", or its end is later than `max_wait` or the deadline. By default a call waits.
            SmscError: Another failure. A request that was lost is repeated, because it changes nothing.
        """
        operation = GetCost.model_validate({"to": to, "text": text, "via": via, **options})
        check_number(operation.to, self._max_recipients)
        return await self.call(operation, timeout=timeout, deadline=deadline)

    @without_frames
    async def balance(
        self, *, timeout: Timeout | float | Unset = UNSET, deadline: float | Unset | None = UNSET
    ) -> Balance:
        """Return the account's balance (`get_balance`), in the currency of the account.

        Example:
            >>> balance = await client.balance()
            >>> balance.amount
            Decimal('10000')

        Args:
            timeout: As in `send`.
            deadline: As in `send`.

        Raises:
            BalanceTooOften: The limit of ten requests a minute is used up, and the rule `balance` says "raise", or its
                end is later than `max_wait` or the deadline. By default a call waits.
            SmscError: Another failure. A request that was lost is repeated, because it changes nothing.
        """
        return await self.call(GetBalance(), timeout=timeout, deadline=deadline)
