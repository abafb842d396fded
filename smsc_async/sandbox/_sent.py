"""What a test asserts about the messages of a sandbox, and what it reads when it fails."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from smsc_async._model import wrong

from ._faults import ScriptEntry
from ._found import FoundMessages
from ._messages import AcceptedMessage
from ._recipients import as_stored

__all__ = ["SentAssertions"]

_SHOWN = 10


class _Sent(Protocol):
    @property
    def messages(self) -> Sequence[AcceptedMessage]: ...

    @property
    def script(self) -> Sequence[ScriptEntry]: ...


class SentAssertions(FoundMessages):
    """The assertions of a sandbox, which is also drawn."""

    def assert_sent(self: _Sent, phone: str, *, contains: str | None = None) -> AcceptedMessage:
        """Return the newest message to this recipient whose text contains this.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> sandbox.assert_sent("+79991234567", contains="4821").text
            'Your code is 4821'

        Args:
            phone: The recipient: a number in any notation, an e-mail address or a Telegram name.
            contains: A part of the text, in exactly this form; None for any text.

        Raises:
            AssertionError: There is none; it says what was sent and refused instead.
            ValueError: An argument is not a string.
        """
        __tracebackhide__ = True
        given: tuple[object, object] = phone, contains
        if not isinstance(given[0], str):
            raise wrong("phone", "a string such as '+79991234567'", phone)
        if not isinstance(given[1], str | None):
            raise wrong("contains", "a part of the text, or None", contains)
        address = as_stored(phone)
        for message in reversed(self.messages):
            if message.phone == address and (contains or "") in message.text:
                return message
        wanted = f"no message to {phone}" + ("" if contains is None else f" contains {contains!r}")
        raise AssertionError("\n".join([wanted, *_sent(self.messages), *_refused(self.script)]))


def _sent(messages: Sequence[AcceptedMessage]) -> Iterator[str]:
    yield "sent instead:" if messages else "nothing was sent"
    if len(messages) > _SHOWN:
        yield f"  ... {len(messages) - _SHOWN} earlier"
    yield from (f"  to {message.phone}: {message.text!r}" for message in messages[-_SHOWN:])


def _refused(script: Sequence[ScriptEntry]) -> Iterator[str]:
    refused = [entry for entry in script if entry.method.startswith("send") and (entry.error or not entry.executed)]
    if refused:
        yield "refused or lost:"
    if len(refused) > _SHOWN:
        yield f"  ... {len(refused) - _SHOWN} earlier"
    for entry in refused[-_SHOWN:]:
        yield f"  {entry.method}: " + (f"error {entry.error}" if entry.error else f"the fault {entry.fault}")
