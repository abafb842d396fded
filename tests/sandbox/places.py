"""Runs a user's test of a fault everywhere: in process and over HTTP, with both transports, on asyncio and on trio."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, Final

import anyio
import pytest

from smsc_async import Client, testing
from smsc_async.sandbox import Sandbox

__all__ = ["everywhere"]

_PLACES: Final = [
    ("in process", "asyncio"),
    ("httpx", "asyncio"),
    *(
        pytest.param(*place, marks=pytest.mark.slow)
        for place in (("in process", "trio"), ("httpx", "trio"), ("aiohttp", "asyncio"))
    ),
]


def everywhere(**options: Any) -> Callable[[Callable[[Sandbox, Client], Awaitable[None]]], Callable[..., None]]:
    """Return a decorator of a test that gets a sandbox and a client of it, which has these options."""

    def decorated(test: Callable[[Sandbox, Client], Awaitable[None]]) -> Callable[..., None]:
        @pytest.mark.parametrize(("place", "backend"), _PLACES)
        def run(place: str, backend: str) -> None:
            anyio.run(_run, test, place, options, backend=backend)

        run.__name__ = test.__name__
        return run

    return decorated


async def _run(test: Callable[[Sandbox, Client], Awaitable[None]], place: str, options: dict[str, Any]) -> None:
    sandbox = Sandbox(seed=7)
    with nullcontext("") if place == "in process" else sandbox.serve() as url:
        given = {} if place == "in process" else {"url": url, "transport": "aiohttp" if place == "aiohttp" else None}
        async with testing.client(sandbox, **given, **options) as client:
            await test(sandbox, client)
