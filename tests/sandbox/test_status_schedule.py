"""The schedule of status changes while it begins beside a service that goes on."""

from collections.abc import Iterator
from decimal import Decimal

from smsc_async.sandbox import AcceptedMessage, ServiceChannel
from smsc_async.sandbox._status_schedule import StatusSchedule

MESSAGE = AcceptedMessage(
    id="1",
    phone="79991234567",
    text="Hi",
    sender="ivan",
    channel=ServiceChannel.SMS,
    accepted_at=0.0,
    send_at=0.0,
    parts=1,
    cost=Decimal(1),
    login="demo",
    timeline=(0.0, -1, 0, 1.0, 0, 0, 2.0, 1, 0),
    key=1,
)


def _taken(schedule: StatusSchedule) -> list[int]:
    statuses = []
    while (due := schedule.take(10.0, lambda _: MESSAGE)) is not None:
        statuses.append(due[1].status)
    return statuses


def test_a_message_that_is_accepted_while_it_begins_is_taken_once() -> None:
    schedule = StatusSchedule()

    def messages() -> Iterator[AcceptedMessage]:
        schedule.add(MESSAGE)
        yield MESSAGE

    schedule.start(-1.0, messages)
    assert _taken(schedule) == [0, 1]


def test_nothing_is_taken_if_it_ends_while_it_begins() -> None:
    schedule = StatusSchedule()

    def messages() -> Iterator[AcceptedMessage]:
        schedule.stop()
        yield MESSAGE

    schedule.start(-1.0, messages)
    assert _taken(schedule) == []
