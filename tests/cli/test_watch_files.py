"""`watch` reads files as `send-file` does, says how to go on, and fails if a message was not delivered."""

import asyncio
import signal
from pathlib import Path

import pytest

from smsc_async import Client, MessageRef
from smsc_async._cli.watch import read_refs
from tests.cli.test_watch import Service, run, service  # noqa: F401 - a fixture
from tests.interrupts import interruptible  # noqa: F401 - a fixture

REPORT = b"""row,phone,id,result
2,+79161234567,7,delivered
3,79161234569,x,failed
4,79161234568,b,unresolved
5,79161234569,,skipped
6,,a,delivered
7,79161234569,z,planned
"""
ONE, TWO = MessageRef("+79161234567", "7"), MessageRef("79161234568", "b")


@pytest.mark.parametrize(
    "content",
    [
        b"phone,id\n+79161234567,7\n79161234568,b\n",
        "id;name;phone\n7;\u0418\u0432\u0430\u043d;+79161234567\nb;x;79161234568;;\n".encode("cp1251"),
        "Phone\tID\r\n+79161234567\t7\r\n79161234568\tb\r\n".encode("utf-16"),
        b"sep=;\r\nphone;id\r\n'+79161234567;7\r\n79161234568;b\r\n;\r\n",
        "name,phone,id\na\u2028b,+79161234567,7\n'=1+1,79161234568,b\n".encode(),
        b"+79161234567:7\r79161234568:b",
        b"'+79161234567:7\r\n\r\n79161234568:b\r\n",
        "+79161234567:7\n79161234568:b\n".encode("utf-16"),
        REPORT,
    ],
)
def test_a_file_is_read_however_it_was_written(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "refs.csv").write_bytes(content)
    encoding = "cp1251" if "\u0418\u0432".encode("cp1251") in content else None
    assert read_refs(tmp_path / "refs.csv", encoding=encoding) == [ONE, TWO]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (b"phone,id\n7.91612E+10,7\n", (), "row 2: phone is shortened: a spreadsheet has written it"),
        (b"phone,id\n+79161234567,1.2E+12\n", (), "row 2: id is shortened"),
        (b'phone,id\n"+79161234567,7\n', (), "line 2 of the CSV file can't be read: a quotation mark is not closed"),
        (b"phone,id\n1," + b"x" * 200_000, (), "line 2 of the CSV file can't be read: field larger than"),
        (b"phone!id\n1!7\n", ("--delimiter", "!"), "row 2: phone must be"),
        (b"phone,id\n", ("--delimiter", "!!"), "--delimiter must be one character"),
        (b"phone,id\n", ("--encoding", "none"), "--encoding must be the name of an encoding"),
        (b"PK\x03\x04", (), "this is a workbook, not a CSV file"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(
    tmp_path: Path, content: bytes, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "refs.csv").write_bytes(content)
    result = run(tmp_path / "refs.csv", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_an_undelivered_message_is_exit_code_1_in_this_run_and_the_next(
    service: Service,  # noqa: F811 - a fixture
    tmp_path: Path,
) -> None:
    async def send() -> list[str]:
        async with Client(apikey="demo", transport=service.sandbox.transport()) as client:
            return [str((await client.send(phone, "Hi")).ref) for phone in ("+79161234567", "+79000000020")]

    good, bad = asyncio.run(send())
    service.later()
    (tmp_path / "refs.csv").write_text(f"{good}\n{bad}\n")
    for _ in range(2):
        result = run(tmp_path / "refs.csv", "--state", tmp_path / "state")
        assert (result.exit_code, result.stderr) == (1, "1 message(s) not delivered\n")
    (tmp_path / "refs.csv").write_text(good)
    assert run(tmp_path / "refs.csv", "--state", tmp_path / "state").exit_code == 0


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("has_state", [True, False])
def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_state: bool) -> None:
    async def interrupted(*_: object, **__: object) -> int:
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr("smsc_async._cli.app.follow", interrupted)
    (tmp_path / "refs.csv").write_text("+79161234567:7")
    result = run(tmp_path / "refs.csv", *(("--state", tmp_path / "state") if has_state else ()))
    assert (result.exit_code, result.stdout) == (130, "")
    again = "run the same command again"
    other = "with --state FILE the same command would go on where it ended"
    assert result.stderr == f"interrupted; {again if has_state else other}\n"
