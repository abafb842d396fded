"""The event log is pruned: a snapshot takes its place, and a later sandbox continues from it as from the whole log."""

import json
import stat
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smsc_async.sandbox import Account, Limits, Sandbox, _event_log
from smsc_async.sandbox._events import read_event

PHONE, OTHER = "79991234567", "79991234568"
NOW = 1_700_000_000.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    made: list[Sandbox] = []

    def start(**options: Any) -> Sandbox:
        made.append(Sandbox(state=tmp_path / "state", clock=lambda: NOW, **options))
        return made[-1]

    yield start
    for sandbox in made:
        sandbox.close()


def _ask(sandbox: Sandbox, method: str, source: str = "127.0.0.1", **fields: Any) -> dict[str, Any]:
    answer = sandbox._service.arrive(method, {"apikey": "demo", **fields}, now=sandbox.now(), source=source)
    sandbox._service.leave(answer)
    return answer.fields


def _send(sandbox: Sandbox, phones: str = PHONE, mes: str = "Hi", **fields: Any) -> dict[str, Any]:
    return _ask(sandbox, "send_sms", phones=phones, mes=mes, **fields)


def _play(sandbox: Sandbox) -> None:
    """Do something of each kind."""
    _send(sandbox, f"{PHONE},{OTHER}", "Привет")
    _send(sandbox, PHONE, "flash", id="mine")
    _ask(sandbox, "get_sms_cost", phones=PHONE, mes="Hi")
    _ask(sandbox, "get_status", phone=PHONE, id="1")
    _ask(sandbox, "get_balance")
    _ask(sandbox, "get_balance", apikey="wrong", source="10.0.0.1")
    for _ in range(5):
        _ask(sandbox, "get_balance", apikey="wrong", source="10.0.0.2")
    _send(sandbox, "79000009007", "bad")
    sandbox.put_account("bob", password="canarypassword", apikey="canarykey", balance=Decimal("7.5"))
    sandbox.set_status(2, 20, 6)
    sandbox._service.arrive("get_balance", {"apikey": "demo"}, now=sandbox.now())  # in flight


def _seen(sandbox: Sandbox) -> list[Any]:
    """Return all that can be seen from outside."""
    return [
        sandbox.messages,
        dict(sandbox.counts),
        dict(sandbox.balances),
        [use for use in sandbox.limits() if use.seconds is not None],  # what was in flight has left
        [account.login for account in sandbox.accounts],
        sandbox._service._state.last_id,
        sandbox._service._state.requests,
        sandbox._service._state.dice.getstate(),
    ]


def test_a_snapshot_leads_to_the_same_state(start: Callable[..., Sandbox]) -> None:
    first = start()
    _play(first)
    first._prune()
    second = start()
    assert _seen(second) == _seen(first)
    assert second._service.in_flight == 0
    assert _send(second, OTHER, "next")["id"] == "3"
    assert _send(second, PHONE, "flash")["error"] == "9"
    assert _ask(second, "get_balance", source="10.0.0.2")["error"] == "4"
    assert [message.key for message in second.messages] == [1, 2, 3, 4]
    third = start()  # from the snapshot and the events after it
    assert _seen(third) == _seen(second)


def test_a_request_in_flight_over_a_snapshot_leaves(start: Callable[..., Sandbox]) -> None:
    sandbox = start(limits=Limits(in_flight=2))
    answer = sandbox._service.arrive("get_balance", {"apikey": "demo"}, now=NOW)
    sandbox._prune()
    sandbox._service.leave(answer)
    again = start(limits=Limits(in_flight=2))
    for _ in range(2):
        assert again._service.arrive("get_balance", {"apikey": "demo"}, now=NOW + 3600).error == 0


def test_an_account_that_was_added_survives_without_its_credentials(
    start: Callable[..., Sandbox], tmp_path: Path
) -> None:
    first = start()
    _play(first)
    for _ in range(2):
        assert "canary" not in (tmp_path / "state").read_text(encoding="utf-8")
        again = start()
        for credentials in (
            {"apikey": "canarykey"},
            {"apikey": "", "login": "bob", "psw": "canarypassword"},
            {"apikey": "", "login": "bob", "psw": "ef20b32fb64ed0ffeb0b2b6a6bf8b0ad"},
        ):
            answer = _ask(again, "get_balance", **credentials)
            assert answer in ({"balance": "7.5"}, {"error": "2"})
        assert _ask(again, "get_balance", apikey="canarykey") == {"balance": "7.5"}
        again.put_account("bob", sender="ivan")
        again._prune()


def test_the_log_is_pruned_when_it_is_long(start: Callable[..., Sandbox], tmp_path: Path) -> None:
    sandbox = start(keep=20)
    for number in range(60):
        _send(sandbox, f"7999123{number:04}")
    lines = (tmp_path / "state").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40
    assert "snapshot" in json.loads(lines[1])
    assert len(sandbox.messages) <= 22
    again = start(keep=20)
    assert _seen(again)[1:] == _seen(sandbox)[1:]
    assert again.messages == sandbox.messages[-len(again.messages) :]
    assert len(again.messages) >= 20


def test_the_log_is_pruned_when_it_has_few_long_lines(
    start: Callable[..., Sandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_event_log, "_SHORT", 5_000)
    sandbox = start()
    for number in range(40):
        _send(sandbox, ",".join(f"79991{number:03}{each:03}" for each in range(20)))
    lines = [json.loads(line) for line in (tmp_path / "state").read_text(encoding="utf-8").splitlines()]
    assert "snapshot" in lines[1]
    assert 0 < sum("method" in line for line in lines) < 20
    again = start()
    assert _seen(again) == _seen(sandbox)
    for number in range(40, 80):  # the sizes are those of the file that was read
        _send(again, ",".join(f"79991{number:03}{each:03}" for each in range(20)))
    assert len(start().messages) == 1600


def test_closing_shortens_a_long_log(start: Callable[..., Sandbox], tmp_path: Path) -> None:
    sandbox = start()
    for number in range(501):
        _send(sandbox, f"7999123{number:04}")
    sandbox.close()
    assert len((tmp_path / "state").read_text(encoding="utf-8").splitlines()) == 4
    _send(sandbox, OTHER)
    sandbox.close()
    assert len((tmp_path / "state").read_text(encoding="utf-8").splitlines()) == 6
    assert len(start().messages) == 502


@pytest.mark.parametrize("erase", [Sandbox.delete_messages, Sandbox.reset])
def test_deleted_messages_are_not_in_the_file(
    start: Callable[..., Sandbox], tmp_path: Path, erase: Callable[[Sandbox], None]
) -> None:
    sandbox = start()
    _send(sandbox, PHONE, "canary")
    erase(sandbox)
    kept = (tmp_path / "state").read_text(encoding="utf-8")
    assert "canary" not in kept
    assert '"phones"' not in kept
    again = start()
    assert _seen(again) == _seen(sandbox)
    _send(again, OTHER, "Ho")
    assert again.messages[-1].key == 2


def test_a_snapshot_that_was_interrupted_changes_nothing(start: Callable[..., Sandbox], tmp_path: Path) -> None:
    first = start()
    _send(first)
    (tmp_path / "state.new").write_text("half", encoding="utf-8")
    assert len(start().messages) == 1
    first._prune()
    assert not (tmp_path / "state.new").exists()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_the_time_goes_on_from_a_snapshot(tmp_path: Path) -> None:
    first = Sandbox(state=tmp_path / "state")
    first.advance(86_400)
    _send(first)
    first._prune()
    before = first.messages[0].accepted_at
    first.close()
    second = Sandbox(state=tmp_path / "state")
    assert 0 <= second.now() - before < 60
    second.close()


def test_a_log_of_the_first_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "state").write_text(
        '{"sandbox": 1, "seed": 0}\n'
        '{"method": "send_sms", "now": 1000.0, "source": "127.0.0.1", "login": "demo", "error": 0, '
        '"fields": {"phones": "79991234567", "mes": "Hi"}}\n{"ticket": 1}\n',
        encoding="utf-8",
    )
    sandbox = Sandbox(state=tmp_path / "state")
    assert [message.text for message in sandbox.messages] == ["Hi"]
    sandbox.close()


def test_a_snapshot_of_an_account_that_is_missing_is_refused(start: Callable[..., Sandbox]) -> None:
    first = start(accounts=[Account(login="bob", password="x")])
    first._prune()
    with pytest.raises(ValueError, match="an account that this sandbox does not have"):
        start()


@pytest.mark.parametrize("line", [{}, {"what": 1}, {"row": []}, {"method": "x"}])
def test_a_line_that_is_no_event_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        read_event(line)
