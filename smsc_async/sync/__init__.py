"""The client for code without an event loop, such as Django views and scripts: the same methods, which block."""

from typing import TYPE_CHECKING, Any

from ._client import Client
from ._journal import Journal
from ._watcher import Watcher

if TYPE_CHECKING:
    from ._testing import sandbox_client as sandbox_client

__all__ = ["Client", "Journal", "Watcher", "sandbox_client"]


def __getattr__(name: str) -> Any:
    """Import `sandbox_client` on first access, because the sandbox is an extra."""
    if name != "sandbox_client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._testing import sandbox_client  # noqa: PLC0415 - see above

    return sandbox_client
