"""A send whose outcome is unknown, as plain data that can be stored."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FiniteFloat

from .frozen import FrozenModel
from .types import MessageId, MessageRef, is_aware

__all__ = ["UnresolvedSend"]


def _aware(value: datetime) -> datetime:
    if not is_aware(value):
        raise ValueError("must have a time zone, such as datetime.now(UTC)")
    return value


class UnresolvedSend(FrozenModel):
    """A send whose answer was lost, with all that is needed to reconcile it later, also in another process.

    `model_dump_json()` and `model_validate_json()` store and load it; `Client.resolve` reconciles it.

    Attributes:
        id: The message id of the send.
        refs: One reference for each recipient whom the client knows.
        groups: How many group codes were among the recipients; only the service knows their members.
        is_own_id: Whether the client generated the id, so that any message with it belongs to this send.
        at_once: Whether it was to be sent at once, so that a much later message with its id is another one.
        began: When the first attempt began, aware.
        failed: When the last attempt failed, aware; the request may still arrive for a while after that.
        clocks: The boot id, the uptime and the Unix time of the machine at that moment, None if unknown. On another
            machine or after a restart it is unknown how long ago that was, so it is taken to be now.
    """

    id: MessageId
    refs: tuple[MessageRef, ...]
    groups: Annotated[int, Field(ge=0)] = 0
    is_own_id: bool = False
    at_once: bool = False
    began: Annotated[datetime, AfterValidator(_aware)]
    failed: Annotated[datetime, AfterValidator(_aware)]
    clocks: tuple[str, FiniteFloat, FiniteFloat] | None = None

    def about(self, ref: MessageRef) -> Self:
        """Return the unresolved send to one of the recipients."""
        return self.model_copy(update={"refs": (ref,), "groups": 0})
