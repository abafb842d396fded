"""The methods of a client that ask what became of messages, once or until their status is final."""

from typing import Final, Literal

from smsc_async._call import Trace, checked, name_after_client
from smsc_async._frames import without_arguments, without_frames
from smsc_async._model import (
    UNSET,
    AnyRef,
    DeliveryFailed,
    DeliveryReport,
    GetStatus,
    Many,
    OnProgress,
    Reports,
    SmscError,
    StatusPush,
    Unset,
    ref_of,
)
from smsc_async._network import Timeout
from smsc_async._sending import statuses_of
from smsc_async._watching import Plan, Source, Watcher, last_report

from .bulk import BulkClient
from .progress import shown_progress

__all__ = ["FollowingClient"]

_DAY: Final = 86_400.0


class FollowingClient(BulkClient):
    """A client with the methods for statuses."""

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

        The times of the report are aware: in UTC, or in the `timezone` of the client if there is no timestamp.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> report = await client.status(sent)
            >>> report.status.phrase, report.is_delivered
            ('delivered', True)

        Args:
            message: What `send` returned, its `ref`, or the text form of that, `str(ref)`.
            detail: 0 for the status, 1 also for the message and its cost, 2 also for the operator and the region.
            extra: Parameters for `query`.
            timeout: The timeout of each request.
            deadline: The seconds for this call with its waits and repetitions, None for no limit.

        Raises:
            ValueError: An argument is wrong. Nothing was requested.
            MessageNotFound: No message has this phone and id, or not yet: a new one may take some seconds to appear.
            StatusTooOften: The limit of five requests a minute for one message is used up, and the rule `status` says
                "raise", or its end is later than `max_wait` or the deadline. By default a call waits.
            SmscError: Another failure. A request that was lost is repeated, because it changes nothing.
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

        Example:
            >>> sent = await client.send(["+79991234567", "+79000000003"], "Hello")
            >>> for report in await client.statuses(sent.refs):
            ...     print(report.status.phrase)
            delivered
            expired before it could be delivered

        Args:
            messages: The messages, as any iterable or async iterable; each in one of the forms that `status` takes.
            detail: As in `status`.
            progress: Whether to show a progress bar, which needs tqdm: `pip install 'smsc-async[notebook]'`.
            on_progress: Is called after each answer with the number of answers and of messages.

        Raises:
            ValueError: An argument is wrong, or an item is no message.
            ValueError: tqdm is not installed, and nothing was requested.
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

        Example:
            >>> sent = await client.send(["+79991234567", "+79000000003"], "Hello")
            >>> async with client.watch(sent.refs, timeout=3600) as updates:
            ...     async for update in updates:
            ...         if update.is_last:
            ...             print(update.ref.phone, update.status.phrase)
            +79991234567 delivered
            +79000000003 expired before it could be delivered

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
            ValueError: An argument is wrong.
            ValueError: `progress` is True and tqdm is not installed.
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

        Example:
            >>> from smsc_async.callbacks import StatusPush
            >>> client.notify(StatusPush(ref=MessageRef("+79991234567", "17"), status=1))

        Args:
            push: What `Callbacks.unwrap` returned.

        Raises:
            ValueError: It is not a `StatusPush`.
        """
        self._watches.notify(push)

    @without_frames
    async def wait_final(self, message: AnyRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until the status of one message is final, delivered or not, and return the report.

        Example:
            >>> sent = await client.send("+79000000003", "Your code is 4821")
            >>> report = await client.wait_final(sent, timeout=300)
            >>> report.status.phrase
            'expired before it could be delivered'

        Args:
            message: What `send` returned for one recipient, its `ref`, or the text form of that, `str(ref)`.
            timeout: The seconds after which to give up, None for never. The message goes on its way all the same.

        Raises:
            ValueError: An argument is wrong, or the message has several recipients.
            TimeoutError: The message is still pending after `timeout` seconds.
            SmscError: An error about all messages, such as wrong credentials, or that no message has this phone and id.
        """
        return await last_report(self.watch(ref_of(message), timeout=timeout))

    @without_frames
    async def wait_delivered(self, message: AnyRef, timeout: float | None = _DAY) -> DeliveryReport:
        """Wait until one message is delivered, and return the report.

        Example:
            >>> sent = await client.send("+79000000003", "Your code is 4821")
            >>> try:
            ...     report = await client.wait_delivered(sent, timeout=300)
            ... except DeliveryFailed as failure:
            ...     print("not delivered:", failure.report.status.phrase)
            not delivered: expired before it could be delivered

        Args:
            message: What `send` returned for one recipient, its `ref`, or the text form of that, `str(ref)`.
            timeout: The seconds after which to give up, None for never. The message goes on its way all the same.

        Raises:
            ValueError: An argument is wrong, or the message has several recipients.
            DeliveryFailed: The message was not delivered; the error has the report.
            TimeoutError: The message is still pending after `timeout` seconds.
            SmscError: An error about all messages, such as wrong credentials, or that no message has this phone and id.
        """
        report = await self.wait_final(message, timeout)
        if not report.is_delivered:
            raise DeliveryFailed(f"the message was not delivered: {report.phrase}", report=report)
        return report

    async def _poll(self, operation: GetStatus) -> DeliveryReport:
        """Request a status once, for a watch, which asks again itself and keeps the limits of each message."""
        report = await self._caller.call(operation, *self._times(UNSET, UNSET), trace=Trace(once=True))
        if report.is_final:
            self._caller.observing.delivered(report)
        return report


for _method in vars(FollowingClient).values():
    name_after_client(_method)
