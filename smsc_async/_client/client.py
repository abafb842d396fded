"""The client: one method for each task of the service, each of which builds an operation and passes it to `call`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, Unpack

from smsc_async._call import check_number, checked
from smsc_async._frames import without_arguments, without_frames
from smsc_async._model import (
    UNSET,
    AnyRef,
    Channel,
    Cost,
    DeliveryFailed,
    DeliveryReport,
    GetCost,
    GetStatus,
    Many,
    OnProgress,
    QueryOptions,
    Reports,
    Send,
    SentMessage,
    Sms,
    SmscError,
    StatusPush,
    UnresolvedSend,
    Unset,
    listing_options,
    ref_of,
)
from smsc_async._network import Timeout
from smsc_async._sending import AskStatus, statuses_of
from smsc_async._watching import Plan, Source, Watcher, last_report

from .bulk import BulkClient, When
from .progress import shown_progress

__all__ = ["Client"]

Id = str | int | None

_DAY: Final = 86_400.0
_SMS: Final = Sms()


class Client(BulkClient):
    """An asynchronous client for the SOAP service of SMS Center.

    Use the client as an async context manager, or call `aclose` when it is no longer needed:

        async with Client(apikey="...") as client:
            sent = await client.send("+79991234567", "Hello")
            report = await client.wait_delivered(sent.ref)

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
            timeout: The timeout for this call.
            deadline: The deadline for this call, None for no limit.
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

        Args:
            to: The recipients.
            text: The text.
            via: The channel.
            timeout: As in `send`.
            deadline: As in `send`.
            **options: The other parameters:

        Raises:
            ValueError: An argument is wrong.
        """
        operation = GetCost.model_validate({"to": to, "text": text, "via": via, **options})
        check_number(operation.to, self._max_recipients)
        return await self.call(operation, timeout=timeout, deadline=deadline)

    @without_frames
    async def status(
        self,
        message: AnyRef,
        *,
        detail: Literal[0, 1, 2] = 0,
        extra: dict[str, str] | None = None,
        timeout: Timeout | float | Unset = UNSET,
        deadline: float | Unset | None = UNSET,
    ) -> DeliveryReport:
        """Return the status of a message (`get_status`, or `get_status2` with `extra`).

        Args:
            message: What `send` returned, its `ref`, or the text form of that, `str(ref)`.
            detail: 0 for the status, 1 also for the message and its cost, 2 also for the operator and the region.
            extra: Parameters for `query`.
            timeout: The timeout for this call.
            deadline: The deadline for this call, None for no limit.

        Raises:
            MessageNotFound: No message has this phone and id.
        """
        operation = GetStatus.model_validate({"ref": ref_of(message), "detail": detail, "extra": extra})
        return await self.call(operation, timeout=timeout, deadline=deadline)

    @without_frames
    async def statuses(
        self,
        messages: Many[AnyRef],
        *,
        detail: Literal[0, 1, 2] = 0,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Reports[DeliveryReport | SmscError]:
        """Request the status of each message once, a few at a time; return reports and errors in the same order.

        Args:
            messages: The messages, as any iterable or async iterable; each in one of the forms that `status` takes.
            detail: As in `status`.
            progress: Whether to show a progress bar, which needs tqdm: `pip install 'smsc-async[notebook]'`.
            on_progress: Is called after each answer with the number of answers and of messages.

        Raises:
            ModuleNotFoundError: tqdm is not installed, and nothing was requested.
        """
        checked(detail=detail, progress=progress, on_progress=on_progress)
        self._caller.bind()
        with shown_progress("report", on_progress, shown=progress) as note:
            return await statuses_of(self.call, messages, detail, workers=self._workers, on_progress=note)

    @without_arguments
    def watch(
        self,
        messages: Source,
        *,
        timeout: float | None = _DAY,
        grace: float = 30.0,
        delay_per_request: float | Literal["auto"] = "auto",
        confirm_pushes: bool = False,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Watcher:
        """Follow the delivery of many messages until their status is final; see `Watcher` for its use.

        All watches of a client share what they learn about delivery times.

        Args:
            messages: One or many, in the forms that `status` takes, or the `unfinished` of a watch; all of each send.
            timeout: The seconds after which a pending message expires, None for never. A message of `unfinished` that
                expired before this watch began is requested once more.
            grace: The seconds for which the service may not know a message yet.
            delay_per_request: The seconds of delay of an update that one request is worth: more means fewer requests.
                "auto" depends on age and backlog, and leaves one of five requests for a young message to others.
            confirm_pushes: Whether a final status that `notify` passed on is confirmed by a request, which also returns
                what a push doesn't prove, such as the error. The push is then not the last update of its message.
            progress: Whether to show a progress bar of the messages that have had their last update; needs tqdm.
            on_progress: Is called after each last update: how many messages have had theirs, how many are watched.

        Raises:
            ModuleNotFoundError: `progress` is True and tqdm is not installed.
        """
        checked(grace=grace, confirm_pushes=confirm_pushes, progress=progress, on_progress=on_progress)
        self._caller.bind()
        return Watcher(
            self._poll,
            messages,
            workers=self._workers,
            plan=Plan(
                delay_per_request=delay_per_request, interval_limit=self._limits.status, curve=self._watches.curve
            ),
            lost_lasts=self._limits.lost_lasts,
            timeout=timeout,
            grace=grace,
            clock=self._caller.clock,
            entered=self._watches.entered,
            delivered=self._caller.observing.delivered,
            confirm_pushes=confirm_pushes,
            closed=self._caller.closing.wait,
            progress=shown_progress("message", on_progress, shown=progress),
        )

    @without_arguments
    def notify(self, push: StatusPush) -> None:
        """Pass the status that a callback reported to every watch of this client; see `Watcher.notify`.

        Raises:
            ValueError: It is not a `StatusPush`.
        """
        self._watches.notify(push)

    @without_frames
    async def wait_final(self, message: AnyRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until the status of one message is final, delivered or not, and return the report.

        Raises:
            TimeoutError: The message is still pending after `timeout` seconds.
        """
        return await last_report(self.watch(ref_of(message), timeout=timeout))

    @without_frames
    async def wait_delivered(self, message: AnyRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until one message is delivered, and return the report.

        Raises:
            DeliveryFailed: The message was not delivered; the error has the report.
            TimeoutError: The message is still pending after `timeout` seconds.
        """
        report = await self.wait_final(message, timeout)
        if not report.is_delivered:
            raise DeliveryFailed(f"the message was not delivered: {report.phrase}", report=report)
        return report
