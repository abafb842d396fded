"""The synchronous journal plans, sends and follows a job, as the asynchronous one does."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from smsc_async import Client as AsyncClient
from smsc_async import JournalInUse, Message, RowState, UnresolvedSend
from smsc_async.sandbox import DeliveryPlan, Sandbox
from smsc_async.sync import Client, Journal, sandbox_client

MESSAGES = [Message(f"+7916123456{number}", f"Hi {number}") for number in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.db"


@pytest.fixture
def client() -> Iterator[Client]:
    with sandbox_client(Sandbox(delivery=DeliveryPlan.instant())) as client:
        yield client


def test_a_job_is_planned_sent_and_followed(path: Path, client: Client) -> None:
    here = threading.current_thread().name
    read_by: set[str] = set()
    heard: list[tuple[str, int, int]] = []

    def messages() -> Iterator[Message]:
        for message in MESSAGES:
            read_by.add(threading.current_thread().name)
            yield message

    def hear(done: int, total: int) -> None:
        heard.append((threading.current_thread().name, done, total))

    with Journal(path) as journal:
        assert journal.files[0] == path
        assert repr(journal).startswith("<smsc_async.sync.Journal ")
        assert journal.plan(messages())
        assert not journal.plan(MESSAGES)
        assert journal.quote(client) == Decimal("13.5")
        journal.send(client, on_progress=hear)
        assert heard[-1] == (here, 3, 3)
        journal.follow(client, delay_per_request=0.01, on_progress=hear)
        assert [row.state for row in journal.rows()] == [RowState.FINAL] * 3
        assert journal.summary().cost == Decimal("13.5")
        assert journal.erase(timedelta()) == 3
    assert read_by == {here}
    assert {name for name, _, _ in heard} == {here}


def test_its_guards_are_for_a_synchronous_client(path: Path) -> None:
    with (
        Journal(path) as journal,
        Client(apikey="demo", transport=Sandbox().transport(), guards=journal.guards()) as own,
    ):
        journal.plan(MESSAGES)
        journal.send(own)
        assert journal.summary().accepted == 3
    assert not [each for each in threading.enumerate() if each.name.startswith("smsc_async.sync")]


def test_unresolved_sends_are_kept_and_reconciled(path: Path, client: Client) -> None:
    sent = client.send("+79991234567", "Hello")
    now = datetime.now(UTC)
    with Journal(path) as journal:
        journal.keep_unresolved(UnresolvedSend(id=sent.id, refs=sent.refs, is_own_id=True, began=now, failed=now))
        assert [each.id for each in journal.unresolved_sends()] == [sent.id]
        ((_, found),) = journal.resolve(client)
        assert found is not None
        assert journal.unresolved_sends() == []


def test_it_is_used_inside_its_block_only_and_by_one_at_a_time(path: Path, client: Client) -> None:
    journal = Journal(path)
    with pytest.raises(RuntimeError, match="only be used inside its `with` block"):
        journal.rows()
    with journal:
        with pytest.raises(RuntimeError, match="already open"), journal:
            pass
        with pytest.raises(JournalInUse), Journal(path):
            pass
        with pytest.raises(ValueError, match=r"client must be a smsc_async\.sync\.Client, not Client"):
            journal.send(AsyncClient(apikey="demo", transport=Sandbox().transport()))  # type: ignore[arg-type]
    journal.__exit__(None, None, None)
    with journal:
        assert journal.rows() == []
    assert client.balance().amount
