"""What the commands print and refuse if an answer has details of an odd form, or no recipient is accepted."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from smsc_async import InvalidPhone, RecipientError
from smsc_async._cli.output import error_lines, sent_lines
from smsc_async._journal.store import JournalStore
from smsc_async._model.results import SentMessage
from smsc_async.sandbox import Account, DeliveryPlan, Limits, Sandbox
from tests.cli.test_app import run
from tests.cli.test_send_file import PHONES, folder, send_file, served, write  # noqa: F401 - a fixture


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with served(Sandbox(limits=Limits.off(), delivery=DeliveryPlan.instant()), monkeypatch) as sandbox:
        yield sandbox


def forget_costs(count: int) -> None:
    """Change the journal to what it is if the answers to the last `count` messages named no cost."""
    store = JournalStore(Path("job.db"))
    with store.change() as connection:
        connection.execute("UPDATE message SET cost = NULL WHERE row > (SELECT max(row) FROM message) - ?", (count,))
    store.close()


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_summary_does_not_hide_that_a_cost_is_unknown() -> None:
    write(*(f"{phone},Hi" for phone in PHONES))
    assert send_file("--max-cost", "18").exit_code == 0
    assert send_file().stdout.splitlines()[-1] == "cost       18"
    forget_costs(3)
    assert send_file().stdout.splitlines()[-1] == "cost       4.5, and the unknown cost of 3 message(s)"
    found = json.loads(send_file("--json").stdout)
    assert (found["cost"], found["unpriced"]) == ("4.5", 3)


@pytest.mark.usefixtures("folder")
def test_no_more_is_sent_under_a_limit_after_messages_of_unknown_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    poor = replace(Account.demo(), balance=Decimal(9))  # enough for two of the four
    write(*(f"{phone},Hi" for phone in PHONES))
    with served(Sandbox(accounts=[poor], limits=Limits.off(), delivery=DeliveryPlan.instant()), monkeypatch) as sandbox:
        assert "InsufficientFunds" in send_file("--max-cost", "18", "--single").stderr
        assert "it would cost 18, and --max-cost is 17" in send_file("--max-cost", "17", "--single").stderr
        forget_costs(4)
        refused = send_file("--max-cost", "100", "--single")
        assert refused.exit_code == 1
        assert "nothing was sent: the cost of 2 accepted message(s) is unknown, so --max-cost" in refused.stderr
        assert "run the command without --max-cost to continue" in refused.stderr
    assert len(sandbox.messages) == 2


@pytest.mark.usefixtures("sandbox")
def test_each_refused_recipient_is_printed_with_its_own_number() -> None:
    result = run("send", "+79000009007", "+79000009008", "--text", "Hi")
    assert result.exit_code == 1
    assert "InvalidPhone: error 7: " in result.stderr
    assert (
        "refused  79000009007 (error 7, wrong number)\nrefused  79000009008 (error 8, undeliverable)\n" in result.stderr
    )


def test_what_is_unknown_is_printed_as_unknown() -> None:
    errors = (RecipientError(phone="79991234567"),)
    sent = list(sent_lines(SentMessage(id="7", errors=errors)))
    assert sent == ["accepted, an unknown number of SMS, id 7", "refused  79991234567 (no error number)"]
    lines = list(error_lines(InvalidPhone("error 7", code=7, errors=errors)))
    assert lines == ["InvalidPhone: error 7 (outcome: rejected)", "refused  79991234567 (no error number)"]
