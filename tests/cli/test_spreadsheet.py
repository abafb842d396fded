"""CSV files are read as spreadsheets write them, and written so that they can be read back exactly."""

import codecs
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async._cli.spreadsheet import Dialect, damage, in_dialect, is_sheet, lines_of, quoted, read_sheet, unquoted

KNOWN = ("phone", "text")
CELLS = st.text(
    st.one_of(st.sampled_from("'=+-@\t\r\n;,|\" 7\u2028＝"), st.characters(codec="utf-8")),  # noqa: RUF001 - full-width
    max_size=12,
)
DIALECTS = [Dialect("utf-8", ","), Dialect("utf-8-sig", ";"), Dialect("utf-16", "\t"), Dialect("utf-16-le", "|")]
DIALECTS.append(Dialect("utf-8-sig", "^", names_delimiter=True))


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        ("phone,text\n1,a", Dialect("utf-8", ",")),
        ("phone;text\n1;a", Dialect("utf-8", ";")),
        ("Phone\tTEXT\r\n1\ta", Dialect("utf-8", "\t")),
        ('"phone"|"text"\r1|a', Dialect("utf-8", "|")),
        ("\ufeffphone;text\n1;a", Dialect("utf-8-sig", ";")),
        ("sep=;\r\nphone;text\r\n1;a", Dialect("utf-8", ";", names_delimiter=True)),
        ("SEP=\t\nphone\ttext\n1\ta", Dialect("utf-8", "\t", names_delimiter=True)),
        ("sep=^\nphone^text\n1^a", Dialect("utf-8", "^", names_delimiter=True)),
        ("phone,text;\n1,a", Dialect("utf-8", ",")),
    ],
)
def test_the_delimiter_is_recognised_by_the_header(content: str, dialect: Dialect) -> None:
    sheet = read_sheet(content.encode(), KNOWN)
    assert sheet.dialect == dialect
    assert sheet.columns[0] == "phone"
    assert [(number, cells[0]) for number, cells in sheet.rows] == [(2, "1")]


@pytest.mark.parametrize(
    ("encoding", "mark", "known_as"),
    [
        ("utf-8", codecs.BOM_UTF8, "utf-8-sig"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-32-le", codecs.BOM_UTF32_LE, "utf-32"),
        ("utf-32-be", codecs.BOM_UTF32_BE, "utf-32"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
        ("utf-8", b"", "utf-8"),
    ],
)
def test_an_encoding_of_unicode_is_recognised(encoding: str, mark: bytes, known_as: str) -> None:
    content = mark + "phone,text\n1,Привет €\n".encode(encoding)
    sheet = read_sheet(content, KNOWN, encoding="cp1251" if mark else None)  # a mark counts more than the option
    assert (sheet.dialect.encoding, (*sheet.rows,)) == (known_as, ((2, ["1", "Привет €"]),))


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "mac-cyrillic", "cp866", "utf-16-le"])
def test_other_encodings_are_named_by_the_user(encoding: str) -> None:
    sheet = read_sheet("phone;text\n1;Привет\n".encode(encoding), KNOWN, encoding=encoding)
    assert (*sheet.rows,) == ((2, ["1", "Привет"]),)


@pytest.mark.parametrize("named", ["utf-16", "UTF_16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_the_order_of_bytes_is_recognised_where_no_mark_shows_it(named: str, order: str) -> None:
    encoding = f"utf-{named[-2:]}-{order}"
    sheet = read_sheet("phone;text\n1;Привет\n".encode(encoding), KNOWN, encoding=named)
    assert (sheet.dialect.encoding, (*sheet.rows,)) == (encoding, ((2, ["1", "Привет"]),))


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        ("phone;text\n1;Привет".encode("cp1251"), None, r"is not UTF-8 \(byte 13\); .* such as --encoding cp1251"),
        (b"phone,text\n" + b"1,a\n" * 5_000 + b"1,\xff\n", None, r"is not UTF-8 \(byte 20013\)"),
        (b"\xff\xfep", None, r"the file is not utf-16 \(byte 2\)"),
        (b"phone\x98", "cp1251", r"the file is not cp1251 \(byte 5\)"),
        (b"phone", "cp-1251-x", "--encoding must be the name of an encoding"),
        (b"phone", "rot13", "--encoding must be the name of an encoding"),
        (b"phone", "locale", "--encoding must be the name of an encoding"),
        (b"phone", "undefined", "--encoding must be the name of an encoding"),
        (b"PK\x03\x04and so on", None, 'this is a workbook, not a CSV file; save it as "CSV UTF-8"'),
        (b"\xd0\xcf\x11\xe0and so on", "cp1251", "this is a workbook"),
    ],
)
def test_a_file_that_can_not_be_decoded_says_what_to_do(content: bytes, encoding: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(read_sheet(content, KNOWN, encoding=encoding).rows)
    with pytest.raises(ValueError, match=words):
        lines_of(content, encoding)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('phone,text\n1,"open\n', "line 2 of the CSV file can't be read: a quotation mark is not closed"),
        ('phone,text\n1,"a"b\n', "line 2 .* has to be doubled"),
        (f"phone,text\n1,{'x' * 200_000}\n", r"line 2 .* not closed, or a cell has more than 131,072 characters"),
        ('phone,text\n1,"a\nb"\n\n1,"open\n' + "1,a\n" * 100_000, "line 5 .* a quotation mark is not closed"),
        ('phone,text\n1,a\n1,"open\n1,a\n1,a\n', "line 3 .* a quotation mark is not closed"),
        ('sep=,\nphone,text\n1,"open\n', "line 3 .* a quotation mark is not closed"),
        ('"phone"x,text\n', "line 1 .* has to be doubled"),
    ],
)
def test_a_line_that_csv_can_not_read_is_named(content: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(read_sheet(content.encode(), KNOWN).rows)


def test_empty_cells_beyond_the_header_and_empty_rows_are_left_out() -> None:
    content = b"phone;text;;\r\n1;a;;\r\n;;;\r\n2;b;x;\r\n3\r\n \r\n"
    sheet = read_sheet(content, KNOWN)
    assert sheet.columns == ("phone", "text")
    assert (*sheet.rows,) == ((2, ["1", "a"]), (4, ["2", "b", "x"]), (5, ["3"]))


@pytest.mark.parametrize("above", [b"\r\n", b";;\r\n", b"\n \n"])
def test_empty_rows_above_the_header_count_and_are_left_out(above: bytes) -> None:
    sheet = read_sheet(above + b"phone;text\r\n1;a\r\n", KNOWN)
    assert sheet.columns == ("phone", "text")
    assert (*sheet.rows,) == ((2 + above.count(b"\n"), ["1", "a"]),)
    assert sheet.dialect.delimiter == ";"


def test_a_header_is_needed_for_a_sheet() -> None:
    assert is_sheet(b"id;x;phone\n", ("phone", "id"))
    assert is_sheet(b"id!phone\n", ("phone", "id"), delimiter="!")
    assert not is_sheet(b"+7:1\n", ("phone", "id"))
    assert not is_sheet(b"", ("phone", "id"))
    assert lines_of("\ufeffa\r\nb\rc\nd\u2028d".encode()) == ["a", "b", "c", "d\u2028d"]


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "=cmd|' /C calc'!A0", "+cmd", "-1+cmd|x", "@SUM(1)", "\t=1", "\r1", " =1", "- text", "＝1", "'=1"],  # noqa: RUF001
)
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(cell: str) -> None:
    assert quoted(cell) == f"'{cell}"
    assert unquoted(quoted(cell)) == cell


@pytest.mark.parametrize(
    "cell", ["+79991234567", "+7 (999) 123-45-67", "-5", "-5,25", "+3.5", "-1e5", "", "a=1", "'", "'tis", "G5", "12"]
)
def test_phones_numbers_and_texts_are_not_quoted(cell: str) -> None:
    assert quoted(cell) == cell == unquoted(cell)


@given(CELLS)
def test_quoting_is_reversed_exactly(cell: str) -> None:
    assert unquoted(quoted(cell)) == cell


@given(st.lists(st.lists(CELLS, max_size=3), max_size=4), st.sampled_from(DIALECTS))
def test_what_was_written_is_read_back_and_written_again_byte_for_byte(rows: list[list[str]], dialect: Dialect) -> None:
    # Each row has a number, as in both files that are written.
    table = [["phone", "text", "id"], *(["1", *cells] for cells in rows)]
    content = in_dialect(dialect, table)
    sheet = read_sheet(content, KNOWN)
    assert sheet.dialect == dialect
    cut = [[*cells[:3], *(cells[3:] if any(cells[3:]) else [])] for cells in table[1:]]
    found = [cells for _, cells in sheet.rows]
    assert found == cut
    again = in_dialect(sheet.dialect, [sheet.columns, *found])
    assert again == in_dialect(dialect, [table[0], *cut])


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_the_files_are_those_of_csv(cells: list[str]) -> None:
    content = in_dialect(Dialect(), [["x", *cells]]).decode()
    (read,) = csv.reader(io.StringIO(content, newline=""), strict=True)
    assert list(map(unquoted, read)) == ["x", *cells]


def test_a_word_outside_the_encoding_of_the_file_is_escaped() -> None:
    assert in_dialect(Dialect("cp1251", ";"), [["Привет", "→"]]) == "Привет;".encode("cp1251") + b"\\u2192\n"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("7.99912E+10", "is shortened: a spreadsheet has written it like 7.99912E+10"),
        ("7,99912E+10", "is shortened"),
        (" 8E+10 ", "is shortened"),
        ("1.2e+12", "is shortened"),
        ("########", "is ###: the column was too narrow"),
        ("#NAME?", "is an error such as #NAME?: a spreadsheet took it for a formula"),
        ("#ИМЯ?", "is an error"),
        ("#ЗНАЧ!", "is an error"),
        ("Err:509", "is an error"),
    ],
)
def test_what_a_spreadsheet_destroyed_is_explained(cell: str, words: str) -> None:
    assert damage(cell, is_number=True).startswith(words)


@pytest.mark.parametrize("cell", ["7.99912E+10", "+79991234567", "#12345", "##", "", "E+10", "Hi ###"])
def test_texts_are_not_taken_for_damage(cell: str) -> None:
    assert damage(cell) == ""
