"""The last requests and their answers are kept without credentials, and each is a line of the log."""

import gzip
import logging

import anyio
import httpx
import pytest

from smsc_async import Client, SmscError, testing
from smsc_async.sandbox import Sandbox
from smsc_async.sandbox._exchanges import Exchange, Exchanges
from tests.doubles import URL

PHONE = "+79991234567"


async def _post(sandbox: Sandbox, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=sandbox.transport()) as http:
        return await http.post(URL, content=body, headers=headers)


def _call(fields: str, element: str = "send") -> bytes:
    soap = 'xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="https://smscentre.com/sys/soap.php"'
    return f"<e:Envelope {soap}><e:Body><n:{element}>{fields}</n:{element}></e:Body></e:Envelope>".encode()


async def test_a_wrong_login_is_kept_without_what_was_given() -> None:
    sandbox = Sandbox()
    await _post(sandbox, _call("<login>demo</login><psw>canary</psw>", "balance"))
    (exchange,) = sandbox.requests
    assert (exchange.login, exchange.outcome) == (None, "error 2: wrong login, password or apikey")
    assert "canary" not in exchange.request


@pytest.mark.parametrize(
    "secret", ["canarypassword", "canarykey", "7e6f391a27dc3f38e93db5d6dcf10ae3"], ids=["password", "apikey", "md5"]
)
@pytest.mark.parametrize("fields", ["<pin>{}</pin>", "<query>k={}</query>", "<x><y>{}</y></x>", "<x y='{}'/>"])
async def test_the_secret_of_an_account_is_not_kept_in_whatever_field_it_was_sent(secret: str, fields: str) -> None:
    sandbox = Sandbox()
    sandbox.put_account("bob", password="canarypassword", apikey="canarykey")
    await _post(sandbox, _call(f"<apikey>demo</apikey>{fields.format(secret)}"))
    (exchange,) = sandbox.requests
    assert secret not in exchange.request
    assert "***" in exchange.request.replace("<apikey>***</apikey>", "")


async def test_an_unreadable_request_is_kept_with_its_fault() -> None:
    sandbox = Sandbox()
    await _post(sandbox, b"<psw>canary")
    await _post(sandbox, _call("<psw>canary</psw>", "nothing"))
    await _post(sandbox, _call("<psw href='#canary'/>", "balance"))
    outcomes = [exchange.outcome for exchange in sandbox.requests]
    assert outcomes == [
        "SOAP Fault Client: Bad Request",
        "SOAP Fault Server: Procedure ... not present",
        "SOAP Fault Server: SOAP-ERROR: Encoding: Unresolved reference ...",
    ]
    assert [(each.method, each.status, each.executed) for each in sandbox.requests] == [("", 500, False)] * 3
    assert "canary" not in sandbox.requests[0].request + sandbox.requests[1].request
    assert "canary" not in str(outcomes)


async def test_a_compressed_request_is_shown_as_it_was_read() -> None:
    sandbox = Sandbox()
    body = gzip.compress(_call("<apikey>demo</apikey>", "balance"))
    await _post(sandbox, body, **{"Content-Encoding": "gzip"})
    assert "<apikey>***</apikey>" in sandbox.requests[0].request


async def test_long_requests_and_answers_are_not_kept() -> None:
    sandbox = Sandbox()
    phones = ",".join(f"7916{number:07}" for number in range(6_000))
    fields = f"<apikey>demo</apikey><phones>{phones}</phones><mes>FORBIDDEN</mes><query>err=1</query>"
    answer = await _post(sandbox, _call(fields, "send2"))
    assert len(answer.content) > 65_536
    assert (sandbox.requests[0].request, sandbox.requests[0].answer) == ("", "")


async def test_faults_are_named() -> None:
    sandbox = Sandbox(faults=["lose_answer operation=send", "error code=5 operation=cost", "garbage operation=balance"])
    async with testing.client(sandbox, on_unknown="raise") as client:
        for work in (lambda: client.send(PHONE, "Hi"), lambda: client.cost(PHONE, "Hi"), client.balance):
            with pytest.raises(SmscError):
                await work()
    lost, refused, garbage = (
        next(each for each in sandbox.requests if each.method == method)
        for method in ("send_sms", "get_sms_cost", "get_balance")
    )
    assert (lost.outcome, lost.status, lost.answer, lost.executed) == ("fault lose_answer", None, "", True)
    assert refused.outcome == "fault error, not executed; error 5: the time is wrong"
    assert (refused.status, refused.executed) == (200, False)
    assert garbage.outcome == "fault garbage"


async def test_a_request_is_kept_before_it_is_answered() -> None:
    sandbox = Sandbox(latency=20)
    async with Client(apikey="demo", transport=sandbox.transport()) as client, anyio.create_task_group() as group:
        group.start_soon(client.send, PHONE, "Hi")
        await sandbox.wait_for(text="Hi")
        assert [(each.status, each.seconds) for each in sandbox.requests] == [(None, None)]
        await sandbox.advance(20)
    assert sandbox.requests[0].status == 200
    assert sandbox.requests[0].seconds is not None


async def test_each_request_is_logged_without_phones_texts_and_credentials(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smsc_async.sandbox")
    sandbox = Sandbox()
    for _ in range(2):
        await _post(sandbox, _call(f"<apikey>demo</apikey><phones>{PHONE}</phones><mes>canary</mes>"))
    await _post(sandbox, b"canary")
    assert [line.rpartition(",")[0] for line in caplog.messages] == [
        "send_sms: ok",
        "send_sms: error 9: identical sends 2 in 60 s",
        "unreadable request: SOAP Fault Client: Bad Request",
    ]


def test_only_the_last_are_kept() -> None:
    exchanges = Exchanges()
    for number in range(10_005):
        exchanges.add(Exchange(number, 0.0))
    assert [exchanges.all()[0].number, len(exchanges.all())] == [5, 10_000]
    exchanges.finish(exchanges.all()[0], 0.0, 200, "x" * 2_000_000)
    exchanges.finish(Exchange(1, 0.0), 0.0, 200, "x" * 9_000_000)  # it is not kept any more
    exchanges.add(Exchange(20_000, 0.0, request="x" * 2_000_001))
    assert exchanges.all()[0].number == 6
    exchanges.add(Exchange(20_001, 0.0, request="x" * 9_000_000))
    assert [each.number for each in exchanges.all()] == [20_001]
    exchanges.clear()
    assert exchanges.all() == ()


def test_an_error_without_words_is_shown_by_its_number() -> None:
    assert Exchange(1, 0.0, error=77).outcome == "error 77"
