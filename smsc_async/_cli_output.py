"""What the command line prints: results as lines for people or as JSON, errors as one line."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from pydantic import ValidationError

from ._doctor import Examination
from ._exceptions import Outcome, SmscError
from ._results import Balance, Cost, DeliveryReport, SentMessage
from ._text import Parts

__all__ = [
    "balance_lines",
    "cost_lines",
    "doctor_lines",
    "emit",
    "error_lines",
    "parts_lines",
    "sent_lines",
    "status_lines",
    "usage_line",
]


def emit(data: dict[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print a result on stdout, in one of its two forms."""
    if as_json:
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))
    else:
        for line in lines:
            typer.echo(line)


def sent_lines(sent: SentMessage) -> Iterator[str]:
    """Tell what was accepted; a reference is what `status` takes."""
    yield f"accepted, {sent.sms_count} SMS, id {sent.id}"
    if sent.cost is not None:
        yield f"cost     {sent.cost}"
    if sent.balance is not None:
        yield f"balance  {sent.balance}"
    for ref in sent.refs:
        yield f"ref      {ref}"
    for error in sent.errors:
        yield f"refused  {error.phone} (error {error.code})"


def cost_lines(cost: Cost) -> Iterator[str]:
    """Tell the price."""
    yield f"cost     {cost.amount}"
    if cost.sms_count is not None:
        yield f"SMS      {cost.sms_count}"


def balance_lines(balance: Balance) -> Iterator[str]:
    """Tell the balance."""
    yield f"balance  {balance.amount}"


def status_lines(report: DeliveryReport) -> Iterator[str]:
    """Tell where a message is, and all that the service says about it."""
    yield f"status   {int(report.status)} {report.status.phrase}"
    if report.error:
        yield f"reason   {int(report.error)} {report.error.phrase} (send again: {report.error.resend})"
    for name, value in (
        ("changed", report.changed_at),
        ("sent", report.sent_at),
        ("phone", report.phone),
        ("sender", report.sender),
        ("cost", report.cost),
        ("parts", report.parts),
        ("operator", report.operator),
        ("region", report.region),
        ("text", report.text),
    ):
        if value is not None:
            yield f"{name:8} {value}"


def parts_lines(parts: Parts) -> Iterator[str]:
    """Tell how a text is cut."""
    yield f"{parts.count} SMS, {parts.encoding}, {parts.units} units"
    for number, segment in enumerate(parts.segments, 1):
        yield f"{number:3} {segment}"


def doctor_lines(found: Examination) -> Iterator[str]:
    """Tell what was found out about a service."""
    yield f"service    {found.url}"
    if found.wsdl_error is not None:
        yield f"WSDL       {found.wsdl_error}"
    else:
        yield f"namespace  {found.namespace or 'missing'}"
        yield f"WSDL       {len(found.differences) or 'no'} difference(s) from the snapshot"
    for difference in found.differences:
        yield f"  - {difference}"
    yield f"login      {found.login_error or 'works'}"
    if found.balance is not None:
        yield f"balance    {found.balance}"


def error_lines(error: SmscError) -> Iterator[str]:
    """Tell what failed, what became of the request, and how to settle a doubt."""
    yield f"{type(error).__name__}: {error} (outcome: {error.outcome})"
    if error.outcome is Outcome.UNKNOWN and error.refs:
        yield "it may have been sent; before you send it again, ask:"
        for ref in error.refs:
            yield f"  smsc-async status {ref}"


def usage_line(error: Exception) -> str:
    """Tell in one line what is wrong with the arguments."""
    if not isinstance(error, ValidationError):
        return str(error)
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(_detail(line["loc"], line["msg"].removeprefix("Value error, ")) for line in details)


def _detail(place: tuple[int | str, ...], words: str) -> str:
    name = ".".join(str(step) for step in place)
    return f"{name}: {words}" if name else words
