"""Files that hold phones and texts: regular files that only their owner can read; all functions block."""

import errno
import os
import stat
from pathlib import Path

__all__ = ["make_private", "resolved"]

_OTHERS = 0o077


def resolved(path: str | Path) -> Path:
    """Return the absolute path of a file, with symbolic links followed.

    Raises:
        ValueError: It can't be the path of a file.
    """
    try:
        os.fsencode(path)
        found = Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        found = None
    if found is None or found.is_dir():
        raise ValueError("pass the path of a file, not of a folder, without NUL characters and loops of symbolic links")
    return found


def make_private(path: Path) -> None:
    """Create the file if it does not exist, and let only its owner read it.

    An existing file is not opened: closing it would end the locks that SQLite has on it in this process.

    Raises:
        OSError: The file can't be created, is not a regular file, or can't be protected from other users.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file") from None
    if _is_open_to_others(path):
        path.chmod(0o600)
        if _is_open_to_others(path):
            raise OSError(errno.EACCES, "other users can read it, and this file system does not let it be protected")


def _is_open_to_others(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & _OTHERS)
