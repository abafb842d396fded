"""Lines on stderr that say why a command waits, and for how long."""

import logging
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smsc_async._model import CallFinished, CallRetried, Observer

from .terminal import say

__all__ = ["WaitNotices", "notices"]

_LEAST: Final = 1.0  # seconds; a shorter wait is not worth a line
_SILENT: Final = 30.0  # seconds until the same is said again
_UNREACHABLE: Final = frozenset({"ConnectError", "PoolTimeout"})
_log = logging.getLogger("smsc_async")


class WaitNotices(Observer):
    """Prints why a call waits, once for all calls that wait for the same."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def retried(self, event: CallRetried, /) -> None:
        """Print that a call is repeated after a pause."""
        if event.seconds >= _LEAST:
            reason = "no network" if event.error in _UNREACHABLE else f"no answer ({event.error})"
            self.note(reason, f", next try in {math.ceil(event.seconds)} s", event.seconds)

    def finished(self, event: CallFinished, /) -> None:
        """Print that a status can't be requested; a watch repeats it after a pause of its own."""
        if event.operation == "get_status" and event.error in _UNREACHABLE:
            self.note("no network", ", the status is requested again soon", _SILENT)

    def note(self, reason: str, rest: str, seconds: float) -> None:
        """Print a reason and the rest of the line, unless the same reason holds already."""
        now = time.monotonic()
        if now >= self._until.get(reason, -math.inf):
            self._until[reason] = now + seconds
            say(f"{reason}{rest}")


class _LogLines(logging.Handler):
    """Prints the log: the waits of a journal without repetitions, and all warnings.

    Args:
        notices: Prints the waits.
    """

    def __init__(self, notices: WaitNotices) -> None:
        super().__init__(logging.INFO)
        self._notices = notices

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        words = record.getMessage()
        seconds = getattr(record, "wait", None)
        if seconds is None:
            say(words)
        else:
            reason = re.split(r", next try|: [0-9]+ s left", words)[0]
            self._notices.note(reason, words[len(reason) :], seconds)


@contextmanager
def notices(*, quiet: bool = False) -> Iterator[list[Observer]]:
    """Print why the calls of a client wait, given the observers that this yields; nothing if it is `quiet`."""
    if quiet:
        yield []
        return
    found = WaitNotices()
    handler, level = _LogLines(found), _log.level
    _log.addHandler(handler)
    if not _log.isEnabledFor(logging.INFO):
        _log.setLevel(logging.INFO)
    try:
        yield [found]
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
