"""How long ago a stored instant was is known only on the same boot of the same machine."""

import math
import time

import pytest

from smsc_async import _clock
from smsc_async._clock import DiskTime, disk_time
from tests.machine import Machine

THEN = DiskTime("a", 1000.0, 5000.0)


@pytest.mark.parametrize("wall", [0.0, 5060.0, 1e12, -math.inf, math.nan])
def test_on_the_same_boot_the_wall_clock_changes_nothing(wall: float) -> None:
    assert DiskTime("a", 1060.0, wall).since(THEN) == 60


@pytest.mark.parametrize("now", [DiskTime("b", 1060.0, 5060.0), DiskTime("", 1060.0, 5060.0)])
def test_on_another_boot_it_is_unknown(now: DiskTime) -> None:
    assert now.since(THEN) is None
    assert THEN.since(now) is None


@pytest.mark.parametrize("uptime", [1060.1, math.inf, -math.inf, -1.0, math.nan])
def test_an_instant_that_can_not_be_of_this_boot_is_unknown(uptime: float) -> None:
    assert DiskTime("a", 1060.0, 5060.0).since(DiskTime("a", uptime, 5000.0)) is None


@pytest.mark.parametrize(("wall", "known"), [(5060.5, True), (5062.0, False), (4000.0, False), (math.nan, False)])
def test_without_a_boot_id_both_clocks_must_agree(wall: float, *, known: bool) -> None:
    elapsed = DiskTime("", 1060.0, wall).since(THEN._replace(boot=""))
    assert elapsed == (60 if known else None)


def test_the_clocks_are_those_of_the_machine(machine: Machine) -> None:
    assert disk_time() == (machine.boot, machine.up, machine.wall)


def test_the_clocks_of_this_machine_go_forward() -> None:
    first, second = disk_time(), disk_time()
    elapsed = second.since(first)
    assert elapsed is not None
    assert 0 <= elapsed < 60
    assert first.boot == second.boot


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_system_without_a_boot_id_has_an_empty_one(
    content: bytes | None, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boot_id"  # type: ignore[operator]
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(_clock, "_BOOT_ID", path)
    _clock.boot_id.cache_clear()
    assert not _clock.boot_id()
    path.write_text("4accda5c\n")
    _clock.boot_id.cache_clear()
    assert _clock.boot_id() == "4accda5c"
    monkeypatch.undo()
    _clock.boot_id.cache_clear()


def test_a_system_that_does_not_count_suspension_uses_its_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    assert _clock.uptime() == 7.0
