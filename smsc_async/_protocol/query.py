r"""The formats inside the envelope: the string of `query`, and the lines of its parameter `list`.

`query` is URL-encoded, so `+` in it means a space; therefore everything is percent-encoded. A line of `list` is
`phone:text` or `sender,tz|phone:text`, and a newline in a text is written as a backslash and an n. There is no escape
for anything else, so `list` can't carry some texts (see `fits_in_list`).
"""

import re
from binascii import hexlify
from collections.abc import Iterable, Mapping
from typing import Final

from smsc_async._model import Message, has_one_phone

__all__ = ["encode_list", "encode_query", "fits_in_list"]

_RESERVED: Final = re.compile(rb"[^A-Za-z0-9._~-]+")  # all but the unreserved characters of RFC 3986, section 2.3


def encode_query(parameters: Mapping[str, str]) -> str:
    """Return the value of `query`."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in parameters.items())


def _quoted(text: str) -> str:
    # Half the time that `urllib.parse.quote` takes for a text in Cyrillic.
    return _RESERVED.sub(lambda found: b"%" + hexlify(found[0], b"%").upper(), text.encode()).decode()


def encode_list(messages: Iterable[Message]) -> str:
    """Return the value of `list`, not yet percent-encoded.

    Raises:
        ValueError: The format can't carry one of the messages.
    """
    return "\n".join(_line(message) for message in messages)


def fits_in_list(message: Message) -> bool:
    r"""Return whether `list` can carry this message unchanged.

    It can't carry a literal backslash followed by n (it would become a newline), a carriage return, whitespace at its
    ends, a `|` in a line without a sender (it would be read as the end of one), a separator in a sender, a time zone
    without a sender, or a group: soap-api allows only phones in a line. Several recipients have a line each.
    """
    if not has_one_phone(message):
        return False
    text = message.text
    if r"\n" in text or "\r" in text or text != text.strip():
        return False
    if message.sender is None:
        return message.tz is None and "|" not in text
    return not set(",|:;") & set(message.sender)


def _line(message: Message) -> str:
    if not fits_in_list(message):
        raise ValueError("`list` can't carry this message unchanged; send it with `send`")
    prefix = ""
    if message.sender is not None:
        zone = "" if message.tz is None else f",{message.tz:.10g}"
        prefix = f"{message.sender}{zone}|"
    text = message.text.replace("\n", r"\n")
    return f"{prefix}{message.phone}:{text}"
