"""What a test asserts about the messages of a sandbox, and what it reads when it fails."""

from collections.abc import Iterator, Sequence

from smsc_async._model import wrong

from ._faults import ScriptEntry
from ._messages import AcceptedMessage
from ._recipients import canonical

__all__ = ["newest_sent"]

_SHOWN = 10


def newest_sent(
    phone: object, contains: object, messages: Sequence[AcceptedMessage], script: Sequence[ScriptEntry]
) -> AcceptedMessage:
    """Return the newest message to this recipient whose text contains this.

    Raises:
        AssertionError: There is none; it says what was sent and refused instead.
        ValueError: An argument is wrong.
    """
    __tracebackhide__ = True
    if not isinstance(phone, str):
        raise wrong("phone", "a string such as '+79991234567'", phone)
    if contains is not None and not isinstance(contains, str):
        raise wrong("contains", "a part of the text, or None", contains)
    address = canonical(phone)
    for message in reversed(messages):
        if message.phone == address and (contains or "") in message.text:
            return message
    wanted = f"no message to {phone}" + ("" if contains is None else f" contains {contains!r}")
    raise AssertionError("\n".join([wanted, *_sent(messages), *_refused(script)]))


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
        yield f"  {entry.method}: " + (f"error {entry.error}" if entry.fault is None else f"the fault {entry.fault}")
