"""`smsc-async doctor` against PHP's SoapServer."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from smsc_async._cli.app import app
from smsc_async._protocol.contract import CONTRACT, Element
from smsc_async._protocol.wsdl import write_wsdl
from tests.interop.judges import PhpServer


def test_doctor_finds_nothing_amiss_in_the_snapshot(php_server: PhpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "secret")
    php_server.answer(get_balance={"fields": {"balance": "12.50"}})
    result = CliRunner().invoke(app, ["doctor", "--url", php_server.url])
    assert result.exit_code == 0, result.output
    for words in (f"namespace  {php_server.url}", "no difference", "login      works", "balance    12.50"):
        assert words in result.stdout


def test_doctor_names_each_difference(php_server: PhpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "secret")
    namespace = "https://other.example/soap"
    send = CONTRACT.operations["send_sms"]
    fields = (*(field for field in send.fields if field.name != "sender"), Element("colour"))
    wsdl = write_wsdl(
        replace(CONTRACT, operations={**CONTRACT.operations, "send_sms": replace(send, fields=fields)}), namespace
    )
    address = f'location="{namespace}"'.encode()
    assert wsdl.count(address) == 1
    php_server.serve(wsdl.replace(address, f'location="{php_server.url}"'.encode()))
    php_server.answer(get_balance={"fields": {"balance": "12.50"}})
    differences = [
        f"The namespace is {namespace}, expected {php_server.url}.",
        "Operation send_sms: the field sender is missing.",
        "Operation send_sms: there is an unknown field colour.",
    ]

    in_json = CliRunner().invoke(app, ["doctor", "--url", php_server.url, "--json"])
    assert in_json.exit_code == 1
    found = json.loads(in_json.stdout)
    assert (found["namespace"], found["differences"]) == (namespace, differences)
    # It speaks the namespace that it found, so that the login is judged by itself.
    assert (found["login_error"], found["balance"]) == (None, "12.50")

    result = CliRunner().invoke(app, ["doctor", "--url", php_server.url])
    assert result.exit_code == 1
    assert "3 difference(s)" in result.stdout
    assert all(f"  - {difference}" in result.stdout for difference in differences)
