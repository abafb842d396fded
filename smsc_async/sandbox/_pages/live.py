"""What happens in the sandbox, as events for all pages that are open: rendered once, however many listen.

All listeners read the same last events, each from its own position, so that one that does not read costs no memory,
and one that was away gets what it has missed, or reloads if that is no longer kept.
"""

import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import anyio

from smsc_async.sandbox._changes import ALL_MESSAGES
from smsc_async.sandbox._delivery import Change
from smsc_async.sandbox._lookup import Lookup
from smsc_async.sandbox._messages import AcceptedMessage
from smsc_async.sandbox._outbox import MessageFilter
from smsc_async.sandbox._sandbox_clock import Jump

from .words import day

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["Live", "LiveEvent", "Renderer"]

_KEPT: Final = 1_000  # events
_ROWS: Final = 20
_STATUSES: Final = 100
_PERIOD: Final = 0.25  # real seconds
_TICK: Final = 1.0
_HEARTBEAT: Final = 15.0
_SHARE: Final = 20  # rendering the strip takes at most one part in this many of the time
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class LiveEvent(NamedTuple):
    """An event for the pages.

    Attributes:
        number: Its number.
        name: What happened: `message`, `s<key>` (the status of a message), `refresh` (more messages than are worth
            an event each), `reload` (anything), or the name of a part of the strip.
        data: The HTML of what is new, or a word.
    """

    number: int
    name: str
    data: str


class Renderer(Protocol):
    """What makes the HTML of events."""

    def row(self, message: AcceptedMessage, now: float) -> str:
        """Return a message as the list shows it."""

    def status(self, message: AcceptedMessage, now: float) -> str:
        """Return the status of a message as the list shows it."""

    def strip(self) -> Mapping[str, tuple[object, str]]:
        """Return the parts of the strip: a value that differs whenever there is something new, and the HTML."""


class Live:
    """The events of a sandbox.

    Args:
        sandbox: The sandbox.
        lookup: Finds its messages.
        renderer: Makes the HTML of events.
        real: Returns real seconds.
    """

    def __init__(
        self, sandbox: "Sandbox", lookup: Lookup, renderer: Renderer, real: Callable[[], float] = time.monotonic
    ) -> None:
        self._sandbox = sandbox
        self._lookup = lookup
        self._renderer = renderer
        self._real = real
        self._lock = Lock()
        self._run = secrets.token_hex(4)
        self._events: deque[LiveEvent] = deque(maxlen=_KEPT)
        self._number = 0
        self._due = self._strip_due = 0.0
        now, messages = sandbox.now(), sandbox.messages
        self._last_key = messages[-1].key if messages else 0
        self._last_place = self._place(messages[-1]) if messages else None
        self._coming = [(change.at, each.key) for each in messages for change in _coming(each, now)]
        heapify(self._coming)
        self._edits, _ = lookup.changes.edited_since(0)
        self._shown = {name: value for name, (value, _) in renderer.strip().items()}

    def position(self) -> str:
        """Return the position after all that has happened, from which a page that is made now is to listen."""
        self.collect(at_once=True)
        return f"{self._run}-{self._number}"

    def collect(self, *, at_once: bool = False) -> None:
        """Make events of what has happened since the last time, unless that is less than 0.25 s ago."""
        if self._lock.acquire(blocking=at_once):
            try:
                if at_once or self._real() >= self._due:
                    self._due = self._real() + _PERIOD
                    self._collect()
            finally:
                self._lock.release()

    def since(self, number: int) -> list[LiveEvent]:
        """Return the events after this number, `reload` if some of them are not kept any more."""
        last, events = self._number, list(self._events)
        first = events[0].number if events else last + 1
        if not first - 1 <= number <= last:
            return [LiveEvent(last, "reload", "1")]
        return events[number - first + 1 :]

    async def stream(self, position: str) -> AsyncIterator[str]:
        """Yield all events after a position, as the body of an answer that does not end."""
        at = self._read(position)
        yield "retry: 1000\n\n"
        spoke = self._real()
        while True:
            with self._lookup.changes.listen() as changed:
                self.collect()
                events = self.since(at)
                if not events:
                    with anyio.move_on_after(self._pause()):
                        await changed.wait()
            if events:
                at = events[-1].number
                yield "".join(map(self._written, events))
                spoke = self._real()
            elif self._real() - spoke >= _HEARTBEAT:
                yield ": still here\n\n"
                spoke = self._real()
            await anyio.sleep(max(0.0, self._due - self._real()))

    def _collect(self) -> None:
        now = self._sandbox.now()
        self._collect_messages(now)
        self._collect_statuses(now)
        if self._real() >= self._strip_due:
            started = self._real()
            for name, (value, html) in self._renderer.strip().items():
                if self._shown[name] != value:
                    self._shown[name] = value
                    self._add(name, html)
            self._strip_due = started + max(_PERIOD, _SHARE * (self._real() - started))

    def _collect_messages(self, now: float) -> None:
        found = self._lookup.search(MessageFilter(after=self._last_key))[::-1]
        if not found:
            return
        for message in found:
            for change in _coming(message, now):
                heappush(self._coming, (change.at, message.key))
        last_place = self._place(found[-1])
        if len(found) > _ROWS or last_place != self._last_place:
            self._add("refresh", str(len(found)))
        else:
            for message in found:
                self._add("message", self._renderer.row(message, now))
        self._last_key, self._last_place = found[-1].key, last_place

    def _collect_statuses(self, now: float) -> None:
        self._edits, edited = self._lookup.changes.edited_since(self._edits)
        keys = dict.fromkeys(edited)
        while self._coming and self._coming[0][0] <= now:
            keys[heappop(self._coming)[1]] = None
        if ALL_MESSAGES in keys:
            self._add("reload", "1")
        elif len(keys) > _STATUSES:
            self._add("refresh", str(len(keys)))
        else:
            for key in keys:
                for message in self._lookup.search(MessageFilter(key=key)):
                    self._add(f"s{key}", self._renderer.status(message, now))

    def _place(self, message: AcceptedMessage) -> tuple[str, Sequence[Jump]]:
        """Return what has to be the same for two messages between which the list has no line."""
        return day(message.accepted_at), self._sandbox.clock.jumps[-1:]

    def _add(self, name: str, data: str) -> None:
        self._events.append(LiveEvent(self._number + 1, name, data))
        self._number += 1

    def _pause(self) -> float:
        """Return the real seconds until something may happen that nobody tells."""
        speed = self._sandbox.clock.speed
        coming = self._coming[:1]
        if not coming or not speed:
            return _TICK
        return min(_TICK, max(0.0, coming[0][0] - self._sandbox.now()) / speed)

    def _read(self, position: str) -> int:
        run, _, number = position.partition("-")
        return int(number) if run == self._run and re.fullmatch(r"[0-9]{1,15}", number) else -1

    def _written(self, event: LiveEvent) -> str:
        data = "".join(f"data: {line}\n" for line in _LINE_END.split(event.data))
        return f"id: {self._run}-{event.number}\nevent: {event.name}\n{data}\n"


def _coming(message: AcceptedMessage, now: float) -> Sequence[Change]:
    # Most messages have their last status; the others have at most three.
    return () if message.timeline[-3] <= now else [change for change in message.life if change.at > now]
