"""Who may use what is below `/_sandbox/`, and that the service itself answers everyone."""

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from smsc_async import ApiKey, GetBalance
from smsc_async._protocol import encode
from smsc_async.sandbox import Sandbox
from smsc_async.sandbox._access import is_loopback

HOST = "127.0.0.1:8025"
BALANCE = encode(GetBalance(), ApiKey.model_validate({"key": "demo"}), "https://smscentre.com/sys/soap.php").body


async def _ask(
    sandbox: Sandbox, *headers: tuple[str, str], path: str = "/_sandbox/api/clock", **scope: Any
) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a request with exactly these headers."""
    sent: list[Any] = []
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    request = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": raw, "scheme": "http"}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(event: Any) -> None:
        sent.append(event)

    await sandbox.app({"server": ("127.0.0.1", 8025), **request, **scope}, receive, send)
    return sent[0]["status"], b"".join(event.get("body", b"") for event in sent)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8025", "127.0.0.1", "127.1.2.3:80", "localhost:8025", "LOCALHOST", "app.localhost:1", "[::1]:8025"],
)
async def test_the_loopback_is_allowed_on_any_port(host: str) -> None:
    assert (await _ask(Sandbox(), ("Host", host)))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:8025",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "10.0.0.5",
        "",
        "localhost@evil.test",
        "evil.test#localhost",
        "localhost:x",
        "localhost:99999",
        "[::1",
        "[::1].evil.test",
        "[::1]evil.test:80",
        "loc\talhost",
        "localhost\\evil.test",
        "localhost.",
        "127.0.0.1:8025:1",
        "localhost, evil.test",
        "sandbox",
    ],
)
async def test_another_host_is_refused(host: str) -> None:
    status, body = await _ask(Sandbox(), ("Host", host))
    assert (status, body[:30]) == (403, b'{"error":"this Host is not all')


async def test_a_request_needs_one_host() -> None:
    assert (await _ask(Sandbox()))[0] == 403
    assert (await _ask(Sandbox(), ("Host", HOST), ("Host", "evil.test")))[0] == 403


async def test_allowed_hosts_and_the_address_of_the_server_are_allowed() -> None:
    sandbox = Sandbox(allowed_hosts=["sandbox", "SMS.test", "[fd00::5]"])
    for host in ("sandbox:8025", "sandbox", "sms.test:1", "[fd00::5]:8025"):
        assert (await _ask(sandbox, ("Host", host)))[0] == 200
    assert (await _ask(Sandbox(), ("Host", "10.0.0.5:8025"), server=("10.0.0.5", 8025)))[0] == 200
    assert (await _ask(Sandbox(), ("Host", "localhost"), server=None))[0] == 200
    bound = Sandbox()
    bound.bind("machine.test", no_token=True)
    assert (await _ask(bound, ("Host", "machine.test:8025")))[0] == 200


@pytest.mark.parametrize("origin", [f"http://{HOST}", "http://LOCALHOST:8025"])
async def test_an_origin_that_is_the_host_is_allowed(origin: str) -> None:
    host = origin.removeprefix("http://")
    assert (await _ask(Sandbox(), ("Host", host), ("Origin", origin)))[0] == 200
    assert (await _ask(Sandbox(), ("Host", "localhost"), ("Origin", "http://localhost:80")))[0] == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "null",
        "",
        "http://127.0.0.1:8026",
        "http://localhost:8025",
        f"http://{HOST}/x",
        "http://[",
        f"http://{HOST}@evil.test",
        f"//{HOST}",
        HOST,
        f"ftp://{HOST}",
        f"chrome-extension://{HOST}",
        f"http:{HOST}",
        f"http://{HOST} http://evil.test",
    ],
)
async def test_another_origin_is_refused(origin: str) -> None:
    status, body = await _ask(Sandbox(), ("Host", HOST), ("Origin", origin))
    assert (status, body[:30]) == (403, b'{"error":"a web page of anothe')
    twice = await _ask(Sandbox(), ("Host", HOST), ("Origin", f"http://{HOST}"), ("Origin", origin))
    assert twice[0] == 403


@pytest.mark.parametrize("path", ["/_sandbox/", "/_sandbox/api/openapi.json", "/_sandbox/elsewhere"])
async def test_everything_below_the_path_is_checked(path: str) -> None:
    sandbox = Sandbox(token="s3cret")
    assert (await _ask(sandbox, ("Host", "evil.test"), path=path))[0] == 403
    assert (await _ask(sandbox, ("Host", HOST), path=path))[0] == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/_sandbox/livez", "/_sandbox/readyz", "/", "/sys/soap.php"])
async def test_the_service_answers_whatever_the_host_and_without_a_token(path: str) -> None:
    sandbox = Sandbox(token="s3cret")
    for headers in ([], [("Host", "evil.test"), ("Origin", "http://other.test")]):
        assert (await _ask(sandbox, *headers, path=path))[0] == 200
    async with httpx.AsyncClient(transport=sandbox.transport()) as http:
        answer = await http.post("http://evil.test/sys/soap.php", content=BALANCE, headers={"Origin": "null"})
    assert b"<balance>10000</balance>" in answer.content


@pytest.mark.parametrize("token", ["s3cret", SecretStr("s3cret")])
async def test_a_token_is_needed_where_there_is_one(token: str | SecretStr) -> None:
    sandbox = Sandbox(token=token)
    for given in ("Bearer s3cret", "bearer s3cret", "BEARER  s3cret"):
        assert (await _ask(sandbox, ("Host", HOST), ("Authorization", given)))[0] == 200
    guesses = ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret1", "Bearer S3CRET", "Basic s3cret", "s3cret"]
    for given in [*guesses, "Bearer s3cret s3cret", "Bearer é", "Bearer " + "x" * 10_000]:
        status, body = await _ask(sandbox, ("Host", HOST), ("Authorization", given))
        assert (status, b"s3cret" in body) == (401, False)
    twice = [("Authorization", "Bearer wrong"), ("Authorization", "Bearer s3cret")]
    assert (await _ask(sandbox, ("Host", HOST), *twice))[0] == 401
    assert "s3cret" not in repr(vars(sandbox._access))


async def test_a_refusal_names_the_way_to_authenticate() -> None:
    async with httpx.AsyncClient(transport=Sandbox(token="x").transport(), base_url="http://localhost") as http:
        answer = await http.get("/_sandbox/api/clock")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"error": "this sandbox needs its token: Authorization: Bearer <token>"}


@pytest.mark.parametrize("token", ["", "a b", "é", "a\n", 5, SecretStr("")])
def test_what_can_be_no_token_is_refused(token: Any) -> None:
    with pytest.raises(ValueError, match="token must be printable ASCII without spaces"):
        Sandbox(token=token)


@pytest.mark.parametrize(
    "hosts",
    [["sandbox:80"], ["http://sandbox"], [""], ["a/b"], [5], ["a b@c"], ["*"], ["*.test"], ["a b"], "sandbox", 5],
)
def test_what_can_be_no_host_is_refused(hosts: Any) -> None:
    with pytest.raises(ValueError, match="allowed_hosts"):
        Sandbox(allowed_hosts=hosts)


def test_another_bind_needs_a_token_or_a_decision() -> None:
    with pytest.raises(ValueError, match="other machines can connect to this host"):
        Sandbox().serve("0.0.0.0")
    for sandbox, options in ((Sandbox(token="x"), {}), (Sandbox(), {"no_token": True})):
        with sandbox.serve("0.0.0.0", **options) as url:
            assert httpx.get(url.replace("0.0.0.0", "127.0.0.1")).status_code == 200


def test_loopback_is_a_name_or_an_address() -> None:
    for host, expected in [
        ("::1", True),
        ("127.9.9.9", True),
        ("::", False),
        ("0.0.0.0", False),
        ("a.localhost", True),
    ]:
        assert is_loopback(host) is expected


async def test_a_body_that_is_too_long_is_refused_before_it_is_read_to_its_end() -> None:
    sent: list[Any] = []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": True}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/_sandbox/api/clock",
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"localhost")],
    }
    await Sandbox().app(scope, receive, send)
    assert (sent[0]["status"], read) == (413, 7)
    assert sent[1]["body"] == b'{"error":"the body has more than 65536 bytes"}'
