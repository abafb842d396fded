"""What the page of a message shows: its text as on the phone, its parts, its life, and the request that sent it."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from smsc_async._model import DeliveryError, Encoding, Resend, parts
from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._exchanges import Exchange
from smsc_async.sandbox._messages import AcceptedMessage

from .callbacks import CallbacksView, callbacks_of
from .inbox import InboxRow, StatusView, row_of, status_view
from .soap import Token, tokens_of
from .words import day, instant, money, span

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["ERRORS_TO_CHOOSE", "MessagePage", "page_of"]

ERRORS_TO_CHOOSE: Final = tuple(map(DeliveryError, (6, 1, 12, 13, 220, 244, 253, 254)))
"""The delivery errors that a message can be given with a click."""
_ROOM: Final[Mapping[Encoding, tuple[int, int]]] = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}
_PLAIN: Final = str.maketrans(
    {0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"', 0x201E: '"', 0xAB: '"', 0xBB: '"', 0x2013: "-", 0x2014: "-"}
    | {0x2026: "...", 0xA0: " ", 0x202F: " ", 0x2011: "-"}
)
"""Quotes, dashes, an ellipsis and spaces that are not in GSM-7, and what is."""
_ADVICE: Final[Mapping[Resend, str]] = {
    Resend.NO: "Sending again will not help.",
    Resend.MAYBE: "Sending again may help.",
    Resend.ONCE: "Sending once more may help.",
    Resend.LATER: "Sending again later may help.",
    Resend.NEXT_DAY: "Sending again the next day may help.",
    Resend.UNKNOWN: "",
}
_FAILED: Final = {3, 20, 22, 23, 24, 25}


class Stretch(NamedTuple):
    """A stretch of the text.

    Attributes:
        kind: "found" for a code, "offender" for the first character that is not in GSM-7, empty for the rest.
        text: The stretch.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsView:
    """An SMS of the message.

    Attributes:
        number: Its number, from 1.
        runs: Its text.
        units: Its length in septets (GSM-7) or 16-bit units (UCS-2).
        room: How many fit.
    """

    number: int
    runs: Sequence[Stretch] = field(repr=False)
    units: int
    room: int

    @property
    def percent(self) -> float:
        """How full it is."""
        return round(100 * self.units / self.room, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offender:
    """The first character that is not in GSM-7.

    Attributes:
        character: The character.
        code: Its code point, such as "U+2019".
        name: Its name in Unicode, in lower case; empty for none.
        position: Its position, from 1.
        saving: What the message would be if typographic characters were plain, empty if that changes nothing.
    """

    character: str
    code: str
    name: str
    position: int
    saving: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change of status, past or to come."""

    time: str
    iso: str
    status: StatusView
    err: str
    note: str
    is_planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """What the page of a message shows.

    Attributes:
        row: What the list shows of it too.
        day: The day and time of its acceptance.
        text: The whole text.
        parts: Its SMS; one for a channel without SMS.
        encoding: "GSM-7" or "UCS-2", empty for a channel without SMS.
        units: The length of the text in septets or 16-bit units.
        offender: The first character that forces UCS-2, if any.
        shows_nothing: Why the phone shows nothing, empty if it does.
        is_flash: Whether it covers the screen.
        life: Its changes of status.
        failure: Why it was not delivered, empty if it was, or may be.
        codes: The codes in the text.
        facts: What else is known, by name.
        exchange: The request that sent it, None if it is not kept any more.
        request: The request, to be shown.
        answer: The answer, to be shown.
        callbacks: The callbacks that it caused, and the replies of its phone.
        newer: The key of the next message, 0 for none.
        older: The key of the message before, 0 for none.
    """

    row: InboxRow
    day: str
    text: str = field(repr=False)
    parts: Sequence[SmsView]
    encoding: str
    units: int
    offender: Offender | None
    shows_nothing: str
    is_flash: bool
    life: Sequence[Step]
    failure: str
    codes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    exchange: Exchange | None
    request: Sequence[Token] = field(repr=False)
    answer: Sequence[Token] = field(repr=False)
    callbacks: CallbacksView
    newer: int
    older: int


def page_of(sandbox: "Sandbox", message: AcceptedMessage, has: Callable[[int], bool], now: float) -> MessagePage:
    """Return what the page of a message shows.

    Args:
        sandbox: The sandbox.
        message: The message.
        has: Whether there is a message with a key.
        now: Unix time of the sandbox.
    """
    is_sms = message.channel in {ServiceChannel.SMS, ServiceChannel.FLASH}
    split = parts(message.text)
    offender = _offender(message) if is_sms and split.encoding is Encoding.UCS_2 else None
    exchange = next((each for each in reversed(sandbox.requests) if each.number == message.request), None)
    last = message.change_at(now)
    return MessagePage(
        row=row_of(message, now),
        day=f"{day(message.accepted_at)}, {instant(message.accepted_at):%H:%M:%S} UTC",
        text=message.text,
        parts=list(_parts(message, offender)) if is_sms else [_whole(message)],
        encoding=split.encoding.value if is_sms else "",
        units=split.units,
        offender=offender,
        shows_nothing=_NOTHING.get(message.channel, ""),
        is_flash=message.channel is ServiceChannel.FLASH,
        life=list(_life(message, exchange, now)),
        failure=_failure(last.err) if last.status in _FAILED and last.err else "",
        codes=message.codes,
        facts=list(_facts(message, exchange)),
        exchange=exchange,
        request=tokens_of(exchange.request) if exchange else [],
        answer=tokens_of(exchange.answer) if exchange else [],
        callbacks=callbacks_of(sandbox, message, now),
        newer=message.key + 1 if has(message.key + 1) else 0,
        older=message.key - 1 if has(message.key - 1) else 0,
    )


_NOTHING: Final[Mapping[ServiceChannel, str]] = {
    ServiceChannel.HLR: "An HLR request asks the operator only.",
    ServiceChannel.PING: "A ping asks whether the phone is on.",
}


def _parts(message: AcceptedMessage, offender: Offender | None) -> Iterator[SmsView]:
    split = parts(message.text)
    room = _ROOM[split.encoding][split.count > 1]
    kinds = _kinds(message, None if offender is None else offender.position - 1)
    start = 0
    for number, segment in enumerate(split.segments, 1):
        runs = _runs(segment, kinds, start)
        units = (
            parts(segment).units
            if split.encoding is Encoding.GSM_7
            else len(segment.encode("utf-16-le", "surrogatepass")) // 2
        )
        yield SmsView(number=number, runs=list(runs), units=units, room=room)
        start += len(segment)


def _whole(message: AcceptedMessage) -> SmsView:
    units = len(message.text)
    return SmsView(number=1, runs=list(_runs(message.text, _kinds(message, None), 0)), units=units, room=max(1, units))


def _kinds(message: AcceptedMessage, offender: int | None) -> list[str]:
    """Return of which kind each character is."""
    kinds = [""] * len(message.text)
    for code in message.codes:
        for found in re.finditer(r"(?<!\d)" + "[- ]?".join(code) + r"(?!\d)", message.text):
            kinds[found.start() : found.end()] = ["found"] * len(found[0])
    if offender is not None:
        kinds[offender] = "offender"
    return kinds


def _runs(segment: str, kinds: Sequence[str], start: int) -> Iterator[Stretch]:
    """Yield the stretches of one kind in a part that starts at a position of the text."""
    begin = 0
    for position in range(1, len(segment) + 1):
        if position == len(segment) or kinds[start + position] != kinds[start + begin]:
            yield Stretch(kinds[start + begin], segment[begin:position])
            begin = position


def _offender(message: AcceptedMessage) -> Offender:
    text = message.text
    index = next(index for index, each in enumerate(text) if parts(each).encoding is Encoding.UCS_2)
    simpler = parts(text.translate(_PLAIN))
    saving = ""
    if simpler.encoding is Encoding.GSM_7:
        cost = money(message.cost / message.parts * simpler.count)
        saving = f"{simpler.count} {'part' if simpler.count == 1 else 'parts'}, {cost}"
    character = text[index]
    return Offender(
        character=character,
        code=f"U+{ord(character):04X}",
        name=unicodedata.name(character, "").lower(),
        position=index + 1,
        saving=saving,
    )


def _life(message: AcceptedMessage, exchange: Exchange | None, now: float) -> Iterator[Step]:
    before = None
    for at, status, err in message.life:
        is_planned = at > now
        words = f"+{span(at - before)}" if before is not None else exchange.method if exchange else ""
        is_same_day = day(at) == day(message.accepted_at)
        yield Step(
            time=f"{instant(at):%H:%M:%S}" if is_same_day else f"{instant(at):%d.%m. %H:%M}",
            iso=instant(at).isoformat(timespec="seconds"),
            status=status_view(status),
            err=f"err {err}: {DeliveryError(err).phrase}" if err else "",
            note=f"planned, {words}" if is_planned else words,
            is_planned=is_planned,
        )
        before = at


def _failure(err: int) -> str:
    error = DeliveryError(err)
    return f"Err {err}: {error.phrase}. {_ADVICE[error.resend]}".strip()


def _facts(message: AcceptedMessage, exchange: Exchange | None) -> Iterator[tuple[str, str]]:
    yield "Account", message.login
    yield "Id", message.id
    yield "Cost", money(message.cost)
    yield "Parts", str(message.parts)
    delay = message.send_at - message.accepted_at
    yield "Schedule", "at once" if delay < 1 else f"{day(message.send_at)}, {instant(message.send_at):%H:%M:%S} UTC"
    if exchange is not None:
        yield "Method", exchange.method
    yield "Request", f"number {message.request}"
