"""What the inbox shows: one page of the messages that match, with the days and the jumps of the clock between them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._delivery import status_in
from smsc_async.sandbox._messages import AcceptedMessage
from smsc_async.sandbox._outbox import MessageFilter
from smsc_async.sandbox._sandbox_clock import Jump

from .words import CHANNELS, STATUSES, Label, day, instant, money, phone_words, span, status_label

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["Inbox", "InboxRow", "Search", "StatusView", "inbox_of", "row_of", "status_view"]

PAGE: Final = 50
GROUPS: Final[Mapping[str, tuple[str, frozenset[int]]]] = {
    "open": ("Not final", frozenset({-2, -1, 0})),
    "failed": ("Failed", frozenset({20, 22, 23, 24, 25})),
}
"""Statuses that are searched together: by their names in the address, the word and the codes."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the address of the inbox asks for; empty for all.

    Attributes:
        q: A part of the recipient, the text, the id or the sender.
        account: The login of an account.
        channel: The name of a channel.
        status: A status, or a key of `GROUPS`.
        before: Only messages with a smaller key, 0 for all.
    """

    q: str = field(default="", repr=False)
    account: str = field(default="", repr=False)
    channel: str = ""
    status: str = ""
    before: int = 0

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Search":
        """Return the search of an address; what it can't mean is left out."""
        channel, status, before = (query.get(name, "") for name in ("channel", "status", "before"))
        return cls(
            q=query.get("q", "").strip()[:200],
            account=query.get("account", ""),
            channel=channel if channel in set(ServiceChannel) else "",
            status=status if status in {*GROUPS, *map(str, STATUSES)} else "",
            before=int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else 0,  # noqa: PLR2004
        )

    @property
    def is_open(self) -> bool:
        """Whether every message matches."""
        return not (self.q or self.account or self.channel or self.status)

    def address(self, path: str = "/", before: int = 0) -> str:
        """Return the address of a page with this search."""
        given = {"q": self.q, "account": self.account, "channel": self.channel, "status": self.status}
        query = urlencode(
            {name: value for name, value in given.items() if value} | ({"before": before} if before else {})
        )
        return f"{path}?{query}" if query else path

    def statuses(self) -> frozenset[int] | None:
        """Return the statuses that match, None for all."""
        if not self.status:
            return None
        return GROUPS[self.status][1] if self.status in GROUPS else frozenset({int(self.status)})


@dataclass(frozen=True, slots=True)
class StatusView:
    """A status with its words."""

    code: int
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """A message in the list."""

    key: int
    phone: str = field(repr=False)
    sender: str
    text: str = field(repr=False)
    channel: Label
    status: StatusView
    parts: int
    cost: str
    at: float
    time: str
    iso: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The messages of a day, or those before or after a jump of the clock.

    Attributes:
        jump: The words of the jump that came after these messages, empty for none.
        name: The day, empty if it is that of the messages above.
        rows: The messages, the newest first.
    """

    jump: str
    name: str
    rows: Sequence[InboxRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """What the list shows.

    Attributes:
        search: What is searched.
        total: How many messages there are.
        matching: How many match.
        first: The position of the first one that is shown, counted from 1.
        days: The messages that are shown, by day.
        older: The address of the next page, empty if there is none.
        newer: The address of the first page if this is another one.
        accounts: The logins to choose from.
    """

    search: Search
    total: int
    matching: int
    first: int
    days: Sequence[Day]
    older: str
    newer: str
    accounts: Sequence[str]

    @property
    def shown(self) -> int:
        """How many messages are shown."""
        return sum(len(each.rows) for each in self.days)

    @property
    def channels(self) -> Iterable[tuple[str, str]]:
        """The channels to choose from, with their words."""
        return [(channel.value, label.word) for channel, label in CHANNELS.items()]

    @property
    def statuses(self) -> Iterable[tuple[str, str]]:
        """The statuses to choose from, with their words."""
        groups = [(name, word) for name, (word, _) in GROUPS.items()]
        return [*groups, *((str(code), label.word) for code, label in STATUSES.items())]


def inbox_of(
    sandbox: "Sandbox", find: Callable[[MessageFilter], list[AcceptedMessage]], search: Search, now: float
) -> Inbox:
    """Return what the list shows.

    Args:
        sandbox: The sandbox.
        find: Finds its messages, the newest first.
        search: What is searched.
        now: Unix time of the sandbox.
    """
    wanted = MessageFilter(anywhere=search.q or None, login=search.account or None)
    found = _of_status(_of_channel(find(wanted), search.channel), search.statuses(), now)
    start = _start(found, search.before)
    shown = found[start : start + PAGE]
    has_older = len(found) > start + PAGE
    return Inbox(
        search=search,
        total=len(found) if search.is_open else len(sandbox.messages),
        matching=len(found),
        first=start + 1,
        days=list(_days([row_of(message, now) for message in shown], sandbox.clock.jumps)),
        older=search.address(before=shown[-1].key) if has_older else "",
        newer=search.address() if start else "",
        accounts=[account.login for account in sandbox.accounts],
    )


def row_of(message: AcceptedMessage, now: float) -> InboxRow:
    """Return a message as the list shows it."""
    return InboxRow(
        key=message.key,
        phone=phone_words(message.phone),
        sender=message.sender,
        text=message.text[:300],
        channel=CHANNELS[message.channel],
        status=status_view(message.status_at(now)),
        parts=message.parts,
        cost=money(message.cost),
        at=message.accepted_at,
        time=f"{instant(message.accepted_at):%H:%M:%S}",
        iso=instant(message.accepted_at).isoformat(timespec="seconds"),
    )


def status_view(status: int) -> StatusView:
    """Return a status with its words."""
    return StatusView(status, status_label(status))


def _of_channel(messages: list[AcceptedMessage], channel: str) -> list[AcceptedMessage]:
    return [message for message in messages if message.channel == channel] if channel else messages


def _of_status(messages: list[AcceptedMessage], statuses: frozenset[int] | None, now: float) -> list[AcceptedMessage]:
    if statuses is None:
        return messages
    # Few words, because this runs 100,000 times: the last status of most messages is in force.
    return [
        message
        for message in messages
        if (line[-2] if (line := message.timeline)[-3] <= now else status_in(line, now)) in statuses
    ]


def _start(found: list[AcceptedMessage], before: int) -> int:
    """Return the position of the first message with a smaller key; the keys fall."""
    low, high = 0, len(found) if before else 0
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if found[middle].key >= before else (low, middle)
    return low


def _days(rows: Sequence[InboxRow], jumps: Sequence[Jump]) -> Iterator[Day]:
    """Yield the rows by day and by jump of the clock."""
    above: InboxRow | None = None
    name = jumped = ""
    group: list[InboxRow] = []
    for row in rows:
        skipped = sum(
            jump.end - jump.start for jump in jumps if above and row.at <= jump.start and jump.end <= above.at
        )
        if group and (skipped or day(row.at) != day(group[-1].at)):
            yield Day(jump=jumped, name=name, rows=group)
            jumped = f"You moved the clock by {span(skipped)}" if skipped else ""
            name = day(row.at) if day(row.at) != day(group[-1].at) else ""
            group = []
        name = name if above else day(row.at)
        group.append(row)
        above = row
    if group:
        yield Day(jump=jumped, name=name, rows=group)
