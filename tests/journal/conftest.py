"""What the tests of the journal share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

T = TypeVar("T")


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without threads, because a virtual clock would jump while a thread works."""

    async def run_sync(function: Callable[..., T], *arguments: Any, limiter: object) -> T:
        assert limiter is not None
        await anyio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr("anyio.to_thread.run_sync", run_sync)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal that does not exist."""
    return tmp_path / "job.db"
