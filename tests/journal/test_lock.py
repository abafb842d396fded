"""One process uses a journal at a time, and stops if another program replaces, moves or changes its files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smsc_async import Journal, JournalError, JournalInUse, Outcome
from smsc_async._journal.lock import JournalLock, LockRecord
from smsc_async._journal.rows import ChunkPlan, RowPlan
from smsc_async._journal.store import JournalStore

NOW = datetime.now(UTC)
NEVER = LockRecord().at
OPEN = (
    "import sys; from pathlib import Path; from smsc_async._journal.store import JournalStore;"
    "JournalStore(Path(sys.argv[1])); print('open', flush=True); input()"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "job.db"
    with closing(JournalStore(path)) as store:
        plan(store)
    return path


def plan(store: JournalStore) -> None:
    store.plan("me", [ChunkPlan("{}", f"id{n}", True, True, (RowPlan(n, f"+7916{n:07}"),)) for n in range(1, 5)], [])


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def away(path: Path) -> None:
    """Move a file to another name."""
    path.rename(path.with_name("elsewhere"))


def replaced(path: Path) -> None:
    """Replace a file by a copy of itself."""
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def overwritten(path: Path) -> None:
    """Write a file's own content into it again."""
    path.write_bytes(path.read_bytes())


@pytest.mark.parametrize("change", [Path.unlink, away, replaced, overwritten], ids=lambda each: each.__name__)
def test_a_journal_changed_by_another_program_stops_the_job(path: Path, change: Callable[[Path], None]) -> None:
    with closing(JournalStore(path)) as store:
        store.attempt(1, NOW)
        change(path)
        with pytest.raises(JournalError, match="another program has changed, moved or removed the journal"):
            store.attempt(2, NOW)


@pytest.mark.parametrize("change", [Path.unlink, away, replaced], ids=lambda each: each.__name__)
def test_a_lock_file_changed_by_another_program_stops_the_job(path: Path, change: Callable[[Path], None]) -> None:
    with closing(JournalStore(path)) as store:
        store.attempt(1, NOW)
        change(lock_of(path))
        with pytest.raises(JournalError, match=r"or its \.lock file while it was in use"):
            store.attempt(2, NOW)


def test_a_folder_that_is_moved_stops_the_job(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    with closing(JournalStore(folder / "job.db")) as store:
        plan(store)
        folder.rename(tmp_path / "old")
        with pytest.raises(JournalError, match="moved"):
            store.attempt(1, NOW)


@pytest.mark.parametrize("change", [Path.unlink, away], ids=lambda each: each.__name__)
def test_a_second_start_is_refused_although_the_file_is_gone(path: Path, change: Callable[[Path], None]) -> None:
    with closing(JournalStore(path)):
        change(path)
        with pytest.raises(JournalInUse, match="another process is using the journal"):
            JournalStore(path)
    assert not path.exists()


def test_a_process_that_uses_the_journal_refuses_others_until_it_is_killed(path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        path.unlink()
        with pytest.raises(JournalInUse):
            JournalStore(path)
        process.kill()
        process.wait()
    JournalStore(path).close()


def test_a_second_journal_of_this_process_does_not_end_the_lock_of_the_first(path: Path) -> None:
    with closing(JournalStore(path)):
        for _ in range(2):
            with pytest.raises(JournalInUse):
                JournalStore(path)
        ran = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=False)  # noqa: S603 - our own code
        assert "JournalInUse" in ran.stderr


def test_a_lock_file_removed_before_it_is_locked_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open
    times = iter([lock_of(path).unlink, lambda: replaced(lock_of(path))])

    def slow(name: Path, flags: int, *mode: int) -> int:
        file = opened(name, flags, *mode)
        if name == lock_of(path) and not flags & os.O_CREAT:
            next(times, lambda: None)()
        return file

    monkeypatch.setattr(os, "open", slow)
    with closing(JournalLock(path)) as lock:
        lock.mark()
        lock.check()
    assert next(times, None) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"[1]",
        b'{"job": 1, "furthest": 2, "backlog": 0.5}',
        b'{"backlog": NaN}',
        b'{"at": 7}',
        b'{"at": ["a", 1.0]}',
        b'{"at": ["a", 1.0, "x"]}',
        b'{"at": ["a", Infinity, 1.0]}',
        b'{"unknown_until": 0.5}',
        b'{"job": "a"',
        b"\0" * 256,
        b"7",
    ],
)
def test_a_damaged_record_is_an_empty_one(path: Path, content: bytes) -> None:
    lock_of(path).write_bytes(content)
    with closing(JournalLock(path)) as lock:
        assert replace(lock.record, at=NEVER) == LockRecord()
        lock.update(job="a", furthest=3)
    with closing(JournalLock(path)) as lock:
        assert replace(lock.record, at=NEVER) == LockRecord("a", 3, 0.0)


def test_the_furthest_attempt_is_recorded_before_the_request_leaves(path: Path) -> None:
    copy = path.read_bytes()
    with closing(JournalStore(path)) as store:
        assert store.furthest() == 0
        store.attempt(3, NOW)
        store.attempt(1, NOW)
        assert store.furthest() == 3
    path.write_bytes(copy)
    with closing(JournalStore(path)) as store:
        assert store.furthest() == 3
        assert lock_of(path).stat().st_mode & 0o077 == 0
    lock_of(path).write_bytes(b"")
    with closing(JournalStore(path)) as store:
        assert store.furthest() == 0
        store.attempt(2, NOW)
    with closing(JournalStore(path)) as store:
        assert store.furthest() == 2


def test_the_record_of_another_job_does_not_count(path: Path) -> None:
    with closing(JournalStore(path)) as store:
        store.attempt(3, NOW)
    other = path.with_name("other.db")
    with closing(JournalStore(other)) as store:
        plan(store)
    shutil.copy(other, path)
    with closing(JournalStore(path)) as store:
        assert store.furthest() == 0
        store.attempt(1, NOW)
        assert store.furthest() == 1


def test_a_deleted_journal_is_a_new_job_and_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.unlink()
    with closing(JournalStore(path)) as store:
        plan(store)
    assert [record.getMessage() for record in caplog.records] == [
        f"the journal {path} contained a job, but the file is gone: a new job begins"
    ]


@pytest.mark.parametrize("size", [0, 1])
def test_an_emptied_journal_is_not_a_new_job(path: Path, size: int) -> None:
    if size:  # a copy from before the job was planned
        other = path.with_name("other.db")
        JournalStore(other).close()
        shutil.copy(other, path)
    else:
        os.truncate(path, 0)
    for _ in range(2):
        with pytest.raises(JournalError, match="it has no job, although one may have been planned in it"):
            JournalStore(path)


def test_a_lock_that_can_not_be_taken_for_another_reason_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("smsc_async._journal.lock._lock", fail)
    with pytest.raises(JournalError, match="can't be opened \\(Function not implemented\\)"):
        JournalStore(path)


def test_a_full_disk_stops_the_job_before_the_request_leaves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with closing(JournalStore(path)) as store:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(JournalError, match="the disk is full; nothing more is sent"):
            store.attempt(1, NOW)
        monkeypatch.undo()
        assert store.chunk(1).attempted_at is None


def test_a_log_of_another_kind_beside_the_file_is_refused(path: Path) -> None:
    path.with_name("job.db-wal").write_bytes(b"x")
    with pytest.raises(
        JournalError,
        match=r"job\.db-wal beside the journal .* belongs to another database; nothing was sent: move it",
    ):
        JournalStore(path)


@pytest.mark.parametrize("size", [0, 1])
def test_an_emptied_journal_without_its_lock_file_is_not_a_new_job(path: Path, size: int) -> None:
    if size:
        path.unlink()
        JournalStore(path).close()
    else:
        os.truncate(path, 0)
    lock_of(path).unlink()
    for _ in range(2):
        with pytest.raises(JournalError, match=r"it has no job, .* if none was, delete it and start again"):
            JournalStore(path)
    assert not lock_of(path).exists()


def test_unresolved_sends_of_other_programs_can_be_read_without_the_lock_file(path: Path) -> None:
    new = path.with_name("new.db")
    with closing(JournalStore(new)) as store:
        store.keep_unresolved("{}")
    lock_of(new).unlink()
    with closing(JournalStore(new)) as store:
        assert len(store.unresolved_sends()) == 1
        with pytest.raises(JournalError, match="it has no job"):
            plan(store)


def test_a_file_replaced_during_a_transaction_is_detected(path: Path) -> None:
    with closing(JournalStore(path)) as store:
        with store.change():
            replaced(path)
        with pytest.raises(JournalError, match="another program has changed"):
            store.attempt(1, NOW)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permission bits")
def test_a_restored_log_is_protected(path: Path) -> None:
    log = path.with_name("job.db-journal")
    log.write_bytes(bytes(5000))
    log.chmod(0o644)
    with closing(JournalStore(path)):
        assert log.stat().st_mode & 0o077 == 0


def test_a_link_in_place_of_the_lock_file_is_refused_and_its_target_left_alone(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("mine", encoding="utf-8")
    lock_of(path).unlink()
    lock_of(path).symlink_to(victim)
    with pytest.raises(JournalError, match="it is not a regular file"):
        JournalStore(path)
    assert victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permission bits")
def test_a_file_that_is_not_a_journal_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text("phone,text\n" * 100, encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(JournalError, match="its header is not that of a database"):
        JournalStore(path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_before_it_made_the_tables_leaves_a_new_job(path: Path) -> None:
    new = path.with_name("new.db")
    with closing(JournalLock(new)) as lock:
        lock.update(job="", furthest=0)
    new.touch()
    with closing(JournalStore(new)) as store:
        plan(store)


async def test_a_journal_is_refused_in_words_where_files_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with pytest.raises(JournalError, match="a journal needs Linux or macOS") as caught:
        await Journal(tmp_path / "job.db").__aenter__()
    assert caught.value.outcome is Outcome.NOT_SENT
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - in an async function


def test_everything_but_a_journal_is_imported_without_file_locks() -> None:
    code = (
        "import sys; sys.modules['fcntl'] = None; import smsc_async.__main__, smsc_async._cli.app; "
        "from smsc_async import *; Client(apikey='demo')"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)  # noqa: S603 - our own code
