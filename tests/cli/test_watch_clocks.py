"""The timeout of `smsc-async watch --state` counts from the first run, whatever the clock of the machine is set to."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from smsc_async import JournalError, MessageRef
from smsc_async._cli.watch_state import WatchState
from tests.journal.test_clocks import CHANGES, RESTARTS
from tests.machine import Machine

ONE = MessageRef("+79161234567", "7")


def age(path: Path, machine: Machine) -> float:
    """Return for how many seconds the message has been watched, as a new process sees it."""
    with WatchState(path) as state:
        (left,) = state.enter([ONE])
        return machine.wall - left.since.timestamp()


@pytest.mark.parametrize("change", [*CHANGES.values(), lambda machine: machine.suspend(0)], ids=[*CHANGES, "suspend"])
def test_a_clock_that_is_set_does_not_end_a_watch(
    tmp_path: Path,
    machine: Machine,
    change: Callable[[Machine], None],
) -> None:
    assert age(tmp_path / "state", machine) == pytest.approx(0, abs=0.01)
    machine.wait(100)
    change(machine)
    machine.suspend(50)
    assert age(tmp_path / "state", machine) == pytest.approx(150, abs=0.01)


@pytest.mark.parametrize("restart", RESTARTS.values(), ids=RESTARTS)
def test_after_a_restart_of_the_machine_the_timeout_starts_anew_once(
    tmp_path: Path,
    machine: Machine,
    restart: Callable[[Machine], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "state"
    age(path, machine)
    restart(machine)
    assert age(path, machine) == pytest.approx(0, abs=0.01)
    machine.wait(70)
    assert age(path, machine) == pytest.approx(70, abs=0.01)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{path} was written before the machine was restarted, or on another one")
    assert said.endswith("their timeout restarts")


@pytest.mark.parametrize("damage", ["boot = x'00'", "uptime = 'x'", "uptime = 9e999", "uptime = -9e999", "since = 'x'"])
def test_garbage_in_place_of_an_instant_starts_the_timeout_anew(
    tmp_path: Path,
    machine: Machine,
    damage: str,
) -> None:
    path = tmp_path / "state"
    age(path, machine)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"UPDATE message SET {damage}")  # noqa: S608 - our own words
    machine.wait(100)
    assert age(path, machine) == pytest.approx(0, abs=0.01)
    machine.wait(10)
    assert age(path, machine) == pytest.approx(10, abs=0.01)


def test_a_state_of_an_older_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE message (ref TEXT PRIMARY KEY, since REAL NOT NULL, status INTEGER, is_last INTEGER);"
            "PRAGMA application_id = 0x534D5357; PRAGMA user_version = 1"
        )
    with pytest.raises(JournalError, match=r"of another version .*\(format 1, .* finish it with the version"):
        WatchState(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
