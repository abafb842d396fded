"""The accepted messages: found by login, recipient and id, searched by what tests know of a message, and pruned."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ._delivery import Change, flat, status_in
from ._messages import AcceptedMessage
from ._recipients import as_stored, canonical, digits_of
from ._status_schedule import StatusSchedule

__all__ = ["MessageFilter", "Outbox"]

_SLACK = 10  # percent of the kept messages


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages match; None for any.

    Attributes:
        phone: The recipient; numbers are compared by their digits.
        text: A part of the text, in upper or lower case.
        anywhere: A part of the text, the recipient, the id or the sender.
        id: The message id.
        status: The status.
        login: The customer.
        since: Unix time; earlier messages do not match.
        key: The key.
        after: A key; earlier messages, and this one, do not match.
    """

    phone: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    anywhere: str | None = field(default=None, repr=False)
    id: str | None = None
    status: int | None = None
    login: str | None = field(default=None, repr=False)
    since: float | None = None
    key: int | None = None
    after: int = 0


class Outbox:
    """The accepted messages.

    Args:
        keep: How many of the newest messages are kept, at least.
        last_key: The key of the last message before.
        schedule: Notified of each change of status to come; None for nothing.

    Attributes:
        last_key: The key of the last message that was accepted, 0 for none.
    """

    def __init__(self, keep: int = 100_000, last_key: int = 0, schedule: StatusSchedule | None = None) -> None:
        self._schedule = schedule or StatusSchedule()
        self._keep = keep
        # The messages and their texts in lower case; other threads replace both lists, or append to them.
        self._lists: tuple[list[AcceptedMessage], list[str]] = ([], [])
        self._newest: dict[tuple[str, str, str], AcceptedMessage] = {}
        self._words: tuple[list[AcceptedMessage], list[str]] = ([], [])
        self.last_key = last_key

    @property
    def messages(self) -> Sequence[AcceptedMessage]:
        """The messages accepted so far, in order."""
        return tuple(self._lists[0])

    def add(self, message: AcceptedMessage) -> None:
        """Add a message, whose key is the next one; ids are not unique, and `find` returns the newest message."""
        messages, texts = self._lists
        self.last_key = message.key
        texts.append(message.text.casefold())
        messages.append(message)
        self._newest[message.login, message.phone, message.id] = message
        self._schedule.add(message)
        if len(messages) > self._keep + self._keep * _SLACK // 100:
            self._prune()

    def find(self, login: str, phone: str, id: str) -> AcceptedMessage | None:  # noqa: A002 - the service's word
        """Return the newest message of this customer with this recipient and id."""
        return self._newest.get((login, canonical(phone), id))

    def search(self, wanted: MessageFilter, now: float) -> list[AcceptedMessage]:
        """Return the messages that match, the newest first."""
        found, texts = self._lists
        first = found[0].key if found else 0
        if wanted.key is not None:
            index = max(0, wanted.key - first)
            found = [message for message in found[index : index + 1] if message.key == wanted.key > wanted.after]
            texts = texts[index : index + 1]
        elif wanted.after >= first:
            index = wanted.after - first + 1
            found, texts = found[index:], texts[index:]
        if wanted.anywhere is not None:
            found, texts = _having(found, texts, self._words_of(found), wanted.anywhere)
        if wanted.text is not None:
            text = wanted.text.casefold()
            found = [message for message, own in zip(found, texts, strict=False) if text in own]
        if wanted.phone is not None:
            phone = as_stored(wanted.phone)
            found = [message for message in found if message.phone == phone]
        if wanted.id is not None:
            found = [message for message in found if message.id == wanted.id]
        if wanted.login is not None:
            found = [message for message in found if message.login == wanted.login]
        if wanted.since is not None:
            found = [message for message in found if message.accepted_at >= wanted.since]
        if wanted.status is not None:
            # Few words, because this runs 100,000 times: the last status of most messages is in force.
            found = [
                message
                for message in found
                if (line[-2] if (line := message.timeline)[-3] <= now else status_in(line, now)) == wanted.status
            ]
        return found[::-1]

    def set_status(self, key: int, status: int, err: int, now: float) -> AcceptedMessage | None:
        """Change the status of a message from now on, in place of all later changes; None if there is no message."""
        found = self.search(MessageFilter(key=key), now)
        if not found:
            return None
        life = found[0].life
        past = tuple(change for change in life if change.at <= now) or life[:1]
        message = replace(found[0], timeline=flat((*past, Change(now, status, err))))
        messages = self._lists[0]
        messages[key - messages[0].key] = message
        entry = (message.login, message.phone, message.id)
        if self._newest[entry].key == key:
            self._newest[entry] = message
        self._schedule.change(message)
        return message

    def clear(self) -> None:
        """Forget all messages; keys go on."""
        self._lists, self._newest = ([], []), {}
        self._schedule.clear()

    def _words_of(self, found: list[AcceptedMessage]) -> Sequence[str]:
        """Return what people search these messages by; that of all messages is kept for the next search."""
        messages = self._lists[0]
        if found is not messages:
            return [_words(message) for message in found]
        before, words = self._words
        known = words if before is messages else []
        words = [*known, *map(_words, messages[len(known) :])]
        self._words = (messages, words)  # at once, because other threads search too
        return words

    def _prune(self) -> None:
        messages, texts = self._lists
        self._lists = messages[-self._keep :], texts[-self._keep :]
        for message in messages[: -self._keep]:
            entry = (message.login, message.phone, message.id)
            if self._newest[entry].key == message.key:
                del self._newest[entry]


def _words(message: AcceptedMessage) -> str:
    """Return what people search a message by beside its text."""
    return f"{message.phone}\n{message.id}\n{message.sender}".casefold()


def _having(
    messages: list[AcceptedMessage], texts: list[str], words: Sequence[str], anywhere: str
) -> tuple[list[AcceptedMessage], list[str]]:
    """Return the messages, and their texts, of which something that people search by contains this."""
    part, phone = anywhere.casefold(), digits_of(anywhere).casefold()
    pairs = [
        (message, text)
        for message, text, own in zip(messages, texts, words, strict=False)
        if part in text or part in own or phone in own
    ]
    return [message for message, _ in pairs], [text for _, text in pairs]
