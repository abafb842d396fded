"""A send of which nobody knows whether it was done, as plain data that outlives the process."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from .types import FrozenModel, MessageId, MessageRef

__all__ = ["UnresolvedSend"]


def _aware(value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise ValueError("a moment of a doubt is aware: give it a time zone (datetime.now(UTC))")
    return value


class UnresolvedSend(FrozenModel):
    """A send whose answer was lost: what it takes to settle the doubt later, also in another process.

    `model_dump_json()` and `model_validate_json()` carry it; `Client.resolve` settles it.

    Attributes:
        id: The message id of the send.
        refs: One reference for each recipient whom the client knows.
        groups: How many group codes were among the recipients; only the service knows their members.
        is_own_id: Whether nobody else uses the id, so that whatever bears it is this send.
        at_once: Whether it was to go out at once, so that a message with its id that goes out much later is another.
        began: When the first attempt began, aware.
        failed: When the last attempt failed, aware; from then on the request may still be on its way for a while.
    """

    id: MessageId
    refs: tuple[MessageRef, ...]
    groups: Annotated[int, Field(ge=0)] = 0
    is_own_id: bool = False
    at_once: bool = False
    began: Annotated[datetime, AfterValidator(_aware)]
    failed: Annotated[datetime, AfterValidator(_aware)]

    def about(self, ref: MessageRef) -> Self:
        """Return the doubt about one of the recipients."""
        return self.model_copy(update={"refs": (ref,), "groups": 0})
