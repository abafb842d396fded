"""Callbacks through the HTTP API, and from a sandbox that is served to an application that is another program."""

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest

from smsc_async import Client, testing
from smsc_async.callbacks import Callbacks
from smsc_async.sandbox import Sandbox, SandboxServer
from tests.sandbox.receiver import NOW, PHONE, SECRET, URL, Receiver, still_sandbox


@pytest.fixture
def sandbox() -> Sandbox:
    return still_sandbox()


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://localhost/_sandbox/api/") as api:
        yield api


async def test_the_settings_are_put_shown_without_the_secret_and_deleted(api: httpx.AsyncClient) -> None:
    assert (await api.get("callback")).json() == {"error": "no callback URL is set"}
    settings = {"url": f"{URL}?charset=utf-8", "hash": "sha1", "charset": "utf-8", "method": "POST"}
    put = await api.put("callback", json={"url": settings["url"], "secret": SECRET, "hash": "sha1"})
    assert (put.status_code, put.json()) == (200, settings)
    assert (await api.get("callback")).json() == settings
    assert (await api.delete("callback")).status_code == 204
    assert (await api.get("callback")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("callback", {"url": URL}, "secret: Field required"),
        ("callback", {"url": "app", "secret": SECRET}, "url must be an http or https URL, such as"),
        ("callback", {"url": URL, "secret": " "}, "secret "),
        ("callback", {"url": URL, "secret": SECRET, "hash": "sha3"}, "hash: Input should be 'md5', 'sha1' or 'crc32'"),
        ("incoming", {"phone": PHONE}, "text: Field required"),
        ("incoming", {"phone": "a:b", "text": "Hi"}, "phone must be a phone such as"),
        ("incoming", {"phone": PHONE, "text": "Hi", "to": "1"}, "to must have more than 4 digits"),
        ("calls", {"phone": "12"}, "phone must have more than 4 digits"),
    ],
)
async def test_a_wrong_request_is_422_and_shows_no_secret(
    sandbox: Sandbox, api: httpx.AsyncClient, path: str, body: dict[str, str], words: str
) -> None:
    sandbox.callbacks.set(URL, secret=SECRET)
    answer = await (api.put if path == "callback" else api.post)(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(words)
    assert SECRET not in answer.text


async def test_without_settings_nothing_can_be_reported(api: httpx.AsyncClient) -> None:
    answer = await api.post("calls", json={"phone": PHONE})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("no callback URL is set")


async def test_callbacks_are_listed_with_the_answers_of_the_application_and_sent_again(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    receiver = Receiver(sandbox)
    receiver.set()
    async with sandbox.callbacks, testing.client(sandbox) as client:
        made = await api.post("incoming", json={"phone": PHONE, "text": "STOP", "to": "+79990000001"})
        assert made.status_code == 201
        assert (await api.post("calls", json={"phone": PHONE})).json()["kind"] == "call"
        await client.send(PHONE, "Hi")
        await sandbox.advance(1)
        receiver.answers = [500]
        await api.post("incoming", json={"phone": PHONE, "text": "START"})
        await sandbox.advance(1)
    first = (await api.get("callbacks/1")).json()
    assert 0 <= first["attempts"][0].pop("milliseconds") < 10_000
    assert first == {
        "id": 1,
        "kind": "incoming",
        "at": "2023-11-14T22:13:20Z",
        "state": "accepted",
        "next_at": None,
        "fields": {"phone": PHONE[1:], "mes": "STOP", "to": "79990000001", "id": "1", "ts": str(int(NOW))},
        "message": None,
        "fault": None,
        "attempts": [
            {"at": "2023-11-14T22:13:20Z", "status": 200, "answer": "OK", "error": None, "forged": False},
        ],
    }
    queries: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [5, 4, 3, 2, 1]),
        ({"message": 1}, [4, 3]),
        ({"kind": "call"}, [2]),
        ({"state": "waiting"}, [5]),
        ({"after": 3}, [5, 4]),
        ({"message": 2}, []),
    ]
    for query, ids in queries:
        found = (await api.get("callbacks", params=query)).json()
        assert ([each["id"] for each in found["callbacks"]], found["total"]) == (ids, len(ids)), query
    assert len((await api.get("callbacks", params={"limit": 2})).json()["callbacks"]) == 2
    again = await api.post("callbacks/1/again")
    assert (again.status_code, again.json()["state"]) == (200, "waiting")
    for answer in (await api.get("callbacks/6"), await api.post("callbacks/6/again")):
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": "there is no callback with this id among the last ones"},
        )


class _Application(BaseHTTPRequestHandler):
    taken: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(Callbacks(secrets=[SECRET]).unwrap(b"", body, self.headers["Content-Type"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def application() -> Iterator[tuple[str, list[Any]]]:
    taken: list[Any] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Application", (_Application,), {"taken": taken})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/sms", taken
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("shared", [False, True])
async def test_a_served_sandbox_sends_callbacks_by_itself_and_no_thread_remains(
    application: tuple[str, list[Any]], *, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy could not reach the application
    url, taken = application
    sandbox = Sandbox()
    with SandboxServer() as server, server.serve(sandbox) if shared else sandbox.serve() as service:
        root = service.removesuffix("/sys/soap.php")
        async with httpx.AsyncClient(base_url=f"{root}/_sandbox/api/", trust_env=False) as api:
            await api.put("callback", json={"url": url, "secret": SECRET})
            async with Client(apikey="demo", url=service, guards=None) as client:
                await client.send("+79000000001", "Hi")
            with anyio.fail_after(10):
                while not taken:  # noqa: ASYNC110 - the application is another program
                    await anyio.sleep(0.01)
            sandbox.callbacks.incoming(PHONE, "Hello")
            await sandbox.advance(1)
    assert [type(push).__name__ for push in taken] == ["StatusPush", "IncomingMessage"]
    names = " ".join(thread.name for thread in threading.enumerate())
    assert "portal" not in names
    assert "smsc_async sandbox" not in names


async def test_an_application_that_is_not_there_is_a_connection_error() -> None:
    sandbox = still_sandbox()
    sandbox.callbacks.set("http://127.0.0.1:9/", secret=SECRET)
    async with sandbox.callbacks:
        callback = sandbox.callbacks.call(PHONE)
        await sandbox.advance(1)
    assert [(each.status, each.error) for each in callback.attempts] == [(None, "ConnectError")]


async def test_nothing_that_is_logged_has_a_phone_a_text_or_the_secret(
    application: tuple[str, list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    sandbox = still_sandbox()
    sandbox.callbacks.set(application[0], secret=SECRET)
    async with sandbox.callbacks:
        sandbox.callbacks.incoming(PHONE, "canary")
        await sandbox.advance(1)
    assert "callback incoming: HTTP 200, " in caplog.text
    assert not [each for each in (PHONE[1:], "canary", SECRET) if each in caplog.text]
