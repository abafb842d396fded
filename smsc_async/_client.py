"""The client: a verb for each thing that the service does, each an operation handed to `call`."""

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from functools import partial
from typing import Final, Literal, Unpack

from ._base_client import Session
from ._model import (
    UNSET,
    Balance,
    Channel,
    Cost,
    DeliveryReport,
    GetBalance,
    GetCost,
    GetStatus,
    Many,
    Message,
    MessageRef,
    OnProgress,
    QueryOptions,
    Schedule,
    Send,
    SentMessage,
    Sms,
    SmscError,
    UnresolvedSend,
    Unset,
)
from ._network import Timeout
from ._sending import ChunkCost, MessageOutcome, cost_in_chunks, send_in_chunks, statuses_of, unresolved_of
from ._watching import Source, Watcher, last_report

__all__ = ["Client"]

Id = str | int | None
When = Schedule | datetime | None

_DAY: Final = 86_400.0
_SMS: Final = Sms()


class Client(Session):
    """A client of the SOAP service of SMS Center.

    Use it with `async with`, or call `aclose` at the end, or neither in a notebook. One client is for one event loop at
    a time; on a new loop, after the old one has ended, it makes new connections.

    Args:
        apikey: The API key; else `login` and `password`; else SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD.
        login: The account's login.
        password: The password, or its lower-case MD5 hex.
        url: The address of the service; None for SMSC_URL, else https://smscentre.com/sys/soap.php.
        fallback_urls: Further addresses of the same service, tried in turn where a request may be repeated.
        namespace: The targetNamespace; None to derive it from `url`. A wrong one is healed by a look at the `?wsdl`.
        timeout: Of one request: a `Timeout`, or seconds for reading and writing.
        deadline: Seconds for a whole call, with its waits, repetitions and look-ups; None for no end.
        retries: How often a call may be repeated after a network failure. A send is repeated only if nothing left.
        transport: None for the network over httpx, "aiohttp" for that over aiohttp (asyncio only), an object with
            the methods of `Transport`, or any `httpx.AsyncBaseTransport`.
        timezone: The account's time zone, in which the service writes local times without a timestamp.
        guards: What keeps the requests inside the limits of the service, to be shared by clients of one account; unset
            for guards of this client alone, None for none.
        account: The name under which the guards count all credentials of one account; None for the login or the apikey.
        egress: A name for the address from which the service sees the requests, for guards of several addresses.
        max_recipients: The most recipients of one `send` or `cost`; the service doesn't publish its own limit.
        batch_size: The most messages in one request of `send_batch` and `cost_batch`. Two requests of 49 are still
            fewer than the 100 bad messages in a row for which the service blocks an address.
        allow_http: Allow an address without TLS that isn't loopback.
        proxy: The URL of a proxy; None for what the environment says.
        verify: An SSL context, or False to trust anybody, which is only for tests.
        max_response_bytes: The largest answer that is read.
        on_unknown: What is done when the answer to a send is lost. "reconcile": its status shows if the service has
            it; "resend": if it has not, the send is repeated with the same id, after the minute in which the service
            refuses duplicates; "raise": nothing. Either way within the deadline.
        on_unresolved: Is told of each send that ends in doubt, also of one that is cancelled; must return at once.
        clock_skew: Seconds by which the clocks of the service and of other machines may be behind this one's. It counts
            where an id that was given might be that of an older message, and in `resolve`.

    Raises:
        ValueError: The credentials are missing, or an argument is wrong.
    """

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

        Args:
            to: One recipient or many: phones with or without + (the service corrects those without), group codes
                `G<number>`, e-mail addresses for `Email`, `#ID` or a nickname for Telegram.
            text: 1 to 1000 characters; left out where the channel has none.
            id: 1 to 2147483647, or up to 40 of `[A-Za-z0-9._-]`; None for a new one.
            sender: Up to 11 characters or 15 digits; None for the account's.
            at: When: an aware datetime, `LocalTime`, `Between` or `After`; None for at once.
            via: The channel.
            cost: 2 to be told the cost, 3 the cost and the new balance.
            allow_duplicate: Whether it may be what was sent in the last minute; the service refuses that (error 9).
            attempt: Which attempt at this message it is, counted by whoever repeats it with the same `id`, which no
                other message may have. From 2 on the service is asked first, and what it has is not sent again; of
                several workers only one gets past that, if they share guards in which `identical_send` is not off, and
                use no `allow_duplicate`.
            timeout: For this call.
            deadline: For this call, None for no end.
            **options: The other parameters, see `QueryOptions`.

        Raises:
            ValueError: An argument is wrong; nothing was sent.
            DuplicateSend: The same went out in the last minute. This attempt sent nothing.
            GuardError: Sending would break another limit of the service. This attempt sent nothing.
            ApiError: The service refused it.
            SendOutcomeUnknown: Nobody knows whether it was sent; `resolve` settles it later.
            SmscError: See its `outcome`.
        """
        arguments = {"to": to, "text": text, "id": id, "sender": sender, "at": at, "via": via, "cost": cost, **options}
        operation = Send.model_validate(arguments)
        self._check_number(operation.to)
        return await self.call(
            operation, allow_duplicate=allow_duplicate, attempt=attempt, timeout=timeout, deadline=deadline
        )

    async def resolve(
        self,
        send: MessageRef | UnresolvedSend | SmscError,
        *,
        since: datetime | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> SentMessage | None:
        """Settle a send of which nobody knows whether it was done; return None if it surely was not.

        A doubt about a recipient that the service may know under another name (a phone without +, an e-mail address)
        can't be settled by "not found".

        Args:
            send: The error, its `unresolved`, or a reference.
            since: With a reference, when the first attempt began, aware: an older message with the same id is another
                one. Without it only an id that this package has made counts.
            timeout: Of each request.
            deadline: For all of it, None for 90 s.

        Raises:
            ValueError: The error leaves no doubt.
            SendOutcomeUnknown: It can't be settled, or not in time.
        """
        self._caller.bind()
        return await self._reconciler.resolve(unresolved_of(send, since), *self._times(timeout, deadline))

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
        """Return what a send would cost, without sending (`get_sms_cost`, `get_sms_cost2`).

        The arguments are those of `send`.

        Raises:
            ValueError: An argument is wrong.
        """
        operation = GetCost.model_validate({"to": to, "text": text, "via": via, **options})
        self._check_number(operation.to)
        return await self.call(operation, timeout=timeout, deadline=deadline)

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
        """Send a message of its own to each recipient, many in one request (`send_sms2` with `list`).

        Takes any iterable or async iterable and holds one chunk of it; one request is made at a time. Yields one
        outcome for each message, in order. A text that `list` can't carry unchanged is sent by itself.

        Args:
            messages: The messages.
            sender: For messages that have none.
            at: When; only `LocalTime` lets a message have a `tz` of its own.
            via: The channel of all.
            cost: As in `send`, for each request.
            allow_duplicate: As in `send`.
            timeout: For each request.
            deadline: For each request, with its repetitions.
            **options: The other parameters, see `QueryOptions`.

        Raises:
            ValueError: An argument or a message is wrong, and nothing has been sent yet.
            SmscError: The first request was surely not sent. Once one may have been, errors are outcomes.
        """
        arguments = {"sender": sender, "at": at, "via": via, "cost": cost, **options}
        call = partial(self.call, allow_duplicate=allow_duplicate, timeout=timeout, deadline=deadline)
        return send_in_chunks(call, messages, self._batch_size, arguments)

    def cost_batch(
        self,
        messages: Many[Message],
        *,
        via: Channel = _SMS,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[ChunkCost, None]:
        """Yield what a batch would cost, one price for each request that `send_batch` would make; sends nothing.

        Raises:
            ValueError: An argument or a message is wrong; nothing was asked.
        """
        call = partial(self.call, timeout=timeout, deadline=deadline)
        return cost_in_chunks(call, messages, self._batch_size, {"via": via, **options})

    async def status(
        self,
        ref: MessageRef,
        *,
        detail: Literal[0, 1, 2] = 0,
        extra: dict[str, str] | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> DeliveryReport:
        """Return where a message is (`get_status`, or `get_status2` if there is an `extra`).

        Args:
            ref: Which message.
            detail: 0 for the status, 1 also for the message and its cost, 2 also for the operator and the region.
            extra: Parameters for `query`.
            timeout: For this call.
            deadline: For this call, None for no end.

        Raises:
            MessageNotFound: No message has this phone and id.
        """
        operation = GetStatus.model_validate({"ref": ref, "detail": detail, "extra": extra})
        return await self.call(operation, timeout=timeout, deadline=deadline)

    async def statuses(
        self,
        refs: Many[MessageRef],
        *,
        detail: Literal[0, 1, 2] = 0,
        on_progress: OnProgress | None = None,
    ) -> list[DeliveryReport | SmscError]:
        """Ask once for each message, a few at a time; return the answers in the order of `refs`, errors among them.

        Args:
            refs: Which messages, any iterable or async iterable.
            detail: As in `status`.
            on_progress: Is called after each answer with two numbers: how many there are, and how many there will be.
        """
        self._caller.bind()
        return await statuses_of(self.call, refs, detail, workers=self._workers, on_progress=on_progress)

    def watch(
        self,
        messages: Source,
        *,
        timeout: float | None = _DAY,
        grace: float = 30.0,
        delay_per_request: float = 10.0,
        on_progress: OnProgress | None = None,
    ) -> Watcher:
        """Follow the delivery of many messages; see `Watcher` for its use.

        What a watch learns about the time that deliveries take, the client's other watches know.

        Args:
            messages: References, an iterable or async iterable; also what an earlier watch left in `pending`.
            timeout: Seconds after which an undecided message has expired, None for never. One of `pending` whose time
                was over before this watch began is asked once more.
            grace: Seconds for which the service may not know a message yet.
            delay_per_request: How many seconds of delay between a decision and its update a request is worth.
            on_progress: Is called after each last update with two numbers: how many messages have had theirs, and how
                many are watched so far.
        """
        self._caller.bind()
        return Watcher(
            self.call,
            messages,
            workers=self._workers,
            timeout=timeout,
            grace=grace,
            delay_per_request=delay_per_request,
            curve=self._curve,
            on_progress=on_progress,
        )

    async def wait_delivered(self, ref: MessageRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until the delivery of one message is decided, well or badly, and return the report.

        Raises:
            TimeoutError: It is undecided after so many seconds.
        """
        return await last_report(self.watch([ref], timeout=timeout, delay_per_request=1.0))

    async def balance(
        self, *, timeout: Timeout | float | Unset = UNSET, deadline: float | Unset | None = UNSET
    ) -> Balance:
        """Return the account's balance (`get_balance`)."""
        return await self.call(GetBalance(), timeout=timeout, deadline=deadline)

    def _check_number(self, recipients: tuple[str, ...]) -> None:
        if len(recipients) > self._max_recipients:
            raise ValueError(
                f"{len(recipients)} recipients in one request; at most {self._max_recipients} are allowed: divide "
                "them, use send_batch, or raise Client(max_recipients=)"
            )
