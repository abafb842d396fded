"""Find out whether the write-ahead log of an SQLite file has lost committed transactions; pure.

SQLite reads a log up to the first frame whose checksum is wrong, and treats the rest as an incomplete write of a crash.
So a corrupted frame in the middle would silently undo all later transactions, and the messages that they record as sent
would be sent again. After a crash only the last transaction can be incomplete, because each one is on the disk before
the next begins.
The format: https://www.sqlite.org/fileformat2.html#walformat
"""

import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["has_lost_commits"]

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
_WORD: Final = 0xFFFFFFFF


def has_lost_commits(log: bytes) -> bool:
    """Return whether a transaction follows one that can't be read."""
    if len(log) < _HEADER:
        return False
    magic, _, page_size, _ = struct.unpack(">4I", log[:16])
    order = _MAGIC.get(magic)
    if order is None:
        return any(log)
    salts, sums = log[16:24], _checksum(log[:24], order, (0, 0))
    if struct.unpack(">2I", log[24:_HEADER]) != sums:
        return True
    commits_unread, is_readable = 0, True
    for header, page in _frames(log, page_size):
        if header[8:16] != salts:  # left over from before the log was restarted, or corrupted
            is_readable = False
            continue
        if is_readable:
            sums = _checksum(page, order, _checksum(header[:8], order, sums))
            is_readable = struct.unpack(">2I", header[16:]) == sums
        is_commit = header[4:8] != bytes(4)
        commits_unread += is_commit and not is_readable
    return commits_unread > 1


def _frames(log: bytes, page_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header and the page of each complete frame."""
    size = _FRAME_HEADER + page_size
    for start in range(_HEADER, len(log) - size + 1, size):
        yield log[start : start + _FRAME_HEADER], log[start + _FRAME_HEADER : start + size]


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """Continue SQLite's checksum over more data."""
    first, second = sums
    for even, odd in struct.iter_unpack(f"{order}2I", data):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
