"""Callbacks that are changed at random, to a route of each framework: no answer but the documented ones."""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import anyio
import httpx
import pytest
import pytest_aiohttp  # noqa: F401 - or skip the tests
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async.aiohttp import add_callback_routes
from smsc_async.callbacks import Callbacks
from smsc_async.fastapi import callback_router
from tests.callbacks.samples import FORMS, SECRET, signed
from tests.callbacks.test_fuzz import _changed
from tests.web.shop import browser

CALLBACKS: Final = Callbacks(secrets=[SECRET])
URL: Final = "/smsc/callback"
DOCUMENTED: Final = {200, 400, 403, 413, 503}
TYPES: Final = ("application/x-www-form-urlencoded", "application/json", "text/plain; charset=windows-1251", "")
Request = tuple[str, bytes, bytes, str]


def _flaky() -> Callable[[object], None]:
    """Return a function that fails each seventh time."""
    calls = 0

    def handle(_push: object) -> None:
        nonlocal calls
        calls += 1
        if calls % 7 == 0:
            raise OSError("the database is gone")

    return handle


def _functions() -> dict[str, Any]:
    return {name: _flaky() for name in ("on_status", "on_incoming", "on_call")}


def _genuine(chance: random.Random) -> list[bytes]:
    """Return a callback of each form, whose text is of the charset."""
    text = bytes(chance.choices([*range(32, 128), *range(192, 256)], k=chance.randrange(70))).decode("cp1251")
    phone, number = f"7999{chance.randrange(10_000_000):07}", str(chance.randrange(1, 10_000))
    forms = {**FORMS, "incoming": {**FORMS["incoming"], "mes": text}}
    own = [{**fields, "phone": phone, **({"id": number} if "id" in fields else {})} for fields in forms.values()]
    return [signed(fields) for fields in own] + [signed(own[0], secret="guessed", status="20")]


def _requests(number: int) -> list[Request]:
    """Return genuine, forged, repeated, reordered and changed callbacks, and random bytes."""
    chance = random.Random(20231114)  # noqa: S311 - repeatable on purpose
    requests: list[Request] = []
    while len(requests) < number:
        some = _genuine(chance)
        for genuine in some:
            requests.append(("GET", genuine, b"", ""))
            requests.append(("POST", b"", genuine, TYPES[0]))
            requests.extend(("POST", *_changed(chance, genuine)) for _ in range(6))
        requests.append(
            ("POST", b"", json.dumps({"status": chance.choice([None, [], {}, 1e999, "1"])}).encode(), TYPES[1])
        )
        requests.append(("POST", b"", chance.randbytes(chance.randrange(300)), chance.choice(TYPES)))
        requests.append(("POST", b"", b"x" * chance.choice([65_536, 65_537, 200_000]), chance.choice(TYPES)))
        requests.append(chance.choice(requests))
    chance.shuffle(requests)
    return requests[:number]


def _path(query: bytes) -> str:
    """Return the URL of a request; bytes that no HTTP request has are escaped."""
    safe = "".join(chr(byte) if 33 <= byte <= 126 and byte != 35 else f"%{byte:02X}" for byte in query)
    return f"{URL}?{safe}"


async def _check(service: httpx.AsyncClient, number: int) -> None:
    statuses: Counter[int] = Counter()
    for method, query, body, kind in _requests(number):
        answer = await service.request(method, _path(query), content=body, headers={"Content-Type": kind})
        statuses[answer.status_code] += 1
    assert statuses.keys() <= DOCUMENTED, statuses
    assert all(statuses[status] > number / 200 for status in (200, 403, 413, 503)), statuses


@pytest.mark.parametrize("number", [300, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_fuzzed_callbacks_to_fastapi_have_only_documented_answers(number: int) -> None:
    app = FastAPI()
    app.include_router(callback_router(CALLBACKS, **_functions()))
    async with browser(app) as service:
        await _check(service, number)


@pytest.mark.parametrize("number", [300, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_fuzzed_callbacks_to_aiohttp_have_only_documented_answers(number: int) -> None:
    app = web.Application()
    add_callback_routes(app, CALLBACKS, **{**_functions(), "on_status": None})
    async with TestServer(app) as server, httpx.AsyncClient(base_url=str(server.make_url("/"))) as service:
        await _check(service, number)


async def _asked(app: FastAPI, query: bytes, body: bytes, kind: bytes) -> int:
    """Return the status for a request with any bytes, as a server might pass them on."""
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "http_version": "1.1", "scheme": "http", "server": ("shop.test", 80), "method": "POST"}
    await app({**scope, "path": URL, "query_string": query, "headers": [(b"content-type", kind)]}, receive, send)
    return statuses[0]


KINDS: Final = st.sampled_from([kind.encode() for kind in TYPES]) | st.binary(max_size=20)


@pytest.mark.parametrize("examples", [50, pytest.param(2_000, marks=pytest.mark.slow)])
def test_any_bytes_have_a_documented_answer(examples: int) -> None:
    app = FastAPI()
    app.include_router(callback_router(CALLBACKS, **_functions()))

    @given(st.binary(max_size=400), st.binary(max_size=400), KINDS)
    @settings(max_examples=examples, derandomize=True, deadline=None)
    def ask(query: bytes, body: bytes, kind: bytes) -> None:
        assert anyio.run(_asked, app, query, body, kind) in DOCUMENTED

    ask()
