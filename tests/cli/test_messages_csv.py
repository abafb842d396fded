"""Reading a CSV file of messages: every row can be sent, or has a reason why not."""

import pytest

from smsc_async import Message
from smsc_async._cli.messages_csv import BadRow, read_messages


def accept(_message: Message) -> None:
    """Accept every message."""


def bad_rows(content: bytes, *, allow_duplicates: bool = False) -> list[BadRow]:
    """Read a file, and return its bad rows."""
    found = read_messages(content, accept, allow_duplicates=allow_duplicates)
    assert list(found.rows)
    return found.bad


def test_rows_keep_their_numbers_texts_and_columns() -> None:
    content = (
        'Phone,text,ID,sender,tz\r\n+79161234567,Hi,order-1,shop,2\r\n\r\n 79161234568 ,"two\nlines, comma",,,\r\n'
    )
    found = read_messages(content.encode("utf-8-sig"), accept)
    assert found.columns == ("phone", "text", "id", "sender", "tz")
    assert [(each.row, each.id, each.message) for each in found.rows] == [
        (2, "order-1", Message("+79161234567", "Hi", "shop", 2)),
        (4, None, Message("79161234568", "two\nlines, comma")),
    ]
    assert found.bad == []


def test_a_time_zone_of_minus_0_is_that_of_0() -> None:
    content = b"phone,text,sender,tz\n+79161234567,Hi,shop,0\n+79161234567,Hi,shop,-0\n"
    assert [each.row for each in bad_rows(content)] == [3]


def test_an_order_number_is_the_id_of_a_row() -> None:
    (row,) = read_messages(b"phone,text,id\n+79161234567,Hi,20261127000123456789\n", accept).rows
    assert row.id == "20261127000123456789"


def test_a_line_separator_inside_a_text_ends_no_row() -> None:
    (row,) = read_messages("phone,text\n+79161234567,a\u2028b\n".encode(), accept).rows
    assert row.message == Message("+79161234567", "a\u2028b")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "missing: phone, text"),
        (b"phone\n+79161234567\n", "missing: text"),
        (b"phone,text,colour,name\n", "unknown columns: colour, name"),
        (b"phone,text,phone\n", "contains a column twice"),
        (b"phone,text\n\n", "a header and no rows"),
        (b"phone,text\n+7916,\xff\n", r"is not UTF-8 \(byte 17\)"),
        (b'phone,text\n+79161234567,"open\n', "line 2 of the CSV file can't be read"),
    ],
)
def test_a_file_in_another_format_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(read_messages(content, accept).rows)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("+79161234567", "it has 1 fields, but the header has 5"),
        ("12,Hi,,,", "phone must be a phone"),
        ("+79161234567;+79161234568,Hi,,,", "a row holds one phone, because it has one outcome"),
        ('"+79161234567,+79161234568",Hi,,,', "a row holds one phone, because it has one outcome"),
        ("G7,Hi,,,", "a row holds one phone, because it has one outcome"),
        ("+79161234567,,,,", "text must not be empty"),
        ("+79161234567,Hi,no id!,,", "id must be a number from 1"),
        ("+79161234567,Hi,,far too long a name,", "sender must be up to 11"),
        ("+79161234567,Hi,,,east", "tz must be a number of hours"),
        ("+79161234567,Hi,,,nan", "tz must be "),
        ("+79161234567,unwanted,,,", "check: no"),
    ],
)
def test_the_reason_for_a_bad_row_contains_no_values(row: str, reason: str) -> None:
    def check(message: Message) -> None:
        if message.text == "unwanted":
            raise ValueError("check: no")

    found = read_messages(f"phone,text,id,sender,tz\n{row}\n".encode(), check)
    ((planned,), (bad,)) = found.rows, found.bad
    assert (bad.row, planned.row, planned.fault, planned.message) == (2, 2, bad.reason, None)
    assert bad.reason.startswith(reason)
    assert "7916" not in f"{bad.reason}{bad!r}"


def test_a_duplicate_message_is_a_bad_row_unless_allowed() -> None:
    content = b"phone,text,sender\n+79161234567,Hi,\n89161234567,Hi,\n+79161234567,Hi,shop\n"
    (bad,) = bad_rows(content)
    assert (bad.row, bad.reason) == (3, "row 2 is the same message to the same phone; --allow-duplicates sends both")
    assert bad_rows(content, allow_duplicates=True) == []


def test_a_duplicate_id_for_a_phone_is_always_a_bad_row() -> None:
    content = b"phone,text,id\n+79161234567,Hi,a\n+79161234567,Ho,a\n+79161234568,Hi,a\n"
    (bad,) = bad_rows(content, allow_duplicates=True)
    assert (bad.row, bad.reason) == (3, "row 2 has the same phone and id")
