"""How the server reads the string inside the envelope: `query` and, inside it, `list`."""

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

from ._channels import ServiceChannel
from ._fields import refuse

__all__ = ["ListLine", "Options", "decode_query", "read_list"]

# "sender1,tz1|phones1:mes1": the head is there when the bar comes before the colon or semicolon.
_LINE = re.compile(
    r"(?:(?P<sender>[^|:;,]*)(?:,(?P<tz>[^|:;]*))?\|)?(?P<phones>[^|:;]*)(?P<separator>[:;])(?P<text>.*)", re.DOTALL
)
_HOURS_MINUTES = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_NUMBER = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?")
_DAY = 86_400.0
_HOUR = 3_600.0
_MINUTE = 60.0


class ListLine(NamedTuple):
    """One line of `list`, or the request itself when it has none.

    Attributes:
        phones: The recipients as they were written.
        text: The message, its escapes undone.
        sender: The line's own sender; empty for the request's.
        tz: The line's own time zone; empty for the request's.
    """

    phones: str
    text: str
    sender: str = ""
    tz: str = ""


def decode_query(query: str) -> dict[str, str]:
    """Decode `name=value&name=value` as PHP's parse_str does: `+` is a space, the last duplicate counts."""
    return dict(parse_qsl(query, keep_blank_values=True))


def read_list(text: str, *, multiline: bool = False, bare: bool = False) -> tuple[ListLine, ...]:
    r"""Read the lines of `list`: `phones:mes` or `sender,tz|phones:mes`, where `\n` in mes is a newline.

    Args:
        text: The decoded parameter.
        multiline: The parameter `nl`: a line that does not have this form continues the message before it.
        bare: The channel uses no text, so a line may be phones alone.

    Raises:
        ServiceError: Error 1 when a line has another form or no phones, or when there are no lines.
    """
    lines: list[tuple[re.Match[str], list[str]]] = []
    for raw in text.split("\n"):
        row = raw.removesuffix("\r")
        found = _LINE.fullmatch(row) or (_LINE.fullmatch(f"{row}:") if bare else None)
        if found and found["phones"].strip():
            lines.append((found, [found["text"]]))
        elif multiline and lines:
            lines[-1][1].append(row)
        elif row.strip():
            refuse(1)
    if not lines:
        refuse(1)
    return tuple(
        ListLine(found["phones"], "\n".join(rows).replace("\\n", "\n"), found["sender"] or "", found["tz"] or "")
        for found, rows in lines
    )


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of `query` that the sandbox supports; a value out of range is error 1.

    Attributes:
        channel: The kind of the messages.
        tz: Hours from Moscow of the zone of `time`; `None` for the account's zone.
        step: Seconds from one group of recipients to the next (`freq`); 0 without both `period` and `freq`.
        groups: How many groups `period` and `freq` divide the recipients into.
        max_parts: The maximum of parts of a text; a longer text is cut.
        shorten: Whether links are shortened.
        cost: 0 to 3, as documented for `cost`.
        lists_errors: Whether refused recipients are listed in `errors`.
        lists_phones: Whether all recipients are listed with their details in `phones`.
        validity: Seconds during which the operator tries to deliver.
    """

    channel: ServiceChannel
    tz: float | None
    step: float
    groups: int
    max_parts: int | None
    shorten: bool
    cost: int
    lists_errors: bool
    lists_phones: bool
    validity: float

    @classmethod
    def read(cls, params: dict[str, str]) -> "Options":
        """Read the decoded parameters; those without an attribute are ignored."""
        period, freq = _number(params, "period", 0.1, 720), _number(params, "freq", 1, 1440)
        _number(params, "smsreq", 10, 999, whole=True)
        max_parts = _number(params, "maxsms", 1, 999_999, whole=True)
        return cls(
            channel=ServiceChannel.read(params),
            tz=read_tz(params.get("tz", "")),
            step=freq * _MINUTE if period and freq else 0.0,
            groups=max(1, int(period * _HOUR // (freq * _MINUTE))) if period and freq else 1,
            max_parts=None if max_parts is None else int(max_parts),
            shorten=bool(_number(params, "tinyurl", 0, 1, whole=True)),
            cost=int(_number(params, "cost", 0, 3, whole=True) or 0),
            lists_errors=bool(_number(params, "err", 0, 1, whole=True)),
            lists_phones=bool(_number(params, "op", 0, 1, whole=True)),
            validity=_validity(params.get("valid", "")),
        )


def read_tz(text: str) -> float | None:
    """Read `tz`, hours from Moscow from -15 (UTC-12) to 12; empty is `None`."""
    return _number({"tz": text}, "tz", -15, 12)


def _number(params: dict[str, str], name: str, low: float, high: float, *, whole: bool = False) -> float | None:
    text = params.get(name, "")
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or (whole and "." in text) or not low <= float(text) <= high:
        refuse(1)
    return float(text)


def _validity(text: str) -> float:
    # "Range from 1 to 24 hours. It is also possible to transmit the time in the hh:mm format ... 00:01 to 24:00".
    clock = _HOURS_MINUTES.fullmatch(text)
    if clock is None:
        return (_number({"valid": text}, "valid", 1, 24) or 24) * _HOUR
    seconds = int(clock[1]) * _HOUR + int(clock[2]) * _MINUTE
    if not _MINUTE <= seconds <= _DAY or int(clock[2]) > 59:  # noqa: PLR2004 - minutes of an hour
        refuse(1)
    return seconds
