"""A sandbox with a state file continues after a restart as if it had not been stopped."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsc_async import Client, SmscError, TooManyRequests
from smsc_async.sandbox import Account, DeliveryPlan, Sandbox
from smsc_async.sandbox._event_log import EventLog
from smsc_async.sandbox._fields import Value

PHONE, OTHER = "+79991234567", "+79991234568"


@pytest.fixture
def sandboxes() -> Iterator[list[Sandbox]]:
    made: list[Sandbox] = []
    yield made
    for sandbox in made:
        sandbox.close()


def _client(sandbox: Sandbox, apikey: str = "demo") -> Client:
    return Client(apikey=apikey, transport=sandbox.transport(), guards=None)


async def test_restart_loses_nothing(tmp_path: Path, sandboxes: list[Sandbox]) -> None:
    state = tmp_path / "state"
    first = Sandbox(state=state)
    sandboxes.append(first)
    client = _client(first)
    sent = await client.send([PHONE, "+79000009007", OTHER], "Hi")
    await client.status(sent.refs[0])
    await client.balance()
    first.advance(3600)
    for number in range(4):
        with pytest.raises(SmscError, match="error 2"):
            await _client(first, f"wrong{number}").balance()
    assert first._service.arrive("get_balance", {}, now=first.now()).error == 1
    before = await client.status(sent.refs[1], detail=2)

    again = Sandbox(state=state)  # as if the first one was killed: its file is not closed
    sandboxes.append(again)
    assert again.messages == first.messages
    assert (again.counts, again._service.balances) == (first.counts, first._service.balances)
    assert abs(again.now() - first.now()) < 60
    assert await _client(again).status(sent.refs[1], detail=2) == before
    with pytest.raises(SmscError, match="error 2"):
        await _client(again, "wrong").balance()
    with pytest.raises(SmscError, match="error 4"):  # that was the fifth failure
        await _client(again).balance()


async def test_limits_hold_over_a_restart(tmp_path: Path, sandboxes: list[Sandbox]) -> None:
    for _ in range(2):
        sandboxes.append(Sandbox(state=tmp_path / "state"))
        try:
            await _client(sandboxes[-1]).send(PHONE, "Hi")
        except TooManyRequests:
            break
    assert len(sandboxes[-1].messages) == 1
    assert sandboxes[-1].counts["send_sms", 9] == 1


def test_request_in_flight_at_the_end_holds_no_slot_after_it(tmp_path: Path, sandboxes: list[Sandbox]) -> None:
    fields = {"apikey": "demo", "phone": PHONE, "id": "a1"}
    for life in range(6):  # over several restarts, leaked slots would add up
        sandbox = Sandbox(state=tmp_path / "state")
        sandboxes.append(sandbox)
        assert sandbox._service.in_flight == 0
        assert (sandbox.counts["get_status", 3], sandbox.counts["get_status", 9]) == (3 * life, 0)
        answers = [sandbox._service.arrive("get_status", {**fields, "id": f"a{life}{n}"}, now=1000.0) for n in range(3)]
        sandbox._service.leave(answers[0])
        assert sandbox._service.in_flight == 2
        assert [answer.error for answer in answers] == [3, 3, 3]


def test_line_that_was_cut_was_never_answered(tmp_path: Path, sandboxes: list[Sandbox]) -> None:
    state = tmp_path / "state"
    fields = {"apikey": "demo", "phones": PHONE, "mes": "Hi", "id": "a1"}
    first = Sandbox(state=state)
    sandboxes.append(first)
    first._service.arrive("send_sms", fields, now=1000.0)
    first._service.arrive("send_sms", {**fields, "id": "a2", "mes": "Ho"}, now=1001.0)
    whole = state.read_bytes()
    state.write_bytes(whole[:-10])
    second = Sandbox(state=state)
    sandboxes.append(second)
    assert [message.id for message in second.messages] == ["a1"]
    second._service.arrive("send_sms", {**fields, "id": "a3", "mes": "Ho"}, now=1002.0)
    sandboxes.append(Sandbox(state=state))
    assert [message.id for message in sandboxes[-1].messages] == ["a1", "a3"]


def test_state_holds_no_credentials(tmp_path: Path, sandboxes: list[Sandbox]) -> None:
    account = Account(login="bob", password="secretpassword", apikey="secretkey")
    sandbox = Sandbox(accounts=[account], state=tmp_path / "state")
    sandboxes.append(sandbox)
    for credentials in ({"apikey": "secretkey"}, {"login": "bob", "psw": "secretpassword"}, {"apikey": "secretwrong"}):
        sandbox._service.arrive("get_balance", credentials, now=1000.0)
    send = {"apikey": "secretkey", "phones": PHONE, "mes": "password=5"}
    queries: tuple[Value, ...] = ("psw=secretpassword&cost=2", "cost=2&apike%79=secretkey", ["psw=secretpassword"])
    for seconds, query in enumerate(queries):
        sandbox._service.arrive("send_sms2", {**send, "query": query}, now=1100.0 + 61 * seconds)
    kept = (tmp_path / "state").read_text(encoding="utf-8")
    assert kept.count('"bob"') == 5
    assert "secret" not in kept
    again = Sandbox(accounts=[account], state=tmp_path / "state")
    sandboxes.append(again)
    assert again.messages == sandbox.messages
    assert again.counts == sandbox.counts
    assert (again.counts["send_sms2", 0], again.counts["send_sms2", 1]) == (2, 1)
    assert [message.text for message in again.messages] == ["password=5"] * 2


@pytest.mark.parametrize(
    "text", ["nonsense\n", '{"sandbox": 1, "seed": 7}\n', '{"sandbox": 1, "seed": 0}\n{"what": 1}\n', "[]\n"]
)
def test_file_that_is_no_state_of_this_sandbox_is_refused(tmp_path: Path, text: str) -> None:
    state = tmp_path / "state"
    state.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="of the state file is not from a sandbox with this seed"):
        Sandbox(state=state)
    assert state.read_text(encoding="utf-8") == text


def test_state_of_another_account_is_refused(tmp_path: Path, sandboxes: list[Sandbox]) -> None:
    sandboxes.append(Sandbox(state=tmp_path / "state"))
    sandboxes[0]._service.arrive("get_balance", {"apikey": "demo"}, now=1000.0)
    with pytest.raises(ValueError, match="an account that this sandbox does not have"):
        Sandbox(accounts=[Account(login="bob", password="x")], state=tmp_path / "state")


def test_empty_file_is_a_beginning_and_closing_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    sandbox = Sandbox(state=tmp_path / "state", delivery=DeliveryPlan())
    for now in (1000.0, 1001.0):
        sandbox._service.arrive("get_balance", {"apikey": "demo"}, now=now)
        sandbox.close()
        sandbox.close()
    lines = [json.loads(line) for line in (tmp_path / "state").read_text(encoding="utf-8").splitlines()]
    assert [line.get("method") for line in lines] == [None, None, "get_balance", "get_balance"]
    assert len(list(EventLog(tmp_path / "state", 0).read())) == 2
    Sandbox().close()
