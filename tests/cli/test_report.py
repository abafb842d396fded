"""The files of `send-file`: each has one purpose, and pipes, devices and links are written to, not replaced."""

import os
import subprocess
import threading
from functools import partialmethod
from pathlib import Path

import pytest

from smsc_async import Journal
from smsc_async._cli.report import check_files, write_csv
from smsc_async.sandbox import Sandbox
from tests.cli.test_send_file import PHONES, PROGRAM, folder, sandbox, send_file, sent, write  # noqa: F401 - fixtures

ROWS = [["a"], ["1"]]


@pytest.mark.usefixtures("folder", "sandbox")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--report", "messages.csv"), "MESSAGES and --report are the same file"),
        (("--skip-bad", "./messages.csv"), "MESSAGES and --skip-bad are the same file"),
        (("--report", "out.csv", "--skip-bad", "link.csv"), "--report and --skip-bad are the same file"),
        (("--report", "hard.csv"), "MESSAGES and --report are the same file"),
        (("--report", "job.db"), "--report and --journal (job.db) are the same file"),
        (("--skip-bad", "job.db.lock"), "--skip-bad and --journal (job.db.lock) are the same file"),
        (("--report", "job.db-journal"), "--report and --journal (job.db-journal) are the same file"),
        (("--report", "."), "pass the path of a file, '.' can't be one: it is a folder"),
        (("--report", "missing/out.csv"), "--report: can't write missing/out.csv: No such file or directory"),
        (("--report", "dangling.csv"), "--report: can't write dangling.csv: No such file or directory"),
        (("--skip-bad", "x" * 300), "can't be one: File name too long"),
        (("--journal", "x" * 300), "can't be one: File name too long"),
        (("--json", "--report", "/dev/stdout"), "--json and --report are the same file"),
    ],
)
def test_one_file_for_two_purposes_is_refused_and_left_alone(arguments: tuple[str, ...], words: str) -> None:
    write(f"{PHONES[0]},Hi")
    Path("hard.csv").hardlink_to("messages.csv")
    Path("link.csv").symlink_to("out.csv")
    Path("dangling.csv").symlink_to("missing/out.csv")
    content = Path("messages.csv").read_bytes()
    result = send_file(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert Path("messages.csv").read_bytes() == content
    assert not Path("job.db").exists()


def test_the_null_device_may_be_used_for_several_purposes() -> None:
    check_files({"--report": Path(os.devnull), "--skip-bad": Path(os.devnull), "other": None}, {"--report"})


@pytest.mark.usefixtures("folder")
def test_a_journal_that_is_the_input_is_refused(sandbox: Sandbox) -> None:  # noqa: F811 - a fixture
    write(f"{PHONES[0]},Hi")
    content = Path("messages.csv").read_bytes()
    result = send_file("--journal", "messages.csv")
    assert (result.exit_code, Path("messages.csv").read_bytes()) == (2, content)
    assert "MESSAGES and --journal (messages.csv) are the same file" in result.stderr
    assert not sandbox.messages


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout here")
@pytest.mark.parametrize("to_file", [False, True])
def test_a_report_on_stdout_comes_before_the_summary(folder: Path, *, to_file: bool) -> None:  # noqa: F811 - a fixture
    write(f"{PHONES[0]},Hi")
    command = [*PROGRAM, "messages.csv", "--journal", "job.db", "--report", "/dev/stdout", "--no-follow"]
    with (folder / "all.txt").open("wb") as file:
        ran = subprocess.run(  # noqa: S603 - our own program
            command, stdout=file if to_file else subprocess.PIPE, timeout=60, check=True, stderr=subprocess.PIPE
        )
    lines = ((folder / "all.txt").read_bytes() if to_file else ran.stdout).decode().splitlines()
    assert lines[0].startswith("row,phone,id,result")
    assert lines[1].startswith(f"2,{PHONES[0]},")
    assert lines[2:] == ["accepted   1", "cost       4.5"]
    assert Path("/dev/stdout").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no FIFO")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text(encoding="utf-8")))
    reader.start()
    writer = (tmp_path / "pipe").open("wb")  # waits until the pipe is read
    write_csv(tmp_path / "pipe", ROWS)
    writer.close()
    reader.join(20)
    assert read == ["a\n1\n"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("out.csv")
    for _ in range(2):
        write_csv(tmp_path / "link.csv", ROWS)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "a\n1\n"


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd here")
@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_an_open_file_is_continued(tmp_path: Path, name: str) -> None:
    with (tmp_path / "out.csv").open("wb", buffering=0) as file:
        file.write(b"before\n")
        write_csv(Path(name.format(file.fileno())), ROWS)
        file.write(b"after\n")
    assert (tmp_path / "out.csv").read_bytes() == b"before\na\n1\nafter\n"


@pytest.mark.usefixtures("sandbox")
@pytest.mark.skipif(not Path("/dev/stderr").exists(), reason="no /dev/stderr here")
def test_a_report_on_stderr_is_printed_among_the_messages(folder: Path) -> None:  # noqa: F811 - a fixture
    write(f"{PHONES[0]},Hi")
    command = [*PROGRAM, "messages.csv", "--journal", "job.db", "--report", "/dev/stderr", "--no-follow"]
    with (folder / "errors.txt").open("wb") as file:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=file, timeout=60, check=True)  # noqa: S603 - our own program
    lines = (folder / "errors.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "a new job: 1 messages are planned in job.db"
    assert lines[-2].startswith("row,phone,id,result")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no FIFO")
def test_a_pipe_that_no_process_reads_is_an_error_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"can't write .*pipe: no process reads it"):
        write_csv(tmp_path / "pipe", ROWS)


@pytest.mark.usefixtures("folder")
def test_a_job_that_can_not_be_proved_needs_trust_journal(
    sandbox: Sandbox,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Journal, "guards", partialmethod(Journal.guards, late_arrival=0))
    write("89161234567,Hi")
    assert send_file("--max-cost", "0").exit_code == 1
    refused = send_file()
    assert refused.exit_code == 1
    assert "an existing job: asking the service which of 1 planned messages it has" in refused.stderr
    assert "continue with trust=True (--trust-journal)" in refused.stderr
    assert not sandbox.messages
    assert send_file("--trust-journal").exit_code == 0
    assert sent(sandbox) == {"Hi": 1}


@pytest.mark.usefixtures("folder")
def test_erase_removes_phones_and_texts_and_a_rerun_sends_nothing(sandbox: Sandbox) -> None:  # noqa: F811 - a fixture
    write(f"{PHONES[0]},Secret", f"{PHONES[1]},Secret")
    assert send_file("--erase", "30", "--report", "out.csv").exit_code == 0
    assert PHONES[0] in Path("out.csv").read_text(encoding="utf-8")
    for _ in range(2):
        result = send_file("--erase", "0", "--report", "out.csv")
        assert (result.exit_code, result.stdout) == (0, "final      2\ncost       9\n")
    for file in ("out.csv", "job.db"):
        assert PHONES[0].encode() not in Path(file).read_bytes()
        assert b"Secret" not in Path(file).read_bytes()
    assert len(sandbox.messages) == 2
    assert send_file("--erase", "-1").exit_code == 2


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout here")
def test_stdout_is_written_to_by_either_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(Path("/dev/stdout"), ROWS)
    assert capfd.readouterr().out == "a\n1\n"
    before = os.dup(1)
    with (tmp_path / "out.csv").open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        try:
            write_csv(tmp_path / "out.csv", ROWS)
            os.write(1, b"after\n")
        finally:
            os.dup2(before, 1)
            os.close(before)
    assert (tmp_path / "out.csv").read_bytes() == b"a\n1\nafter\n"
