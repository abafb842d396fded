"""Where an HTTP/1.1 answer ends, so that trailing bytes are never mistaken for another answer; no I/O."""

import re
from collections.abc import Callable
from typing import Final

__all__ = ["Framing"]

_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_LONGEST_HEAD: Final = 65_536
_LONGEST_LINE: Final = 4_096
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?:[ \r\n]|$)")
_FIELD: Final = re.compile(
    rb"\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r?\n)", re.IGNORECASE
)
_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;[^\n]*)?\n")
_EMPTY: Final = frozenset({b"204", b"304"})


class Framing:
    """Finds the end of one answer in the received pieces.

    Attributes:
        is_complete: Whether the answer has ended.
        is_broken: Whether a chunk can't be read, so that the rest of the answer is lost.
        is_known: Whether the end can be found; if not, the answer ends with the connection.
    """

    def __init__(self) -> None:
        self.is_complete = self.is_broken = False
        self.is_known = True
        self._held = b""
        self._left = 0
        self._line: Callable[[bytes], None] = self._size
        self._read: Callable[[bytes], int] = self._head

    def feed(self, data: bytes) -> int:
        """Return how many bytes of the next piece belong to the answer."""
        if self.is_complete or self.is_broken:
            return 0
        return self._read(data)

    def _head(self, data: bytes) -> int:
        before = len(self._held)
        whole = self._held + data
        end = _END_OF_HEAD.search(whole)
        if end is None:
            self._held = whole
            return len(data) if len(whole) <= _LONGEST_HEAD else self._unknown(data)
        head, used = whole[: end.start()], end.end() - before
        self._held = b""
        status = _STATUS.match(head)
        fields = list(dict.fromkeys((name.lower(), value.lower()) for name, value in _FIELD.findall(head + b"\n")))
        if status is None or len(fields) > 1:
            return self._unknown(data)
        if status[1][:1] == b"1" and status[1] != b"101":  # another head follows
            return used + self._head(data[used:])
        if status[1] in _EMPTY:
            self.is_complete = True
            return used
        return used + self._begin_body(fields, data[used:])

    def _begin_body(self, fields: list[tuple[bytes, bytes]], rest: bytes) -> int:
        if not fields:
            return self._unknown(rest)
        name, value = fields[0]
        if name == b"content-length" and value.isdigit():
            self._left, self._read = int(value), self._body
        elif value == b"chunked" and name == b"transfer-encoding":
            self._read = self._chunks
        else:
            return self._unknown(rest)
        return self._read(rest)

    def _unknown(self, data: bytes) -> int:
        self.is_known, self._read, self._held = False, len, b""
        return len(data)

    def _body(self, data: bytes) -> int:
        used = min(self._left, len(data))
        self._left -= used
        self.is_complete = not self._left
        return used

    def _chunks(self, data: bytes) -> int:
        used = 0
        while used < len(data) and not self.is_complete and not self.is_broken:
            if self._left:
                step = min(self._left, len(data) - used)
                self._left -= step
            else:
                step = self._part_of_line(data[used : used + _LONGEST_LINE])
            used += step
        return used

    def _part_of_line(self, data: bytes) -> int:
        line, end, _ = data.partition(b"\n")
        self._held += line + end
        if end:
            whole, self._held = self._held, b""
            self._line(whole.replace(b"\r\n", b"\n"))
        self.is_broken = self.is_broken or len(self._held) >= _LONGEST_LINE
        return len(line) + len(end)

    def _size(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            self.is_broken = True
            return
        self._left = int(size[1], 16)
        self._line = self._after_data if self._left else self._trailer

    def _after_data(self, line: bytes) -> None:
        self.is_broken = line != b"\n"
        self._line = self._size

    def _trailer(self, line: bytes) -> None:
        self.is_complete = line == b"\n"
