"""`smsc-async doctor` compares a service with the contract and checks the login."""

import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace

import anyio
import httpx
import pytest
from typer.testing import CliRunner

from smsc_async import Reply, Timeout
from smsc_async._cli import doctor as _doctor
from smsc_async._cli.app import app
from smsc_async._cli.doctor import Examination, examine
from smsc_async._network.httpx import HttpxTransport
from smsc_async._protocol.contract import CONTRACT, Contract
from smsc_async._protocol.wsdl import read_wsdl, write_wsdl
from smsc_async.sandbox import Sandbox

URL = "https://sms.example/sys/soap.php"
KEY = {"SMSC_APIKEY": "demo"}


async def examine_sandbox(environment: Mapping[str, str]) -> Examination:
    return await examine(URL, transport=HttpxTransport(Sandbox().transport()), environment=environment)


async def examine_answer(answer: httpx.Response) -> Examination:
    return await examine(URL, transport=HttpxTransport(httpx.MockTransport(lambda _: answer)), environment={})


@pytest.mark.parametrize("environment", [KEY, {"SMSC_LOGIN": "demo", "SMSC_PASSWORD": "demo"}])
async def test_a_service_that_keeps_the_contract_is_healthy(environment: Mapping[str, str]) -> None:
    found = await examine_sandbox(environment)
    assert found.is_healthy
    assert found.namespace == URL
    assert found.differences == ()
    assert str(found.balance) == "10000"


async def test_the_url_comes_from_the_environment_too() -> None:
    transport = HttpxTransport(Sandbox().transport())
    found = await examine(transport=transport, environment={**KEY, "SMSC_URL": f"{URL}?wsdl"})
    assert (found.url, found.is_healthy) == (URL, True)


async def test_a_refused_login_is_reported() -> None:
    found = await examine_sandbox({"SMSC_APIKEY": "wrong"})
    assert not found.is_healthy
    assert found.login_error is not None
    assert found.login_error.startswith("AuthenticationFailed: ")


@pytest.mark.parametrize("environment", [{}, {"SMSC_LOGIN": "demo"}, {"SMSC_APIKEY": " "}])
async def test_without_credentials_the_login_is_not_tried(environment: Mapping[str, str]) -> None:
    found = await examine_sandbox(environment)
    assert found.login_error is not None
    assert found.login_error.startswith("not tried: ")
    assert found.differences == ()
    assert not found.is_healthy


async def test_a_page_instead_of_the_wsdl_is_reported() -> None:
    assert (await examine_answer(httpx.Response(404))).wsdl_error == "MalformedEnvelope: HTTP 404 instead of a WSDL"
    page = await examine_answer(httpx.Response(200, text="<html></html>"))
    assert page.wsdl_error == "MalformedEnvelope: the document is not a WSDL 1.1"


class SilentTransport(HttpxTransport):
    """A service that accepts a request and never answers."""

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Wait forever."""
        await anyio.sleep_forever()
        raise AssertionError(url, timeout)


async def test_a_missing_wsdl_ends_in_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_doctor, "_PATIENCE", 0.0)
    found = await examine(URL, transport=SilentTransport(), environment={})
    assert found.wsdl_error is not None
    assert found.wsdl_error.startswith("ReadTimeout: ")


async def test_each_difference_is_a_sentence() -> None:
    operations = {name: each for name, each in CONTRACT.operations.items() if name != "get_status2"}
    wsdl = write_wsdl(replace(CONTRACT, operations=operations), "urn:other")
    found = await examine_answer(httpx.Response(200, content=wsdl))
    assert found.namespace == "urn:other"
    assert found.differences == (
        f"The namespace is urn:other, expected {URL}.",
        "The operation get_status2 is missing.",
    )


@pytest.mark.slow
def test_an_unreachable_service_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "canary-key")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/sys/soap.php"
        result = CliRunner().invoke(app, ["doctor", "--url", url])
        in_json = CliRunner().invoke(app, ["doctor", "--url", url, "--json"])
    assert result.exit_code == in_json.exit_code == 1
    assert "WSDL       ConnectError" in result.stdout
    assert json.loads(in_json.stdout)["login_error"].startswith("ConnectError")
    assert "canary-key" not in result.output + in_json.output


def test_a_wrong_url_is_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["doctor", "--url", "ftp://sms.example"])
    assert (result.exit_code, result.stdout) == (2, "")


async def test_a_wsdl_is_compared_on_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [threading.current_thread()]

    def noting(body: bytes) -> Contract:
        threads.append(threading.current_thread())
        return read_wsdl(body)

    monkeypatch.setattr(_doctor, "read_wsdl", noting)
    await examine_sandbox(KEY)
    assert len(set(threads)) == 2
    assert not threads[1].is_alive()
