"""The way of a call from the client to the transport is short enough to read in a traceback."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import smsc_async
from smsc_async import Guards, MessageRef, Reply, Timeout
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time

PACKAGE = str(Path(smsc_async.__file__).parent)
PHONE = "+79991234567"
MOST = 9


@dataclass
class Stack(FakeService):
    """A service that records the functions of the package that are on the stack of each request."""

    frames: list[list[str]] = field(default_factory=list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        frame, found = sys._getframe(), []
        while frame.f_back is not None:
            frame = frame.f_back
            if frame.f_code.co_filename.startswith(PACKAGE):
                found.append(frame.f_code.co_qualname)
        self.frames.append(found)
        return await super().post(url, headers, body, timeout)


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
async def test_a_request_reaches_the_transport_through_at_most_nine_functions_of_the_package(
    guards: type[Guards] | None, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    not_found = [answer("get_status", error="3")] * 2 if options else []  # a later attempt asks first
    service = Stack([*not_found])
    await getattr(make_client(service, guards=guards and guards()), method)(*arguments, **options)
    assert len(service.frames) == 1 + len(not_found)
    assert 0 < len(service.frames[-1]) <= MOST, " <- ".join(service.frames[-1])
