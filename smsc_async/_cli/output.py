"""The output of the command line: results as text or JSON, errors as text."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from smsc_async._model import (
    ApiError,
    Balance,
    Cost,
    DeliveryReport,
    MessageStatus,
    Outcome,
    Parts,
    RecipientError,
    SentMessage,
    SmscError,
)

from .doctor import Examination
from .terminal import show

__all__ = [
    "DemoReport",
    "balance_lines",
    "cost_lines",
    "demo_lines",
    "doctor_lines",
    "emit",
    "error_lines",
    "parts_lines",
    "refusal",
    "sent_lines",
    "status_lines",
]

_REFUSALS: Final = {
    1: "wrong parameters",
    3: "not enough money",
    6: "forbidden text or sender",
    7: "wrong number",
    8: "undeliverable",
}
"""What the error codes of the service say about one message."""


def emit(data: dict[str, Any], lines: Iterable[str], *, as_json: bool, done: str = "") -> None:
    """Print a result on stdout, as JSON or as lines of text; if that fails, `done` says what was done."""
    if as_json:
        lines = [json.dumps(data, ensure_ascii=False, indent=2, default=str)]
    show(*lines, otherwise=f"{done}, but the result can't be printed" if done else "the result can't be printed")


def sent_lines(sent: SentMessage) -> Iterator[str]:
    """Return the lines for a sent message; `status` takes the references."""
    yield f"accepted, {'an unknown number of' if sent.sms_count is None else sent.sms_count} SMS, id {sent.id}"
    if sent.cost is not None:
        yield f"cost     {sent.cost}"
    if sent.balance is not None:
        yield f"balance  {sent.balance}"
    for ref in sent.refs:
        yield f"ref      {ref}"
    yield from _refusals(sent.errors)


def _refusals(errors: Iterable[RecipientError]) -> Iterator[str]:
    for error in errors:
        yield f"refused  {error.phone} ({refusal(error.code)})"


def refusal(code: int | None) -> str:
    """Return the number and the meaning of an error of one message."""
    if code is None:
        return "no error number"
    meaning = _REFUSALS.get(code)
    return f"error {code}, {meaning}" if meaning else f"error {code}"


def cost_lines(cost: Cost) -> Iterator[str]:
    """Return the lines for a cost."""
    yield f"cost     {cost.amount}"
    if cost.sms_count is not None:
        yield f"SMS      {cost.sms_count}"


def balance_lines(balance: Balance) -> Iterator[str]:
    """Return the lines for a balance."""
    yield f"balance  {balance.amount}"


def status_lines(report: DeliveryReport) -> Iterator[str]:
    """Return the lines for a delivery report."""
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
    """Return the lines for the parts of a text."""
    yield f"{parts.count} SMS, {parts.encoding}, {parts.units} units"
    for number, segment in enumerate(parts.segments, 1):
        yield f"{number:3} {segment}"


def doctor_lines(found: Examination) -> Iterator[str]:
    """Return the lines for the result of `doctor`."""
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
    """Return the lines for an error: its message, its outcome, and how to find out whether the message was sent."""
    yield f"{type(error).__name__}: {error} (outcome: {error.outcome})"
    if isinstance(error, ApiError):
        yield from _refusals(error.errors)
    if error.outcome is Outcome.UNKNOWN and error.refs:
        yield "it may have been sent; before you send it again, check its status:"
        for ref in error.refs:
            yield f"  smsc-async status {ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The result of the demonstration.

    Attributes:
        messages: The number of messages.
        outcomes: The number of messages by final status.
        refused: The number of messages that the service refused.
        pending: The number of messages whose status was not final at the timeout.
        cost: The total cost.
        balance_before: The balance before the first message.
        balance_after: The balance at the end.
        requests: The number of requests that the service answered, by method.
        too_often: The number of requests that were answered with error 9.
        seconds: The duration.
        peak_memory: The peak memory of the process, client and sandbox together, in MB; None if the system does not
            report it.
    """

    messages: int
    outcomes: Counter[MessageStatus]
    refused: int
    pending: int
    cost: Decimal
    balance_before: Decimal
    balance_after: Decimal
    requests: Counter[str]
    too_often: int
    seconds: float
    peak_memory: float | None = None

    @property
    def status_requests(self) -> float:
        """The number of status requests per accepted message."""
        asked = sum(number for method, number in self.requests.items() if method.startswith("get_status"))
        return asked / max(1, self.messages - self.refused)

    @property
    def is_complete(self) -> bool:
        """Whether each message was accepted and has a final status."""
        return not (self.refused or self.pending)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "messages": self.messages,
            "outcomes": {str(int(status)): number for status, number in sorted(self.outcomes.items())},
            "refused": self.refused,
            "pending": self.pending,
            "cost": str(self.cost),
            "balance_before": str(self.balance_before),
            "balance_after": str(self.balance_after),
            "requests": dict(sorted(self.requests.items())),
            "too_often": self.too_often,
            "status_requests_a_message": round(self.status_requests, 3),
            "seconds": round(self.seconds, 2),
            "peak_memory_mb": None if self.peak_memory is None else round(self.peak_memory, 1),
        }


def demo_lines(report: DemoReport) -> Iterator[str]:
    """Return the lines for the result of the demonstration, with tables."""
    outcomes = Table("status", "meaning", "messages", title="Delivery")
    for status, number in sorted(report.outcomes.items()):
        outcomes.add_row(str(int(status)), status.phrase, f"{number:,}")
    if report.pending:
        outcomes.add_row("", "pending", f"{report.pending:,}")
    if report.refused:
        outcomes.add_row("", "refused", f"{report.refused:,}")
    outcomes.add_row("", "all", f"{report.messages:,}")
    requests = Table("method", "requests", title="Requests")
    for method, number in sorted(report.requests.items()):
        requests.add_row(method, f"{number:,}")
    requests.add_row("status requests per message", f"{report.status_requests:.2f}")
    requests.add_row("answers with error 9", f"{report.too_often:,}")
    if report.peak_memory is not None:
        requests.add_row("peak memory, MB", f"{report.peak_memory:,.0f}")
    console = Console()
    for table in (outcomes, requests):
        table.columns[-1].justify = "right"
        with console.capture() as captured:
            console.print(table)
        yield captured.get().rstrip("\n")
    yield (
        f"cost {report.cost}, balance {report.balance_before} before and {report.balance_after} after, "
        f"{report.seconds:.1f} s"
    )
