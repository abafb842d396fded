"""A machine whose clocks a test controls: the wall clock, the uptime, and the clock of the event loop."""

import time
from dataclasses import dataclass

import pytest

__all__ = ["Machine", "machine"]


@dataclass
class Machine:
    """The clocks of a machine.

    Attributes:
        boot: The boot id.
        up: Seconds since the boot.
        awake: Seconds that the clock of the event loop shows.
        wall: Unix time of the wall clock.
    """

    boot: str = "first"
    up: float = 5000.0
    awake: float = 700.0
    wall: float = 1_800_000_000.0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.suspend(seconds)
        self.awake += seconds

    def suspend(self, seconds: float) -> None:
        """Let time pass while the machine is suspended."""
        self.up += seconds
        self.wall += seconds

    def set(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self.wall += seconds

    def restart(self, seconds: float = 0.0, *, off: float = 0.0) -> None:
        """Start the machine again, after some seconds, with a wall clock that is `off`."""
        self.wait(seconds)
        self.wall += off
        self.boot, self.up, self.awake = f"{self.boot}, then another", 5.0, 1.0

    def __call__(self) -> float:
        return self.awake

    def rebase(self) -> None:
        """Do nothing: the clock of each event loop is the same."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return the machine that the package sees."""
    machine = Machine()
    monkeypatch.setattr("smsc_async._clock.boot_id", lambda: machine.boot)
    monkeypatch.setattr("smsc_async._clock.uptime", lambda: machine.up)
    monkeypatch.setattr(time, "time", lambda: machine.wall)
    monkeypatch.setattr("smsc_async._journal.guard_store.LoopClock", lambda: machine)
    return machine
