"""Files as the programs of users write them are sent by `send-file` as they are."""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smsc_async._cli import app as cli
from smsc_async.sandbox import Sandbox
from tests.cli.test_send_file import folder, sandbox, send_file  # noqa: F401 - fixtures

ROWS = [
    ["phone", "text", "id"],
    ["+79161234501", 'Привет, "мир"; да', "o-1"],
    ["79161234502", "две\nлинии", "o-2"],
    ["+79161234503", "= скидка 5 %", ""],
]
SENT = {("79161234501", 'Привет, "мир"; да'), ("79161234502", "две\nлинии"), ("79161234503", "= скидка 5 %")}


def written(rows: Iterable[Sequence[object]], encoding: str = "utf-8", **form: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, **form).writerows(rows)  # type: ignore[arg-type]  # the delimiter
    return text.getvalue().encode(encoding)


FILES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    # `csv.writer` over the rows of an openpyxl sheet: a cell with digits is an int, an empty one is None.
    "openpyxl": (
        written([ROWS[0], ROWS[1], [79161234502, "две\nлинии", "o-2"], [79161234503, "= скидка 5 %", None]]),
        (),
    ),
    # `DataFrame.to_csv(index=False)`: a column of numbers in which one was missing became one of floats.
    "pandas": (
        b"phone,text\n79161234501.0,"
        + '"Привет, ""мир""; да"\n79161234502.0,"две\nлинии"\n79161234503.0,= скидка 5 %\n'.encode(),
        (),
    ),
    # Excel in Russian, "CSV (delimiters)": semicolons, Windows-1251; unused columns leave empty cells.
    "excel-cp1251": (
        written([[*row, "", ""] for row in [*ROWS, ["", "", ""]]], "cp1251", delimiter=";"),
        ("--encoding", "cp1251"),
    ),
    # Excel in Russian, "CSV UTF-8": a byte order mark and semicolons.
    "excel-utf-8": (codecs.BOM_UTF8 + written(ROWS, delimiter=";"), ()),
    # Excel, "Unicode text": UTF-16 with a mark, tabs.
    "excel-unicode-text": (codecs.BOM_UTF16_LE + written(ROWS, "utf-16-le", delimiter="\t"), ()),
    # Excel for Mac of some years ago, "CSV (Macintosh)": lone carriage returns.
    "excel-mac": (
        written(ROWS, "mac-cyrillic", delimiter=";").replace(b"\r\n", b"\r"),
        ("--encoding", "mac-cyrillic"),
    ),
    # Programs that write files for Excel name the delimiter in a line of its own, and phones as formulas.
    "for-excel": (
        b"sep=;\r\n" + written([ROWS[0], *([f'="{phone}"', *rest] for phone, *rest in ROWS[1:])], delimiter=";"),
        (),
    ),
    # LibreOffice 7.4, `soffice --convert-to csv:"Text - txt - csv (StarCalc)":59,34,34`: semicolons, Windows-1251.
    "libreoffice-cp1251": (
        'phone;text;id\n+79161234501;"Привет, ""мир""; да";o-1\n79161234502;"две\nлинии";o-2\n'
        "79161234503;= скидка 5 %;\n".encode("cp1251"),
        ("--encoding", "cp1251", "--delimiter", ";"),
    ),
    # LibreOffice 7.4, `...:9,34,65535`: UTF-16 with a mark, tabs.
    "libreoffice-utf-16": (
        codecs.BOM_UTF16_LE
        + 'phone\ttext\tid\n+79161234501\t"Привет, ""мир""; да"\to-1\n79161234502\t"две\nлинии"\to-2\n'
        "79161234503\t= скидка 5 %\t\n".encode("utf-16-le"),
        ("--delimiter", "tab"),
    ),
    # An export of a customer database: phones as people typed them, and quoted against formulas.
    "customers": (
        written(
            [
                ["Phone", "Text"],
                ["8 (916) 123-45-01", 'Привет, "мир"; да'],
                ["'+7\u00a0916\u00a0123\u201145\u201102", "две\nлинии"],
                ["007 916 123 45 03", "'= скидка 5 %"],
            ]
        ),
        ("--region", "ru"),
    ),
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name != "openpyxl" else name for name in FILES]
)
def test_a_file_of_another_program_is_sent_as_it_is(sandbox: Sandbox, name: str) -> None:  # noqa: F811 - a fixture
    content, arguments = FILES[name]
    Path("messages.csv").write_bytes(content)
    result = send_file("--no-follow", "--report", "report.csv", *arguments)
    assert result.exit_code == 0, result.output
    assert {(message.phone.lstrip("+"), message.text) for message in sandbox.messages} == SENT
    assert send_file("--no-follow", *arguments).exit_code == 0  # the same job
    assert len(sandbox.messages) == len(SENT)
    again = CliRunner().invoke(cli.app, ["watch", "report.csv", "--delay-per-request", "0.01"])
    assert (again.exit_code, len(again.stdout.splitlines())) == (0, 3), again.output


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (
            written([["phone", "text"], ["7.91612E+10", "a"]]),
            (),
            "row 2: phone is shortened: a spreadsheet",
        ),
        (written([["phone", "text"], ["7,91612E+10", "a"]], delimiter=";"), ("--region", "RU"), "phone is shortened"),
        (written([["phone", "text"], ["########", "a"]]), (), "row 2: phone is ###: the column was too narrow"),
        (written([["phone", "text"], ["+79161234501", "#ИМЯ?"]]), (), "row 2: text is an error such as #NAME?"),
        (written([["phone", "text", "id"], ["+79161234501", "a", "1.2E+12"]]), (), "row 2: id is shortened"),
        (written([["phone", "text"], ["8 916 123-45-01", "a"]]), (), "Phone.parse (--region) reads other spellings"),
        (written([["phone", "text"], ["112", "a"]]), ("--region", "RU"), "row 2: this is no valid phone number in RU"),
        (written([["phone", "text"], ["+79161234501", "a"]]), ("--region", "Q"), "region must be 'RU' or another"),
        (written([["phone", "text"], ["+79161234501", "é"]], "latin-1"), (), "--encoding cp1251"),
        (written([["phone", "text"], ["+79161234501", "a"]]), ("--encoding", "x-1"), "--encoding must be the name"),
        (written([["phone", "text"], ["+79161234501", "a"]]), ("--delimiter", "ab"), "--delimiter must be one charac"),
        (
            written([["phone", "text"], ["+79161234501", "a"]]),
            ("--delimiter", ";"),
            "must be a header with",
        ),
        (
            written([["", "phone", "text"], ["0", "+79161234501", "a"]]),
            (),
            "column 1 of the CSV file has no name",
        ),
        (written([["+79161234501", "a"]]), (), "must be a header with the columns phone and text"),
        (
            written([["row", "phone", "id", "result"]]),
            (),
            "this is a report, which has no texts; `smsc",
        ),
        (b"PK\x03\x04", (), "this is a workbook, not a CSV file"),
    ],
)
def test_a_file_that_can_not_be_sent_says_what_its_program_did(
    sandbox: Sandbox,  # noqa: F811 - a fixture
    content: bytes,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    Path("messages.csv").write_bytes(content)
    result = send_file(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "7916123" not in result.stderr
    assert not sandbox.messages


BAD = [
    ["phone", "text", "id"],
    ["+79161234501", "fine", ""],
    ["abc", "=cmd|' /C calc'!A0", "b-1"],
    ["+79161234503", "with", "a", "comma", "=1+1"],
    ["+79161234504"],
    ["-5", "'quoted\r\nin two\u2028lines\rand more", ""],
    ["+7 916", "-1+1", "@id"],
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("encoding", "delimiter", "arguments"),
    [("utf-8", ",", ()), ("utf-8-sig", ";", ()), ("utf-16", "\t", ()), ("koi8-r", ";", ("--encoding", "koi8-r"))],
)
def test_bad_rows_keep_all_cells_and_can_be_corrected_in_place(
    sandbox: Sandbox,  # noqa: F811 - a fixture
    encoding: str,
    delimiter: str,
    arguments: tuple[str, ...],
) -> None:
    rows = [[cell.replace("\u2028", "") for cell in row] for row in BAD] if encoding == "koi8-r" else BAD
    Path("messages.csv").write_bytes(written(rows, encoding, delimiter=delimiter))
    result = send_file("--skip-bad", "bad.csv", "--report", "report.csv", "--no-follow", *arguments)
    assert result.exit_code == 0, result.output
    bad = Path("bad.csv").read_bytes()
    found = list(csv.reader(io.StringIO(bad.decode(encoding), newline=""), delimiter=delimiter, strict=True))
    assert found[0] == ["row", "reason", "phone", "text", "id"]
    assert [row[0] for row in found[1:]] == ["3", "4", "5", "6", "7"]
    quoted = [[f"'{cell}" if cell[0:1] in {"=", "@"} or cell == "-1+1" else cell for cell in row] for row in rows[2:]]
    assert [row[2:] for row in found[1:]] == quoted
    # Given back as it is, each row is bad for the same reason, and has the number of the first file.
    again = ["send-file", "bad.csv", "--journal", "other.db", "--skip-bad", "bad-2.csv", *arguments]
    assert CliRunner().invoke(cli.app, again).stderr == "no row of the CSV file can be sent\n"
    assert Path("bad-2.csv").read_bytes() == bad
    # Corrected, it is sent, and its texts are those of the first file.
    found[1][2], found[4][2] = "+79161234505", "+79161234506"
    Path("bad.csv").write_bytes(written(found[:2] + found[4:5], encoding, delimiter=delimiter))
    result = CliRunner().invoke(cli.app, [*again[:4], "--no-follow", *arguments])
    assert result.exit_code == 0, result.output
    assert [message.text for message in sandbox.messages] == ["fine", rows[2][1], rows[5][1]]
    report = Path("report.csv").read_bytes().decode(encoding)
    assert report.splitlines()[0].split(delimiter)[:4] == ["row", "phone", "id", "result"]


@pytest.mark.usefixtures("folder")
def test_messages_are_read_from_stdin(sandbox: Sandbox) -> None:  # noqa: F811 - a fixture
    arguments = ["send-file", "-", "--journal", "job.db", "--no-follow"]
    result = CliRunner().invoke(cli.app, arguments, input=FILES["excel-utf-8"][0])
    assert result.exit_code == 0, result.output
    assert len(sandbox.messages) == 3


@pytest.mark.usefixtures("folder", "sandbox")
def test_refused_rows_are_named_with_the_reason() -> None:
    refused = [[f"7900000900{code}", text] for text in "abcd" for code in (6, 7, 8)]
    rows = [["phone", "text"], ["+79161234501", "a"], *refused]
    Path("messages.csv").write_bytes(written(rows))
    result = send_file("--single", "--no-follow")
    assert result.exit_code == 1
    shown = result.stderr.splitlines()
    assert shown[-2:] == ["and 2 more", "12 refused"]
    assert shown[-12:-9] == [
        "refused row 3 (error 6, forbidden text or sender)",
        "refused row 4 (error 7, wrong number)",
        "refused row 5 (error 8, undeliverable)",
    ]
    assert send_file("--single", "--no-follow", "--json").stderr == "12 refused\n"
