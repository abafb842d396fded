"""The HTTP API of the sandbox: what each route does, and what it says when it is asked wrongly."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI

from smsc_async import Client, HTTPStatusError, testing
from smsc_async.sandbox import DeliveryPlan, Fault, Limits, Sandbox, _api
from smsc_async.sandbox._api import make_api
from smsc_async.sandbox._api.models import FaultRequest
from smsc_async.sandbox._lookup import Lookup

PHONE, OTHER = "+79991234567", "+79991234568"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(delivery=DeliveryPlan(spread=0))


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://localhost/_sandbox/api/") as api:
        yield api


def _client(sandbox: Sandbox, **credentials: str) -> Client:
    return Client(**(credentials or {"apikey": "demo"}), transport=sandbox.transport(), guards=None)  # type: ignore[arg-type]


async def test_a_message_has_all_that_a_test_needs(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.clock.speed = 0.0  # nothing is delivered meanwhile
    sent = await _client(sandbox).send(PHONE, "Ваш код: 4821")
    found = (await api.get("messages", params={"phone": "8 999 123-45-67", "text": "КОД"})).json()
    message = found["messages"][0]
    assert found == {"messages": [message], "total": 1}
    times = {message.pop(name)[-1] for name in ("accepted_at", "send_at")}
    assert times == {"Z"}
    (change,) = message.pop("history")
    assert (change["status"], change["name"], change["err"]) == (-1, "Ждёт отправки", 0)
    assert message == {
        "key": 1,
        "id": sent.id,
        "phone": "79991234567",
        "text": "Ваш код: 4821",
        "sender": "SMSC",
        "channel": "sms",
        "login": "demo",
        "parts": 1,
        "cost": "4.5",
        "status": -1,
        "status_name": "Ждёт отправки",
        "err": 0,
        "codes": ["4821"],
        "request": 1,
    }


async def test_messages_are_found_by_each_parameter(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    client = _client(sandbox)
    await client.send([PHONE, OTHER], "one", id="first")
    sandbox.advance(3600)
    middle = sandbox.now() - 1800
    await client.send(PHONE, "two", id="second")
    queries: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [3, 2, 1]),
        ({"phone": PHONE}, [3, 1]),
        ({"text": "TWO"}, [3]),
        ({"id": "first"}, [2, 1]),
        ({"status": 1}, [2, 1]),
        ({"login": "demo"}, [3, 2, 1]),
        ({"login": "bob"}, []),
        ({"since": middle}, [3]),
        ({"since": "2000-01-01T00:00:00+03:00"}, [3, 2, 1]),
    ]
    for query, keys in queries:
        found = (await api.get("messages", params=query)).json()
        assert ([each["key"] for each in found["messages"]], found["total"]) == (keys, len(keys)), query
    found = (await api.get("messages", params={"limit": 1})).json()
    assert ([each["key"] for each in found["messages"]], found["total"]) == ([3], 3)


async def test_wait_blocks_until_a_message_matches(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    found: list[httpx.Response] = []

    async def wait() -> None:
        found.append(await api.get("messages", params={"text": "code", "wait": 30}))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await _client(sandbox).send(OTHER, "Hi")
        await anyio.sleep(0.1)
        assert not found
        await _client(sandbox).send(PHONE, "Your code is 4821")
    assert found[0].json()["messages"][0]["codes"] == ["4821"]


async def test_wait_ends_without_a_message(api: httpx.AsyncClient) -> None:
    started = time.monotonic()
    assert (await api.get("messages", params={"wait": 0.05})).json() == {"messages": [], "total": 0}
    assert time.monotonic() - started < 10


async def test_a_waiting_request_does_not_hold_up_the_clock(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: api.get("messages", params={"status": 1, "wait": 30}))
        await _client(sandbox).send(PHONE, "Hi")
        started = time.monotonic()
        await sandbox.advance(60)
    assert time.monotonic() - started < 4


async def test_a_status_is_set_and_shown_with_its_history(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.clock.speed = 0  # a busy machine is slower than a delivery
    async with testing.client(sandbox) as client:
        sent = await client.send(PHONE, "Hi")
        set_ = await api.post("messages/1/status", json={"status": 20, "err": 6})
        assert (set_.status_code, set_.json()["status"], set_.json()["err"]) == (200, 20, 6)
        assert (await client.status(sent.ref)).error == 6
    message = (await api.get("messages/1")).json()
    assert [change["status"] for change in message["history"]] == [-1, 20]
    assert (await api.post("messages/1/status", json={"status": 3})).json()["err"] == 6


async def test_messages_are_deleted_and_everything_is_reset(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    client = _client(sandbox)
    await client.send(PHONE, "Hi")
    assert (await api.delete("messages")).status_code == 204
    assert (await api.get("messages")).json()["total"] == 0
    assert (await api.get("accounts/demo")).json()["balance"] == "9995.5"
    assert (await api.post("reset")).status_code == 204
    assert (await api.get("accounts/demo")).json()["balance"] == "10000"
    assert (await api.get("requests")).json() == {"requests": [], "total": 0}


async def test_the_clock_is_shown_and_moved(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    before = sandbox.now()
    moved = (await api.post("clock", json={"advance": 3600, "speed": 60})).json()
    assert moved["speed"] == sandbox.clock.speed == 60
    assert 3600 <= sandbox.now() - before < 7200
    assert (await api.post("clock", json={"speed": 0})).json() == (await api.get("clock")).json()
    assert (await api.post("clock", json={})).json() == {"error": "pass advance or speed"}
    for _ in range(900):
        answer = await api.post("clock", json={"advance": 315_360_000})
        if answer.status_code != 200:
            break
    assert answer.json() == {"error": "the clock of a sandbox does not go beyond the year 9999"}


async def test_faults_are_added_listed_and_removed(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    added = await api.post("faults", json={"kind": "http", "status": 502, "operation": "send", "times": 1})
    assert (added.status_code, added.json()["id"], added.json()["used"]) == (201, 1, 0)
    with pytest.raises(HTTPStatusError):
        async with testing.client(sandbox) as client:
            await client.send(PHONE, "Hi")
    (fault,) = (await api.get("faults")).json()["faults"]
    assert (fault["kind"], fault["status"], fault["used"]) == ("http", 502, 1)
    assert (await api.delete("faults/1")).status_code == 204
    assert (await api.delete("faults/1")).json() == {"error": "there is no fault with this id"}
    await api.post("faults", json={"kind": "soap_fault", "faultcode": "Client"})
    assert (await api.delete("faults")).status_code == 204
    assert (await api.get("faults")).json() == {"faults": []}


def test_a_fault_has_the_same_parameters_over_http() -> None:
    assert set(FaultRequest.model_fields) == set(Fault.model_fields)


async def test_limits_are_shown_with_their_fill(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    client = _client(sandbox)
    sent = await client.send(PHONE, "Hi")
    await client.status(sent.ref)
    found = (await api.get("limits", params={"rule": "status"})).json()
    assert found["limits"] == [
        {
            "rule": "status",
            "text": "status of this message 1 in 60 s",
            "used": 1,
            "limit": 5,
            "seconds": 60.0,
            "login": "demo",
            "phone": "79991234567",
            "id": sent.id,
            "source": None,
            "free_at": None,
            "requests": [2],
        }
    ]
    assert (await api.get("limits", params={"login": "bob"})).json() == {"limits": [], "total": 0}
    assert (await api.get("limits", params={"limit": 1})).json()["total"] == 3


async def test_requests_are_shown_without_credentials(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.put_account("bob", password="canarypassword", apikey="canarykey")
    await _client(sandbox, login="bob", password="canarypassword").send(PHONE, "Hi")
    await _client(sandbox, apikey="canarykey").balance()
    answer = await api.get("requests")
    assert "canary" not in answer.text
    balance, send = answer.json()["requests"]
    assert (send["method"], send["login"], send["messages"], send["error"]) == ("send_sms", "bob", [1], 0)
    assert "<psw>***</psw>" in send["request"]
    assert "<cnt>1</cnt>" in send["answer"]
    assert (send["status"], send["executed"], send["fault"], send["limit"]) == (200, True, None, None)
    assert send["milliseconds"] >= 0
    queries: list[tuple[dict[str, Any], list[int]]] = [
        ({"method": "get_balance"}, [2]),
        ({"login": "bob"}, [2, 1]),
        ({"login": "demo"}, []),
        ({"error": 0}, [2, 1]),
        ({"error": 9}, []),
        ({"after": 1}, [2]),
        ({"limit": 1}, [2]),
    ]
    for query, numbers in queries:
        shown = (await api.get("requests", params=query)).json()
        assert [each["number"] for each in shown["requests"]] == numbers, query
    assert (await api.get("requests/2")).json() == balance
    assert (await api.get("requests/3")).json() == {"error": "there is no request with this number among the last ones"}


async def test_error_9_is_shown_with_its_rule_and_the_requests_behind_it(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    for _ in range(2):
        sandbox_answer = await _post(sandbox, "<phones>79991234567</phones><mes>Hi</mes>")
    assert b"<error>9</error>" in sandbox_answer
    refused = (await api.get("requests", params={"error": 9})).json()["requests"][0]
    assert refused["outcome"] == "error 9: identical sends 2 in 60 s"
    assert (refused["limit"]["rule"], refused["limit"]["requests"]) == ("identical_send", [1, 2])


async def _post(sandbox: Sandbox, fields: str) -> bytes:
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:n="https://smscentre.com/sys/soap.php">'
        f"<e:Body><n:send><apikey>demo</apikey>{fields}</n:send></e:Body></e:Envelope>"
    )
    async with httpx.AsyncClient(transport=sandbox.transport()) as http:
        return (await http.post("http://localhost/sys/soap.php", content=body)).content


async def test_accounts_are_shown_changed_and_added(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    shown = (await api.get("accounts/demo")).json()
    assert shown == {
        "login": "demo",
        "balance": "10000",
        "prices": {"7": "4.5", "": "9"},
        "sender": "SMSC",
        "zone": 0.0,
        "virtual": False,
    }
    assert (await api.put("accounts/demo", json={"balance": "2.50"})).json() == {**shown, "balance": "2.5"}
    assert (await _client(sandbox).balance()).amount == 2.5
    assert (await api.put("accounts/demo", json={"balance": "-0"})).json()["balance"] == "0"
    assert (await api.put("accounts/bob", json={"balance": 1})).json() == {
        "error": "an account needs a login and a password"
    }
    made = await api.put("accounts/bob", json={"password": "canary", "prices": {"7": 1}, "sender": None})
    assert (made.json()["prices"], made.json()["sender"]) == ({"7": "1"}, "SMSC")
    assert (await _client(sandbox, login="bob", password="canary").balance()).amount == 10_000
    listed = await api.get("accounts")
    assert [each["login"] for each in listed.json()["accounts"]] == ["demo", "bob"]
    assert "canary" not in listed.text + made.text
    assert (await api.put("accounts/bob", json={"apikey": "demo"})).status_code == 422
    assert (await api.get("accounts/eve")).json() == {"error": "there is no account with this login"}


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("GET", "messages?wait=nan", None, (422, "wait: Input should be a finite number")),
        ("GET", "messages?wait=61", None, (422, "wait: Input should be less than or equal to 60")),
        ("GET", "messages?limit=0", None, (422, "limit: ")),
        ("GET", "messages?since=yesterday", None, (422, "since: ")),
        ("GET", "messages?since=2026-01-01T00:00:00", None, (422, "since: Input should have timezone info")),
        ("GET", "messages?phone=" + "7" * 300, None, (422, "phone: ")),
        ("GET", "messages?phon=7", None, (422, "phon: ")),
        ("GET", "messages/x", None, (422, "key: ")),
        ("GET", "messages/0", None, (422, "key: ")),
        ("GET", "messages/7", None, (404, "there is no message with this key")),
        ("GET", "messages/" + "9" * 5000, None, (422, "key: ")),
        ("GET", "messages/..%2f..%2fetc%2fpasswd", None, (404, "Not Found")),
        ("GET", "../../etc/passwd", None, (200, None)),
        ("GET", "accounts/..%2fdemo", None, (404, "Not Found")),
        ("POST", "messages/7/status", {"status": 1}, (404, "there is no message with this key")),
        ("POST", "messages/7/status", {"status": 7}, (422, "status must be one of -3, -2, -1, 0")),
        ("POST", "messages/7/status", {"status": 1, "err": -1}, (422, "err: ")),
        ("POST", "messages/7/status", {}, (422, "status: Field required")),
        ("POST", "clock", {"advance": -1}, (422, "advance: ")),
        ("POST", "clock", {"advance": 1e300}, (422, "advance: ")),
        ("POST", "clock", {"speed": 1e9}, (422, "speed: ")),
        ("POST", "clock", {"advance": True}, (422, "advance: ")),
        ("POST", "clock", {"speed": False}, (422, "speed: ")),
        ("POST", "messages/7/status", {"status": True}, (422, "status: ")),
        ("POST", "messages/7/status", {"status": 20, "err": True}, (422, "err: ")),
        ("POST", "faults", {"kind": "cut", "times": True}, (422, "times: ")),
        ("POST", "faults", {"kind": "cut", "at": True}, (422, "at: ")),
        ("POST", "faults", {"kind": "cut", "probability": True}, (422, "probability: ")),
        ("PUT", "accounts/bob", {"password": "x", "zone": True}, (422, "zone: ")),
        ("POST", "clock", {"time": 5}, (422, "time: ")),
        ("POST", "faults", {"kind": "nonsense"}, (422, "kind: ")),
        ("POST", "faults", {}, (422, "kind: ")),
        ("POST", "faults", {"kind": "delay"}, (422, "delay needs seconds")),
        ("POST", "faults", {"kind": "cut", "colour": "red"}, (422, "colour")),
        ("POST", "faults", {"kind": "cut", "status": 500}, (422, "status is a parameter of http, not of cut")),
        ("DELETE", "faults/x", None, (422, "id: ")),
        ("GET", "requests?method=nothing", None, (422, "method: ")),
        ("PUT", "accounts/bob", {"password": ""}, (422, "password: ")),
        ("PUT", "accounts/bob", {"password": "x", "balance": "NaN"}, (422, "balance: ")),
        ("PUT", "accounts/bob", {"password": "x", "balance": "1e999999"}, (422, "balance: ")),
        ("PUT", "accounts/bob", {"password": "x", "prices": {"x": 1}}, (422, "prices")),
        ("PUT", "accounts/bob", {"password": "x", "zone": 99}, (422, "zone: ")),
        ("GET", "nothing", None, (404, "Not Found")),
        ("GET", "../nothing", None, (404, "Not Found")),
        ("PATCH", "messages", None, (405, "Method Not Allowed")),
    ],
)
async def test_a_wrong_request_is_answered_with_what_is_wrong(
    api: httpx.AsyncClient, method: str, path: str, body: Any, refusal: tuple[int, str | None]
) -> None:
    status, words = refusal
    answer = await api.request(method, path, json=body)
    assert answer.status_code == status
    if words is not None:
        assert list(answer.json()) == ["error"]
        assert words in answer.json()["error"]
    else:
        assert answer.content == b""  # the service answers on every other path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"speed": NaN}', b"[" * 60_000])
async def test_a_body_that_is_no_json_object_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("clock", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"speed": 1}'])
async def test_what_a_body_must_be_is_said(api: httpx.AsyncClient, body: bytes) -> None:
    content_type = "application/x-www-form-urlencoded" if body == b'{"speed": 1}' else "application/json"
    answer = await api.post("clock", content=body, headers={"Content-Type": content_type})
    words = "the body must be a JSON object, with the header Content-Type: application/json"
    assert (answer.status_code, answer.json()) == (422, {"error": words})


async def test_a_password_is_in_no_error(api: httpx.AsyncClient) -> None:
    for body in ({"password": "canary" * 50}, {"password": ["canary"]}, {"password": "canary", "balance": "x"}):
        answer = await api.put("accounts/bob", json=body)
        assert answer.status_code == 422
        assert "canary" not in answer.text


async def test_the_openapi_describes_every_route(api: httpx.AsyncClient) -> None:
    document = (await api.get("openapi.json")).json()
    assert {path: sorted(routes) for path, routes in document["paths"].items()} == {
        "/messages": ["delete", "get"],
        "/messages/{key}": ["get"],
        "/messages/{key}/status": ["post"],
        "/clock": ["get", "post"],
        "/faults": ["delete", "get", "post"],
        "/faults/{id}": ["delete"],
        "/reset": ["post"],
        "/limits": ["get"],
        "/requests": ["get"],
        "/requests/{number}": ["get"],
        "/accounts": ["get"],
        "/accounts/{login}": ["get", "put"],
        "/callback": ["delete", "get", "put"],
        "/callbacks": ["get"],
        "/callbacks/{id}": ["get"],
        "/callbacks/{id}/again": ["post"],
        "/incoming": ["post"],
        "/calls": ["post"],
    }
    assert document["servers"] == [{"url": "/_sandbox/api"}]
    for routes in document["paths"].values():
        for route in routes.values():
            assert route["summary"]
            assert route["description"]
            assert "4XX" in route["responses"]
    assert "HTTPValidationError" not in json.dumps(document)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/_sandbox/livez", "/_sandbox/readyz"])
async def test_it_is_ready_whatever_the_host(sandbox: Sandbox, path: str) -> None:
    async with httpx.AsyncClient(transport=sandbox.transport()) as http:
        answer = await http.get(f"http://evil.test{path}", headers={"Origin": "http://other.test"})
    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.slow
async def test_requests_of_the_service_and_of_the_api_do_not_disturb_each_other(tmp_path: Path) -> None:
    sandbox = Sandbox(state=tmp_path / "state", keep=50, limits=Limits(in_flight=None))
    answered: Counter[int] = Counter()

    async def ask(method: str, path: str, **options: Any) -> None:
        for number in range(40):
            answer = await http.request(method, path.format(number), **options)
            answered[answer.status_code // 100] += 1

    async def send(client: Client, sender: int) -> None:
        for number in range(40):
            await client.send(f"+7999{sender}{number:06}", "Your code is 4821")

    with sandbox.serve() as url:
        base = url.replace("/sys/soap.php", "/_sandbox/api/")
        async with (
            httpx.AsyncClient(base_url=base, timeout=60) as http,
            Client(apikey="demo", url=url, guards=None) as client,
            anyio.create_task_group() as group,
        ):
            for sender in range(4):
                group.start_soon(send, client, sender)
            for method, path in [
                ("GET", "messages"),
                ("GET", "limits"),
                ("GET", "requests"),
                ("DELETE", "messages"),
                ("POST", "reset"),
            ]:
                group.start_soon(ask, method, path)
            group.start_soon(lambda: ask("POST", "messages/{}/status", json={"status": 1}))
            group.start_soon(lambda: ask("PUT", "accounts/bob{}", json={"password": "x"}))
    assert answered.keys() <= {2, 4}
    assert answered[2] >= 240
    sandbox.close()
    again = Sandbox(state=tmp_path / "state", keep=50, limits=Limits(in_flight=None))
    assert again.messages[-10:] == sandbox.messages[-10:]
    assert again.balances == sandbox.balances
    again.close()


async def test_several_first_requests_make_the_api_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sandbox] = []

    def make(sandbox: Sandbox, lookup: Lookup) -> FastAPI:
        made.append(sandbox)
        return make_api(sandbox, lookup)

    monkeypatch.setattr(_api, "make_api", make)
    sandbox = Sandbox()
    async with (
        httpx.AsyncClient(transport=sandbox.transport(), base_url="http://localhost/_sandbox/api/") as api,
        anyio.create_task_group() as group,
    ):
        for _ in range(8):
            group.start_soon(api.get, "clock")
    assert made == [sandbox]
