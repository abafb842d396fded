"""Importing the tasks without their extra names the extra."""

import subprocess
import sys
from pathlib import Path

import pytest

import smsc_async

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["redis", "taskiq", "taskiq_redis"])
def test_a_missing_package_is_reported_with_the_extra(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "try:\n"
        "    import smsc_async.taskiq\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout == "tasks need an extra package: pip install 'smsc-async[taskiq]'\n"


def test_other_missing_modules_are_reported_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    __import__("taskiq_redis")  # or skip the test
    for name in ("smsc_async.taskiq", "smsc_async._tasks", "smsc_async._tasks.queue"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(smsc_async, "taskiq", raising=False)
    monkeypatch.setitem(sys.modules, "smsc_async._tasks.claims", None)
    with pytest.raises(ModuleNotFoundError, match=r"_tasks\.claims"):
        __import__("smsc_async.taskiq")
