"""Files that hold phones and texts: regular files that only their owner can read; all functions block."""

import errno
import os
import stat
from pathlib import Path

__all__ = ["check_regular", "make_private", "resolved"]

_OTHERS = 0o077
_NO_PATH = "it has NUL characters or a loop of symbolic links"


def resolved(path: str | Path) -> Path:
    """Return the absolute path of a file, with symbolic links followed.

    Raises:
        ValueError: It isn't a valid path of a file.
    """
    try:
        os.fsencode(path)
        found = Path(path).resolve()
        is_loop = found.is_symlink()  # from Python 3.13 on; earlier ones raise
        reason = "it is a folder" if found.is_dir() else _NO_PATH if is_loop else ""
    except TypeError:
        reason = "it is neither a str nor a Path"
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", "") or _NO_PATH
    if reason:
        raise ValueError(f"pass the path of a file, {str(path)!r} can't be one: {reason}")
    return found


def make_private(path: Path) -> None:
    """Create the file if it does not exist, and make it readable only by its owner.

    An existing file is not opened: closing it would end the locks that SQLite has on it in this process.

    Raises:
        OSError: The file can't be created, is not a regular file, or can't be protected from other users.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        check_regular(path)
    if _is_open_to_others(path):
        path.chmod(0o600)
        if _is_open_to_others(path):
            raise OSError(errno.EACCES, "other users can read it, and this file system does not let it be protected")


def check_regular(path: Path) -> None:
    """Raise an `OSError` if the path is not a regular file, but for example a pipe or a symbolic link."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def _is_open_to_others(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & _OTHERS)
