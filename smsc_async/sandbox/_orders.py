"""How the server reads a request to send or to price: one draft for each message."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from ._accounts import Account
from ._channels import ServiceChannel, count_parts
from ._delivery import MAGIC_NUMBERS
from ._fields import Value, read_text, refuse
from ._query import ListLine, Options, decode_query, read_list, read_tz
from ._recipients import Addressee, canonical, read_recipients, split
from ._schedule import read_time, spread

__all__ = ["FORBIDDEN_WORD", "Draft", "Order"]

FORBIDDEN_WORD = "FORBIDDEN"
"""A text with this word in it is refused with error 6."""

_LONGEST_TEXT = 1000
_LONGEST_NAME = 11
_LONGEST_NUMBER = 15
_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_LINK = re.compile(r"https?://\S+")
_SHORT_LINK = "https://s.example/"
_NO_MONEY = 3
_FORBIDDEN = 6
_WRONG_NUMBER = 7
_OF_REQUEST = frozenset({1, 2, 4, 5})
_UNDELIVERABLE = 8


@dataclass(frozen=True, slots=True)
class Draft:
    """One message to one recipient before the service has accepted it.

    Attributes:
        line: The index of its line in the request; recipients of one line share it.
        phone: The recipient.
        text: The text as it would be sent.
        sender: The sender's name.
        parts: How many SMS it is.
        cost: Its price.
        send_at: When it is due.
        refusal: The error code for this recipient, 0 for none.
    """

    line: int
    phone: str
    text: str
    sender: str
    parts: int
    cost: Decimal
    send_at: float
    refusal: int

    def refused(self, code: int) -> "Draft":
        """Return this draft with a refusal, unless it has one."""
        return self if self.refusal else replace(self, refusal=code)


@dataclass(frozen=True, slots=True)
class Order:
    """The messages that a request asks to send or to price.

    Attributes:
        id: The message id as given; empty when the service is to assign one.
        options: The parameters of `query`.
        drafts: Its messages, including bad ones.
        identity: A digest, equal for requests that differ in nothing but id and credentials, phones compared as sets of
            digits.
    """

    id: str
    options: Options
    drafts: tuple[Draft, ...]
    identity: str

    @classmethod
    def read(cls, fields: Mapping[str, Value], account: Account, *, now: float) -> "Order":
        """Read a request's fields.

        Raises:
            ServiceError: Error 1 for bad parameters, error 5 for a bad time.
        """
        params = decode_query(read_text(fields, "query"))
        options = Options.read(params)
        # A cost request has no fields for these, so they are in `query`.
        sender, time = (read_text(fields, name) or params.get(name, "") for name in ("sender", "time"))
        lines = _read_lines(fields, params, options.channel)
        reader = _Reader(account, options, params, sender, time, now)
        return cls(
            id=_read_id(read_text(fields, "id")),
            options=options,
            drafts=tuple(reader.drafts(lines)),
            identity=_identity(lines, params, sender, time),
        )

    @property
    def is_quote(self) -> bool:
        """Whether a send asks for the cost alone ("without real sending")."""
        return self.options.cost == 1


@dataclass(frozen=True, slots=True)
class _Reader:
    account: Account
    options: Options
    params: Mapping[str, str]
    sender: str
    time: str
    now: float

    def drafts(self, lines: tuple[ListLine, ...]) -> Iterator[Draft]:
        channel, groups = self.options.channel, self.account.groups
        everyone = [read_recipients(line.phones, channel, groups) for line in lines]
        total = sum(map(len, everyone))
        index = 0
        for number, (line, recipients) in enumerate(zip(lines, everyone, strict=True)):
            # A wrong number is error 7, but a request without any is an error in its parameters.
            text = self._read_message(line) if recipients else refuse(1)
            sender = line.sender or self.sender or self.account.sender
            count = count_parts(channel, text, self.params)
            start = self._start(line)
            barred = _FORBIDDEN if FORBIDDEN_WORD in text or not _is_sender(sender, channel) else 0
            for recipient in recipients:
                price = self.account.price(recipient.address)
                yield Draft(
                    line=number,
                    phone=recipient.address,
                    text=text,
                    sender=sender,
                    parts=count,
                    cost=(price or Decimal()) * count,
                    send_at=spread(start, index, total, step=self.options.step, groups=self.options.groups),
                    refusal=_refusal(recipient, price) or barred,
                )
                index += 1

    def _read_message(self, line: ListLine) -> str:
        channel = self.options.channel
        if channel.ignores_text:
            return ""
        if len(line.text) > _LONGEST_TEXT:
            refuse(1)
        channel.check_text(line.text, line.sender or self.sender, self.params)
        text = _LINK.sub(_shortened, line.text) if self.options.shorten else line.text
        return self._cut(text)

    def _cut(self, text: str) -> str:
        # "Messages that are too long will be truncated so as not to overwhelm the number of SMS": parts never grow
        # when a text loses its end, so the longest beginning that fits is found by halving.
        most, channel = self.options.max_parts, self.options.channel
        if most is None or count_parts(channel, text, self.params) <= most:
            return text
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if count_parts(channel, text[:middle], self.params) <= most:
                fits = middle
            else:
                too_long = middle
        return text[:fits]

    def _start(self, line: ListLine) -> float:
        hours = read_tz(line.tz)
        zone = self.account.timezone(self.options.tz if hours is None else hours)
        return read_time(self.time, now=self.now, zone=zone)


def _read_lines(
    fields: Mapping[str, Value], params: Mapping[str, str], channel: ServiceChannel
) -> tuple[ListLine, ...]:
    phones, text = read_text(fields, "phones"), read_text(fields, "mes")
    if params.get("list"):
        return read_list(params["list"], multiline=params.get("nl") == "1", bare=channel.ignores_text)
    return (ListLine(phones, text),)


def _read_id(text: str) -> str:
    # 0 is no id: the range begins at 1, and PHP takes "0" for empty.
    if text and not _ID.fullmatch(text):
        refuse(1)
    return "" if text == "0" else text


def _identity(lines: tuple[ListLine, ...], params: Mapping[str, str], sender: str, time: str) -> str:
    rest = sorted((name, value) for name, value in params.items() if value and name != "list")
    messages = sorted({(tuple(sorted(set(map(canonical, split(line.phones))))), line[1:]) for line in lines})
    whole = repr((messages, rest, sender, "" if time == "0" else time))
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _shortened(link: re.Match[str]) -> str:
    return _SHORT_LINK + hashlib.sha256(link[0].encode()).hexdigest()[:6]


def _is_sender(sender: str, channel: ServiceChannel) -> bool:
    # "Denied message (by text or by sender name)" is the only error about senders. An e-mail's sender is an address.
    if channel is ServiceChannel.MAIL:
        return "@" in sender
    if not (sender.isascii() and sender.isprintable()):
        return False
    return len(sender) <= (_LONGEST_NUMBER if sender.isdecimal() else _LONGEST_NAME)


def _refusal(recipient: Addressee, price: Decimal | None) -> int:
    if recipient.is_wrong:
        return _WRONG_NUMBER
    magic = MAGIC_NUMBERS.get(recipient.address)
    if magic and magic.refusal in _OF_REQUEST:
        refuse(magic.refusal)
    return magic.refusal if magic and magic.refusal else _UNDELIVERABLE if price is None else 0
