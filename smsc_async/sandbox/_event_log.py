"""The event log: what happened in the sandbox, one event per line as JSON, to be replayed after a restart.

The first line has the version and the seed. Then come the events (`_events.py`), each recognized by its first key:

    {"method": ...}    a request that has arrived
    {"ticket": ...}    a request that has left
    {"key": ...}       a status that was given to a message
    {"account": ...}   a customer that was added or changed
    {"snapshot": ...}  the state without the messages: what was before it does not matter
    {"rows": ...}      messages of the snapshot
    {"boot": ...}      no event: the clocks of the machine at the beginning of a run, by which the next run continues
                       the time of the sandbox, whatever the wall clock was set to

A line is written before its answer leaves. It is passed to the operating system at once, so a killed process loses
nothing; a power failure may lose lines. The file holds no credentials: only the login of an authenticated request, only
the error of any other, and digests of the passwords and apikeys of customers that were added.

The file is pruned: when it has grown by as many lines as messages are kept, or by 1 MB and an eighth of the snapshot,
which bounds how long a replay takes, and when messages were deleted, a snapshot is written to another file, which then
takes its place.
"""

import json
import os
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic_core import from_json

from smsc_async._clock import DiskTime
from smsc_async._private_file import make_private, resolved

from ._events import Event, StateSnapshot, StoredMessages, read_event, write_event

__all__ = ["EventLog"]

_VERSION: Final = 2
_SHORT: Final = 1_000_000  # bytes
_SHARE: Final = 8
_READ: Final = {1, _VERSION}  # all events of version 1 are events of version 2


class EventLog:
    """The file with the events of a sandbox.

    Args:
        path: The file; created if it does not exist, readable by its owner only: it holds phones and texts.
        seed: The seed of the service.

    Raises:
        ValueError: The file can't be opened, has another seed or version, or is not an event log.

    Attributes:
        start: Once it was read, the clocks of the machine in its last run, and the time of the sandbox at that moment.
        lines: How many events it has after its last snapshot.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self._path = resolved(path)
        try:
            make_private(self._path)
        except OSError as error:
            raise ValueError(f"state can't be {path}: {error.strerror}; pass another file") from None
        self._head = {"sandbox": _VERSION, "seed": seed}
        self._file: TextIO | None = None
        self._new_start: DiskTime | None = None
        self._this_start: DiskTime | None = None
        self.start: DiskTime | None = None
        self.lines = 0
        self._snapshot_size = self._growth = 0  # bytes

    @property
    def is_long(self) -> bool:
        """Whether replaying what follows its last snapshot would take long."""
        return self._growth > max(_SHORT, self._snapshot_size // _SHARE)

    def read(self) -> Iterator[Event]:
        """Yield the events in the file; an incomplete last line was never answered and is removed."""
        whole = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                entry = self._entry(line, number)
                whole += len(line)
                if isinstance(entry, DiskTime):
                    self.start = entry
                elif entry is not None:
                    self._count(entry, len(line))
                    yield entry
        with self._path.open("r+b") as file:
            file.truncate(whole)

    def write(self, entry: Event) -> None:
        """Append a line and pass it to the operating system."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
            if not self._file.tell():
                self._put(self._head)
        if self._new_start is not None:
            self._put(self._new_start._asdict())
            self._new_start = None
        self._count(entry, self._put(write_event(entry)))

    def rewrite(self, events: Iterable[Event]) -> None:
        """Put events, which begin with a snapshot, in place of all that are in the file."""
        new = self._path.with_name(f"{self._path.name}.new")
        self.close()
        new.unlink(missing_ok=True)  # of a sandbox that was killed
        make_private(new)
        with new.open("w", encoding="utf-8") as file:
            start = () if self._this_start is None else (self._this_start._asdict(),)
            for line in (self._head, *start):
                file.write(_line(line))
            for event in events:
                file.write(_line(write_event(event)))
            file.flush()
            os.fsync(file.fileno())
            self._snapshot_size, self._growth = file.tell(), 0
        new.replace(self._path)
        self._new_start, self.lines = None, 0

    def begin(self, start: DiskTime) -> None:
        """Write the clocks of this run before its first event."""
        self._new_start = self._this_start = start

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, line: dict[str, Any]) -> int:
        assert self._file is not None  # noqa: S101 - opened by `write`
        size = self._file.write(_line(line))
        self._file.flush()
        return size

    def _count(self, event: Event, size: int) -> None:
        if isinstance(event, StateSnapshot):
            self._snapshot_size = 0
        if isinstance(event, StateSnapshot | StoredMessages):
            self._snapshot_size += size
            self.lines = self._growth = 0
        else:
            self.lines += 1
            self._growth += size

    def _entry(self, line: bytes, number: int) -> Event | DiskTime | None:
        try:
            read = from_json(line)
            if number and "boot" in read:
                return _start(**read)
            if number:
                return read_event(read)
        except (ValueError, TypeError):
            read = None
        if number or read not in [{**self._head, "sandbox": version} for version in _READ]:
            raise ValueError(
                f"line {number + 1} of the state file is not from a sandbox with this seed and version; "
                "pass another file as state="
            )
        return None


def _start(boot: Any, uptime: Any, wall: Any) -> DiskTime:
    if not (isinstance(boot, str) and isfinite(uptime) and isfinite(wall)):
        raise ValueError("not an instant")
    return DiskTime(boot, uptime, wall)


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"
