"""The body of an answer, decompressed and limited in size.

A Content-Encoding header is only a hint: proxies leave one behind when they decompress, and pages write their charset
into it. The body itself shows how it is compressed.
"""

import re
import zlib
from typing import Final, NoReturn

from smsc_async._model import MalformedEnvelope

__all__ = ["Body"]

_OK: Final = 200
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = zlib.MAX_WBITS | 16
_MOST_LAYERS: Final = 3
_MOST_MEMBERS: Final = 256
_SLACK: Final = 1_024  # compression makes a short document longer
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")


class Body:
    """A body that arrives in pieces; `bytes` returns it decompressed.

    Args:
        limit: The largest size in bytes; it counts after decompression.
        encoding: The Content-Encoding header, "" for none.
        status_code: The HTTP status. The body of an HTTP error may be lost, as the status alone says what became of the
            request: if it can't be decompressed, it is empty.
    """

    def __init__(self, limit: int, encoding: str, status_code: int = _OK) -> None:
        self._limit = limit
        self._encoding = encoding.strip().lower()
        self._is_needed = status_code == _OK
        self._data = bytearray()

    def add(self, piece: bytes) -> None:
        """Add the next piece, as received.

        Raises:
            MalformedEnvelope: The body is too large.
        """
        self._data += piece
        if len(self._data) > self._limit + _SLACK:
            raise self._too_large()

    def __bytes__(self) -> bytes:
        """Return the body.

        Raises:
            MalformedEnvelope: It is too large, or its compression is broken or unknown.
        """
        try:
            return self._decompressed()
        except MalformedEnvelope:
            if self._is_needed:
                raise
        return b""

    def _decompressed(self) -> bytes:
        data, is_deflated = bytes(self._data), "deflate" in self._encoding
        for _ in range(_MOST_LAYERS):
            if data.startswith(_GZIP):
                data = self._gunzipped(data)
            elif is_deflated:
                data, is_deflated = self._inflated(data), False
        if len(data) > self._limit:
            raise self._too_large()
        if self._encoding and not _is_text(data):
            raise MalformedEnvelope("the answer is compressed in a way that was not asked for")
        return data

    def _gunzipped(self, data: bytes) -> bytes:
        """Return the data of all gzip members; trailing bytes are ignored, as gzip does."""
        whole = b""
        for _ in range(_MOST_MEMBERS):
            unpacked, data, _ = self._unpacked(data, _GZIP_WINDOW) or _broken()
            whole += unpacked
            if len(whole) > self._limit:
                raise self._too_large()
            if not data.startswith(_GZIP):
                break
        return whole

    def _inflated(self, data: bytes) -> bytes:
        """Return the data of a zlib stream, or a raw deflate stream, which some servers send; text is unchanged."""
        is_plain = _is_text(data)
        for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
            found = self._unpacked(data, window)
            if found is not None and (found[2] or not is_plain):
                return found[0]
        return data if is_plain else _broken()

    def _unpacked(self, data: bytes, window: int) -> tuple[bytes, bytes, bool] | None:
        """Return a stream's data, the bytes after it and whether it is complete; None if it is broken."""
        stream = zlib.decompressobj(window)
        try:
            return stream.decompress(data, self._limit + 1), stream.unused_data, stream.eof
        except zlib.error:
            return None

    def _too_large(self) -> MalformedEnvelope:
        return MalformedEnvelope(f"the answer is larger than {self._limit} bytes")


def _is_text(data: bytes) -> bool:
    return data.startswith(_UTF_16) or not _BINARY.search(data[:64])


def _broken() -> NoReturn:
    raise MalformedEnvelope("the answer's compression is broken")
