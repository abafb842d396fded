"""A body in pieces: it is read as what it is, whatever its header says, and refused when it becomes too large."""

import codecs
import gzip
import tracemalloc
import zlib

import pytest

from smsc_async import MalformedEnvelope
from smsc_async._network.body import Body

XML = b'<?xml version="1.0"?><a>' + b"text " * 40 + b"</a>"
GZIP = gzip.compress(XML, mtime=0)
ZLIB = zlib.compress(XML)
RAW = ZLIB[2:-4]
LIMIT = len(XML)


def _read(data: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    body = Body(limit, encoding)
    for start in range(0, len(data), 7):
        body.add(data[start : start + 7])
    return bytes(body)


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "X-GZIP", "identity, gzip", "gzip, identity", "UTF-8"])
@pytest.mark.parametrize(
    "data",
    [
        XML,
        GZIP,
        gzip.compress(XML[:30], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(XML[30:], mtime=0),
        GZIP + b"\0" * 64,
        GZIP + b"junk",
        GZIP[:-8],
        gzip.compress(GZIP, mtime=0),
    ],
    ids=["plain", "gzip", "members", "padded", "junk after", "no checksum", "gzip twice"],
)
def test_a_body_is_read_as_what_it_is(data: bytes, encoding: str) -> None:
    assert _read(data, encoding) == XML


@pytest.mark.parametrize("encoding", [" Deflate", "deflate, identity", "DEFLATE,gzip", "gzip , deflate"])
@pytest.mark.parametrize(
    "data",
    [
        ZLIB,
        RAW,
        ZLIB + b"junk",
        RAW + b"junk",
        zlib.compress(GZIP),
        gzip.compress(RAW, mtime=0),
        GZIP,
        XML,
        b" \n" + XML,
    ],
    ids=["zlib", "raw", "junk", "junk after raw", "gzip in zlib", "raw in gzip", "gzip", "plain", "indented"],
)
def test_deflate_is_zlib_or_raw_or_a_header_that_was_left_behind(data: bytes, encoding: str) -> None:
    assert _read(data, encoding, 1_000).lstrip() == XML


@pytest.mark.parametrize(
    "encoding", ["", "none", "UTF-8", "utf8", "8bit", "binary", "text/xml", ",", "br", "zstd", "deflate"]
)
@pytest.mark.parametrize(
    "data",
    [b"", XML, codecs.BOM_UTF8 + XML, XML.decode().encode("utf-16"), XML.decode().encode("utf-16-be"), b"KO"],
    ids=["empty", "XML", "BOM", "UTF-16", "UTF-16-BE", "begins like deflate"],
)
def test_an_unknown_encoding_of_a_plain_body_means_nothing(data: bytes, encoding: str) -> None:
    assert _read(data, encoding, 1_000) == data


def test_a_body_that_is_really_compressed_otherwise_is_refused() -> None:
    with pytest.raises(MalformedEnvelope, match="not asked for"):
        _read(b"\x0b\x02\x80<a/>\x03", "br")


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (b"abcd", ""),
        (b"a" * 2_000, ""),
        (gzip.compress(b"a" * 10**6, mtime=0), "gzip"),
        (gzip.compress(b"ab", mtime=0) + gzip.compress(b"cd", mtime=0), "gzip"),
        (zlib.compress(b"abcd"), "deflate"),
        (zlib.compress(b"abcd")[2:-4], "deflate"),
        (gzip.compress(gzip.compress(b"a", mtime=0), mtime=0), "gzip"),
    ],
)
def test_larger_than_the_limit_is_refused(packed: bytes, encoding: str) -> None:
    with pytest.raises(MalformedEnvelope, match="larger than 3 bytes"):
        _read(packed, encoding, 3)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_never_unpacked_whole(encoding: str) -> None:
    bomb = gzip.compress(bytes(50_000_000), mtime=0) if encoding == "gzip" else zlib.compress(bytes(50_000_000))
    body = Body(100_000, encoding)
    tracemalloc.start()
    try:
        body.add(bomb)
        with pytest.raises(MalformedEnvelope):
            bytes(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_flood_of_members_is_read_in_part() -> None:
    assert _read(gzip.compress(b"<", mtime=0) * 500, "gzip", 100_000) == b"<" * 256


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (GZIP[:20] + b"secret" + GZIP[26:], "gzip"),
        (GZIP[:-8] + b"secretzz", "gzip"),
        (GZIP + b"\x1f\x8bsecret", "gzip"),
        (b"\x07\xeesecret", "deflate"),
    ],
)
def test_broken_compression_is_said_without_a_quotation(packed: bytes, encoding: str) -> None:
    with pytest.raises(MalformedEnvelope, match="compression is broken") as caught:
        _read(packed, encoding)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "data", [GZIP[:-8] + b"secretzz", b"\x0b\x02\x80<a/>\x03", gzip.compress(bytes(2_000), mtime=0)]
)
def test_the_body_of_an_http_error_may_be_unreadable(data: bytes) -> None:
    body = Body(1_000, "gzip", 404)
    body.add(data)
    assert bytes(body) == b""
