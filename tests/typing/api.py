"""The types that users see: only checked by mypy, never run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_type

import httpx
from pydantic import SecretStr
from taskiq import AsyncTaskiqTask
from taskiq_redis import RedisStreamBroker

import smsc_async
from smsc_async import (
    After,
    ApiError,
    Balance,
    CallFinished,
    ChunkCost,
    Client,
    Clock,
    Cost,
    DeliveryError,
    DeliveryFailed,
    DeliveryReport,
    GetBalance,
    GetCost,
    GetStatus,
    Guards,
    Journal,
    JournalRow,
    LocalTime,
    Message,
    MessageOutcome,
    MessageRef,
    MessageStatus,
    Observer,
    Outcome,
    Phone,
    PlannedMessage,
    RecipientError,
    Reply,
    Reports,
    Send,
    SendList,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    Timeout,
    Transport,
    TransportWithGet,
    Unfinished,
    UnresolvedSend,
    Update,
    Viber,
    Watcher,
)
from smsc_async.callbacks import (
    Callbacks,
    CallConfirmed,
    HlrDetails,
    IncomingMessage,
    MessageType,
    StatusPush,
)
from smsc_async.taskiq import FollowResult, SendResult, SmscTasks
from smsc_async.testing import ManualClock


class Counter(Observer):
    def finished(self, event: CallFinished, /) -> None:
        assert_type(event.outcome, Outcome | None)
        assert_type(event.seconds, float)


own: Clock = ManualClock()


def clients(transport: Transport) -> list[Client]:
    return [
        Client(),
        Client(apikey="key"),
        Client(login="alex", password=SecretStr("secret"), timeout=5, deadline=None),
        Client(clock=ManualClock(), observers=[Counter()], guards=Guards(clock=ManualClock())),
        Client(transport="aiohttp", proxy="http://proxy.example:3128"),
        Client(transport=transport, fallback_urls=("https://www2.smscentre.com/sys/soap.php",)),
        Client(transport=httpx.ASGITransport(app=lambda _: None), timeout=Timeout(read=60)),  # type: ignore[arg-type, misc]
    ]


async def one_message(client: Client) -> None:
    async with client as same:
        assert_type(same, Client)
    sent = await client.send("+79991234567", "Hi", via=Viber(), at=After(minutes=30), valid=3, tinyurl=True, cost=3)
    assert_type(sent, SentMessage)
    assert_type(sent.ref, MessageRef)
    assert_type(sent.refs, tuple[MessageRef, ...])
    assert_type(sent.sms_count, int | None)
    assert_type(sent.cost, Decimal | None)
    assert_type(await client.send(["+79991234567"], "Hi", at=datetime.now(UTC), deadline=None, timeout=5), SentMessage)
    assert_type(await client.cost("+79991234567", "Hi", maxsms=2), Cost)
    report = await client.status(sent.ref, detail=2)
    assert_type(report, DeliveryReport)
    assert_type(report.status, MessageStatus)
    assert_type(report.error, DeliveryError | None)
    assert_type(report.changed_at, datetime | None)
    assert_type((await client.balance()).amount, Decimal)
    assert_type(await client.statuses(sent.refs, on_progress=print, progress=True), Reports[DeliveryReport | SmscError])
    async with client.watch([sent, sent.ref, str(sent.ref)], on_progress=print) as updates:
        updates.hint(sent)
        assert_type(updates, Watcher)
        assert_type(await anext(updates), Update)
        assert_type(updates.unfinished, list[Unfinished])
    assert_type(await client.wait_delivered(sent.ref, 10), DeliveryReport)
    assert_type(await client.wait_final(str(sent.ref)), DeliveryReport)
    assert_type(await client.status(sent), DeliveryReport)
    assert_type((await client.guards.snapshot()).waiting, int)
    assert_type(client.with_options(timeout=5, deadline=None, on_unknown="raise"), Client)
    assert_type(await client.aclose(), None)


async def many_messages(client: Client, source: AsyncIterator[Message]) -> None:
    async for outcome in client.send_batch(source, at=LocalTime(datetime(2026, 1, 2)), sender="shop"):  # noqa: DTZ001 - a wall clock
        assert_type(outcome, MessageOutcome)
        assert_type(outcome.ref, MessageRef | None)
        assert_type(outcome.error, SmscError | ValueError | None)
    async for price in client.cost_batch([Message("+79991234567", "Hi")], via=Viber()):
        assert_type(price, ChunkCost)
        assert_type(price.cost, Cost | None)


async def jobs(client: Client, unresolved: UnresolvedSend) -> None:
    async with Journal("job.db") as journal:
        assert_type(journal, Journal)
        planned = PlannedMessage(message=Message("+79991234567", "Hi"), id="order-1")
        assert_type(await journal.plan([planned, Message("+79991234568", "Hi")], batch_size=20, tinyurl=True), bool)
        assert_type(await journal.quote(client), Decimal)
        await journal.send(client, on_progress=print)
        await journal.follow(client, timeout=None, on_progress=print)
        assert_type(await journal.rows(), list[JournalRow])
        assert_type((await journal.summary()).unresolved, int)
        assert_type((await journal.summary()).unpriced, int)
        journal.keep_unresolved(unresolved)
        assert_type(await journal.resolve(client), list[tuple[UnresolvedSend, SentMessage | None]])
        Client(guards=journal.guards(), on_unresolved=journal.keep_unresolved)


async def operations(client: Client, ref: MessageRef, message: Message) -> None:
    assert_type(await client.call(GetBalance()), Balance)
    assert_type(await client.call(GetStatus(ref=ref)), DeliveryReport)
    assert_type(await client.call(GetCost(to=("+79991234567",), text="Hi")), Cost)
    assert_type(await client.call(Send(to=("+79991234567",), text="Hi")), SentMessage)
    assert_type(await client.call(SendList(messages=(message,))), SentMessage)


async def unresolved_sends(client: Client, error: SendOutcomeUnknown, ref: MessageRef) -> None:
    kept: list[UnresolvedSend] = []
    Client(on_unknown="resend", on_unresolved=kept.append, clock_skew=30)
    assert_type(error.unresolved, UnresolvedSend | None)
    assert_type(error.ref, MessageRef)
    assert_type(await client.resolve(error), SentMessage | None)
    assert_type(await client.resolve(ref, since=datetime.now(UTC), deadline=None), SentMessage | None)
    assert_type(await client.send("+79991234567", "Hi", id="job-1", attempt=2), SentMessage)


async def tasks(broker: RedisStreamBroker, refs: list[MessageRef]) -> None:
    made = SmscTasks(broker, lambda guards: Client(guards=guards), deadline=20, salt=SecretStr("salt"))
    task = await made.send("+79991234567", "Hi", id="go-1", tinyurl=True)
    assert_type(task, AsyncTaskiqTask[SendResult])
    assert_type((await task.wait_result()).return_value.sent, SentMessage | None)
    async for each in made.send_batch([Message("+79991234567", "Hi")], sender="shop"):
        assert_type(each, AsyncTaskiqTask[SendResult])
    assert_type(await made.follow(refs, timeout=None), AsyncTaskiqTask[FollowResult])


def errors(error: SmscError) -> None:
    assert_type(error.outcome, Outcome)
    assert_type(error.id, str | None)
    assert_type(error.refs, tuple[MessageRef, ...])
    if isinstance(error, DeliveryFailed):
        assert_type(error.report, DeliveryReport)
    if isinstance(error, ApiError):
        assert_type(error.errors, tuple[RecipientError, ...])
        assert_type(error.errors[0].code, int | None)


async def transports(default: TransportWithGet) -> None:
    assert_type(await default.get("https://sms.test/", Timeout()), Reply)


async def mistakes(client: Client) -> None:
    await client.send("+79991234567", "Hi", cost=1)  # type: ignore[arg-type]
    await client.send("+79991234567", "Hi", at="tomorrow")  # type: ignore[arg-type]
    await client.send("+79991234567", "Hi", colour="red")  # type: ignore[call-arg]
    await client.status(7)  # type: ignore[arg-type]
    client.with_options(retries=1)  # type: ignore[call-arg]
    Client(transport="slow")  # type: ignore[arg-type]
    Client("key")  # type: ignore[call-arg]


def pushes(client: Client, watcher: Watcher, callbacks: Callbacks) -> None:
    Callbacks(["secret", SecretStr("old")], charset="utf-8", allow_crc32=False)
    push = callbacks.unwrap(b"", b"", "application/json")
    assert_type(push, StatusPush | IncomingMessage | CallConfirmed)
    if isinstance(push, StatusPush):
        assert_type(push.ref, MessageRef)
        assert_type(push.status, MessageStatus)
        assert_type(push.at, datetime | None)
        assert_type(push.error, DeliveryError | None)
        assert_type(push.type, MessageType | None)
        assert_type(push.cost, Decimal | None)
        assert_type(push.hlr, HlrDetails | None)
        assert_type(push.is_reachable, bool | None)
        client.notify(push)
        watcher.notify(push)
    elif isinstance(push, IncomingMessage):
        assert_type(push.text, str)
        assert_type(push.id, str | None)
    else:
        assert_type(push.at, datetime)
    client.watch([], confirm_pushes=True)
    Callbacks("secret", charset="cp1251")  # type: ignore[arg-type]


def phones() -> None:
    phone = Phone.parse("8 (999) 123-45-67", region="RU")
    assert_type(phone, Phone)
    assert_type(Phone("+79991234567"), Phone)
    Message(phone, "Hi")


def a_name_that_does_not_exist_is_reported() -> object:
    return smsc_async.Cliemt  # type: ignore[attr-defined]
