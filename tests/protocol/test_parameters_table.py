"""The table of parameters says what the client does: its examples are executed, and it lists each of the page."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import pytest

import smsc_async
from smsc_async import ApiKey, Client, SmscError
from smsc_async._protocol.received import RequestFault
from smsc_async.sandbox import Account, DeliveryPlan, Sandbox
from tests.doubles import URL, FakeService
from tests.protocol.test_documented_parameters import FIELDS, PARAMETERS

TABLE: Final = (Path(__file__).parent.parent.parent / "docs" / "reference" / "parameters.md").read_text(
    encoding="utf-8"
)
NAMES: Final = {
    **{name: getattr(smsc_async, name) for name in smsc_async.__all__},
    "datetime": datetime,
    "timedelta": timedelta,
    "UTC": UTC,
}
HEAD: Final = "| parameter | the page allows | accepted | refused | why |"
EXAMPLE: Final = re.compile(r"`([^`]+)`(?: → `([^`]+)`)?")
KEY: Final = ApiKey(key="demo")  # type: ignore[arg-type]  # pydantic makes it secret


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD", "SMSC_URL"):
        monkeypatch.delenv(name, raising=False)


class Row(NamedTuple):
    """One row: the methods of its table, its parameter, and its cells."""

    methods: tuple[str, ...]
    name: str
    allowed: str
    accepted: list[tuple[str, str]]
    refused: list[tuple[str, str]]
    why: str


def rows_of(table: str) -> Iterator[Row]:
    methods: tuple[str, ...] = ()
    for line in table.splitlines():
        if line.startswith("#"):
            methods = tuple(re.findall("`([^`]+)`", line))
        elif line.startswith("| `"):
            cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            name, allowed, accepted, refused, why = cells
            yield Row(methods, name.strip("`"), allowed, EXAMPLE.findall(accepted), EXAMPLE.findall(refused), why)


async def execute(example: str, transport: object) -> None:
    """Execute an example as the page of documentation says; a wrong argument is a `ValueError`."""
    options: dict[str, Any] = {"transport": transport, "url": URL, "guards": None, "on_unknown": "raise"}

    def make(**credentials: Any) -> Client:
        return Client(**options, **credentials)

    client = make(credentials=lambda: KEY)
    if example.startswith("Client("):
        found = eval(example, {**NAMES, "Client": make})  # noqa: S307 - our own documentation
        call = found.send("+79991234567", "Hi") if isinstance(found, Client) else found
    elif re.match(r"(send_batch|cost|status)\(", example):
        call = eval(f"client.{example}", {**NAMES, "client": client})  # noqa: S307 - as above
    else:
        given = eval(f"dict({example})", dict(NAMES))  # noqa: S307 - as above
        call = client.send(**{"to": "+79991234567", "text": "Hi", **given})
    if isinstance(call, AsyncIterator):
        async for outcome in call:
            if outcome.error:
                raise outcome.error
    else:
        await call


async def differences(table: str) -> list[str]:
    """Return what a table says that the client does not do."""
    found = []
    listed: dict[tuple[str, ...], list[str]] = {}
    for row in rows_of(table):
        listed.setdefault(row.methods, []).append(row.name)
        if not row.allowed or not row.accepted:
            found.append(f"{row.name}: nothing is allowed or accepted")
        for example, value in row.accepted:
            found += [f"{row.name}: {each}" for each in await _unlike_accepted(row, example, value)]
        for example, _ in row.refused:
            service = FakeService()
            try:
                await execute(example, service)
                found.append(f"{row.name}: {example} is accepted")
            except ValueError:
                found += [f"{row.name}: {example} sends something"] * len(service.requests)
    in_query = ("query", "send_sms2")
    wanted = {
        ("send_sms", "send_sms2"): FIELDS["send_sms2"].split(),
        ("get_sms_cost", "get_sms_cost2"): FIELDS["get_sms_cost2"].split(),
        ("get_status", "get_status2"): FIELDS["get_status2"].split(),
        ("get_balance",): FIELDS["get_balance"].split(),
        in_query: PARAMETERS.split(),
    }
    found += [
        f"{'/'.join(methods)} lists {names}, not {wanted.get(methods)}"
        for methods, names in listed.items()
        if sorted(names) != sorted(wanted.pop(methods, []))
    ]
    return found + [f"{'/'.join(methods)} is missing" for methods in wanted]


async def _unlike_accepted(row: Row, example: str, value: str) -> list[str]:
    service = FakeService()
    try:
        await execute(example, service)
    except (ValueError, RequestFault) as error:
        return [f"{example} is refused: {error}"]
    request = service.requests[-1]
    fields = {**dict(parse_qsl(str(request.fields.get("query", "")), keep_blank_values=True)), **request.fields}
    if request.method not in row.methods:
        return [f"{example} calls {request.method}"]
    if row.name not in fields:
        return [f"{example} does not send it"]
    sent = str(fields[row.name]).replace("\n", "⏎")
    return [f"{example} sends {sent}, not {value}"] if value and sent != value else []


async def test_the_table_says_what_the_client_does_and_lists_every_parameter_of_the_page() -> None:
    assert TABLE.count(HEAD) == 5
    assert await differences(TABLE) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("`smsreq=9`", "`smsreq=10`", "smsreq: smsreq=10 is accepted"),
        ("`period=720` → `720`", "`period=721` → `721`", "period: period=721 is refused"),
        ("`id=1` → `1`", "`id=1` → `2`", "id: id=1 sends 1, not 2"),
        ("| `soc` | 0 or 1 | `via=Social()`", "| `soc` | 0 or 1 | `via=Viber()`", "soc: via=Viber() does not send it"),
        ("| `viber` |", "| `vibre` |", "query/send_sms2 lists"),
        ("| `pp` | the id of a partner |", "| the id of a partner |", "query/send_sms2 lists"),
        ("## `get_balance`", "## `get_balances`", "get_balance is missing"),
        ('`cost("79991234567")`', '`status("79991234567:7")`', 'mes: status("79991234567:7") is accepted'),
    ],
)
async def test_a_table_that_says_something_else_is_found_out(old: str, new: str, words: str) -> None:
    assert old in TABLE
    assert any(found.startswith(words) for found in await differences(TABLE.replace(old, new, 1)))


@pytest.mark.parametrize(
    "row",
    [row for row in rows_of(TABLE) if row.name not in {"login", "psw", "apikey"}],
    ids=lambda row: f"{row.methods[0]}-{row.name}",
)
async def test_the_sandbox_accepts_what_the_client_accepts(row: Row) -> None:
    for example, _ in row.accepted:
        account = Account(login="demo", password="demo", apikey="demo", groups={5: ("79990000005",)})
        sandbox = Sandbox(accounts=[account], delivery=DeliveryPlan.instant())
        try:
            await execute(example, sandbox.transport())
        except SmscError as error:
            assert type(error).__name__ == "MessageNotFound", f"{example}: {error!r}"  # noqa: PT017 - of a status
