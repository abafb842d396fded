"""`smsc-async doctor --report` writes what a service answers to the open questions, to be read and sent to us."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from smsc_async._cli.app import app
from smsc_async._cli.doctor_report import write_report
from smsc_async._cli.questions import MOST
from smsc_async._cli.stand_ins import StandIns
from smsc_async._network.httpx import HttpxTransport
from smsc_async.sandbox import Account, Sandbox
from tests.cli.report_reader import LOGIN, URL, findings, read_report, sandbox_report

REPORTS = sorted((Path(__file__).parent / "reports").glob("*.txt"))
CNT = ("CostResponse", "costresult", "cost", "cnt")
NAMES = ["login", "apikey", "cost", "op", "status", "error 1", "error 7", "send", "namespace", "error 2", "wsdl"]


class Service:
    """A sandbox that notes the requests which reach it."""

    def __init__(self, **answers: httpx.Response) -> None:
        account = Account(login="canary-login", password="canary-password", apikey="canary-apikey")
        self.sandbox = Sandbox(accounts=[account])
        self.bodies: list[str] = []
        self._inside = self.sandbox.transport()
        self._answers = answers

    async def answer(self, request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        self.bodies.append(body)
        for part, answer in self._answers.items():
            if f":{part}>" in body:
                return answer
        return await self._inside.handle_async_request(request)

    async def report(self, path: Path, environment: Mapping[str, str] = LOGIN) -> str:
        transport = HttpxTransport(httpx.MockTransport(self.answer))
        await write_report(path / "report.txt", URL, transport=transport, environment=environment)
        return (path / "report.txt").read_text(encoding="utf-8")


async def test_all_questions_are_asked_once_and_nothing_is_sent_or_charged(tmp_path: Path) -> None:
    service = Service()
    sections = read_report(await service.report(tmp_path))
    assert list(sections) == NAMES
    assert len(service.bodies) == len(NAMES) == MOST
    assert service.sandbox.messages == ()
    assert service.sandbox.balances == {"canary-login": 10_000}
    assert {name: each.kind for name, each in sections.items()} == {
        "login": "Balance",
        "apikey": "Balance",
        "cost": "Cost",
        "op": "Cost",
        "status": "MessageNotFound",
        "error 1": "InvalidParameters",
        "error 7": "InvalidPhone",
        "send": "InvalidPhone",
        "namespace": "SoapFault",
        "error 2": "AuthenticationFailed",
        "wsdl": "namespace",
    }
    sends = [body for body in service.bodies if "send" in body]
    assert len(sends) == 1
    assert "<phones>12</phones>" in sends[0]
    assert "cost=1" in sends[0]


async def test_the_report_shows_no_secret_phone_or_text_but_their_names(tmp_path: Path) -> None:
    text = await sandbox_report(tmp_path / "report.txt")
    digest = hashlib.md5(b"canary-password", usedforsecurity=False).hexdigest()
    for private in ("canary", digest, "79999999999", "Проверка", "wrong-on-purpose", "10000<"):
        assert private not in text
    for name in ("[login 1]", "[password 1]", "[apikey 1]", "+[phone 1]", "[text 1]", "[wrong secret 1]", ">00000<"):
        assert name in text
    assert "- requests: 11\n" in text


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({"SMSC_APIKEY": "canary-apikey"}, 10),
        ({"SMSC_LOGIN": "canary-login", "SMSC_PASSWORD": "canary-password"}, 10),
        ({**LOGIN, "SMSC_APIKEY": "canary-other"}, 10),
        ({**LOGIN, "SMSC_PASSWORD": "canary-other"}, 2),
        ({"SMSC_APIKEY": "canary-other"}, 2),
    ],
)
async def test_at_most_one_login_is_wrong_and_none_on_purpose_if_the_right_one_fails(
    tmp_path: Path, environment: Mapping[str, str], asked: int
) -> None:
    service = Service()
    sections = read_report(await service.report(tmp_path, environment))
    assert len(service.bodies) == asked
    refused = sum(number for (_, error), number in service.sandbox.counts.items() if error == 2)
    assert refused == 1
    reasons = {each.reading[0] for each in sections.values() if each.kind == "not"}
    assert reasons <= {
        "not asked: no login has worked",
        "not asked: another login was refused",
        "not asked: another login was refused already",
    }


async def test_after_a_block_or_without_a_connection_nothing_more_is_asked(tmp_path: Path) -> None:
    service = Service()
    service.sandbox.faults.add("block")
    sections = read_report(await service.report(tmp_path))
    assert len(service.bodies) == 2
    assert sections["cost"].reading == ("not asked: the service has blocked this IP address (error 4)",)

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    path = tmp_path / "other.txt"
    await write_report(path, URL, transport=HttpxTransport(httpx.MockTransport(fail)), environment=LOGIN)
    sections = read_report(path.read_text(encoding="utf-8"))
    assert (sections["wsdl"].kind, sections["login"].kind) == ("ConnectError", "ConnectError")
    assert sections["apikey"].reading == ("not asked: no connection to the service",)


async def test_what_the_service_quotes_or_hides_in_an_answer_is_shown_safely(tmp_path: Path) -> None:
    page = "<p>CANARY-PASSWORD of ann@example.com, +7 and 79161234567</p>\n## wsdl: a forged line\n\x1b[31m\u202e"
    service = Service(cost=httpx.Response(403, text=page, headers={"Content-Type": "text/html"}))
    text = await service.report(tmp_path)
    shown = read_report(text)["cost"]
    assert (shown.kind, shown.status) == ("HTTPStatusError", 403)
    assert shown.answer.startswith("<p>[password 1] of [e-mail 1], +7 and [phone 2]</p>## wsdl")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert list(read_report(text)) == NAMES


def test_short_values_are_replaced_as_whole_words_only() -> None:
    names = StandIns()
    assert [names.add("login", "a"), names.add("password", "a&b"), names.add("login", "A")] == [
        "[login 1]",
        "[password 1]",
        "[login 1]",
    ]
    assert names.hide("<login>a</login> and a&amp;b, a%26b, at") == (
        "<login>[login 1]</login> and [password 1], [password 1], at"
    )
    assert names.hide("<balance>-12.50</balance> <cost>1.44</cost>") == "<balance>-00.00</balance> <cost>1.44</cost>"


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
async def test_the_reports_that_we_have_agree_with_the_sandbox_and_the_contract(path: Path, tmp_path: Path) -> None:
    """What is known to differ is in the file of the same name that ends with .json."""
    known, text = (path.with_suffix(end).read_text(encoding="utf-8") for end in (".json", ".txt"))
    ours = read_report(await sandbox_report(tmp_path / "report.txt"))
    assert list(findings(read_report(text), ours)) == json.loads(known)


async def test_a_report_of_another_service_differs_where_it_does(tmp_path: Path) -> None:
    text = await sandbox_report(tmp_path / "report.txt")
    ours = read_report(text)
    assert list(findings(ours, ours)) == []
    changed = (
        text.replace("<cnt>1</cnt>", "<cnt>1</cnt><colour>red</colour>", 1)
        .replace("Procedure 'balance' not present", "no such procedure")
        .replace("reading: MessageNotFound", "reading: DeliveryReport")
        .replace(
            "no difference(s) from the snapshot", "1 difference(s) from the snapshot\n- The operation x is missing."
        )
        .replace("## error 1:", "## error one:")
    )
    assert list(findings(read_report(changed), ours)) == [
        f"cost: {(*CNT, 'colour')}, in the sandbox {CNT}",
        "cost: unknown field colour",
        "status: DeliveryReport with HTTP 200, in the sandbox MessageNotFound with 200",
        "error 1: missing",
        "namespace: no such procedure, in the sandbox Procedure 'balance' not present",
        "wsdl: - The operation x is missing.",
    ]


def _run(*arguments: str, env: dict[str, str | None]) -> Any:
    return CliRunner().invoke(app, ["doctor", *arguments], env=env)


def test_the_command_says_what_it_spends_before_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "canary-apikey")
    path = tmp_path / "report.txt"
    with Sandbox(accounts=[Account(login="a", password="b", apikey="canary-apikey")]).serve() as url:
        done = _run("--url", url, "--report", str(path), env={})
        assert (done.exit_code, done.stdout) == (
            0,
            f"10 requests; read {path}, then attach it to an issue of smsc-async\n",
        )
        assert done.stderr.startswith(f"this makes at most {MOST} requests: the WSDL, ")
        again = _run("--url", url, "--report", str(path), env={})
        assert (again.exit_code, again.stdout) == (2, "")
        assert again.stderr.endswith(f"can't write --report {path}: File exists; pass the path of a new file\n")
        other = _run("--url", url, "--report", str(tmp_path / "other.txt"), "--json", env={})
        assert json.loads(other.stdout) == {"report": str(tmp_path / "other.txt"), "requests": 10}


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        ([], {"SMSC_APIKEY": None, "SMSC_LOGIN": None, "SMSC_PASSWORD": None}, "credentials are missing"),
        ([], {"SMSC_APIKEY": "k", "SMSC_LOGIN": "only-half", "SMSC_PASSWORD": None}, "credentials are missing"),
        (["--url", "ftp://sms.example"], {"SMSC_APIKEY": "k"}, "url"),
    ],
)
def test_a_wrong_argument_leaves_no_file(
    tmp_path: Path, arguments: list[str], env: dict[str, str | None], words: str
) -> None:
    done = _run("--report", str(tmp_path / "report.txt"), *arguments, env=env)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "report.txt").exists()


async def test_an_interrupted_report_leaves_no_file(tmp_path: Path) -> None:
    def stop(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await write_report(
            tmp_path / "report.txt", URL, transport=HttpxTransport(httpx.MockTransport(stop)), environment=LOGIN
        )
    assert not (tmp_path / "report.txt").exists()
