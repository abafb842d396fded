"""The way of a call from the client to httpx is short enough to read in a traceback."""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import smsc_async
from smsc_async import Guards, MessageRef, Timeout
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time

PACKAGE = str(Path(smsc_async.__file__).parent)
PHONE = "+79991234567"
MOST = 9


class Stack(httpx.AsyncBaseTransport):
    """A service behind httpx that records the functions of the package that are on the stack of each request."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        self.frames: list[list[str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        frame, found = sys._getframe(), []
        while frame.f_back is not None:
            frame = frame.f_back
            if frame.f_code.co_filename.startswith(PACKAGE):
                found.append(frame.f_code.co_qualname)
        self.frames.append(found)
        reply = await self._service.post(str(request.url), request.headers, request.content, Timeout())
        return httpx.Response(reply.status_code, headers={"Content-Type": reply.content_type}, content=reply.body)


@pytest.mark.parametrize("guards", [None, Guards])
@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("send", (PHONE, "Hi"), {}),
        ("send", (PHONE, "Hi"), {"id": "a1", "attempt": 2}),
        ("cost", (PHONE, "Hi"), {}),
        ("status", (MessageRef(PHONE, "a1"),), {}),
        ("balance", (), {}),
    ],
)
@virtual_time
async def test_a_request_reaches_httpx_through_at_most_nine_functions_of_the_package(
    guards: type[Guards] | None, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    not_found = [answer("get_status", error="3")] * 2 if options else []  # a later attempt asks first
    network = Stack(FakeService([*not_found]))
    await getattr(make_client(network, guards=guards and guards()), method)(*arguments, **options)
    assert len(network.frames) == 1 + len(not_found)
    assert 0 < len(network.frames[-1]) <= MOST, " <- ".join(network.frames[-1])
