"""Documents are parsed at once while their names are few and known."""

import codecs
from collections.abc import Iterator

import pytest

from smsc_async._protocol import reads_at_once, tags
from smsc_async._protocol.envelope import parse, read_root
from smsc_async._protocol.tags import trimmed
from tests.doubles import NAMESPACE, XML, answer, fault, wsdl
from tests.protocol.test_envelope import SOAP_11

STATUS = answer("get_status", status="1", last_timestamp="1700000000", err="0").body


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "_known", set())


def _with_names(number: int, count: int) -> bytes:
    names = "".join(f"<n{number}x{each}/>" for each in range(count))
    return f'<e:Envelope xmlns:e="{SOAP_11}"><e:Body>{names}</e:Body></e:Envelope>'.encode()


def _documents() -> Iterator[bytes]:
    for number in range(300):
        yield _with_names(number, 100)


@pytest.mark.parametrize(
    "document",
    [
        STATUS,
        wsdl(NAMESPACE).body,
        fault("Server", "Procedure 'send' not present").body,
        b"\xef\xbb\xbf" + STATUS,
        b"\n\n" + STATUS.partition(b"\n")[2],
        STATUS.replace(b"UTF-8", b"windows-1251"),
        STATUS.replace(b">1<", b">1 &gt; 0 &#33; &amp;<"),
        STATUS.replace(b"<err>", b"<err why='a > b'>"),
    ],
)
@pytest.mark.parametrize("content_type", ["", "text/xml", XML, 'Text/XML; a=b; Charset="UTF-8"'])
def test_an_ordinary_answer_is_read_at_once(document: bytes, content_type: str) -> None:
    assert reads_at_once(document, content_type)
    assert reads_at_once(document, content_type)


def test_the_names_that_become_known_are_limited() -> None:
    at_once = sum(map(reads_at_once, _documents()))
    assert 0 < at_once < 200
    assert sum(map(len, tags._known)) <= 131_072


def test_a_known_answer_is_read_at_once_after_any_flood() -> None:
    assert reads_at_once(STATUS)
    assert not all(map(reads_at_once, _documents()))
    assert reads_at_once(STATUS)


def test_one_answer_does_not_use_up_the_names_of_all() -> None:
    assert not reads_at_once(_with_names(1, 1_000))
    assert not tags._known


@pytest.mark.parametrize(
    "strange",
    [
        b"<![CDATA[ <n1/> ]]>",
        b"<!-- <n1/> -->",
        b"<?n1 x?>",
        b"&n1;",
        b"&n1",
        b"<a b='>\" n1=\"'",
        b'<a b="x<y"/>',
        b"<<a/>",
        b"<a",
        b"\0",
        b"x" * 65_536,
    ],
)
def test_what_may_hide_a_name_is_not_read_at_once(strange: bytes) -> None:
    document = STATUS.replace(b"<err>", strange + b"<err>")
    assert reads_at_once(STATUS)
    assert not reads_at_once(document)
    assert not reads_at_once(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no XML",
        b"<!DOCTYPE a [<!ENTITY n1 'x'>]>" + STATUS.partition(b"\n")[2],
        STATUS.replace(b"UTF-8", b"utf-7"),
        STATUS.decode().replace("UTF-8", "utf-16").encode("utf-16"),
        STATUS.decode().replace("UTF-8", "cp037").encode("cp037"),
    ],
)
def test_documents_in_other_forms_and_encodings_are_not_read_at_once(document: bytes) -> None:
    assert not reads_at_once(document)
    assert not reads_at_once(document)


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "shift_jis", "\ud800", "", "utf-8; charset=utf-7"])
def test_a_header_with_another_encoding_is_not_read_at_once(charset: str) -> None:
    assert not reads_at_once(STATUS, f"text/xml; charset={charset}")


def test_a_value_with_another_name_each_time_is_one_name() -> None:
    for number in range(2_000):
        document = answer("get_status", status="1", message=f"text {number} & more").body
        assert reads_at_once(document, XML)
        assert parse(document).namespace == NAMESPACE


DOCUMENT = '<?xml version="1.0"?><a>\u00e9</a>'
MARK = codecs.BOM_UTF8


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\n",
        b" \r\n\t",
        MARK,
        MARK * 3,
        b"\n" + MARK,
        MARK + b"\r\n",
        b" " + MARK + b"\n" + MARK + b"\t",
        b"\x0b\x0c",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_mix_of_whitespace_and_byte_order_marks_before_a_document_is_dropped(before: bytes, encoding: str) -> None:
    document = DOCUMENT.encode(encoding)
    if encoding.startswith("utf-16-"):  # without a mark, such a document can't follow bytes of another encoding
        before = before.decode().encode(encoding)
    root = read_root(trimmed(before + document))
    assert (root.tag, root.text) == ("a", "\u00e9")


def test_whitespace_after_the_mark_of_utf_16_is_dropped() -> None:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        document = mark + "\n \ufeff\t".encode(encoding) + DOCUMENT.encode(encoding)
        assert trimmed(b"\r\n" + document) == mark + DOCUMENT.encode(encoding)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"", b""),
        (b" \n", b""),
        (MARK, MARK),
        (b"\0", codecs.BOM_UTF16_BE + b"\0"),
        (b"<a/>\n", b"<a/>\n"),
        (b"a" + MARK, b"a" + MARK),
        ("<a/>".encode("utf-32"), "<a/>".encode("utf-32")),
    ],
)
def test_nothing_is_dropped_from_a_document_itself(data: bytes, kept: bytes) -> None:
    assert trimmed(data) == kept


def test_a_mark_before_a_document_in_another_encoding_is_no_part_of_it() -> None:
    """A PHP page that was saved with a mark answers in windows-1251."""
    document = '<?xml version="1.0" encoding="windows-1251"?><a>Привет</a>'.encode("cp1251")
    assert read_root(trimmed(MARK + b"\n" + document)).text == "Привет"
