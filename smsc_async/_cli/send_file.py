"""The command `send-file`: send the messages of a CSV file once each, even if the command is killed and restarted."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import anyio
import typer

from smsc_async._client import Client
from smsc_async._journal import Journal, JournalRow, PlannedMessage, RowState, Summary
from smsc_async._model import JournalError, Message, Observer, Schedule
from smsc_async._sending import Chunk, fitting, to_send

from . import output
from .arguments import (
    AllowHttp,
    AsJson,
    AtOption,
    DelayOption,
    DelimiterOption,
    EncodingOption,
    RegionOption,
    UrlOption,
    amount,
    check_credentials,
    check_region,
    delimiter_of,
    is_past,
    not_past,
    schedule,
)
from .guards import PrefixOption, RedisOption, SharedGuards
from .messages_csv import BadRow, Spelling, bad_file, dialect_of, read_messages
from .process import FAILED, attempt, fail, run
from .progress import progress
from .report import check_files, plain, write_csv, write_report
from .terminal import UNPRINTED, read_file, say, stderr_console
from .waiting import notices

__all__ = ["send_file"]

_SHOWN: Final = 10
_CONTINUE: Final = "run the same command again to continue"
_PLANNED: Final = "messages that were not sent stay planned"
_UNPRICED: Final = (
    "nothing was sent: the cost of {} accepted message(s) is unknown, so --max-cost can't be checked; look at the "
    "account's balance, and run the command without --max-cost to continue"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The arguments of the command.

    Attributes:
        messages: The CSV file.
        journal: The file of the journal.
        report: The CSV file for the state of each row, None for none.
        skip_bad: The CSV file for invalid rows; None to send nothing if there are any.
        max_cost: The maximum total cost, None for no limit.
        batch_size: The maximum number of messages in one request.
        sender: The sender name for rows that have none.
        at: When to deliver, None for at once.
        allow_duplicates: Whether the same message may go to the same phone twice.
        follow: Whether to follow the messages until their status is final.
        timeout: The maximum number of seconds to follow them.
        delay_per_request: The seconds of delay that one status request is worth, or "auto".
        trust_journal: Whether to send messages that can't be proved unsent.
        erase: Remove phones and texts that have been final for this long, None for none.
        spelling: How the file spells its cells.
        url: The URL of the service.
        allow_http: Whether it may be without TLS.
        redis: The URL of the Redis with the guards, None for the guards of the journal.
        prefix: The prefix of the keys in Redis.
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
    delay_per_request: float | Literal["auto"]
    trust_journal: bool
    erase: timedelta | None
    spelling: Spelling
    url: str | None
    allow_http: bool
    redis: str | None
    prefix: str
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Done:
    """What a job has done.

    Attributes:
        summary: The number of messages in each state.
        refused: Lines that say which rows the service refused, and why.
        report_fault: Why the report could not be written, an empty string if it was.
    """

    summary: Summary
    refused: tuple[str, ...]
    report_fault: str


def send_file(
    messages: Annotated[
        Path, typer.Argument(help="CSV with columns phone and text; optional: id, sender, tz. - for stdin.")
    ],
    *,
    journal: Annotated[Path, typer.Option(help="File that stores the job; the same command then continues it.")],
    report: Annotated[Path | None, typer.Option(help="CSV file for the result of each row.")] = None,
    region: RegionOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    skip_bad: Annotated[Path | None, typer.Option(help="CSV file for invalid rows; the others are sent.")] = None,
    max_cost: Annotated[str | None, typer.Option(help="The maximum cost; nothing is sent above it.")] = None,
    single: Annotated[bool, typer.Option("--single/--batch", help="Send each message in a separate request.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, max=99, help="The maximum number of messages in one request.")] = 49,
    sender: Annotated[str | None, typer.Option(help="The sender's name, for rows that have none.")] = None,
    at: AtOption = None,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Send identical rows, which are otherwise invalid.")
    ] = False,
    follow: Annotated[bool, typer.Option(help="Follow the messages until their status is final.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="The maximum number of seconds to follow them.")] = 86_400.0,
    delay_per_request: DelayOption = "auto",
    trust_journal: Annotated[
        bool,
        typer.Option(
            "--trust-journal", help="Also send messages for which the service can't prove that they were not sent."
        ),
    ] = False,
    erase: Annotated[
        float | None,
        typer.Option(
            min=0, max=36_500, metavar="DAYS", help="Erase phones and texts of messages that have been final for DAYS."
        ),
    ] = None,
    url: UrlOption = None,
    allow_http: AllowHttp = False,
    redis: RedisOption = None,
    prefix: PrefixOption = "smsc",
    as_json: AsJson = False,
) -> None:
    """Send each message of a CSV file once.

    After an interruption the same command continues the job.
    """
    job = _Job(
        messages=messages,
        journal=journal,
        report=report,
        skip_bad=skip_bad,
        max_cost=attempt(partial(amount, "--max-cost", max_cost)),
        batch_size=1 if single else batch_size,
        sender=sender,
        at=attempt(partial(schedule, at)),
        allow_duplicates=allow_duplicates,
        follow=follow,
        timeout=timeout,
        delay_per_request=delay_per_request,
        trust_journal=trust_journal,
        erase=None if erase is None else timedelta(days=erase),
        spelling=Spelling(
            encoding=encoding, delimiter=attempt(partial(delimiter_of, delimiter)), region=region and region.upper()
        ),
        url=url,
        allow_http=allow_http,
        redis=redis,
        prefix=prefix,
        as_json=as_json,
    )
    attempt(partial(check_region, region))
    with notices(quiet=as_json) as observers:
        done = run(_work(job, observers), on_failure=f"{_PLANNED}; {_CONTINUE}", on_interrupt=_CONTINUE)
    summary, incomplete = done.summary, _incomplete(done.summary, follow=follow)
    output.emit(_data(summary), _lines(summary), as_json=as_json, done=incomplete or "the job is done")
    if not as_json:
        say(*done.refused)
    if done.report_fault:
        fail(UNPRINTED, *filter(None, [incomplete]), f"the report is missing: {done.report_fault}; {_CONTINUE}")
    if incomplete:
        fail(FAILED, incomplete)


async def _work(job: _Job, observers: Sequence[Observer]) -> _Done:
    check_credentials()
    shared = None if job.redis is None else SharedGuards(job.redis, job.prefix)
    journal = Journal(job.journal, trust=job.trust_journal)
    check_files(
        {"MESSAGES": job.messages, "--json": Path("/dev/stdout") if job.as_json else None}
        | {"--report": job.report, "--skip-bad": job.skip_bad}
        | {f"--journal ({each.name})": each for each in journal.files},
        written={"--report", "--skip-bad"},
    )
    content = read_file(job.messages)
    spelling = {name: value for name, value in asdict(job.spelling).items() if value is not None}
    async with journal:
        source = f"{hashlib.sha256(content).hexdigest()} {'all' if job.allow_duplicates else 'once'}"
        source += f" {json.dumps(spelling)}" if spelling else ""
        is_new = await journal.plan(
            _planned(content, job), source=source, batch_size=job.batch_size, sender=job.sender, at=job.at
        )
        dialect = dialect_of(content, job.spelling)
        summary = await journal.summary()
        if is_new:
            _say(job, f"a new job: {summary.unsent} messages are planned in {job.journal}")
        elif summary.planned:
            _say(job, f"an existing job: asking the service which of {summary.planned} planned messages it has")
            if is_past(job.at):
                _say(job, "--at has passed since the job was planned, so what is still to be sent goes at once")
        try:
            async with Client(
                url=job.url,
                allow_http=job.allow_http,
                guards=journal.guards() if shared is None else shared.guards,
                observers=observers,
            ) as client:
                await _send(job, journal, client, shared)
            if job.erase is not None:
                await journal.erase(job.erase)
        except BaseException:
            # Write the report even then; if that fails too, report the original error only.
            with anyio.CancelScope(shield=True), contextlib.suppress(ValueError, JournalError):
                await write_report(job.report, journal, dialect)
            raise
        report_fault = ""
        try:
            await write_report(job.report, journal, dialect)
        except ValueError as error:
            report_fault = str(error)
        summary = await journal.summary()
        failed = [row for row in await journal.rows() if row.state is RowState.FAILED] if summary.failed else []
        return _Done(summary, tuple(_refused_lines(failed)), report_fault)


async def _send(job: _Job, journal: Journal, client: Client, shared: SharedGuards | None) -> None:
    summary = await journal.summary()
    if job.max_cost is not None and summary.unsent:
        if summary.unpriced:
            fail(FAILED, _UNPRICED.format(summary.unpriced))
        price = summary.cost + await journal.quote(client)
        if price > job.max_cost:
            fail(FAILED, f"nothing was sent: it would cost {plain(price)}, and --max-cost is {job.max_cost}")
    total, console = summary.total - summary.skipped, stderr_console(quiet=job.as_json)
    with progress(console, total, sent=total - summary.unsent, final=summary.final) as stages:

        async def follow() -> None:
            if job.follow:
                await journal.follow(
                    client,
                    timeout=job.timeout,
                    delay_per_request=job.delay_per_request,
                    on_progress=stages["final"],
                )

        async def send() -> None:
            await journal.send(client, on_progress=stages["sent"])

        await (send() if shared is None else shared.whenever_allowed(send, meanwhile=follow))
        await follow()


def _say(job: _Job, text: str) -> None:
    if not job.as_json:
        say(text)


def _planned(content: bytes, job: _Job) -> Iterator[PlannedMessage]:
    """Yield the rows of the file, and raise at its end if it can't be sent; the journal stores no row before."""
    options = {"sender": job.sender, "at": job.at}
    fits = fitting(to_send, options)

    def check(message: Message) -> None:
        if message.tz is not None and is_past(job.at, message.tz):
            raise ValueError("--at is in the past in the tz of this row, so the service would send it at once")
        if not fits(message):
            to_send(Chunk((message,), is_list=False), options)

    found = read_messages(content, check, allow_duplicates=job.allow_duplicates, spelling=job.spelling)
    zones: set[bool | None] = set()  # whether a row has a `tz`, None for a bad row
    for row in found.rows:
        zones.add(None if row.message is None else row.message.tz is not None)
        yield row
    if False in zones:
        not_past(job.at)
    if job.skip_bad is not None:
        write_csv(job.skip_bad, bad_file(found), found.dialect)
    elif found.bad:
        raise ValueError("\n".join(_bad_lines(found.bad)))
    if zones == {None}:
        raise ValueError("no row of the CSV file can be sent")


def _bad_lines(bad: Sequence[BadRow]) -> Iterator[str]:
    yield f"nothing was sent: {len(bad)} invalid row(s); --skip-bad FILE writes them to a file and sends the others"
    for each in bad[:_SHOWN]:
        yield f"  row {each.row}: {each.reason}"
    if len(bad) > _SHOWN:
        yield f"  and {len(bad) - _SHOWN} more"


def _refused_lines(rows: Sequence[JournalRow]) -> Iterator[str]:
    for row in rows[:_SHOWN]:
        yield f"refused row {row.row} ({row.error if row.code is None else output.refusal(row.code)})"
    if len(rows) > _SHOWN:
        yield f"and {len(rows) - _SHOWN} more"


def _data(summary: Summary) -> dict[str, Any]:
    return {**asdict(summary), "cost": plain(summary.cost), "total": summary.total}


def _lines(summary: Summary) -> Iterator[str]:
    for name, value in asdict(summary).items():
        if name not in {"cost", "unpriced"} and value:
            yield f"{name:10} {value}"
    unknown = f", and the unknown cost of {summary.unpriced} message(s)" if summary.unpriced else ""
    yield f"{'cost':10} {plain(summary.cost)}{unknown}"


def _incomplete(summary: Summary, *, follow: bool) -> str:
    """Return which messages were not delivered to a final status, an empty string if there are none."""
    counts = []
    if summary.failed:
        counts.append(f"{summary.failed} refused")
    if summary.unsent:
        counts.append(f"{summary.unsent} unresolved: they may have been sent, and are not sent again")
    if summary.accepted and follow:
        counts.append(f"{summary.accepted} pending")
    again = f"; {_CONTINUE}" if summary.unsent or (summary.accepted and follow) else ""
    return f"{'; '.join(counts)}{again}" if counts else ""
