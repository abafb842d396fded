"""Values say what they are in a sentence, and are drawn without phones, texts and secrets."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO

import pytest

from smsc_async import (
    ApiError,
    Balance,
    ChunkCost,
    Cost,
    DeliveryError,
    DeliveryReport,
    DuplicateSend,
    JournalRow,
    Message,
    MessageNotFound,
    MessageOutcome,
    MessageRef,
    MessageStatus,
    Outcome,
    RecipientDetails,
    RecipientError,
    Reports,
    Result,
    RowState,
    SentMessage,
    Summary,
    Unfinished,
    Update,
    parts,
)
from smsc_async._model import Shown
from smsc_async.callbacks import CallConfirmed, IncomingMessage, StatusPush
from smsc_async.guards import Guards, RuleSnapshot, Snapshot

PHONE = "+79991234567"
TEXT = "Ваш код 4821 <script>alert(1)</script>"
REF = MessageRef(PHONE, "17")
OTHER = MessageRef("+79991234568", "17")
AT = datetime(2026, 11, 27, 15, 0, tzinfo=timezone(timedelta(hours=3)))
DELIVERED = DeliveryReport(
    ref=REF,
    status=MessageStatus.DELIVERED,
    changed_at=AT,
    sent_at=AT,
    phone=PHONE,
    cost=Decimal("4.5"),
    sender="<b>SHOP",
    text=TEXT,
)
LOST = DeliveryReport(ref=REF, status=MessageStatus.UNDELIVERABLE, error=DeliveryError(1))
REFUSED = ApiError("error 6: <the text> isn't allowed")
SENT = SentMessage(id="17", refs=(REF,), sms_count=2, cost=Decimal(9), balance=Decimal("91.005"))
ROW = JournalRow(row=3, phone=PHONE, id="17", state=RowState.FINAL, status=MessageStatus.DELIVERED)

VALUES: list[tuple[Shown, str]] = [
    (Balance(amount=Decimal("1234.5")), "The balance is 1,234.50."),
    (Cost(amount=Decimal("4.125"), sms_count=3), "The cost is 4.125 for 3 SMS."),
    (Cost(amount=Decimal(4)), "The cost is 4.00."),
    (SENT, "The service accepted the message 17 to +799*****67: 2 SMS, cost 9.00, balance 91.005."),
    (SentMessage(id="17"), "The service accepted message 17."),
    (SentMessage(id="17", refs=(REF, OTHER)), "The service accepted message 17 to 2 recipients."),
    (
        SentMessage(id="17", refs=(REF,), errors=(RecipientError(phone=OTHER.phone, code=6),)),
        "The service accepted message 17 to 1 of 2 recipients.",
    ),
    (RecipientError(phone=PHONE, code=6), "The service refused +799*****67 with error 6."),
    (RecipientError(phone="ann@example.com"), "The service refused <15 characters>."),
    (DELIVERED, "Message 17 to +799*****67: delivered, since 2026-11-27 12:00:00 UTC."),
    (LOST, "Message 17 to +799*****67: impossible to deliver (the subscriber does not exist)."),
    (Update(REF, DELIVERED), "Message 17 to +799*****67: delivered, since 2026-11-27 12:00:00 UTC."),
    (Update(REF, expired=True), "Message 17 to +799*****67: still pending, the watch is over."),
    (Update(REF, error=REFUSED), "Message 17 to +799*****67: ApiError: error 6: <the text> isn't allowed."),
    (
        Unfinished(ref=REF, status=0, since=AT),
        "Message 17 to +799*****67: pending, watched since 2026-11-27 12:00:00 UTC.",
    ),
    (Unfinished(ref=REF, since=AT), "Message 17 to +799*****67: pending, watched since 2026-11-27 12:00:00 UTC."),
    (MessageOutcome(Message(PHONE, TEXT), REF), "The service accepted the message 17 to +799*****67."),
    (MessageOutcome(Message("G7", TEXT), sent=SENT), "The service accepted the message 17 to <2 characters>."),
    (
        MessageOutcome(Message(PHONE, TEXT), error=REFUSED),
        "Message to +799*****67: ApiError: error 6: <the text> isn't allowed.",
    ),
    (MessageOutcome(Message(PHONE, TEXT), error=ValueError("no")), "Message to +799*****67: ValueError: no."),
    (ChunkCost((Message(PHONE, TEXT),), Cost(amount=Decimal(3))), "1 message: The cost is 3.00."),
    (ChunkCost((Message(PHONE, TEXT),), error=ValueError("no")), "1 message: ValueError: no."),
    (
        StatusPush(ref=REF, status=MessageStatus.READ, at=AT),
        "Message 17 to +799*****67 has the status: read, at 2026-11-27 12:00:00 UTC.",
    ),
    (StatusPush(ref=REF, status=MessageStatus.READ), "Message 17 to +799*****67 has the status: read."),
    (
        IncomingMessage(phone=PHONE, text=TEXT, to="79990000000", at=AT),
        "A message to 7999*****00 with 38 characters, at 2026-11-27 12:00:00 UTC.",
    ),
    (IncomingMessage(phone=PHONE, text="?", to="79990000000"), "A message to 7999*****00 with 1 character."),
    (CallConfirmed(phone=PHONE, at=AT), "A subscriber confirmed the phone +799*****67, at 2026-11-27 12:00:00 UTC."),
    (ROW, "Message 17 to +799*****67 is final: delivered."),
    (
        JournalRow(row=3, phone=PHONE, state=RowState.FAILED, error="refused"),
        "Message to +799*****67 is failed: refused.",
    ),
    (JournalRow(row=3, phone=PHONE, state=RowState.PLANNED), "Message to +799*****67 is planned."),
    (Summary(planned=2, final=1000, cost=Decimal(5)), "1,002 messages: 2 planned, 1,000 final; cost 5.00."),
    (Summary(), "0 messages; cost 0.00."),
    (
        Reports([DELIVERED, LOST, MessageNotFound("none")]),
        "3 delivery reports: 1 delivered, 1 impossible to deliver, 1 MessageNotFound.",
    ),
    (Reports([SENT, DELIVERED, REF]), "3 results: 1 accepted, 1 delivered."),
    (Reports([]), "0 results."),
]


class _Tags(HTMLParser):
    """Collects the elements of a fragment, and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.names: set[str | None] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.names |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(html: str) -> _Tags:
    found = _Tags()
    found.feed(html)
    assert found.open == []
    return found


@pytest.mark.parametrize(("value", "sentence"), VALUES, ids=[sentence for _, sentence in VALUES])
def test_a_value_says_in_a_sentence_what_it_is(value: Shown, sentence: str) -> None:
    assert str(value) == f"{value}" == sentence


@pytest.mark.parametrize("value", [value for value, _ in VALUES], ids=[sentence for _, sentence in VALUES])
def test_what_is_drawn_has_neither_phone_nor_text_nor_script(value: Shown) -> None:
    html = value._repr_html_()
    for private in ("9991234567", "9991234568", "4821", "ann@", "79990000000"):
        assert private not in html + str(value) + repr(value)
    found = tags_of(html)
    assert found.seen <= {"div", "table", "tr", "th", "td", "span", "bdi"}
    assert found.names <= {"style", "aria-hidden"}


def test_a_result_of_your_own_has_a_row_and_a_sentence() -> None:
    class Sold(Result):
        number: int = 7

    assert Sold(extra={"x": "1"}).to_rows() == [{"number": 7}]
    assert str(Sold()) == "Sold(number=7)"
    assert "number" in Sold()._repr_html_()


def test_rows_have_the_real_values_with_codes_as_numbers_and_phrases_and_times_in_utc() -> None:
    (row,) = DELIVERED.to_rows()
    assert row["phone"] == PHONE
    assert row["text"] == TEXT
    assert (row["status"], type(row["status"]), row["status_phrase"]) == (1, int, "delivered")
    assert (row["cost"], row["error"], row["error_phrase"]) == (Decimal("4.5"), None, None)
    assert row["changed_at"].isoformat() == "2026-11-27T12:00:00+00:00"
    assert "to_rows" in dir(DELIVERED)


def test_a_send_to_several_recipients_has_a_row_for_each() -> None:
    third = MessageRef("+79991234569", "17")
    details = RecipientDetails(phone="79991234567", status=MessageStatus.WAITING, cost=Decimal("1.5"), mccmnc="25001")
    sent = SentMessage(
        id="17", refs=(REF,), errors=(RecipientError(phone=OTHER.phone, code=6),), missing=(third,), details=(details,)
    )
    rows = [(row["phone"], row["accepted"], row["code"], row["status"], row["cost"]) for row in sent.to_rows()]
    assert rows == [
        (REF.phone, True, None, -1, Decimal("1.5")),
        (OTHER.phone, False, 6, None, None),
        (third.phone, False, None, None, None),
    ]


def test_a_list_of_reports_is_a_list_whose_rows_have_the_same_columns() -> None:
    missing = MessageNotFound("none").replace(refs=(OTHER,))
    reports = Reports([DELIVERED, missing, ValueError("other")])
    assert reports == [DELIVERED, missing, *reports[2:]]
    assert isinstance(reports[:1], Reports)
    assert reports[0] is DELIVERED
    assert repr(reports[:1]) == repr([DELIVERED])
    rows = reports.to_rows()
    assert len({tuple(row) for row in rows}) == 1
    assert [row["failure"] for row in rows] == [None, "MessageNotFound", "ValueError"]
    assert [row["outcome"] for row in rows] == [None, str(Outcome.REJECTED), None]
    assert [row["phone"] for row in rows] == [PHONE, OTHER.phone, None]


def test_a_long_list_is_drawn_to_thirty_rows() -> None:
    html = Reports([DELIVERED] * 1234)._repr_html_()
    assert html.count("<tr>") == 31
    assert "… and 1,204 more; to_rows() returns all 1,234" in html


def test_the_parts_of_a_text_are_drawn_in_borders_with_the_text_that_the_user_wrote() -> None:
    split = parts("<b>&" + "я" * 70)
    assert str(split) == "2 SMS in UCS-2: 74 16-bit units in all."
    html = split._repr_html_()
    assert html.count("border:1px solid") == 2
    assert "&lt;b&gt;&amp;яяя" in html
    assert "1 of 2: 67 of 67 16-bit units" in html
    assert "1 of 1: 2 of 160 septets" in parts("Hi")._repr_html_()
    assert [(row["part"], row["units"], row["text"][:4]) for row in split.to_rows()] == [
        (1, 67, "<b>&"),
        (2, 7, "яяяя"),
    ]


SNAPSHOT = Snapshot(
    AT.astimezone(UTC),
    2,
    {
        "status": RuleSnapshot(5, 3, 1, 2, {"deadbeef": AT.astimezone(UTC), "cafe": None}, 5),
        "balance": RuleSnapshot(10, 1, 0, 0, {}, 4),
        "spend": RuleSnapshot(1_000_000, 1, 0, 0, {}, 25_000),
    },
)  # fmt: skip


def test_a_snapshot_of_the_guards_is_drawn_as_bars_without_hashes() -> None:
    assert str(SNAPSHOT) == "The guards at 2026-11-27 12:00:00 UTC: 2 requests waiting, 1 of 3 rules full."
    html = SNAPSHOT._repr_html_()
    assert "deadbeef" not in html + str(SNAPSHOT.to_rows())
    assert re.findall(r";?width:(\d+)%;height:100%", html) == ["100", "40", "2"]
    assert "2.5 of 100" in html
    assert "2026-11-27 12:00:00" in html


async def test_the_bars_of_guards_in_use_are_drawn() -> None:
    rows = (await Guards().snapshot()).to_rows()
    assert {row["rule"] for row in rows} >= {"identical_send", "status", "in_flight"}
    assert all(row["used"] == 0 for row in rows)


def _rich(value: Shown) -> str:
    from rich.console import Console  # noqa: PLC0415 - an extra

    console = Console(width=140, record=True, color_system=None, file=StringIO())
    console.print(value)
    return console.export_text()


def test_rich_draws_the_same_without_markup_and_control_characters() -> None:
    pytest.importorskip("rich", reason="rich is not installed: pip install '.[cli]'")
    shown = _rich(Reports([DELIVERED, LOST, REFUSED] * 11))
    assert "<b>SHOP" in shown
    assert "… and 3 more" in shown
    assert PHONE not in shown
    assert "\\x1b[31m" in _rich(parts("\x1b[31mred\nline"))
    assert "[red]" in _rich(parts("[red]"))
    assert "██████████ 5 of 5" in _rich(SNAPSHOT)
    assert str(DuplicateSend("x")) in _rich(Reports([DuplicateSend("x")]))
