"""What a status proves about a planned request of an earlier process, and what it does not."""

from pathlib import Path

import pytest

from smsc_async import (
    Email,
    Journal,
    JournalError,
    Message,
    PlannedMessage,
)
from tests.doubles import FakeService, answer, make_client
from tests.journal.job_behind import Job, good, refused, run

pytestmark = pytest.mark.usefixtures("no_threads")


@pytest.mark.parametrize("phone", ["89161234567", "9161234567", "7916123456", "79161234567890"])
def test_phones_that_prove_nothing_stop_a_job_planned_earlier_unless_it_is_trusted(path: Path, phone: str) -> None:
    async def main() -> None:
        job = Job(path, [Message(phone, "Hi")])
        await job.plan()
        for _ in range(2):
            with pytest.raises(JournalError, match=r"planned by an earlier process.*trust=True \(--trust-journal\)"):
                await job.send()
        assert not job.network.asked
        await job.send(trust=True)
        assert len(job.network.asked) == 1

    run(main)


def test_e_mail_addresses_prove_nothing(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [Message("a@example.com", "Hi")], via=Email(sender="shop@example.com", subject="Hello"))
        await job.plan()
        with pytest.raises(JournalError, match="planned by an earlier process"):
            await job.send()

    run(main)


def test_one_phone_that_proves_something_is_enough_to_continue(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [good(0, "8"), good(1, "8"), good(2), good(3, "8")])
        await job.plan()
        await job.send(trust=True)
        assert len(job.texts) == 4
        job.put_back()
        with pytest.raises(JournalError, match="planned by an earlier process"):
            await job.send()
        async with Journal(path) as journal:
            summary = await journal.summary()
        # Those before the known one are asked singly: the sandbox finds them by their corrected phones.
        assert (summary.accepted, summary.planned) == (3, 1)
        assert len(job.texts) == 4

    run(main)


def test_requests_that_prove_nothing_are_passed_over(path: Path) -> None:
    async def main() -> None:
        mixed = [good(number, "8" if number % 3 else "+7") for number in range(100, 130)]
        job = Job(path, [*map(refused, range(101)), *mixed])
        await job.plan()
        await job.send(job.network.client())
        job.put_back()
        await job.send(job.network.client())
        assert job.texts == job.expected

    run(main)


@pytest.mark.parametrize("months", [0, 1])
def test_an_older_message_with_the_same_id_is_not_taken_for_one_of_the_job(path: Path, months: int) -> None:
    async def main() -> None:
        job = Job(path, [PlannedMessage(message=good(number), id=f"order-{number}") for number in range(5)])
        job.network.ahead = -2_600_000 * months
        if months:
            for number in range(5):
                await job.network.client().send(good(number).phone, "No: last month", id=f"order-{number}")
        job.network.ahead = 0
        await job.plan()
        if not months:
            await job.send()
        job.put_back()
        if months:  # the status shows the older messages, so it proves nothing about these
            with pytest.raises(JournalError, match="or has older messages with their ids; these are not sent"):
                await job.send()
        await job.send(trust=bool(months))
        assert [text for text in job.texts if text.startswith("Hi")] == job.expected

    run(main)


def test_a_status_that_the_service_can_not_read_proves_nothing(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [good(1)])
        await job.plan()
        service = FakeService([answer("get_status", error="1")] * 2)
        with pytest.raises(JournalError, match="planned by an earlier process"):
            await job.send(make_client(service))
        await job.send(make_client(service), trust=True)
        assert [request.method for request in service.requests] == ["get_status", "get_status", "send_sms2"]

    run(main)


@pytest.mark.parametrize("skew", [5, 120])
def test_a_service_whose_clock_is_behind_is_asked_with_the_skew_of_the_client(path: Path, skew: int) -> None:
    async def main() -> None:
        job = Job(path, [PlannedMessage(message=good(number), id=f"o-{number}") for number in range(20)])
        job.network.ahead = -60
        await job.plan()
        await job.send(stop_after=17)
        job.put_back()
        try:
            await job.send(job.network.client(clock_skew=skew))
        except JournalError:
            assert skew == 5
        # Those found with a time before the job are not sent again, and neither are they taken for its messages.
        assert job.texts == job.expected

    run(main)


@pytest.mark.parametrize("sent", [50, 150])
def test_one_phone_that_proves_something_does_not_stand_for_all_before_it(path: Path, sent: int) -> None:
    async def main() -> None:
        job = Job(path, [*(good(number, "8") for number in range(200)), good(200)], batch_size=10)
        await job.plan()
        await job.send(stop_after=sent)
        job.put_back()
        with pytest.raises(JournalError, match="planned by an earlier process"):
            await job.send()
        assert len(set(job.texts)) == len(job.texts)
        assert "Hi 200" in job.texts

    run(main)


def test_phones_that_prove_nothing_behind_a_hundred_unknown_ones_are_sent(path: Path) -> None:
    async def main() -> None:
        job = Job(path, [*map(good, range(104)), *(good(number, "8") for number in range(104, 110))])
        await job.plan()
        await job.send()
        assert job.texts == job.expected

    run(main)
