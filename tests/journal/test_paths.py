"""A journal's path is resolved once, is that of a plain file, and only the owner can read the file."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from smsc_async import Client, Journal, JournalError, Message
from smsc_async._cli.watch_state import WatchState
from smsc_async._private_file import make_private
from smsc_async.sandbox import Sandbox

MESSAGES = [Message("+79161234567", "Hi")]


def run(path: str | Path) -> int:
    """Run a job twice, and return how many messages the service has."""
    sandbox = Sandbox()

    async def main() -> None:
        async with Client(apikey="demo", transport=sandbox.transport()) as client:
            for _ in range(2):
                async with Journal(path) as journal:
                    await journal.plan(MESSAGES)
                    await journal.send(client)

    anyio.run(main)
    return len(sandbox.messages)


def opened(journal: Journal) -> None:
    """Open and close a journal."""

    async def main() -> None:
        async with journal:
            await journal.plan(MESSAGES)

    anyio.run(main)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "name", [":memory:", "file:x.db?mode=memory", "file::memory:?cache=shared", "x.db?mode=ro", "~"]
)
def test_a_name_that_means_something_to_sqlite_is_a_plain_file(name: str) -> None:
    assert run(name) == 1
    assert Path(name).is_file()
    for file in Path().iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_symbolic_link_is_followed_once(tmp_path: Path) -> None:
    Path("data").mkdir()
    Path("job.db").symlink_to(tmp_path / "data" / "real.db")
    assert run("job.db") == 1
    assert Path("job.db").is_symlink()
    assert {file.name for file in Path().iterdir()} == {"data", "job.db"}
    assert Journal("job.db").files == Journal(tmp_path / "data" / "real.db").files


def test_a_relative_path_stays_the_same_file_when_the_folder_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal("job.db")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    opened(journal)
    assert Path("../job.db").is_file()
    assert not Path("job.db").exists()


@pytest.mark.parametrize("name", ["", ".", "/", "a\0b", "\ud800", 5, None, b"job.db"])
def test_a_path_that_can_not_be_a_file_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"pass the path of a file, .* can't be one"):
        Journal(name)


def test_a_loop_of_symbolic_links_is_refused() -> None:
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    with pytest.raises(ValueError, match="can't be one"):
        Journal("a")


@pytest.mark.parametrize("name", ["job.db.lock", "job.db-journal", "job.db-wal", "job.db-shm"])
def test_a_name_of_a_file_beside_a_journal_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"must not end in \.lock, -journal, -wal, -shm"):
        Journal(name)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no FIFO and no such permission bits")
class TestOnPosix:
    """What is special about POSIX."""

    @pytest.mark.parametrize("name", ["job.db", "job.db.lock"])
    def test_a_pipe_or_a_device_is_refused(self, name: str) -> None:
        os.mkfifo(name)
        for path in ("job.db", os.devnull):
            with pytest.raises(JournalError, match="it is not a regular file"):
                opened(Journal(path))

    def test_a_file_that_others_can_read_is_protected(self) -> None:
        for _ in range(2):
            opened(Journal("job.db"))
            for name in ("job.db", "job.db.lock"):
                assert Path(name).stat().st_mode & 0o777 == 0o600
                Path(name).chmod(0o644)

    def test_a_file_that_can_not_be_protected_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("job.db").touch(mode=0o644)
        monkeypatch.setattr(Path, "chmod", lambda *_: None)
        with pytest.raises(JournalError, match="other users can read it, and this file system does not"):
            opened(Journal("job.db"))

    def test_the_states_of_watch_and_sandbox_are_protected_too(self) -> None:
        for name in ("watch", "sandbox"):
            Path(name).touch()
            Path(name).chmod(0o666)
        with WatchState(Path("watch")):
            Sandbox(state="sandbox")
            WatchState(Path(":memory:")).__exit__(None, None, None)
        for file in Path().iterdir():
            assert file.stat().st_mode & 0o077 == 0, file
        assert Path(":memory:").exists()

    def test_a_state_that_is_not_a_file_is_refused(self) -> None:
        os.mkfifo("pipe")
        with pytest.raises(JournalError, match=r"watch state .*pipe can't be opened \(it is not a regular file\)"):
            WatchState(Path("pipe"))
        with pytest.raises(ValueError, match="pass the path of a file"):
            WatchState(Path())
        with pytest.raises(ValueError, match="state can't be pipe: it is not a regular file"):
            Sandbox(state="pipe")
        with pytest.raises(ValueError, match="pass the path of a file"):
            Sandbox(state=".")


def test_protecting_a_file_does_not_end_the_locks_on_it(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    make_private(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as first:
        first.execute("BEGIN EXCLUSIVE")
        make_private(path)
        with closing(sqlite3.connect(path, timeout=0)) as second, pytest.raises(sqlite3.OperationalError):
            second.execute("SELECT 1 FROM sqlite_schema")
