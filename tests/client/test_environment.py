"""What a deployment sets: the `SMSC_*` variables that a client reads where an argument was not passed."""

import inspect
import re
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from smsc_async import ApiKey, Client, Guards, Login, Timeout
from smsc_async._call import credentials_from
from tests.client.client_service import PHONE
from tests.doubles import FakeService, make_client

SECRET: Final = "canary-secret"
VARIABLES: Final = {
    "SMSC_APIKEY",
    "SMSC_LOGIN",
    "SMSC_PASSWORD",
    "SMSC_URL",
    "SMSC_FALLBACK_URLS",
    "SMSC_TIMEOUT",
    "SMSC_DEADLINE",
    "SMSC_ACCOUNT",
    "SMSC_EGRESS",
}


def set_all(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"SMSC_APIKEY": "key", **values}.items():
        monkeypatch.setenv(name, value)


async def test_a_deployment_sets_everything_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch,
        SMSC_URL="https://one.test/soap.php",
        SMSC_FALLBACK_URLS="https://two.test/soap.php, https://three.test/soap.php",
        SMSC_TIMEOUT="7.5",
        SMSC_DEADLINE="40",
        SMSC_ACCOUNT="shop",
        SMSC_EGRESS="nat-1",
    )
    client = Client(transport=FakeService())
    assert client._caller._urls == tuple(f"https://{name}.test/soap.php" for name in ("one", "two", "three"))
    assert (client._timeout, client._deadline) == (Timeout.of(7.5), 40.0)
    who = client._caller._identities.known
    assert who is not None
    assert (who.account, who.egress) == ("shop", "nat-1")


async def test_an_argument_comes_before_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch,
        SMSC_FALLBACK_URLS="no URL",
        SMSC_TIMEOUT="soon",
        SMSC_DEADLINE="soon",
        SMSC_ACCOUNT="shop",
        SMSC_EGRESS="nat-1",
    )
    client = Client(
        transport=FakeService(), fallback_urls=(), timeout=Timeout(), deadline=None, account="mine", egress="here"
    )
    assert (client._timeout, client._deadline, len(client._caller._urls)) == (Timeout(), None, 1)


@pytest.mark.parametrize("empty", ["", " "])
async def test_an_empty_variable_counts_as_unset(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SMSC_FALLBACK_URLS=empty, SMSC_TIMEOUT=empty, SMSC_DEADLINE=empty)
    client = Client(transport=FakeService())
    assert (client._timeout, client._deadline, len(client._caller._urls)) == (Timeout(), 90.0, 1)


@pytest.mark.parametrize(("written", "seconds"), [(".5", 0.5), ("5.", 5.0), (" 5\n", 5.0)])
async def test_a_variable_may_hold_each_spelling_of_a_number(
    written: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, SMSC_TIMEOUT=written, SMSC_DEADLINE=written)
    client = Client(transport=FakeService())
    assert (client._timeout, client._deadline) == (Timeout.of(seconds), seconds)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SMSC_APIKEY": f"{SECRET}\n"}, ApiKey(key=SecretStr(SECRET))),
        (
            {"SMSC_APIKEY": "", "SMSC_LOGIN": " ann\r\n", "SMSC_PASSWORD": f"{SECRET}\n"},
            Login(login=SecretStr("ann"), password=SecretStr(SECRET)),
        ),
    ],
)
def test_the_line_break_of_a_secret_file_is_no_part_of_the_secret(variables: dict[str, str], expected: object) -> None:
    assert credentials_from(None, None, None, variables) == expected


async def test_a_deployment_may_switch_the_deadline_off(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SMSC_DEADLINE="none")
    assert Client(transport=FakeService())._deadline is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"SMSC_URL": f"https://user:{SECRET}@sms.test/"}, "SMSC_URL must not hold a user name or a password"),
        ({"SMSC_URL": "sms.test"}, "SMSC_URL must be the URL of the SOAP service"),
        ({"SMSC_URL": "http://sms.test/"}, "SMSC_URL: http would send the credentials in clear text"),
        ({"SMSC_FALLBACK_URLS": f"https://u:{SECRET}@sms.test/"}, "SMSC_FALLBACK_URLS must not hold a user name"),
        ({"SMSC_FALLBACK_URLS": "https://a.test/;x y"}, "SMSC_FALLBACK_URLS must be the URL of the SOAP service"),
        ({"SMSC_TIMEOUT": "0"}, "SMSC_TIMEOUT must be a number of seconds above 0, such as 30"),
        ({"SMSC_TIMEOUT": "nan"}, "SMSC_TIMEOUT must be a number of seconds"),
        ({"SMSC_TIMEOUT": "30s"}, "SMSC_TIMEOUT must be a number of seconds"),
        ({"SMSC_DEADLINE": "-1"}, "SMSC_DEADLINE must be a number of seconds above 0, such as 90, or 'none'"),
        ({"SMSC_DEADLINE": "1e400"}, "SMSC_DEADLINE must be a number of seconds"),
        ({"SMSC_APIKEY": f"{SECRET}\x1b"}, "SMSC_APIKEY must be at most 1000 characters, all of which XML can carry"),
        ({"SMSC_TIMEOUT": "."}, "SMSC_TIMEOUT must be a number of seconds"),
        ({"SMSC_APIKEY": " "}, "SMSC_APIKEY must not be empty"),
        (
            {"SMSC_APIKEY": "", "SMSC_LOGIN": "ann", "SMSC_PASSWORD": f"{SECRET}\x1b"},
            "SMSC_PASSWORD must be at most 1000 characters",
        ),
        ({"SMSC_APIKEY": "", "SMSC_LOGIN": "ann"}, "credentials are missing; pass apikey="),
    ],
    ids=str,
)
def test_a_wrong_variable_is_named_and_its_value_is_not_shown(
    values: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, **values)
    with pytest.raises(ValueError, match=f"^{re.escape(why)}") as caught:
        Client(transport=FakeService())
    error = caught.value
    assert SECRET not in f"{error!s}{error!r}{error.__cause__!r}{error.__context__!r}"


def test_the_page_and_the_help_of_the_client_list_each_variable() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"`(SMSC_[A-Z_]+)`", "".join(re.findall(r"^\| `SMSC_.*", page, re.MULTILINE))))
    assert rows >= VARIABLES
    assert set(re.findall(r"SMSC_[A-Z_]+", inspect.getdoc(Client) or "")) == VARIABLES


# A client with other options
async def test_a_client_with_other_options_shares_the_connections_and_the_guards() -> None:
    service = FakeService()
    async with make_client(service, guards=Guards()) as client:
        other = client.with_options(timeout=5, deadline=None, on_unknown="resend")
        assert (other._timeout, other._deadline) == (Timeout.of(5), None)
        assert (client._timeout, client._deadline) == (Timeout(), 90.0)
        assert other.guards is client.guards
        assert other._watches.curve is client._watches.curve
        assert (other._reconciler._on_unknown, client._reconciler._on_unknown) == ("resend", "raise")
        await other.send(PHONE, "Hi")
        same = other.with_options()
        assert (same._timeout, same._deadline, same._reconciler) == (Timeout.of(5), None, other._reconciler)
    assert len(service.requests) == 1


async def test_only_the_client_itself_closes_what_it_shares() -> None:
    service = FakeService()
    client = make_client(service)
    async with client.with_options(timeout=5) as other:
        await other.balance()
    await other.aclose()
    await client.balance()
    await other.balance()
    await client.aclose()
    assert "(closed)" in repr(other)
    with pytest.raises(ValueError, match="timeout must be a number of seconds, at least 0"):
        await other.aclose(timeout=-1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"timeout": 0}, "timeout must be a number of seconds, more than 0, or a Timeout"),
        ({"deadline": -1}, "deadline must be a number of seconds, more than 0, or None"),
        ({"on_unknown": None}, "on_unknown must be 'reconcile', 'raise' or 'resend'"),
    ],
    ids=str,
)
def test_other_options_are_checked_at_once(options: dict[str, object], why: str) -> None:
    client = Client(apikey="key", transport=FakeService())
    with pytest.raises(ValueError, match=why):
        client.with_options(**options)  # type: ignore[arg-type]
