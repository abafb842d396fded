"""A file with one line for each send, for audits: when, to whom, what came of it, and a keyed hash of the text."""

import errno
import json
import logging
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from hmac import compare_digest
from inspect import iscoroutinefunction
from pathlib import Path
from threading import Lock
from typing import Final

from pydantic import SecretStr

from . import CallFinished, CallStarted, Observer
from ._frames import without_arguments

__all__ = ["AuditLog"]

_log = logging.getLogger("smsc_async")
_SEND: Final = "send_sms"
_KEY_BYTES: Final = range(16, 65)
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class AuditLog(Observer):
    """Appends one JSON line to a file for each send, when it ends: `Client(observers=[AuditLog("audit.jsonl")])`.

    A line has `time` (UTC), `id`, `to` (masked recipients), `outcome` ("accepted", or that of the error), `error` (its
    class, or null), `cost` (a string, null if unknown) and `text` (keyed hashes). It is written by one `write`, so
    several processes can share a file on a local disk. If the file was moved or deleted, it is made anew. The disk may
    be full: a line that can't be written is lost, and no send fails because of it.

    Args:
        path: The file; a new one can be read and written by its owner only.
        key: The secret of the hashes, of 16 to 64 bytes; None for SMSC_AUDIT_KEY. Keep it: without it, no text can be
            compared with a line.
        fsync: Whether each line waits for the disk. The event loop waits too.
        on_error: Is called with the `OSError` of each line that is lost. The first of a series is also logged.

    Raises:
        ValueError: The key is missing or has a wrong length, or an argument is wrong.
        OSError: The file can't be opened, or is not a regular file.
    """

    @without_arguments
    def __init__(
        self,
        path: str | Path,
        *,
        key: str | bytes | SecretStr | None = None,
        fsync: bool = False,
        on_error: Callable[[OSError], None] | None = None,
    ) -> None:
        if on_error is not None and not _is_plain_function(on_error):
            raise ValueError("on_error must be a plain function: it is called and not awaited")
        self._key = _key_from(key)
        self.text_key: bytes = self._key
        self._path = Path(path)
        self._fsync = fsync
        self._on_error = on_error
        self._started: dict[int, CallStarted] = {}
        self._lock = Lock()
        self._is_failing = False
        self._is_torn = False
        self._file: int | None = self._open()

    def started(self, event: CallStarted, /) -> None:
        """Remember a send until it ends."""
        if event.operation == _SEND:
            self._started[event.call] = event

    def finished(self, event: CallFinished, /) -> None:
        """Append the line of a send."""
        started = self._started.pop(event.call, None)
        if started is not None:
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "id": event.id,
                "to": started.recipients,
                "outcome": "accepted" if event.error is None else event.outcome,
                "error": event.error,
                "cost": None if event.cost is None else str(event.cost),
                "text": started.texts,
            }
            self._append(f"{json.dumps(line)}\n".encode())

    def matches(self, line: str, text: str) -> bool:
        """Return whether this text is one of those of a line, according to the hash.

        Raises:
            ValueError: It is not a line of an audit file.
        """
        try:
            hashes = [str(each) for each in json.loads(line)["text"]]
        except (KeyError, TypeError, ValueError):
            hashes = None
        if hashes is None:
            raise ValueError("pass one line of an audit file")
        own = blake2b(text.encode(), digest_size=16, key=self._key).hexdigest()  # as `CallStarted.texts` says
        return any(compare_digest(own.encode(), each.encode()) for each in hashes)

    def close(self) -> None:
        """Close the file. A later line opens it again."""
        with self._lock:
            self._close()

    def _append(self, data: bytes) -> None:
        try:
            with self._lock:
                self._write(data)
        except OSError as error:
            if not self._is_failing:
                _log.warning("lines of the audit file are lost: it can't be written (errno %s)", error.errno)
            self._is_failing = True
            if self._on_error is not None:
                self._on_error(error)
        else:
            self._is_failing = False

    def _write(self, data: bytes) -> None:
        if self._file is None or self._is_elsewhere(self._file):
            self._close()
            self._file = self._open()
        # A disk that became full may have taken a part of the line before.
        line = b"\n" + data if self._is_torn else data
        written = os.write(self._file, line)
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, "only a part of the line was written")
        if self._fsync:
            os.fsync(self._file)

    def _open(self) -> int:
        file = os.open(self._path, _FLAGS, 0o600)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, "the audit file is not a regular file")
        self._is_torn = False
        return file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _is_elsewhere(self, file: int) -> bool:
        try:
            return not os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return True


def _is_plain_function(value: object) -> bool:
    return callable(value) and not iscoroutinefunction(value)


def _key_from(key: str | bytes | SecretStr | None) -> bytes:
    found = os.environ.get("SMSC_AUDIT_KEY", "") if key is None else key
    secret = found.get_secret_value() if isinstance(found, SecretStr) else found
    data: object = secret.encode() if isinstance(secret, str) else secret
    if not isinstance(data, bytes) or len(data) not in _KEY_BYTES:
        raise ValueError("pass key= or set SMSC_AUDIT_KEY: a secret of 16 to 64 bytes that you keep")
    return data
