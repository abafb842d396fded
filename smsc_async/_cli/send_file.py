"""The command `send-file`: a CSV file of messages, sent once each, however often the command is killed and started."""

import asyncio
import contextlib
import hashlib
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import anyio
import typer
from rich.console import Console

from smsc_async._call import credentials_from
from smsc_async._client import Client
from smsc_async._journal import Journal, PlannedMessage, Summary
from smsc_async._model import After, At, JournalError, LocalTime, Message, Schedule, SmscError
from smsc_async._sending import Chunk, goes_with, to_send

from . import output
from .messages_csv import BadRow, read_messages
from .report import plain, write_csv, write_report
from .watch import until_terminated

__all__ = ["send_file"]

_FAILED: Final = 1
_USAGE: Final = 2
_INTERRUPTED: Final = 130
_SHOWN: Final = 10
_GO_ON: Final = "start the same command again to go on"
_INTERRUPTION: Final = f"interrupted; {_GO_ON}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The arguments of the command.

    Attributes:
        messages: The CSV file.
        journal: Where all that is done is noted.
        report: Where to write what became of each row, None for nowhere.
        skip_bad: Where to write the rows that can't be sent; None to send nothing if there are any.
        max_cost: The most that all of it may cost, None for no limit.
        batch_size: The most messages in one request.
        sender: For rows that have none.
        at: When.
        allow_duplicates: Whether the same message may go to the same phone twice.
        follow: Whether to follow the messages until their delivery is decided.
        timeout: For how many seconds.
        delay_per_request: How many seconds of delay a status request is worth.
        url: The address of the service.
        as_json: Whether to print JSON.
    """

    messages: Path
    journal: Path
    report: Path | None
    skip_bad: Path | None
    max_cost: Decimal | None
    batch_size: int
    sender: str | None
    at: Schedule | None
    allow_duplicates: bool
    follow: bool
    timeout: float
    delay_per_request: float
    url: str | None
    as_json: bool


class _TooExpensive(ValueError):
    """The job would cost more than it may."""


def send_file(
    messages: Annotated[Path, typer.Argument(help="CSV with phone, text, and perhaps id, sender, tz.")],
    *,
    journal: Annotated[Path, typer.Option(help="File that remembers the job; the same command then goes on.")],
    report: Annotated[Path | None, typer.Option(help="CSV file for what became of each row.")] = None,
    skip_bad: Annotated[Path | None, typer.Option(help="CSV file for rows that can't be sent; send the rest.")] = None,
    max_cost: Annotated[str | None, typer.Option(help="Ask for the price first, and send nothing above it.")] = None,
    single: Annotated[
        bool, typer.Option("--single/--batch", help="Send each message in a request of its own.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, max=99, help="The most messages in one request.")] = 49,
    sender: Annotated[str | None, typer.Option(help="The sender's name, for rows that have none.")] = None,
    at: Annotated[
        str | None, typer.Option(help="ISO date and time, without an offset each row's own zone; or +MINUTES.")
    ] = None,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Send rows that are the same; else they are bad rows.")
    ] = False,
    follow: Annotated[bool, typer.Option(help="Follow the messages until their delivery is decided.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to follow them.")] = 86_400.0,
    delay_per_request: Annotated[
        float, typer.Option(min=0.001, help="Seconds of delay that a status request is worth.")
    ] = 10.0,
    url: Annotated[str | None, typer.Option(help="Address of the service; also SMSC_URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send the messages of a CSV file, each once; killed at any moment, the same command goes on."""
    try:
        job = _Job(
            messages=messages,
            journal=journal,
            report=report,
            skip_bad=skip_bad,
            max_cost=_amount(max_cost),
            batch_size=1 if single else batch_size,
            sender=sender,
            at=_when(at),
            allow_duplicates=allow_duplicates,
            follow=follow,
            timeout=timeout,
            delay_per_request=delay_per_request,
            url=url,
            as_json=as_json,
        )
    except ValueError as error:
        _fail(_USAGE, output.usage_line(error))
    summary = _run(_run_or_exit(job))
    output.emit(_data(summary), _lines(summary), as_json=as_json)
    open_ends = _open_ends(summary, follow=follow)
    if open_ends:
        _fail(_FAILED, open_ends)


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(code)


def _run(work: Coroutine[Any, Any, Summary]) -> Summary:
    """Do it; Ctrl-C ends it between two steps, with nothing half done."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        _fail(_INTERRUPTED, _INTERRUPTION)


async def _run_or_exit(job: _Job) -> Summary:
    """Do the job, and turn each way of failing into a message and an exit code."""
    try:
        return await until_terminated(_work(job))
    except typer.Exit as terminated:
        _fail(terminated.exit_code, _INTERRUPTION)
    except JournalError as error:
        _fail(_FAILED, str(error))
    except SmscError as error:
        _fail(_FAILED, *output.error_lines(error), f"what is not sent stays planned; {_GO_ON}")
    except _TooExpensive as error:
        _fail(_FAILED, str(error))
    except ValueError as error:
        _fail(_USAGE, output.usage_line(error))


async def _work(job: _Job) -> Summary:
    try:
        credentials_from(None, None, None)
    except ValueError:
        raise ValueError(
            "credentials are missing; set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment"
        ) from None
    for path in (job.report, job.skip_bad):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"can't write {path}: there is no such folder")
    content = _read(job.messages)
    async with Journal(job.journal) as journal:
        source = f"{hashlib.sha256(content).hexdigest()} {'all' if job.allow_duplicates else 'once'}"
        await journal.plan(
            _planned(content, job), source=source, batch_size=job.batch_size, sender=job.sender, at=job.at
        )
        try:
            async with Client(url=job.url, guards=journal.guards()) as client:
                await _send(job, journal, client)
        except BaseException:
            # Each row then says where it is; if the report can't be written either, why the job stopped matters more.
            with anyio.CancelScope(shield=True), contextlib.suppress(ValueError, JournalError):
                await write_report(job.report, journal)
            raise
        await write_report(job.report, journal)
        return await journal.summary()


async def _send(job: _Job, journal: Journal, client: Client) -> None:
    summary = await journal.summary()
    if job.max_cost is not None and summary.unsent:
        price = summary.cost + await journal.quote(client)
        if price > job.max_cost:
            raise _TooExpensive(f"nothing was sent: it would cost {plain(price)}, and --max-cost is {job.max_cost}")
    answered, final = summary.total - summary.unsent, summary.final
    # What is printed on stdout in JSON must not have a bar in it.
    with output.progress(summary.total, Console(stderr=True, quiet=job.as_json)) as note:

        def more_answered(count: int) -> None:
            nonlocal answered
            answered += count
            note(answered, final)

        def more_final(count: int) -> None:
            nonlocal final
            final += count
            note(answered, final)

        note(answered, final)
        await journal.send(client, on_progress=more_answered)
        if job.follow:
            await journal.follow(
                client, timeout=job.timeout, delay_per_request=job.delay_per_request, on_progress=more_final
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None


def _planned(content: bytes, job: _Job) -> Iterator[PlannedMessage]:
    """Yield the rows; read only if the journal has not been planned."""
    options = {"sender": job.sender, "at": job.at}

    def check(message: Message) -> None:
        to_send(Chunk((message,), is_list=goes_with(to_send, message, options)), options)

    found = read_messages(content, check, allow_duplicates=job.allow_duplicates)
    if found.bad and job.skip_bad is None:
        raise ValueError("\n".join(_bad_lines(found.bad)))
    if job.skip_bad is not None:
        bad = ({"row": str(each.row), "reason": each.reason, **each.values} for each in found.bad)
        write_csv(job.skip_bad, ("row", "reason", *found.columns), bad)
    if len(found.bad) == len(found.rows):
        raise ValueError("no row of the CSV file can be sent")
    yield from found.rows


def _bad_lines(bad: Sequence[BadRow]) -> Iterator[str]:
    yield f"nothing was sent: {len(bad)} row(s) can't be; --skip-bad FILE writes them to a file and sends the rest"
    for each in bad[:_SHOWN]:
        yield f"  row {each.row}: {each.reason}"
    if len(bad) > _SHOWN:
        yield f"  and {len(bad) - _SHOWN} more"


def _when(text: str | None) -> Schedule | None:
    if text is None:
        return None
    if text.startswith("+") and text[1:].isdecimal():
        return After(int(text[1:]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("--at is a moment such as 2030-12-31T09:30 or 2030-12-31T09:30+03:00, or +MINUTES") from None
    return LocalTime(moment) if moment.utcoffset() is None else At(moment)


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError("--max-cost is an amount of money, such as 150 or 99.90")
    return amount


def _data(summary: Summary) -> dict[str, Any]:
    return {**asdict(summary), "cost": plain(summary.cost), "total": summary.total}


def _lines(summary: Summary) -> Iterator[str]:
    for name, value in asdict(summary).items():
        if name != "cost" and value:
            yield f"{name.replace('_', ' '):9} {value}"
    yield f"{'cost':9} {plain(summary.cost)}"


def _open_ends(summary: Summary, *, follow: bool) -> str:
    """Tell what has no good end; nothing if all is well."""
    ends = []
    if summary.failed:
        ends.append(f"{summary.failed} refused")
    if summary.unsent:
        ends.append(f"{summary.unsent} in doubt: nobody knows whether they were sent, and they are not sent again")
    if summary.accepted and follow:
        ends.append(f"{summary.accepted} undecided")
    again = f"; {_GO_ON}" if summary.unsent or (summary.accepted and follow) else ""
    return f"{'; '.join(ends)}{again}" if ends else ""
