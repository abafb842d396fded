"""What all tests share.

In CI the examples of Hypothesis are the same each time, what needs a missing library is skipped, and no test changes
the next.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from smsc_async._protocol import tags
from tests.machine import machine
from tests.parts import LibraryFinder

__all__ = ["machine"]

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - pytest makes a private folder in it
"""Where journals of tests are, because they wait for the disk after each request."""
ENOUGH: Final = 1 << 30

# No deadline: a busy machine is no bug. `all` is for the one run of .ci/run with all tests.
settings.register_profile("default", deadline=None, max_examples=25)
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("all", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")
sys.meta_path.append(LibraryFinder())
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):  # else each program that a test starts compiles the package anew
    COMPILED: Final = tempfile.TemporaryDirectory()
    os.environ["PYTHONPYCACHEPREFIX"] = COMPILED.name
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background of a shell; programs inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(autouse=True)
def _forget_tags() -> None:
    """Parse short answers at once: on a thread, which a virtual clock doesn't wait for, they would take forever."""
    tags._known.clear()
