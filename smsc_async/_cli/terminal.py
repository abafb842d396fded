"""The standard streams: output that may fail without hiding what was done, and input."""

import contextlib
import os
import sys
from pathlib import Path
from typing import IO, Any, Final, TextIO

import typer
from rich.console import Console

__all__ = ["STDIN", "UNPRINTED", "read_file", "read_text", "say", "show", "stderr_console"]

UNPRINTED: Final = 3
"""The exit code if the command has done its work, and its result could not be printed or written."""
STDIN: Final = Path("-")
_UNSHOWN: Final = "the result can't be printed"
_NOT_UTF_8: Final = "the text on stdin is not UTF-8"


def show(*lines: str, otherwise: str = _UNSHOWN) -> None:
    """Print lines on stdout.

    Args:
        *lines: The lines; what the terminal can't show is escaped.
        otherwise: What to say on stderr if they can't be printed; the reason follows.

    Raises:
        typer.Exit: They can't be printed; `UNPRINTED`.
    """
    try:
        for line in lines:
            _write(sys.stdout, line)
    except (OSError, ValueError) as error:  # the latter if the stream is closed
        _silence(sys.stdout)
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        say(f"{otherwise}: {reason}")
        raise typer.Exit(UNPRINTED) from None


def say(*lines: str) -> None:
    """Print lines on stderr; if that fails, nothing else does."""
    try:
        for line in lines:
            _write(sys.stderr, line)
    except (OSError, ValueError):
        _silence(sys.stderr)


def stderr_console(*, quiet: bool = False) -> Console:
    """Return a console that prints on stderr; if that fails, nothing else does."""
    return Console(file=_Careful(sys.stderr), quiet=quiet)  # type: ignore[arg-type]  # what rich uses of a file


def read_file(path: Path) -> bytes:
    """Return the content of a file; `-` is stdin.

    Raises:
        ValueError: It can't be read.
    """
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None


def read_text(text: str) -> str:
    """Return a text of the command line; `-` is what stdin holds, without its last line end.

    Raises:
        ValueError: stdin holds no text.
    """
    if text != str(STDIN):
        return text
    if sys.stdin.isatty():
        say("type the text, and end it with Ctrl-D on a new line:")
    try:
        read = read_file(STDIN).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{_NOT_UTF_8} (byte {error.start})") from None
    read = read.removesuffix("\n").removesuffix("\r")
    if not read:
        raise ValueError("there is no text on stdin")
    return read


class _Careful:
    """A text stream whose failures to write are ignored; for progress, which must not end the work.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or ignore that it can't be written."""
        try:
            return self._stream.write(_shown(self._stream, text))
        except (OSError, ValueError):
            _silence(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush the stream, or ignore that it can't be."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            _silence(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _write(stream: IO[str] | None, line: str) -> None:
    if stream is not None:  # the process was started without it
        stream.write(_shown(stream, f"{line}\n"))
        stream.flush()


def _shown(stream: IO[str], text: str) -> str:
    """Return a text with escapes for the characters that a stream can't encode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _silence(stream: IO[str] | None) -> None:
    """Discard what a broken stream still holds, because its failure at exit would change the exit code."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]  # suppressed
        os.close(null)
