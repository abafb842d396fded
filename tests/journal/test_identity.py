"""What identifies a job in its journal is what the service receives, so that no change of a class makes it another."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from smsc_async import (
    After,
    At,
    Between,
    Binary,
    Email,
    Flash,
    Journal,
    JournalError,
    LocalTime,
    Message,
    PlannedMessage,
    Sms,
    Viber,
)
from smsc_async._journal.file import connect
from smsc_async._journal.requests import JobTerms, digest_of_rows

NOON = datetime(2031, 5, 1, 12, tzinfo=UTC)
WALL_CLOCK = datetime(2031, 5, 1, 10, 30)  # noqa: DTZ001 - a wall clock
OPTIONS: dict[str, Any] = {
    "sender": "shop",
    "at": LocalTime(WALL_CLOCK),
    "via": Viber(),
    "tz": 2,
    "maxsms": 3,
    "valid": "02:30",
    "extra": {"b": 1, "a": "é"},
}
ROWS = [
    PlannedMessage(message=Message("+79161234567", "Hello, мир", tz=1.5), id="order-1", row=2),
    PlannedMessage(message=Message("89161234568", "Hi", "me"), row=3),
    PlannedMessage(fault="no phone", row=4),
]
TERMS = (
    '{"batch_size":20,"fields":{"sender":"shop","time":"0105311030"},'
    '"query":{"a":"\\u00e9","b":"1","maxsms":"3","tz":"2","valid":"02:30","viber":"1"}}'
)
SOURCE = "4da16555548199fb006575dc14ea62b8fcd7e4b88d4f7005bb4a86507a9387d7"


def terms(**arguments: Any) -> str:
    return JobTerms.model_validate({"batch_size": 49, **arguments}).canonical()


async def test_the_identity_of_a_job_is_the_same_in_every_version_byte_for_byte(path: Path) -> None:
    async with Journal(path) as journal:
        await journal.plan(ROWS, batch_size=20, **OPTIONS)
        identity = journal._file.get("identity")
    assert json.loads(str(identity)) == [SOURCE, TERMS]


def test_a_changed_repr_and_a_new_attribute_with_a_default_change_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    class NextViber(Viber):
        """The channel of a later version."""

        price_class: str | None = None

    class NextMessage(Message):
        """The message of a later version."""

        priority: int = 0

    class NextRow(PlannedMessage):
        """The row of a later version."""

        message: NextMessage | None = None
        group: str | None = None

    for kind in (Viber, LocalTime, Message, PlannedMessage):
        monkeypatch.setattr(kind, "__repr__", lambda _: "changed")
        monkeypatch.setattr(kind, "__str__", lambda _: "changed")
    assert terms(**{**OPTIONS, "batch_size": 20, "via": NextViber()}) == TERMS
    assert digest_of_rows(NextRow.model_validate(row.model_dump()) for row in ROWS) == SOURCE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"via": Sms(), "at": None, "sender": None, "tinyurl": False, "err": None, "extra": {}, "maxsms": None}),
        ({"at": NOON}, {"at": At(NOON.astimezone(timezone(timedelta(hours=3))))}),
        ({"tz": 3}, {"tz": 3.0}),
        ({"valid": timedelta(hours=2)}, {"valid": "02:00"}),
        ({"userip": "10.0.0.1"}, {"userip": IPv4Address("10.0.0.1")}),
        ({"pp": 5}, {"pp": "5"}),
        ({"extra": {"a": 1, "b": True}}, {"extra": {"b": "1", "a": "1"}}),
        ({"via": Binary(b"\x01\xff")}, {"via": Binary("01ff")}),
    ],
)
def test_arguments_that_mean_the_same_are_the_same_job(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert terms(**one) == terms(**other)


def test_each_argument_belongs_to_the_identity() -> None:
    jobs: list[dict[str, Any]] = [
        *({}, {"batch_size": 48}, {"sender": "shop"}, {"sender": "SHOP"}),
        *({"at": At(NOON)}, {"at": At(NOON + timedelta(minutes=1))}, {"at": LocalTime(WALL_CLOCK)}),
        *({"at": After(5)}, {"at": Between(9, 21)}, {"at": Between(9, 20)}),
        *({"via": Flash()}, {"via": Viber()}, {"via": Email(subject="a", sender="a@example.com")}),
        *({"via": Email(subject="b", sender="a@example.com")}, {"via": Email(subject="a", sender="b@example.com")}),
        *({"via": Binary("00")}, {"via": Binary("01")}, {"via": Binary("01", pid=1, dcs=0)}),
        *(
            {"tz": 0},
            {"tz": 1},
            {"period": 1},
            {"period": 1, "freq": 2},
            {"smsreq": 10},
            {"valid": 1},
            {"tinyurl": True},
        ),
        *({"maxsms": 1}, {"userip": "10.0.0.1"}, {"userip": "10.0.0.1", "imgcode": "x"}, {"err": True}, {"err": False}),
        *({"op": True}, {"pp": "1"}, {"extra": {"a": "1"}}, {"extra": {"a": "2"}}, {"extra": {"a": "1", "b": "1"}}),
    ]
    assert len({terms(**job) for job in jobs}) == len(jobs)


def test_each_value_of_a_row_belongs_to_the_identity() -> None:
    message = Message("+79161234567", "Hi")
    others = (Message("79161234567", "Hi"), Message("+79161234567", "hi"), Message("+79161234567", "Hi", "shop"))
    rows = [
        *(PlannedMessage(message=each, row=1) for each in (message, *others, Message("+79161234567", "Hi", tz=0))),
        PlannedMessage(message=message, row=2),
        PlannedMessage(message=message, row=1, id="a"),
        PlannedMessage(row=1, phone="+79161234567", fault="Hi"),
        PlannedMessage(row=1, fault="Hi"),
    ]
    assert len({digest_of_rows([row]) for row in rows}) == len(rows)
    assert len({digest_of_rows([*rows, row]) for row in rows}) == len(rows)


async def test_a_wrong_argument_is_refused_before_the_messages_are_read(path: Path) -> None:
    def unread() -> Iterator[Message]:
        raise AssertionError
        yield  # type: ignore[unreachable]

    async with Journal(path) as journal:
        for wrong in ({"freq": 5}, {"maxsms": 0}, {"speed": 1}, {"at": WALL_CLOCK}):
            with pytest.raises(ValueError, match=r"freq needs period|maxsms|speed|a datetime without a time zone"):
                await journal.plan(unread(), **wrong)
        assert (await journal.summary()).total == 0


def test_a_journal_with_identities_in_an_older_encoding_is_refused_and_left_as_it_is(path: Path) -> None:
    connect(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"another version .*\(format 4, .* finish it with the version that started"):
        connect(path)
    assert path.read_bytes() == before
