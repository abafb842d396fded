"""Phones as people write them, and the text of a send, on the command line."""

import json
import sys

import pytest
from typer.testing import CliRunner, Result

from smsc_async._cli import app as cli
from smsc_async.sandbox import Sandbox
from tests.cli.test_send_file import PHONES, sandbox  # noqa: F401 - a fixture


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, arguments, input=stdin)


def test_phones_are_shown_in_international_form() -> None:
    result = run("phone", "8 (999) 123-45-67", "00 49 30 123456", "--region", "ru")
    assert (result.exit_code, result.output) == (0, "+79991234567\n+4930123456\n")
    result = run("phone", "-", "--region", "RU", stdin="8 999 123 45 67\n\n+7 (701) 123-45-67\n")
    assert (result.exit_code, result.output) == (0, "+79991234567\n+77011234567\n")
    result = run("phone", "+7 999 1234567", "--json")
    assert json.loads(result.stdout) == {"phones": [{"text": "+7 999 1234567", "phone": "+79991234567", "error": None}]}


@pytest.mark.parametrize(
    ("arguments", "shown", "words"),
    [
        (("8 999 123-45-67",), "", "phone 1: the country of the phone is unknown; begin it with +"),
        (("+79991234567", "x", "112", "--region", "RU"), "+79991234567\n", "phone 2: this is no valid phone number in"),
        (("",), "", "phone 1: the country of the phone is unknown"),
        (("112", "--region", "Russia"), "", "region must be 'RU' or another country in two letters"),
    ],
)
def test_what_is_no_phone_is_exit_code_2(arguments: tuple[str, ...], shown: str, words: str) -> None:
    result = run("phone", *arguments)
    assert (result.exit_code, result.stdout) == (2, shown)
    assert result.stderr.startswith(words)


@pytest.mark.parametrize(
    "arguments", [("phone", "+79991234567"), ("phone", "1", "--region", "RU"), ("send", "1", "Hi", "--region", "RU")]
)
def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == ("phones as people write them need an extra package: pip install 'smsc-async[phones]'\n")


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ((PHONES[0], "Hi"), [(PHONES[0], "Hi")]),
        ((PHONES[0], "-"), [(PHONES[0], "from\nstdin")]),
        ((PHONES[0], "--text", "-"), [(PHONES[0], "from\nstdin")]),
        ((f"{PHONES[0]},{PHONES[1]}", "Hi"), [(PHONES[0], "Hi"), (PHONES[1], "Hi")]),
        ((PHONES[0], PHONES[1], "--text", "Hi"), [(PHONES[0], "Hi"), (PHONES[1], "Hi")]),
        (("8 (916) 123-45-60", "Hi", "--region", "RU"), [(PHONES[0], "Hi")]),
        (("8 916 123-45-60; 8 916 123-45-61", "Hi", "--region", "RU"), [(PHONES[0], "Hi"), (PHONES[1], "Hi")]),
    ],
)
def test_the_text_follows_the_recipient_or_comes_from_stdin(
    sandbox: Sandbox,  # noqa: F811 - a fixture
    arguments: tuple[str, ...],
    sent: list[tuple[str, str]],
) -> None:
    result = run("cost", *arguments, stdin="from\nstdin\n")
    assert result.exit_code == 0, result.output
    assert not sandbox.messages
    result = run("send", *arguments, stdin="from\nstdin\n")
    assert result.exit_code == 0, result.output
    assert [(f"+{message.phone.lstrip('+')}", message.text) for message in sandbox.messages] == sent


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((PHONES[0], PHONES[1]), "the text is missing, or not in quotation marks; pass it with --text"),
        ((PHONES[0], "4821"), "the text is missing, or not in quotation marks"),
        ((PHONES[0], f"{PHONES[1]}; {PHONES[2]}"), "the text is missing, or not in quotation marks"),
        ((PHONES[0], "G5"), "the text is missing, or not in quotation marks"),
        ((PHONES[0], "Hello", "world"), "the text is missing, or not in quotation marks"),
        ((PHONES[0],), "Sms needs a text"),
        ((PHONES[0], "-"), "there is no text on stdin"),
        (("8 916 123", "Hi", "--region", "RU"), "this is no valid phone number in RU"),
        (("8 916 123-45-60", "Hi"), "Phone.parse (--region) reads other spellings"),
    ],
)
def test_an_unclear_text_or_recipient_sends_nothing(
    sandbox: Sandbox,  # noqa: F811 - a fixture
    arguments: tuple[str, ...],
    words: str,
) -> None:
    result = run("send", *arguments, stdin="")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert not sandbox.messages


def test_a_channel_without_a_text_takes_only_recipients(sandbox: Sandbox) -> None:  # noqa: F811 - a fixture
    assert run("send", PHONES[0], PHONES[1], "--via", "hlr").exit_code == 0
    assert run("send", "G1", "Hi", "--region", "RU").exit_code == 1  # the sandbox has no such group
    assert len(sandbox.messages) == 2


def test_parts_reads_stdin() -> None:
    assert run("parts", "-", stdin="Привет\n").stdout.splitlines() == ["1 SMS, UCS-2, 6 units", "  1 Привет"]
