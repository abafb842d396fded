"""No failure of printing hides what was done: it has its own exit code and one line on stderr."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smsc_async._cli import app as cli
from smsc_async._cli import terminal
from smsc_async._cli.terminal import UNPRINTED, _Careful, read_text, say, stderr_console
from smsc_async.sandbox import Sandbox
from tests.cli.test_send_file import PHONES, folder, sandbox, write  # noqa: F401 - fixtures

AGAIN = "run the same command again to continue"
PROGRAM = (sys.executable, "-W", "error", "-m", "smsc_async")
ROOT = Path(__file__).parent.parent.parent
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@contextmanager
def broken(kind: str) -> Iterator[int]:
    """Open a stream to which nothing can be written."""
    if kind == "full":
        number = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, number = os.pipe()
        os.close(reader)
    try:
        yield number
    finally:
        os.close(number)


def start(*arguments: str, stdout: int, stderr: int = subprocess.PIPE, **environment: str) -> tuple[int, str]:
    ran = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        timeout=60,
        check=False,
    )
    return ran.returncode, (ran.stderr or b"").decode()


@pytest.mark.slow
@needs_full
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("kind", "reason", "options"),
    [
        ("full", "No space left on device", ()),
        ("closed", "Broken pipe", ("--json",)),
        ("closed", "Broken pipe", ()),
    ],
)
def test_an_accepted_send_that_can_not_be_printed_is_no_failed_send(
    sandbox: Sandbox,  # noqa: F811 - a fixture
    kind: str,
    reason: str,
    options: tuple[str, ...],
) -> None:
    with broken(kind) as stdout:
        code, words = start("send", PHONES[0], "Hi", "--id", "o-1", *options, stdout=stdout)
    expected = f"the message was accepted (id o-1), but the result can't be printed: {reason}\n"
    assert (code, words) == (UNPRINTED, expected)
    assert len(sandbox.messages) == 1


@needs_full
@pytest.mark.usefixtures("sandbox")
def test_a_result_that_can_not_be_printed_has_its_own_exit_code() -> None:
    with broken("full") as stdout:
        assert start("balance", stdout=stdout) == (
            UNPRINTED,
            "the result can't be printed: No space left on device\n",
        )


@pytest.mark.slow
@needs_full
@pytest.mark.usefixtures("folder", "sandbox")
@pytest.mark.parametrize("kind", ["full", "closed"])
def test_a_broken_stderr_changes_no_exit_code(kind: str) -> None:
    write(f"{PHONES[0]},Hi", f"{PHONES[1]},Hi")
    job = ("send-file", "messages.csv", "--delay-per-request", "0.01", "--journal", "job.db")
    with broken(kind) as stream:
        assert start("send", PHONES[2], "Hi", stdout=stream, stderr=stream)[0] == UNPRINTED
        assert start(*job, stdout=subprocess.DEVNULL, stderr=stream)[0] == 0


@pytest.mark.slow
@needs_full
@pytest.mark.usefixtures("folder")
def test_a_job_that_was_sent_says_so_if_its_result_or_its_report_can_not_be_written(
    sandbox: Sandbox,  # noqa: F811 - a fixture
) -> None:
    write(f"{PHONES[0]},Hi")
    job = ("send-file", "messages.csv", "--journal", "job.db", "--delay-per-request", "0.01")
    with broken("full") as stdout:
        code, words = start(*job, stdout=stdout)
    assert (code, words.splitlines()[-1]) == (
        UNPRINTED,
        "the job is done, but the result can't be printed: No space left on device",
    )
    code, words = start(*job, "--report", "/dev/full", stdout=subprocess.DEVNULL)
    assert (code, words.splitlines()[-1]) == (
        UNPRINTED,
        "the report is missing: can't write /dev/full: No space left on device; run the same command again to continue",
    )
    assert len(sandbox.messages) == 1


@pytest.mark.slow
@needs_full
@pytest.mark.usefixtures("folder", "sandbox")
def test_an_update_that_can_not_be_printed_is_printed_by_the_next_run() -> None:
    assert start("send", PHONES[0], "Hi", "--id", "7", stdout=subprocess.DEVNULL)[0] == 0
    Path("refs.csv").write_text(f"{PHONES[0]}:7", encoding="utf-8")
    watch = ("watch", "refs.csv", "--state", "state", "--delay-per-request", "0.01")
    with broken("closed") as stdout:
        assert start(*watch, stdout=stdout) == (
            UNPRINTED,
            "the watch stops, because an update can't be printed; run the same command again: Broken pipe\n",
        )
    result = CliRunner().invoke(cli.app, [*watch])
    assert (result.exit_code, result.stdout) == (0, f"{PHONES[0]}:7\t1 delivered\n")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "encoding", ["cp1251", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ascii", "utf-8"))]
)
def test_what_the_console_can_not_show_is_escaped(encoding: str) -> None:
    with Path("out.txt").open("wb") as stdout:
        assert start("parts", "Привет ✓", stdout=stdout.fileno(), PYTHONIOENCODING=encoding) == (0, "")
    shown = Path("out.txt").read_bytes().decode(encoding).splitlines()
    word = ascii("Привет")[1:-1] if encoding == "ascii" else "Привет"
    assert shown[1] == f"  1 {word} {'✓' if encoding == 'utf-8' else ascii('✓')[1:-1]}"


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_help_is_shown_on_every_console() -> None:
    with Path("out.txt").open("wb") as stdout:
        assert start("send", "--help", stdout=stdout.fileno(), PYTHONIOENCODING="ascii") == (0, "")
    assert "--allow-http" in Path("out.txt").read_text(encoding="ascii")


def start_without(number: int, *arguments: str) -> tuple[int, str, str]:
    """Run the command without a standard stream, as `>&-` does in a shell."""
    ran = subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", "-c", f'exec "$@" {number}{"<" if number == 0 else ">"}&-', "sh", *PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_send_without_stdout_says_on_stderr_what_was_accepted(
    sandbox: Sandbox,  # noqa: F811 - a fixture
) -> None:
    code, _, words = start_without(1, "send", PHONES[0], "Hi", "--id", "o-1")
    expected = "the message was accepted (id o-1), but the result can't be printed: stdout is closed\n"
    assert (code, words) == (UNPRINTED, expected)
    assert len(sandbox.messages) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("folder", "sandbox")
def test_a_job_runs_without_stderr() -> None:
    write(f"{PHONES[0]},Hi")
    job = ("send-file", "messages.csv", "--journal", "job.db", "--delay-per-request", "0.01")
    assert start_without(2, *job)[0] == 0
    assert Path("job.db").read_bytes().startswith(b"SQLite")


@pytest.mark.slow
@pytest.mark.usefixtures("folder", "sandbox")
@pytest.mark.parametrize(
    "arguments", [("send", PHONES[0], "--text", "-"), ("watch", "-"), ("send-file", "-", "--journal", "job.db")]
)
def test_without_stdin_nothing_is_read_from_it(arguments: tuple[str, ...]) -> None:
    assert start_without(0, *arguments) == (2, "", "can't read stdin: it is closed\n")


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_report_to_a_stream_that_is_closed_is_refused_before_anything_is_sent(
    sandbox: Sandbox,  # noqa: F811 - a fixture
) -> None:
    write(f"{PHONES[0]},Hi")
    job = ("send-file", "messages.csv", "--journal", "job.db", "--report")
    for number, path in ((1, "/dev/stdout"), (7, "/dev/fd/7")):
        words = f"--report: can't write {path}: Bad file descriptor\n"
        assert start_without(number, *job, path) == (2, "", words)
    assert not sandbox.messages


@pytest.mark.slow
@needs_full
def test_the_tables_of_a_demonstration_that_can_not_be_printed_are_no_traceback() -> None:
    with broken("full") as stdout:
        code, words = start("demo", "--messages", "2", stdout=stdout)
    assert (code, words.splitlines()[-1]) == (UNPRINTED, "the result can't be printed: No space left on device")


def test_closed_streams_are_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    with pytest.raises(Exception, match=str(UNPRINTED)):
        terminal.show("lost")
    assert capsys.readouterr().err == "the result can't be printed: I/O operation on closed file\n"
    monkeypatch.setattr(sys, "stderr", closed)
    say("lost")
    console = stderr_console()
    console.print("lost")
    assert _Careful(io.StringIO()).isatty() is False


def test_a_progress_that_can_not_be_shown_ends_nothing() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    careful = _Careful(Full())
    assert careful.write("lost") == 4
    careful.flush()


def test_a_text_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    for content, text in ((b"a\nb\n", "a\nb"), (b"a\r\n", "a"), ("\ufeffП".encode(), "П"), (b"a\n\n", "a\n")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert read_text("-") == text
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"a\n")))
    assert read_text("-") == "a"
    assert capsys.readouterr().err == "type the text, and end it with Ctrl-D on a new line:\n"
    assert read_text("--") == "--"
    for wrong, words in ((b"\xff", r"stdin is not UTF-8 \(byte 0\)"), (b"\n", "no text on stdin"), (b"", "no text on")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(wrong)))
        with pytest.raises(ValueError, match=words):
            read_text("-")
