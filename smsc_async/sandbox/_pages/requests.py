"""What the pages of requests show: what arrived, what it was about, and what it was answered."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from smsc_async.sandbox._exchanges import Exchange

from .soap import Token, tokens_of
from .words import day, instant, phone_words

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["AnswerView", "RequestLog", "RequestPage", "RequestRow", "RequestSearch", "log_of", "request_page", "row_of"]

PAGE: Final = 100
OUTCOMES: Final[Mapping[str, str]] = {
    "good": "Good",
    "limit": "Error of a limit",
    "error": "Other errors",
    "fault": "By a fault rule",
}
"""The kinds of answers to choose from, with their words."""
_METHODS: Final = ("send_sms", "send_sms2", "get_sms_cost", "get_sms_cost2", "get_status", "get_status2", "get_balance")
_SAID: Final = re.compile(r"<(?:[\w.-]+:)?(balance|status|id|cost)(?:\s[^>]*)?>([^<]{1,60})</")
_PHONES: Final = re.compile(r"<(?:[\w.-]+:)?phones?(?:\s[^>]*)?>([^<]+)</")
_NUMBER_FORM: Final = re.compile(r"[+\d\s()-]{4,}")
_LONGEST: Final = 40
_SPLIT: Final = re.compile(r"[,;]")


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What a request was answered.

    Attributes:
        kind: A key of `OUTCOMES`; "open" while there is no answer.
        text: In a word or two.
        note: Why, empty for a good answer.
    """

    kind: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request in the list.

    Attributes:
        number: Its number.
        at: Unix time of its arrival.
        time: The time of day, to the millisecond.
        iso: Date and time.
        method: Its method, empty if it can't be read.
        login: The customer, empty where the credentials were not accepted.
        source: The IP address that it came from.
        about: The recipient, or how many messages were sent; empty for none.
        message: The key of the first message that it sent, 0 for none.
        outcome: What it was answered.
        status: The HTTP status, "none" for no answer.
        took: How long that took in real time.
    """

    number: int
    at: float
    time: str
    iso: str
    method: str
    login: str = field(repr=False)
    source: str
    about: str = field(repr=False)
    message: int
    outcome: AnswerView
    status: str
    took: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSearch:
    """What the address of the list asks for; empty for all.

    Attributes:
        q: A part of the recipient, an id, the method, the login, the IP address, or of the XML.
        method: A method.
        account: The login of an account.
        answer: A key of `OUTCOMES`.
        before: Only requests with a smaller number, 0 for all.
    """

    q: str = field(default="", repr=False)
    method: str = ""
    account: str = field(default="", repr=False)
    answer: str = ""
    before: int = 0

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "RequestSearch":
        """Return the search of an address; what it can't mean is left out."""
        method, answer, before = (query.get(name, "") for name in ("method", "answer", "before"))
        return cls(
            q=query.get("q", "").strip()[:200],
            method=method if method in _METHODS else "",
            account=query.get("account", "")[:200],
            answer=answer if answer in OUTCOMES else "",
            before=int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else 0,  # noqa: PLR2004
        )

    def address(self, before: int = 0) -> str:
        """Return the address of a page with this search."""
        given = {"q": self.q, "method": self.method, "account": self.account, "answer": self.answer}
        query = urlencode({name: value for name, value in {**given, "before": before}.items() if value})
        return f"/_sandbox/requests?{query}" if query else "/_sandbox/requests"

    def matches(self, exchange: Exchange) -> bool:
        """Return whether a request matches."""
        if self.method not in {"", exchange.method} or self.account not in {"", exchange.login}:
            return False
        if self.answer and outcome_of(exchange).kind != self.answer:
            return False
        return not self.q or self._finds(exchange)

    def _finds(self, exchange: Exchange) -> bool:
        sought = self.q.lower()
        places = (exchange.method, exchange.source, exchange.login or "", exchange.request, exchange.answer)
        if any(sought in place.lower() for place in places):
            return True
        # A number may be sought as people write it, and be in the request with a plus or without.
        digits = "".join(filter(str.isdigit, sought)) if _NUMBER_FORM.fullmatch(sought) else ""
        return bool(digits) and digits in exchange.request


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLog:
    """What the list shows.

    Attributes:
        search: What is searched.
        total: How many requests are kept.
        matching: How many match.
        first: The position of the first one that is shown, counted from 1.
        rows: Those that are shown, the newest first.
        older: The address of the next page, empty if there is none.
        accounts: The logins to choose from.
    """

    search: RequestSearch
    total: int
    matching: int
    first: int
    rows: Sequence[RequestRow]
    older: str
    accounts: Sequence[str]

    @property
    def methods(self) -> Sequence[str]:
        """The methods to choose from."""
        return _METHODS

    @property
    def outcomes(self) -> Mapping[str, str]:
        """The kinds of answers to choose from, with their words."""
        return OUTCOMES


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPage:
    """What the page of a request shows.

    Attributes:
        row: What the list shows of it too.
        day: The day of its arrival.
        outcome: What came of it, in words.
        messages: The keys of the messages that it sent.
        is_excess: Whether it has exceeded a limit.
        request: The request, to be shown.
        answer: The answer, to be shown.
    """

    row: RequestRow
    day: str
    outcome: str
    messages: Sequence[int]
    is_excess: bool
    request: Sequence[Token] = field(repr=False)
    answer: Sequence[Token] = field(repr=False)


def log_of(sandbox: "Sandbox", search: RequestSearch) -> RequestLog:
    """Return what the list shows."""
    kept = sandbox.requests
    found = [exchange for exchange in reversed(kept) if search.matches(exchange)]
    left = [exchange for exchange in found if not search.before or exchange.number < search.before]
    shown = left[:PAGE]
    return RequestLog(
        search=search,
        total=len(kept),
        matching=len(found),
        first=len(found) - len(left) + 1,
        rows=[row_of(exchange) for exchange in shown],
        older=search.address(shown[-1].number) if len(left) > PAGE else "",
        accounts=[account.login for account in sandbox.accounts],
    )


def row_of(exchange: Exchange) -> RequestRow:
    """Return a request as lists show it."""
    moment = instant(exchange.at)
    return RequestRow(
        number=exchange.number,
        at=exchange.at,
        time=f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}",
        iso=moment.isoformat(timespec="milliseconds"),
        method=exchange.method,
        login=exchange.login or "",
        source=exchange.source,
        about=_about(exchange),
        message=exchange.messages[0] if exchange.messages else 0,
        outcome=outcome_of(exchange),
        status=str(exchange.status or ("none" if exchange.seconds is not None else "")),
        took="" if exchange.seconds is None else f"{exchange.seconds * 1000:,.0f} ms",
    )


def request_page(exchange: Exchange) -> RequestPage:
    """Return what the page of a request shows."""
    return RequestPage(
        row=row_of(exchange),
        day=day(exchange.at),
        outcome=exchange.outcome,
        messages=exchange.messages,
        is_excess=exchange.excess is not None,
        request=tokens_of(exchange.request),
        answer=tokens_of(exchange.answer),
    )


def outcome_of(exchange: Exchange) -> AnswerView:
    """Return what a request was answered."""
    if exchange.fault is not None:
        return AnswerView("fault", str(exchange.fault), "executed" if exchange.executed else "not executed")
    if exchange.error:
        kind = "limit" if exchange.excess is not None else "error"
        return AnswerView(kind, f"error {exchange.error}", exchange.reason)
    if exchange.reason:
        return AnswerView("error", "SOAP Fault", exchange.reason.removeprefix("SOAP Fault "))
    if exchange.seconds is None:
        return AnswerView("open", "in flight")
    if exchange.status is None:
        return AnswerView("error", "no answer", "the client has gone")
    return AnswerView("good", _said(exchange))


def _said(exchange: Exchange) -> str:
    """Return the value of a good answer that matters most."""
    values = {name: html.unescape(value).strip() for name, value in _SAID.findall(exchange.answer)}
    names = ("status",) if exchange.method.startswith("get_status") else ("id", "balance", "cost")
    name = next((each for each in names if values.get(each)), "")
    return f"{name} {values[name]}" if name else "ok"


def _about(exchange: Exchange) -> str:
    found = _PHONES.search(exchange.request)
    phones = [each.strip() for each in _SPLIT.split(html.unescape(found[1])) if each.strip()] if found else []
    if len(phones) == 1:
        number = phones[0].removeprefix("+")
        return phone_words(number if number.isdecimal() else phones[0])[:_LONGEST]
    count = len(exchange.messages) or len(phones)
    return f"{count:,} recipients" if count > 1 else ""
