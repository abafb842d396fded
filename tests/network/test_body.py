"""A body in pieces: it is decompressed as it arrives, and refused when it becomes too large."""

import gzip
import tracemalloc
import zlib

import pytest

from smsc_async import MalformedEnvelope
from smsc_async._network.body import Body


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (b"abc", ""),
        (b"abc", " Identity"),
        (gzip.compress(b"abc", mtime=0), "X-GZIP"),
        (zlib.compress(b"abc"), "deflate"),
    ],
)
def test_pieces_become_one_body(packed: bytes, encoding: str) -> None:
    body = Body(3, encoding)
    for byte in packed:
        body.add(bytes([byte]))
    assert bytes(body) == b"abc"


@pytest.mark.parametrize(("packed", "encoding"), [(b"abcd", ""), (gzip.compress(b"a" * 10**7, mtime=0), "gzip")])
def test_larger_than_the_limit_is_refused(packed: bytes, encoding: str) -> None:
    with pytest.raises(MalformedEnvelope, match="larger than 3 bytes"):
        Body(3, encoding).add(packed)


def test_a_bomb_is_never_unpacked_whole() -> None:
    packed = gzip.compress(bytes(50_000_000), mtime=0)
    body = Body(1_000, "gzip")
    tracemalloc.start()
    try:
        with pytest.raises(MalformedEnvelope):
            body.add(packed)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_broken_compression_is_said_without_a_quotation() -> None:
    with pytest.raises(MalformedEnvelope, match="compression is broken") as caught:
        Body(3, "gzip").add(b"secret")
    assert caught.value.__context__ is None


def test_compression_that_was_not_requested_is_refused() -> None:
    with pytest.raises(MalformedEnvelope, match="not asked for"):
        Body(3, "br")
