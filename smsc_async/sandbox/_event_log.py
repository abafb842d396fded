"""The event log: requests that arrived at the sandbox and left it, one per line, to be replayed after a restart.

A line is written before its answer leaves. It is passed to the operating system at once, so a killed process loses
nothing; a power failure may lose lines. Before the first event of a run is a line with the clocks of the machine, by
which the next run continues the time of the sandbox, whatever the wall clock was set to. The file holds no credentials:
only the login of an authenticated request, and only the error of any other.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from smsc_async._clock import DiskTime
from smsc_async._private_file import make_private, resolved

from ._fields import Value

__all__ = ["Arrival", "Departure", "EventLog"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that has arrived.

    Attributes:
        method: Its method.
        now: Unix time of the arrival.
        source: The IP address it came from.
        login: The login of the customer; `None` where the credentials were not accepted.
        error: The error code of a request without a login.
        fields: Its fields without the credentials.
    """

    method: str
    now: float
    source: str
    login: str | None
    error: int
    fields: Mapping[str, Value] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Departure:
    """A request that has left, or all those that were in flight when a sandbox ended.

    Attributes:
        ticket: The slot that it held; None for all.
    """

    ticket: int | None


class EventLog:
    """The file with the events of a sandbox.

    Args:
        path: The file; created if it does not exist, readable by its owner only: it holds phones and texts.
        seed: The seed of the service.

    Raises:
        ValueError: The file can't be opened, has another seed or version, or is not an event log.

    Attributes:
        start: Once it was read, the clocks of the machine in its last run, and the time of the sandbox at that moment.
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
        self.start: DiskTime | None = None

    def read(self) -> Iterator[Arrival | Departure]:
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
                    yield entry
        with self._path.open("r+b") as file:
            file.truncate(whole)

    def write(self, entry: Arrival | Departure) -> None:
        """Append a line and pass it to the operating system."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
            if not self._file.tell():
                self._put(self._head)
        if self._new_start is not None:
            self._put(self._new_start._asdict())
            self._new_start = None
        self._put(asdict(entry))

    def begin(self, start: DiskTime) -> None:
        """Write the clocks of this run before its first event."""
        self._new_start = start

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, line: dict[str, Any]) -> None:
        assert self._file is not None  # noqa: S101 - opened by `write`
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def _entry(self, line: bytes, number: int) -> Arrival | Departure | DiskTime | None:
        try:
            read = json.loads(line)
            if number and "boot" in read:
                return _start(**read)
            if number:
                return Departure(**read) if "ticket" in read else Arrival(**read)
        except (ValueError, TypeError):
            read = None
        if number or read != self._head:
            raise ValueError(
                f"line {number + 1} of the state file is not from a sandbox with this seed and version; "
                "pass another file as state="
            )
        return None


def _start(boot: Any, uptime: Any, wall: Any) -> DiskTime:
    if not (isinstance(boot, str) and isfinite(uptime) and isfinite(wall)):
        raise ValueError("not an instant")
    return DiskTime(boot, uptime, wall)
