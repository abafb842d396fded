"""A journal whose log has lost committed transactions is refused; one that a crash left incomplete is not."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from smsc_async import JournalError
from smsc_async._journal.file import connect
from smsc_async._journal.store import JournalStore
from smsc_async._journal.wal import has_lost_commits

FRAME = 24 + 4096
ROUNDS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal as a killed process leaves it: its last transactions are only in the log."""
    tmp_path.joinpath("left").mkdir()
    with closing(JournalStore(tmp_path / "job.db")) as store:
        for number in range(ROUNDS):
            store.put("round", str(number))
        for file in tmp_path.glob("job.db*"):
            shutil.copy(file, tmp_path / "left")
    return tmp_path / "left" / "job.db"


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def corrupted(log: bytes, at: int) -> bytes:
    return log[:at] + bytes(byte ^ 0x55 for byte in log[at : at + 16]) + log[at + 16 :]


def last_round(path: Path) -> str | None:
    with closing(JournalStore(path)) as store:
        return store.get("round")


def test_an_intact_log_is_read_to_its_end(path: Path) -> None:
    assert not has_lost_commits(log_of(path).read_bytes())
    assert last_round(path) == str(ROUNDS - 1)


@pytest.mark.parametrize("frame", range(ROUNDS - 2))
@pytest.mark.parametrize("offset", [0, 12, 20, 2000])
def test_corruption_before_the_last_transactions_is_reported(path: Path, frame: int, offset: int) -> None:
    log = log_of(path)
    log.write_bytes(corrupted(log.read_bytes(), 32 + frame * FRAME + offset))
    assert has_lost_commits(log.read_bytes())
    with pytest.raises(JournalError, match="is damaged: its -wal file is corrupted"):
        connect(path)


@pytest.mark.parametrize("at", [0, 10, 16, 28])
def test_a_corrupted_header_is_reported(path: Path, at: int) -> None:
    assert has_lost_commits(corrupted(log_of(path).read_bytes(), at))


@pytest.mark.parametrize("cut", [1, 20, 24, 3000, FRAME, FRAME + 1, 3 * FRAME])
def test_a_truncated_log_counts_as_the_result_of_a_crash(path: Path, cut: int) -> None:
    log = log_of(path).read_bytes()
    assert not has_lost_commits(log[:-cut])
    assert not has_lost_commits(log[:-FRAME] + log[-FRAME : -FRAME + 24] + bytes(4096)), "a page that was not written"
    assert not has_lost_commits(log[:10])
    assert not has_lost_commits(bytes(64))


def test_frames_of_an_earlier_log_are_ignored(path: Path) -> None:
    log = log_of(path).read_bytes()
    older = log[32:].replace(log[16:24], bytes(8))
    assert not has_lost_commits(log + older)


def test_a_missing_log_is_reported(path: Path) -> None:
    log_of(path).unlink()
    with pytest.raises(JournalError, match="is damaged: its -wal file is missing"):
        connect(path)


def test_a_journal_that_was_closed_needs_no_log(path: Path) -> None:
    assert last_round(path) == str(ROUNDS - 1)
    assert not log_of(path).exists()
    assert last_round(path) == str(ROUNDS - 1)
