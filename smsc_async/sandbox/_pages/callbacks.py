"""What the page of a message shows of the callbacks: those that it caused, and the replies of its phone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import SecretStr

from smsc_async._protocol import CHARSETS
from smsc_async.sandbox._callbacks import (
    Callback,
    CallbackAttempt,
    CallbackHash,
    CallbackMethod,
    CallbackSettings,
    CallbackState,
)
from smsc_async.sandbox._messages import AcceptedMessage

from .inbox import StatusView, status_view
from .words import instant, span

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = [
    "AttemptView",
    "CallbackSettingsView",
    "CallbackView",
    "CallbacksView",
    "callback_target",
    "callbacks_of",
    "target_of",
]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettingsView:
    """Where callbacks are sent, for the form that changes it.

    Attributes:
        settings: The settings, None for nowhere.
        hashes: The signatures to choose from.
        charsets: The charsets to choose from.
        methods: The methods to choose from.
        last: How the application has answered last, None if it was not asked.
    """

    settings: CallbackSettings | None
    hashes: Sequence[str] = get_args(CallbackHash)
    charsets: Sequence[str] = CHARSETS
    methods: Sequence[str] = get_args(CallbackMethod)
    last: AttemptView | None


def callback_target(sandbox: "Sandbox") -> CallbackSettingsView:
    """Return where callbacks are sent."""
    attempts = [each.attempts[-1] for each in sandbox.callbacks.all if each.attempts]
    last = sorted(attempts, key=attrgetter("at"))[-1:]
    return CallbackSettingsView(settings=sandbox.callbacks.settings, last=_attempt(last[0]) if last else None)


def target_of(form: Mapping[str, str], present: CallbackSettings | None) -> Mapping[str, Any]:
    """Return the arguments of `SandboxCallbacks.set` that a form describes; without a secret, the present one stays.

    Raises:
        ValueError: There is no secret yet.
    """
    secret: str | SecretStr = form.get("secret", "")
    if not secret and present is None:
        raise ValueError("Callbacks are signed: enter the secret that your application verifies them with")
    return {
        "url": form.get("url", "").strip(),
        "secret": secret or (present and present.secret),
        "hash": form.get("hash", "md5"),
        "charset": form.get("charset") or None,
        "method": form.get("method", "POST"),
    }


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
