"""The body of an answer, decompressed as it is read and limited in size."""

import zlib
from typing import Final

from smsc_async._model import MalformedEnvelope

__all__ = ["Body"]

_PLAIN: Final = frozenset({"", "identity"})
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})


class Body:
    """A body that arrives in pieces.

    Args:
        limit: The largest size in bytes; it counts after decompression.
        encoding: The Content-Encoding header, "" for none.

    Raises:
        MalformedEnvelope: It is compressed in an encoding that was not requested.
    """

    def __init__(self, limit: int, encoding: str) -> None:
        self._limit = limit
        self._data = bytearray()
        name = encoding.strip().lower()
        if name not in _PLAIN | _PACKED:
            raise MalformedEnvelope("the answer is compressed in a way that was not asked for")
        self._inflate = (
            zlib.decompressobj(zlib.MAX_WBITS | 32).decompress if name in _PACKED else _as_it_is
        )  # gzip or zlib

    def add(self, piece: bytes) -> None:
        """Add the next piece as it was received.

        Raises:
            MalformedEnvelope: The body is too large, or its compression is broken.
        """
        self._data += self._unpacked(piece)
        if len(self._data) > self._limit:
            raise MalformedEnvelope(f"the answer is larger than {self._limit} bytes")

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def _unpacked(self, piece: bytes) -> bytes:
        try:
            return self._inflate(piece, self._limit + 1 - len(self._data))
        except zlib.error:
            pass
        raise MalformedEnvelope("the answer's compression is broken")


def _as_it_is(piece: bytes, _room: int) -> bytes:
    return piece
