"""The time of a sandbox goes on when the wall clock is set, in a run and between two runs with a state file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smsc_async.sandbox import Sandbox
from tests.journal.test_clocks import CHANGES
from tests.machine import Machine


def run(state: Path) -> Sandbox:
    """Run a sandbox that gets a request and ends."""
    sandbox = Sandbox(state=state)
    return ask(sandbox)


def ask(sandbox: Sandbox) -> Sandbox:
    sandbox._service.arrive("get_balance", {}, now=sandbox.now())
    sandbox.close()
    return sandbox


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_clock_that_is_set_in_a_run_changes_nothing(machine: Machine, change: Callable[[Machine], None]) -> None:
    sandbox = Sandbox()
    start = machine.wall
    change(machine)
    machine.wait(30)
    assert sandbox.now() == pytest.approx(start + 30)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_clock_that_is_set_between_two_runs_changes_nothing(
    tmp_path: Path, machine: Machine, change: Callable[[Machine], None]
) -> None:
    start = machine.wall
    for number in range(3):
        assert run(tmp_path / "state").now() == pytest.approx(start + 50 * number)
        change(machine)
        machine.wait(30)
        machine.suspend(20)


@pytest.mark.parametrize(("off", "shown"), [(0, 100), (-3600, 0), (86_400, 86_500)])
def test_after_a_restart_of_the_machine_its_clock_counts_but_never_goes_back(
    tmp_path: Path, machine: Machine, off: float, shown: float
) -> None:
    start = machine.wall
    run(tmp_path / "state")
    machine.restart(100)
    machine.set(off)
    assert run(tmp_path / "state").now() == pytest.approx(start + shown)
    machine.set(-999)
    machine.wait(10)
    assert run(tmp_path / "state").now() == pytest.approx(start + shown + 10)


def test_time_that_was_skipped_stays_skipped_when_the_clock_is_set_back(tmp_path: Path, machine: Machine) -> None:
    start = machine.wall
    first = Sandbox(state=tmp_path / "state")
    first.advance(7200)
    ask(first)
    machine.set(-3600)
    assert Sandbox(state=tmp_path / "state").now() == pytest.approx(start + 7200)


@pytest.mark.parametrize(
    "garbage",
    [
        {"boot": 1, "uptime": 0.0, "wall": 0.0},
        {"boot": "first", "uptime": "x", "wall": 0.0},
        {"boot": "first", "uptime": 0.0, "wall": float("nan")},
        {"boot": "first"},
    ],
)
def test_garbage_in_place_of_the_clocks_is_refused(
    tmp_path: Path, machine: Machine, garbage: dict[str, object]
) -> None:
    state = tmp_path / "state"
    run(state)
    head, clocks, *rest = state.read_text().splitlines()
    assert machine.boot in clocks
    state.write_text("\n".join([head, json.dumps(garbage), *rest, ""]))
    with pytest.raises(ValueError, match="line 2 of the state file is not from a sandbox"):
        Sandbox(state=state)


def test_a_state_without_clocks_continues_by_the_wall_clock(tmp_path: Path, machine: Machine) -> None:
    state = tmp_path / "state"
    ask(Sandbox(clock=lambda: machine.wall, state=state))
    assert len(state.read_text().splitlines()) == 2
    machine.wait(10)
    assert Sandbox(state=state).now() == pytest.approx(machine.wall)
