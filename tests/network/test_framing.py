"""The end of an HTTP answer, however its bytes are divided."""

import pytest

from smsc_async._network.framing import Framing

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Type: text/xml\r\ncontent-length : 4\r\nServer: x\r\n\r\n<a/>"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n<a\r\n002\r\n/>\r\n0\r\nX-T: 1\r\n\r\n"
COMPLETE = {
    "length": LENGTH,
    "zero length": OK + b"Content-Length: 0\r\n\r\n",
    "chunked": CHUNKED,
    "empty chunked": OK + b"transfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH,
    "lines that end in LF": b"HTTP/1.1 200 OK\nContent-Length: 4\n\n<a/>",
    "the same length twice": OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\n<a/>",
    "a reason that is empty": b"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\n!",
}


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("extra", [b"", b"\r\n", b" ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_end_of_an_answer_is_found_wherever_its_bytes_are_divided(name: str, extra: bytes) -> None:
    answer = COMPLETE[name]
    for size in (1, 2, 3, 7, 1000):
        framing, used = Framing(), 0
        data = answer + extra
        for start in range(0, len(data), size):
            assert framing.is_complete == (start >= len(answer))
            used += framing.feed(data[start : start + size])
        assert (used, framing.is_complete, framing.is_known) == (len(answer), True, True)


@pytest.mark.parametrize(
    "head",
    [
        b"Connection: close",
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Length: +4",
        b"Content-Length: 4, 4",
        b"Content-Length: chunked",
    ],
)
def test_answer_without_one_clear_length_ends_with_the_connection(head: bytes) -> None:
    framing = Framing()
    data = OK + head + b"\r\n\r\n<a/>"
    assert framing.feed(data) == len(data)
    assert framing.feed(b"more") == 4
    assert (framing.is_complete, framing.is_known) == (False, False)


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"x" * 70_000])
def test_what_is_not_http_is_left_to_the_parser(data: bytes) -> None:
    framing = Framing()
    assert framing.feed(data) == len(data)
    assert not framing.is_known


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"\r\n", b"-1\r\n", b"2\r\n<a/>\r\n", b"f" * 16 + b"\r\n", b"1" * 5000])
def test_broken_chunk_is_noticed(chunks: bytes) -> None:
    for size in (1, 10_000):
        framing = Framing()
        data = OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
        for start in range(0, len(data), size):
            framing.feed(data[start : start + size])
        assert framing.is_broken
        assert framing.feed(b"0\r\n\r\n") == 0
        assert not framing.is_complete
