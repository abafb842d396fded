"""`smsc-async doctor` against PHP's SoapServer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smsc_async._cli.app import app
from smsc_async._cli.doctor_report import write_report
from smsc_async._protocol.contract import CONTRACT, Element
from smsc_async._protocol.wsdl import write_wsdl
from tests.cli.report_reader import LOGIN, findings, read_report, sandbox_report
from tests.interop.judges import PhpServer

REFUSED = ("Send2Response", "sendresult", "error")


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


async def test_the_report_about_php_differs_from_the_sandbox_only_in_what_this_server_does_not_check(
    php_server: PhpServer, tmp_path: Path
) -> None:
    php_server.answer(
        get_balance={"fields": {"balance": "1871.62"}},
        get_sms_cost={"fields": {"cost": "1.44", "cnt": "1"}},
        get_sms_cost2={"fields": {"cost": "1.44", "cnt": "1"}},
        get_status={"fields": {"error": "3"}},
        send_sms2={"fields": {"error": "7", "errors": [{"phone": "12", "status": "7"}]}},
    )
    path = tmp_path / "report.txt"
    await write_report(path, php_server.url, allow_http=True, environment=LOGIN)
    theirs = read_report(path.read_text(encoding="utf-8"))
    ours = read_report(await sandbox_report(tmp_path / "sandbox.txt"))
    assert list(findings(theirs, ours)) == [
        "error 1: Cost with HTTP 200, in the sandbox InvalidParameters with 200",
        "error 7: Cost with HTTP 200, in the sandbox InvalidPhone with 200",
        f"send: {(*REFUSED, 'errors', 'phone', 'status')}, in the sandbox {REFUSED}",
        "error 2: Balance with HTTP 200, in the sandbox AuthenticationFailed with 200",
    ]
    assert "canary" not in path.read_text(encoding="utf-8")
