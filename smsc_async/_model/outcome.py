"""The outcome and the scope of a request that failed, and the base of all exceptions, which have both."""

import math
from enum import StrEnum
from typing import Self

from .types import MessageRef
from .unresolved import UnresolvedSend

__all__ = ["Outcome", "Scope", "SmscError"]


class Outcome(StrEnum):
    """Whether a request that failed may have been executed."""

    NOT_SENT = "not_sent"
    """Nothing was sent: repeating is safe."""
    REJECTED = "rejected"
    """The service refused it and executed nothing."""
    UNKNOWN = "unknown"
    """It may have been executed: ask for the status of `refs` before repeating a send."""


class Scope(StrEnum):
    """What an error is about, and so what a job of many requests does next."""

    ALL = "all"
    """Every further request would fail too: stop the job."""
    MOMENT = "moment"
    """The cause may pass: repeat the request later, a send only if its outcome allows it."""
    MESSAGE = "message"
    """This request would fail again: go on with the others."""


class SmscError(Exception):
    """The base of all errors of this package except wrong arguments. An error is not changed after it was raised.

    Attributes:
        outcome: Whether the request may have been executed.
        scope: Whether the error is about all requests, about this moment, or about this message.
        id: The message id of the send that failed, None for other operations.
        refs: One reference for each recipient of the send that failed, for `Client.status`. In what `Client.statuses`
            returns, the message whose status was requested.
        unresolved: The unresolved send for `Client.resolve`, if a send may have been executed; None otherwise.
    """

    outcome: Outcome = Outcome.UNKNOWN
    scope: Scope = Scope.MOMENT

    def __init__(self, message: str, /) -> None:
        super().__init__(message)
        self.id: str | None = None
        self.refs: tuple[MessageRef, ...] = ()
        self.unresolved: UnresolvedSend | None = None

    def replace(self, message: str | None = None, /, **changes: object) -> Self:
        """Return a new error of this class with another message or other attributes; this one is not changed.

        The new error takes over the traceback and the cause.

        Raises:
            TypeError: The class has no such attribute.
        """
        unknown = changes.keys() - {"outcome", *self.__dict__}
        if unknown:
            raise TypeError(f"{type(self).__name__} has no attribute {', '.join(sorted(unknown))}")
        # The constructor of a subclass may take other arguments, so it is not called.
        new = type(self).__new__(type(self), *self.args)
        new.args = self.args if message is None else (message, *self.args[1:])
        new.__dict__.update(self.__dict__, **changes)
        new.__cause__ = self.__cause__
        return new.with_traceback(self.__traceback__)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback of this package: the error, what to do, the user's line."""
        from smsc_async._notebook import failed_cell  # noqa: PLC0415 - only notebooks need it

        return failed_cell(self, self._advice())

    def _advice(self) -> str:
        """Return what to do next, in a sentence or two."""
        if self.unresolved is not None:
            known = "It may have been sent. Before sending it again: await client.resolve(sys.last_value)"
        elif self.outcome is Outcome.UNKNOWN:
            known = "The request may have been executed."
        else:
            known = "Nothing was sent." if self.outcome is Outcome.NOT_SENT else "Nothing was executed."
        seconds: float | None = getattr(self, "retry_after", None)
        if seconds is not None:
            return f"{known} It may succeed in {math.ceil(seconds)} s."
        return f"{known} Further requests would fail too." if self.scope is Scope.ALL else known
