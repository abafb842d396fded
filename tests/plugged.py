"""Runs pytest in a process of its own, in a folder where this package is installed with its entry point."""

import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

__all__ = ["ROOT", "Plugged"]

ROOT: Final = Path(__file__).parent.parent
_ENTRY_POINTS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]


class Plugged:
    """A folder with tests of a user.

    Args:
        pytester: The folder.
        monkeypatch: Changes the environment of the processes.
    """

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self.path = pytester.path
        site = pytester.mkdir("site")
        installed = site / "smsc_async-0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: smsc-async\nVersion: 0\n", encoding="utf-8")
        lines = [f"{name} = {target}" for name, target in _ENTRY_POINTS["pytest11"].items()]
        (installed / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]), encoding="utf-8")
        # pytest rewrites the assertions of all modules of a package that has a plugin.
        files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "smsc_async").rglob("*.py"))
        (installed / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", f"{site}:{ROOT}")
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        self.configure()

    def configure(self, **options: str) -> None:
        """Write the configuration."""
        lines = {
            "addopts": "--strict-markers --strict-config -ra",
            "filterwarnings": "error",
            "asyncio_default_fixture_loop_scope": "function",
            **options,
        }
        self._pytester.makeini("\n".join(["[pytest]", *(f"{name} = {value}" for name, value in lines.items())]))

    def write(self, code: str, name: str = "test_shop") -> None:
        """Write a test file, or another module."""
        self._pytester.makepyfile(**{name: code})

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run the tests."""
        return self._pytester.runpytest_subprocess(*arguments, timeout=300)

    def passes(self, count: int, *arguments: str) -> None:
        """Run the tests, and assert that so many pass and no other is there."""
        ran = self.run(*arguments)
        assert ran.parseoutcomes() == {"passed": count}, ran.stdout.str() + ran.stderr.str()

    def python(self, *arguments: str) -> pytest.RunResult:
        """Run Python."""
        return self._pytester.run(sys.executable, *arguments, timeout=300)
