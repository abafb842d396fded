"""What the page of a message shows of the callbacks: those that it caused, and the replies of its phone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from smsc_async.sandbox._callbacks import Callback, CallbackAttempt, CallbackSettings, CallbackState
from smsc_async.sandbox._messages import AcceptedMessage

from .inbox import StatusView, status_view
from .words import instant, span

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["AttemptView", "CallbackView", "CallbacksView", "callbacks_of"]

_SHOWN: Final = 20
_STATES: Final[Mapping[CallbackState, str]] = {
    CallbackState.WAITING: "Waiting",
    CallbackState.ACCEPTED: "Accepted",
    CallbackState.GIVEN_UP: "Given up",
    CallbackState.LOST: "Lost by a fault",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """A callback as it was sent once; `answer` is the body that the application has answered."""

    time: str
    outcome: str
    is_accepted: bool
    took: str
    is_forged: bool
    answer: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackView:
    """A callback; `status` is None for a reply of the phone."""

    id: int
    time: str
    iso: str
    status: StatusView | None
    state: str
    fields: Mapping[str, str] = field(repr=False)
    attempts: Sequence[AttemptView]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbacksView:
    """The callbacks.

    Attributes:
        settings: Where they are sent, None for nowhere.
        shown: The last ones, in order.
        total: How many there are.
        can_reply: Whether the message went to a phone that can answer.
    """

    settings: CallbackSettings | None
    shown: Sequence[CallbackView]
    total: int
    can_reply: bool


def callbacks_of(sandbox: "Sandbox", message: AcceptedMessage, now: float) -> CallbacksView:
    """Return the callbacks about a message, and the replies of its phone since it was accepted.

    Args:
        sandbox: The sandbox.
        message: The message.
        now: Unix time of the sandbox.
    """
    found = list(_found(sandbox, message))
    return CallbacksView(
        settings=sandbox.callbacks.settings,
        shown=[_view(each, now) for each in found[-_SHOWN:]],
        total=len(found),
        can_reply=message.phone.isdecimal(),
    )


def _found(sandbox: "Sandbox", message: AcceptedMessage) -> Iterator[Callback]:
    for each in sandbox.callbacks.all:
        is_reply = each.kind == "incoming" and each.fields["phone"] == message.phone
        if each.message == message.key or (is_reply and each.at >= message.accepted_at):
            yield each


def _view(callback: Callback, now: float) -> CallbackView:
    state, next_at = _STATES[callback.state], callback.next_at
    if next_at is not None and next_at > now:
        state = f"{'Sent again' if callback.attempts else 'Sent'} in {span(next_at - now)}"
    return CallbackView(
        id=callback.id,
        time=f"{instant(callback.at):%H:%M:%S}",
        iso=instant(callback.at).isoformat(timespec="seconds"),
        status=status_view(int(callback.fields["status"])) if callback.kind == "status" else None,
        state=state,
        fields=callback.fields,
        attempts=[_attempt(each) for each in callback.attempts],
    )


def _attempt(attempt: CallbackAttempt) -> AttemptView:
    return AttemptView(
        time=f"{instant(attempt.at):%H:%M:%S}",
        outcome=attempt.error or f"HTTP {attempt.status}",
        is_accepted=attempt.is_accepted,
        took=f"{attempt.seconds * 1000:.0f} ms",
        is_forged=attempt.is_forged,
        answer=attempt.answer,
    )
