"""The sends whose outcome is unknown, to be reconciled."""

from datetime import datetime

from smsc_async._clock import Clock, disk_time, utc_now
from smsc_async._model import (
    AnyRef,
    AnySend,
    MessageRef,
    Send,
    SentMessage,
    SmscError,
    UnresolvedSend,
    is_aware,
    is_group,
    is_own_id,
    refs_of,
    wrong,
)

__all__ = ["lost_send", "unresolved_of"]


def lost_send(operation: AnySend, began: datetime | None, clock: Clock, *, is_own: bool) -> UnresolvedSend:
    """Return a send whose outcome is unknown now.

    Args:
        operation: The send.
        began: When its first attempt began, None for now.
        clock: The clock of the client.
        is_own: Whether no other message uses its id.
    """
    now = utc_now(clock)
    return UnresolvedSend(
        id=operation.id,
        refs=operation.refs(),
        groups=sum(map(is_group, operation.to)) if isinstance(operation, Send) else 0,
        is_own_id=is_own,
        at_once=operation.at is None,
        began=began or now,
        failed=now,
        clocks=disk_time(),
    )


def unresolved_of(send: AnyRef | UnresolvedSend | SmscError, since: datetime | None, clock: Clock) -> UnresolvedSend:
    """Return the send to reconcile; see `Client.resolve`.

    Raises:
        ValueError: The error is not about an unresolved send, or `since` is not an aware datetime.
    """
    if since is not None and not is_aware(since):
        raise wrong("since", "an aware datetime, such as datetime.now(UTC), or None", since)
    if isinstance(send, UnresolvedSend):
        return send
    if isinstance(send, SmscError):
        if send.unresolved is None:
            raise ValueError(f"{type(send).__name__} is not about an unresolved send: its outcome is {send.outcome}")
        return send.unresolved
    given: object = send
    if not isinstance(given, MessageRef | SentMessage | str):
        raise wrong("send", "an error with `unresolved`, an UnresolvedSend, a MessageRef or a SentMessage", given)
    now = utc_now(clock)
    refs = refs_of(send)
    is_own = since is None and is_own_id(refs[0].id)
    return UnresolvedSend(id=refs[0].id, refs=refs, is_own_id=is_own, began=since or now, failed=now)
