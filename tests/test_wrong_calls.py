"""A wrong call is answered by one sentence: which argument, what it was, and what to pass. Nothing is sent."""

import inspect
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from smsc_async import (
    After,
    ApiKey,
    At,
    Balance,
    Between,
    Binary,
    Channel,
    Client,
    Email,
    GetBalance,
    GetStatus,
    Guards,
    InvalidPhone,
    Journal,
    LocalTime,
    Login,
    Message,
    MessageRef,
    PlannedMessage,
    Rule,
    Rules,
    Send,
    SendList,
    Spend,
    Telegram,
    TelegramBot,
    Timeout,
    Viber,
    Voice,
    WapPush,
    parts,
)
from smsc_async.guards import MemoryStore, RedisAdmin, RedisStore
from smsc_async.sandbox import Account, DeliveryPlan, Limits, Sandbox, Share, Streak, Window
from smsc_async.testing import ManualClock
from tests.doubles import FakeService, make_client

PHONE: Final = "+79991234567"
SECRET: Final = "canary text"
REF: Final = MessageRef(PHONE, "a1")
NAIVE: Final = datetime(2031, 5, 1, 10, 0)  # noqa: DTZ001 - that it has no time zone is the point
CHANNEL: Final = "must be a channel, such as Sms() or Viber()"
WHEN: Final = "must be a datetime with a time zone, LocalTime(...), Between(...), After(...) or None"
TIMEOUT: Final = "timeout must be a number of seconds, more than 0, or a Timeout"
DEADLINE: Final = "deadline must be a number of seconds, more than 0, or None for no deadline"
WAIT: Final = "timeout must be a number of seconds, at least 0, or None for no timeout"
NO_PRICE: Final = "cost=1 means 'do not send'; use `Client.cost` for a price, cost=2 or cost=3 for the cost of a send"
PLANNED: Final = "item 1 of messages must be a Message or PlannedMessage"
PLAIN: Final = "on_progress must be a plain function that takes two numbers, or None"
A_MESSAGE: Final = "a message must be a MessageRef, its text form 'phone:id' or a SentMessage"
ITEM: Final = "each item of messages must be a Message, such as Message('+79991234567', 'Hi')"
UNCHECKED: Final = "each item of messages must be a valid Message; make it with Message(...), model_copy checks nothing"
LIST: Final = "messages must be a list or another iterable of Message objects"
RECIPIENTS: Final = "to must be a string of recipients, or a list of such strings"
REDIS_URL: Final = "url must be a Redis URL, such as redis://localhost:6379/0"
REDIS_CLIENT: Final = "client must be a Redis or RedisCluster of redis.asyncio; use from_url for a URL"
NOT_ALLOWED: Final = (
    "is not allowed in XML; remove control characters, and repair text that was cut inside a surrogate pair"
)
SECONDS: Final = "clock must be a function that returns seconds, such as ManualClock().now, or None"
FORWARD: Final = "must be at least 0 and finite, at most 1e+12 in all: a clock only goes forward"
NO_NUMBERS: Final = (("5", "str"), (None, "None"), (Decimal(1), "Decimal"), (True, "bool"))
A_RECIPIENT: Final = (
    "must be a phone in international format (digits, with or without +, no spaces), a group code G<number>, "
    "an e-mail address, or #ID or a nickname of Telegram; Phone.parse (--region) reads other spellings"
)
UNRESOLVED: Final = "send must be an error with `unresolved`, an UnresolvedSend, a MessageRef or a SentMessage"
OPERATION: Final = "operation must be an operation, such as Send(...) or GetStatus(...)"
AMBIGUOUS: Final = (
    "a datetime without a time zone is ambiguous; give it one (datetime.now(UTC)), or pass LocalTime(...) for a wall "
    "clock time in the account's zone"
)
FUNCTION: Final = "credentials must be a function that returns an ApiKey or a Login"


def send(**arguments: Any) -> Callable[[Any], Any]:
    return lambda client: client.send(**{"to": PHONE, "text": SECRET, **arguments})


CALLS: Final[list[tuple[Callable[[Any], Any], str]]] = [
    (send(to=79991234567), f"{RECIPIENTS}, not int"),
    (send(to=None), f"{RECIPIENTS}, not None"),
    (send(to=True), f"{RECIPIENTS}, not bool"),
    (send(to=PHONE.encode()), f"{RECIPIENTS}, not bytes"),
    (send(to={PHONE: SECRET}), f"{RECIPIENTS}, not dict"),
    (send(to=Message(PHONE, SECRET)), f"{RECIPIENTS}, not Message"),
    (send(to=[]), "to must not be empty"),
    (send(to=[79991234567]), "to[0] must be a string, such as '+79991234567', not int"),
    (send(to=[PHONE, [PHONE]]), "to[1] must be a string, not list"),
    (send(to=SECRET, text=PHONE), f"to[0] {A_RECIPIENT}"),
    (send(text=4821), "text must be a string, not int"),
    (send(text=SECRET.encode()), "text must be a string, not bytes"),
    (send(text=[SECRET]), "text must be a string, not list"),
    (send(text=None), "Sms needs a text: pass text=..."),
    (send(text=""), "text must not be empty"),
    (send(text=SECRET * 100), "text must have at most 1000 characters"),
    (send(id=1.5), "id must be a string or a whole number, not float"),
    (send(id=True), "id must be a string or a whole number, not bool"),
    (send(sender=79991234567), "sender must be a string, not int"),
    (send(at="tomorrow"), f"at {WHEN}, not str"),
    (send(at=timedelta(hours=1)), f"at {WHEN}, not timedelta"),
    (send(at=date(2031, 5, 1)), f"at {WHEN}, not date"),
    (send(at=After), f"at {WHEN}, not a class; did you mean After(...)?"),
    (
        send(at=NAIVE),
        f"at: {AMBIGUOUS}",
    ),
    (send(via="viber"), f"via {CHANNEL}, not str; did you mean Viber(...)?"),
    (send(via=PHONE), f"via {CHANNEL}, not str"),
    (send(via=Viber), f"via {CHANNEL}, not a class; did you mean Viber(...)?"),
    (send(via=None), f"via {CHANNEL}, not None"),
    (send(cost=4), "cost must be 2 or 3"),
    (send(tz="Europe/Moscow"), "tz must be a number, not str"),
    (send(tz=True), "tz must be a number, not bool"),
    (send(tz=13), "tz must be at most 12"),
    (send(period=timedelta(hours=1)), "period must be a number, not timedelta"),
    (send(period=1, freq=1.5), "freq must be a whole number, not float"),
    (
        send(valid=25),
        "valid must be 1 to 24 hours, 'hh:mm' from 00:01 to 24:00, or a timedelta of whole minutes in that range",
    ),
    (send(tinyurl="perhaps"), "tinyurl must be True or False, not str"),
    (send(extra=[SECRET]), "extra must be a dict, not list"),
    (lambda client: client.send("", SECRET), "to must not be empty"),
    (send(cost=2.0), "cost must be a whole number, not float"),
    (send(tinyurl="yes"), "tinyurl must be True or False, not str"),
    (send(err="yes"), "err must be True or False, not str"),
    (send(op="on"), "op must be True or False, not str"),
    (send(smsreq=b"20"), "smsreq must be a whole number, not bytes"),
    (send(tinyur=True), "tinyur is not an argument; did you mean tinyurl?"),
    (send(colour="red"), "colour is not an argument"),
    (send(**{SECRET: 1}), "an unknown argument"),
    (send(attempt="2", id="a1"), "attempt must be a whole number, at least 1, not str"),
    (send(attempt=None), "attempt must be a whole number, at least 1, not None"),
    (send(attempt=0), "attempt must be a whole number, at least 1"),
    (send(allow_duplicate="no"), "allow_duplicate must be True or False, not str"),
    (send(timeout="5"), f"{TIMEOUT}, not str"),
    (send(timeout=None), f"{TIMEOUT}, not None"),
    (send(timeout=timedelta(seconds=5)), f"{TIMEOUT}, not timedelta"),
    (send(timeout=0), TIMEOUT),
    (send(deadline="5"), f"{DEADLINE}, not str"),
    (send(deadline=timedelta(seconds=5)), f"{DEADLINE}, not timedelta"),
    (send(deadline=True), f"{DEADLINE}, not bool"),
    (lambda client: client.cost(7, SECRET), f"{RECIPIENTS}, not int"),
    (lambda client: client.cost(PHONE, SECRET, sender="shop"), "sender is not an argument"),
    (lambda client: client.send_batch([(PHONE, SECRET)]), f"{ITEM}, not tuple"),
    (lambda client: client.send_batch([PHONE]), f"{ITEM}, not str"),
    (lambda client: client.send_batch([None]), f"{ITEM}, not None"),
    (lambda client: client.send_batch([Message(PHONE, SECRET).model_copy(update={"text": 5})]), UNCHECKED),
    (lambda client: client.cost_batch([Message(PHONE, SECRET).model_copy(update={"tz": SECRET})]), UNCHECKED),
    (send(via=Channel()), f"via {CHANNEL}, not Channel"),
    (lambda client: client.send_batch(SECRET), f"{LIST}, not str"),
    (lambda client: client.send_batch(None), f"{LIST}, not None"),
    (lambda client: client.send_batch({PHONE: SECRET}), f"{LIST}, not dict"),
    (lambda client: client.send_batch(Message(PHONE, SECRET)), f"{LIST}, not Message"),
    (
        lambda client: client.send_batch([Message(PHONE, SECRET)], via="sms"),
        f"via {CHANNEL}, not str; did you mean Sms(...)?",
    ),
    (lambda client: client.send_batch([Message(PHONE, SECRET)], timeout="5"), f"{TIMEOUT}, not str"),
    (lambda client: client.send_batch([Message(PHONE, SECRET)], id="job"), "id is not an argument"),
    (lambda client: client.send_batch([Message(PHONE, SECRET)], to=PHONE), "to is not an argument"),
    (
        lambda client: client.send_batch([Message(PHONE, SECRET)], text=SECRET),
        "text is not an argument; did you mean extra?",
    ),
    (lambda client: client.send_batch([Message(PHONE, SECRET), 5]), f"{ITEM}, not int"),
    (lambda client: client.send_batch([], via="x"), f"via {CHANNEL}, not str"),
    (lambda client: client.send_batch([], sender=7), "sender must be a string, not int"),
    (lambda client: client.send_batch([], at="tomorrow"), f"at {WHEN}, not str"),
    (lambda client: client.send_batch([], cost=1), NO_PRICE),
    (lambda client: client.send_batch([], timeout=0), TIMEOUT),
    (lambda client: client.send_batch([], deadline=0), DEADLINE),
    (lambda client: client.send_batch([], allow_duplicate=7), "allow_duplicate must be True or False, not int"),
    (lambda client: client.cost_batch([Message(PHONE, SECRET)], to=PHONE), "to is not an argument"),
    (lambda client: client.cost_batch([Message(PHONE, SECRET)], id="job"), "id is not an argument"),
    (lambda client: client.cost_batch([Message(PHONE, SECRET), 5]), f"{ITEM}, not int"),
    (lambda client: client.cost_batch([], via="x"), f"via {CHANNEL}, not str"),
    (lambda client: client.cost_batch([], deadline=0), DEADLINE),
    (lambda client: client.statuses([], detail=7), "detail must be a number: 0, 1 or 2"),
    (lambda client: client.statuses([], detail=True), "detail must be a number: 0, 1 or 2, not bool"),
    (lambda client: client.cost_batch([(PHONE, SECRET)]), f"{ITEM}, not tuple"),
    (lambda client: client.cost_batch(7), f"{LIST}, not int"),
    (lambda client: client.status(7), f"{A_MESSAGE}, not int"),
    (lambda client: client.status((PHONE, "a1")), f"{A_MESSAGE}, not tuple"),
    (lambda client: client.status(PHONE), "the text form of a reference must be phone:id"),
    (lambda client: client.status(REF, detail=3), "detail must be 0, 1 or 2"),
    (lambda client: client.status(REF, extra=["x"]), "extra must be a dict, not list"),
    (lambda client: client.statuses(REF), "messages must be a list or another iterable of messages, not MessageRef"),
    (lambda client: client.statuses([(PHONE, "a1")]), f"{A_MESSAGE}, not tuple"),
    (
        lambda client: client.statuses([REF], on_progress=7),
        "on_progress must be a plain function that takes two numbers, or None, not int",
    ),
    (lambda client: client.statuses([REF], progress=1), "progress must be True or False, not int"),
    (lambda client: client.watch([REF], progress="yes"), "progress must be True or False, not str"),
    (lambda client: client.send_batch([], progress=None), "progress must be True or False, not None"),
    (lambda client: client.watch(None), "messages must be a list or another iterable of messages, not None"),
    (lambda client: client.watch([REF], timeout="60"), f"{WAIT}, not str"),
    (lambda client: client.watch([REF], timeout=timedelta(1)), f"{WAIT}, not timedelta"),
    (lambda client: client.watch([REF], grace=None), "grace must be a number of seconds, at least 0, not None"),
    (lambda client: client.watch([REF]).hint(7), f"{A_MESSAGE}, not int"),
    (lambda client: client.wait_delivered(REF, "60"), f"{WAIT}, not str"),
    (lambda client: client.wait_final(None), f"{A_MESSAGE}, not None"),
    (lambda client: client.resolve(None), f"{UNRESOLVED}, not None"),
    (lambda client: client.resolve(KeyError(SECRET)), f"{UNRESOLVED}, not KeyError"),
    (
        lambda client: client.resolve(InvalidPhone("x")),
        "InvalidPhone is not about an unresolved send: its outcome is rejected",
    ),
    (
        lambda client: client.resolve(REF, since=NAIVE),
        "since must be an aware datetime, such as datetime.now(UTC), or None, not a datetime without a time zone",
    ),
    (
        lambda client: client.resolve(REF, ask=7),
        "ask must be an async function that takes a GetStatus, or None, not int",
    ),
    (lambda client: client.call(SECRET), f"{OPERATION}, not str"),
    (lambda client: client.call(GetBalance), f"{OPERATION}, not a class"),
    (lambda client: client.call(Message(PHONE, SECRET)), f"{OPERATION}, not Message"),
    (lambda client: client.aclose("5"), "timeout must be a number of seconds, at least 0, not str"),
    (lambda client: client.with_options(timeout="5"), f"{TIMEOUT}, not str"),
    (lambda client: client.with_options(on_unknown=7), "on_unknown must be 'reconcile', 'raise' or 'resend', not int"),
]
"""Calls of a client."""


def new(**arguments: Any) -> Callable[[], Any]:
    return lambda: Client(**{"apikey": SECRET, "url": "https://sms.test/", **arguments})


def wrong(kind: Any, *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: kind(*arguments, **options)


VALUES: Final[list[tuple[Callable[[], Any], str]]] = [
    (new(apikey=7), "apikey must be a string, not int"),
    (new(apikey=SECRET.encode()), "apikey must be a string, not bytes"),
    (new(apikey=""), "apikey must not be empty"),
    (new(apikey=f" {SECRET}"), "apikey must not begin or end with whitespace; remove it"),
    (new(apikey=f"{SECRET}\n"), "apikey must not begin or end with a line break; remove it"),
    (
        new(apikey=None, login=f"{SECRET}\t", password="x"),
        "login must not begin or end with whitespace; remove it",
    ),
    (
        new(apikey=None, login=SECRET, password=f"{SECRET}\n"),
        "password must not begin or end with a line break; remove it",
    ),
    (wrong(ApiKey, key=f"{SECRET} "), "key must not begin or end with whitespace; remove it"),
    (new(login=SECRET), "give an apikey or a login and password, not both"),
    (new(apikey=None, credentials=SECRET), f"{FUNCTION}, not str"),
    (new(apikey=None, credentials=ApiKey(key=SecretStr(SECRET))), f"{FUNCTION}, not ApiKey"),
    (new(fallback_urls="https://sms.test/"), "fallback_urls must be a list of URLs, not str"),
    (new(timeout="5"), f"{TIMEOUT}, not str"),
    (new(timeout=None), f"{TIMEOUT}, not None"),
    (new(deadline="5"), f"{DEADLINE}, not str"),
    (new(retries="3"), "retries must be a whole number, at least 0, not str"),
    (new(retries=False), "retries must be a whole number, at least 0, not bool"),
    (new(retries=0.0), "retries must be a whole number, at least 0"),
    (new(retries=-1), "retries must be a whole number, at least 0"),
    (new(max_recipients=None), "max_recipients must be a whole number, at least 1, not None"),
    (new(batch_size=0), "batch_size must be a whole number, at least 1"),
    (new(max_response_bytes=True), "max_response_bytes must be a whole number, at least 1, not bool"),
    (new(clock_skew=timedelta(1)), "clock_skew must be a number of seconds, at least 0, not timedelta"),
    (
        new(timezone="Europe/Moscow"),
        "timezone must be a tzinfo object, such as zoneinfo.ZoneInfo('Europe/Moscow'), not str",
    ),
    (new(guards=Rules()), "guards must be a Guards object, or None for no guards, not Rules"),
    (new(guards=Guards), "guards must be a Guards object, or None for no guards, not a class"),
    (new(account=7), "account must be a string, or None for the login or API key, not int"),
    (new(egress=7), "egress must be a string, or None for the default, not int"),
    (new(allow_http="no"), "allow_http must be True or False, not str"),
    (new(verify=None), "verify must be an ssl.SSLContext, True, or False for tests, not None"),
    (new(on_unknown="retry"), "on_unknown must be 'reconcile', 'raise' or 'resend'"),
    (new(on_unresolved=7), "on_unresolved must be a plain function: it is called and not awaited, not int"),
    (wrong(Message, SECRET, PHONE), f"phone {A_RECIPIENT}"),
    (wrong(Message, 79991234567, SECRET), "phone must be a string, such as '+79991234567', not int"),
    (wrong(Message, None, None), "phone must be a string, not None; text must be a string, not None"),
    (
        wrong(MessageRef, "G1", 7),
        "phone: a group code stands for many numbers that only the service knows; pass it to `send`",
    ),
    (wrong(MessageRef, PHONE, None), "id must be a string or a whole number, not None"),
    (wrong(MessageRef.parse, 7), "the text form of a reference must be a string, not int"),
    (wrong(MessageRef.model_validate, 7), "must be a MessageRef, not int"),
    (wrong(MessageRef.model_validate_json, SECRET), "this is not JSON"),
    (wrong(PlannedMessage, message=(PHONE, SECRET)), "message must be a Message, not tuple"),
    (
        wrong(At, NAIVE),
        "moment must have a time zone, such as datetime.now(UTC); pass LocalTime(...) for a wall clock time",
    ),
    (wrong(At, SECRET), "moment must be a datetime, not str"),
    (wrong(LocalTime, datetime.now(UTC)), "moment must have no time zone; pass At(...) for an instant"),
    (wrong(Between, 9, 9), "start and end must be different hours, such as Between(9, 21)"),
    (wrong(Between, None, 9), "start must be a whole number, not None"),
    (wrong(After, timedelta(minutes=5)), "minutes must be a whole number, not timedelta"),
    (wrong(After, True), "minutes must be a number, not bool"),
    (wrong(At, 1900000000), "moment must be a datetime, not int"),
    (wrong(At, "1900000000"), "moment must be a datetime, not str"),
    (wrong(LocalTime, date(2031, 5, 1)), "moment must be a datetime, not date"),
    (wrong(Between, "9", "21"), "start must be a whole number, not str; end must be a whole number, not str"),
    (wrong(After, minutes="5"), "minutes must be a whole number, not str"),
    (wrong(After, 5.0), "minutes must be a whole number, not float"),
    (wrong(Message, PHONE, "x", tz="3"), "tz must be a number, not str"),
    (wrong(Message, PHONE, "x", tz=math.nan), "tz must be a finite number"),
    (
        wrong(Message, PHONE, "x\ud83d"),
        f"text: character U+D83D at position 1 {NOT_ALLOWED}",
    ),
    (wrong(GetStatus, ref=REF, detail=True), "detail must be a number, not bool"),
    (wrong(Guards, max_waiters=1.5), "max_waiters must be a whole number, at least 0"),
    (wrong(Guards, margin="1"), "margin must be a number, at least 0, not str"),
    (wrong(Sandbox, seed=True), "seed must be a whole number, not bool"),
    (wrong(Viber, voice="m"), "voice is not an argument"),
    (wrong(Voice, voice="x"), "voice must be 'm', 'm2', 'm3', 'm4', 'w', 'w2', 'w3' or 'w4'"),
    (wrong(Voice, language="english"), "language must be two small letters, such as 'en'"),
    (wrong(Binary, 7), "data must be bytes, not int"),
    (
        wrong(WapPush, "shop.example", SECRET),
        "url must be a full URL, http://... or https://..., without whitespace",
    ),
    (wrong(Email, SECRET, "Hi"), "sender must be an e-mail address, such as name@example.com"),
    (wrong(Telegram, 4821), "code must be a string, not int"),
    (wrong(TelegramBot, SECRET), "name must be the name of a bot, such as '@name_bot'"),
    (wrong(ApiKey, key=7), "key must be a string, not int"),
    (wrong(Login, login=SECRET), "password is missing"),
    (wrong(Send, to=SECRET), f"to[0] {A_RECIPIENT}"),
    (wrong(SendList, messages=[(PHONE, SECRET)]), "messages[0] must be a Message, not tuple"),
    (wrong(GetStatus, ref=SECRET), "ref must be a MessageRef, not str"),
    (wrong(Balance, amount=SECRET), "amount is not valid"),
    (wrong(parts, None), "text must be a string, not None"),
    (wrong(Timeout, "5"), "connect must be a number of seconds, more than 0, not str"),
    (wrong(Timeout, read=0), "read must be a number of seconds, more than 0"),
    (wrong(Rule, "5"), "count must be a whole number, at least 1; to switch a rule off, pass policy='off', not str"),
    (wrong(Rule, 5, "60"), "seconds must be a number of seconds, at least 0, not str"),
    (wrong(Rules, status=5), "status must be a Rule, such as Rule(4, 60), not int"),
    (wrong(Rules, status="off"), "status must be a Rule, such as Rule(4, 60), not str"),
    (
        wrong(Spend, 1.5),
        "the amount must be a Decimal or an int, 0.0001 to 1,000,000,000: pass Spend(Decimal('500'))",
    ),
    (wrong(Rule, 1, 1, []), "policy must be 'wait', 'raise' or 'off'"),
    (wrong(Spend, 5, policy={}), "policy must be 'wait', 'raise' or 'off'"),
    (wrong(Rules().with_policies, status=[]), "policy must be 'wait', 'raise' or 'off'"),
    (wrong(RedisStore.from_url, 5), f"{REDIS_URL}, not int"),
    (wrong(RedisAdmin.from_url, None), f"{REDIS_URL}, not None"),
    (wrong(RedisStore.from_url, "redis://h", prefix=5), "prefix must consist of letters, digits and _ . : -"),
    (wrong(RedisStore.from_url, "redis://h", timeout="x"), "timeout must be a number of seconds, more than 0, not str"),
    (
        wrong(RedisStore.from_url, "redis://h", max_hold="x"),
        "max_hold must be a number of seconds, more than 0, not str",
    ),
    (wrong(RedisStore.from_url, "redis://h", late_arrival=-1), "late_arrival must be a number of seconds, at least 0"),
    (wrong(RedisAdmin.from_url, "redis://h", timeout=0), "timeout must be a number of seconds, more than 0"),
    (wrong(RedisStore, f"redis://u:{SECRET}@h"), f"{REDIS_CLIENT}, not str"),
    (wrong(RedisStore, None), f"{REDIS_CLIENT}, not None"),
    (wrong(RedisStore, Redis), f"{REDIS_CLIENT}, not a class"),
    (wrong(RedisAdmin, f"redis://u:{SECRET}@h"), f"{REDIS_CLIENT}, not str"),
    (wrong(MemoryStore, ManualClock()), f"{SECONDS}, not ManualClock"),
    (wrong(MemoryStore, 5), f"{SECONDS}, not int"),
    *((wrong(ManualClock, value), f"start must be a number of seconds, not {kind}") for value, kind in NO_NUMBERS),
    *(
        (wrong(ManualClock().advance, value), f"seconds must be a number of seconds, not {kind}")
        for value, kind in NO_NUMBERS
    ),
    *((wrong(ManualClock, value), f"start {FORWARD}") for value in (math.inf, math.nan, 1e300, 10**400, -1)),
    *((wrong(ManualClock(1e12).advance, value), f"seconds {FORWARD}") for value in (math.nan, 1, 10**400, -1)),
    (wrong(Guards, 7), "store must be an object such as MemoryStore() or RedisStore.from_url(...), not int"),
    (wrong(Guards, rules=Rule(5)), "rules must be a Rules object, not Rule"),
    (wrong(Guards, max_wait="5"), "max_wait must be a number of seconds, at least 0, or None for no limit, not str"),
    (wrong(Guards, late_arrival=61), "late_arrival must be a number of seconds, 0 to 60"),
    (wrong(Guards, margin=-1), "margin must be a number, at least 0"),
    (wrong(Guards, clock=7), "clock must be an object with the methods of Clock, or None for real time, not int"),
    (wrong(Journal, "job.db", trust="no"), "trust must be True or False, not str"),
    (new(clock=7), "clock must be an object with the methods of Clock, or None for real time, not int"),
    (wrong(Sandbox, accounts=7), "accounts must be a list of Account objects, not int"),
    (wrong(Sandbox, accounts=["demo"]), "each item of accounts must be an Account, such as Account.demo(), not str"),
    (wrong(Sandbox, limits=None), "limits must be a Limits object, not None"),
    (wrong(Sandbox, delivery=Share(1, 0, 1)), "delivery must be a DeliveryPlan object, not Share"),
    (wrong(Sandbox, seed="x"), "seed must be a whole number, not str"),
    (wrong(Sandbox, clock=5), "clock must be a function that returns the Unix time, or None, not int"),
    (wrong(Sandbox, latency=-1), "latency must be a number of seconds, at least 0"),
    (wrong(Sandbox, state=7), "state must be the path of a file, or None, not int"),
    (
        lambda: Sandbox().advance(timedelta(1)),  # type: ignore[arg-type]
        "seconds must be a number, at least 0, because time moves forward only, not timedelta",
    ),
    (wrong(Account, login=7, password=SECRET), "login must be a string, not int"),
    (wrong(DeliveryPlan, outcomes=[Share(1, 0, 1)]), "outcomes must be a tuple of Share objects, not list"),
    (wrong(DeliveryPlan, spread="x"), "spread must be a number, at least 0, not str"),
    (wrong(Limits, status=5), "status must be a Window, or None to switch it off, not int"),
    (wrong(Limits, in_flight="5"), "in_flight must be a whole number, or None to switch it off, not str"),
    (
        wrong(Window, "1", 60),
        "count must be a number, more than 0; pass None in place of the limit to switch it off, not str",
    ),
    (wrong(Streak, 0, 60), "count must be a number, more than 0; pass None in place of the limit to switch it off"),
]
"""Values and the constructors of clients, guards and sandboxes."""


def _shown(error: BaseException) -> str:
    return f"{error!s}{error!r}{error.__cause__!r}{error.__context__!r}"


async def _made(result: Any) -> None:
    if isinstance(result, AsyncIterator):
        await anext(result)
    elif inspect.isawaitable(result):
        await result


@pytest.mark.parametrize(("call", "text"), CALLS, ids=[text[:60] for _, text in CALLS])
async def test_a_wrong_call_is_named_in_one_sentence_and_nothing_is_sent(call: Callable[[Any], Any], text: str) -> None:
    service = FakeService()
    client = make_client(service)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        await _made(call(client))
    assert str(caught.value) == text
    assert type(caught.value) is ValueError
    assert SECRET not in _shown(caught.value)
    assert PHONE not in _shown(caught.value).replace("Message('+79991234567', 'Hi')", "").replace("'+79991234567'", "")
    assert service.urls == []
    await client.aclose()


@pytest.mark.parametrize(("make", "text"), VALUES, ids=[text[:60] for _, text in VALUES])
def test_a_wrong_value_is_named_in_one_sentence(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        make()
    assert str(caught.value) == text
    assert type(caught.value) is ValueError
    assert SECRET not in _shown(caught.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: client.send(), "Client.send() missing 1 required positional argument: 'to'"),
        (lambda client: client.send(PHONE, SECRET, "a1"), "Client.send() takes from 2 to 3 positional arguments but 4"),
        (lambda client: client.status(PHONE, "a1"), "Client.status() takes 2 positional arguments but 3 were given"),
        (lambda client: client.watch([], forever=True), "Client.watch() got an unexpected keyword argument 'forever'"),
        (lambda client: client.call(GetBalance(), retry=1), "Client.call() got an unexpected keyword argument 'retry'"),
        (lambda client: client.aclose(wait=1), "Client.aclose() got an unexpected keyword argument 'wait'"),
        (lambda client: client.with_options(retries=1), "Client.with_options() got an unexpected keyword argument"),
        (lambda _: Client(retry=3), "Client.__init__() got an unexpected keyword argument 'retry'"),  # type: ignore[call-arg]
        (lambda _: Client(SECRET), "Client.__init__() takes 1 positional argument but 2 were given"),  # type: ignore[call-arg]
        (lambda _: Viber("m"), "Viber() takes keyword arguments only"),  # type: ignore[call-arg]
        (lambda _: ApiKey(SECRET), "ApiKey() takes keyword arguments only, such as key=..."),  # type: ignore[call-arg, arg-type]
    ],
)
async def test_a_call_that_fits_no_signature_is_pythons_own_error_about_a_public_name(
    call: Callable[[Any], Any], text: str
) -> None:
    client = make_client(FakeService())
    with pytest.raises(TypeError) as caught:
        await _made(call(client))
    assert str(caught.value).startswith(text)
    assert SECRET not in _shown(caught.value)
    await client.aclose()


def test_there_is_no_hidden_name_or_word_of_a_library_in_a_sentence() -> None:
    texts = [text for _, text in CALLS + VALUES]
    assert len(texts) > 150
    for word in ("Session", "pydantic", "Input should", "valid string", "instance of", "attribute", "_model"):
        assert [text for text in texts if word in text.removeprefix("valid ")] == []


JOURNAL_CALLS: Final[list[tuple[Callable[[Any], Any], str]]] = [
    (
        lambda journal: journal.plan([(PHONE, SECRET)]),
        f"{PLANNED}, not tuple",
    ),
    (lambda journal: journal.plan(SECRET), f"{LIST}, not str"),
    (lambda journal: journal.plan(None), f"{LIST}, not None"),
    (
        lambda journal: journal.plan([Message(PHONE, SECRET)], batch_size="5"),
        "batch_size must be a whole number, at least 1, not str",
    ),
    (lambda journal: journal.plan([Message(PHONE, SECRET)], via=7), f"via {CHANNEL}, not int"),
    (lambda journal: journal.plan([5]), f"{PLANNED}, not int"),
    (
        lambda journal: journal.plan([], source=5),
        "source must be a string, or None for a hash of the messages, not int",
    ),
    (lambda journal: journal.plan([], id="job"), "id is not an argument"),
    (lambda journal: journal.send(make_client(FakeService()), on_progress=5), f"{PLAIN}, not int"),
    (lambda journal: journal.follow(make_client(FakeService()), on_progress=5), f"{PLAIN}, not int"),
    (lambda journal: journal.send(make_client(FakeService()), on_progress=_made), f"{PLAIN}, not function"),
    (lambda journal: journal.send(SECRET), "client must be a Client, not str"),
    (lambda journal: journal.send(Client), "client must be a Client, not a class"),
    (lambda journal: journal.follow(7), "client must be a Client, not int"),
    (lambda journal: journal.quote(None), "client must be a Client, not None"),
    (
        lambda journal: journal.follow(make_client(FakeService()), timeout="60"),
        f"{WAIT}, not str",
    ),
    (lambda journal: journal.keep_unresolved(7), "unresolved must be an UnresolvedSend, not int"),
]
"""Calls of a journal."""


@pytest.mark.parametrize(("call", "text"), JOURNAL_CALLS, ids=[text[:60] for _, text in JOURNAL_CALLS])
async def test_a_wrong_call_of_a_journal_is_named_in_one_sentence(
    call: Callable[[Any], Any], text: str, tmp_path: Path
) -> None:
    async with Journal(tmp_path / "job.db") as journal:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
            await _made(call(journal))
    assert str(caught.value) == text
    assert SECRET not in _shown(caught.value)
