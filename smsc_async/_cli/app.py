"""The commands: each calls a client and prints the result."""

import dataclasses
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, TypeVar, cast

import typer

from smsc_async._client import Client
from smsc_async._model import (
    Channel,
    Flash,
    Hlr,
    MessageRef,
    Ping,
    Sms,
    Social,
    UnresolvedSend,
    Viber,
    WhatsApp,
    check_xml_text,
)
from smsc_async._model import parts as cut
from smsc_async._version import __version__

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
    check_credentials,
    delimiter_of,
    international,
    not_past,
    recipients_and_text,
    schedule,
)
from .doctor import examine
from .doctor_report import NOTICE, write_report
from .emulator import demo, sandbox
from .guards import guards
from .phone import phone
from .process import FAILED, INTERRUPTED, TERMINATED, attempt, fail, run
from .send_file import send_file
from .terminal import read_text, say, show, stderr_console
from .waiting import notices
from .watch import follow, read_refs
from .watch_state import WatchState

__all__ = ["app"]

T = TypeVar("T")

app = typer.Typer(
    name="smsc-async",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a help in boxes takes 0.1 s more
    help=(
        "SMS Center from the command line. Credentials come only from the environment: SMSC_APIKEY, or SMSC_LOGIN and "
        "SMSC_PASSWORD. Exit codes: 0 done, 1 the service or the network failed, 2 wrong usage, 3 done but the result "
        "can't be printed or written, 130 interrupted, 143 terminated."
    ),
)


class Via(StrEnum):
    """The channels without parameters."""

    SMS = "sms"
    FLASH = "flash"
    VIBER = "viber"
    WHATSAPP = "whatsapp"
    SOCIAL = "social"
    HLR = "hlr"
    PING = "ping"


_CHANNELS: Final[dict[Via, Callable[[], Channel]]] = {
    Via.SMS: Sms,
    Via.FLASH: Flash,
    Via.VIBER: Viber,
    Via.WHATSAPP: WhatsApp,
    Via.SOCIAL: Social,
    Via.HLR: Hlr,
    Via.PING: Ping,
}

To: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="TO",
        help="Phones, group codes G<number>; also separated by commas. After a single one also the text.",
    ),
]
TextArgument: TypeAlias = Annotated[
    str | None, typer.Option(help="The text, needed for several recipients; - for stdin. None for hlr and ping.")
]
_TEXTLESS: Final = frozenset({Via.HLR, Via.PING})
_AGAIN: Final = "run the same command again"
ViaOption: TypeAlias = Annotated[Via, typer.Option(help="The channel.")]


def _show_version(asked: bool) -> None:
    if asked:
        show(f"smsc-async {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Show the version, or run a command; the help is that of the application."""


def _ask(
    question: Callable[[Client], Awaitable[T]],
    url: str | None,
    *,
    allow_http: bool,
    quiet: bool = False,
    on_interrupt: str = _AGAIN,
) -> T:
    """Return what a client answers, or exit."""
    lost: list[UnresolvedSend] = []
    with notices(quiet=quiet) as observers:

        async def work() -> T:
            check_credentials()
            async with Client(url=url, allow_http=allow_http, observers=observers, on_unresolved=lost.append) as client:
                return await question(client)

        try:
            return run(work(), on_interrupt=on_interrupt)
        except typer.Exit as end:
            if end.exit_code in {INTERRUPTED, TERMINATED}:
                say(*output.look_up_lines(ref for each in lost for ref in each.refs))
            raise


def _to_and_text(to: list[str], text: str | None, via: Via, region: str | None) -> tuple[list[str], str | None]:
    def read() -> tuple[list[str], str | None]:
        recipients, words = recipients_and_text(to, text, needs_text=via not in _TEXTLESS)
        return international(recipients, region), words

    return attempt(read)


@app.command()
def send(
    to: To,
    *,
    text: TextArgument = None,
    sender: Annotated[str | None, typer.Option(help="The sender's name.")] = None,
    via: ViaOption = Via.SMS,
    message_id: Annotated[str | None, typer.Option("--id", help="The message id; a new one by default.")] = None,
    at: AtOption = None,
    cost: Annotated[bool, typer.Option("--cost", help="Also show the cost and the new balance.")] = False,
    region: RegionOption = None,
    url: UrlOption = None,
    allow_http: AllowHttp = False,
    as_json: AsJson = False,
) -> None:
    """Send a text to one or many recipients.

    The exit code is 1 if any of them was refused.
    """
    recipients, words = _to_and_text(to, text, via, region)
    sent = _ask(
        lambda client: client.send(
            recipients,
            words,
            sender=sender,
            via=_CHANNELS[via](),
            id=message_id,
            at=not_past(schedule(at)),
            cost=3 if cost else None,
        ),
        url,
        allow_http=allow_http,
        on_interrupt="the message may have been sent, so look it up before you send it again",
    )
    done = f"the message was accepted (id {sent.id})"
    output.emit(sent.model_dump(mode="json"), output.sent_lines(sent), as_json=as_json, done=done)
    if sent.errors:
        fail(FAILED, f"{len(sent.errors)} recipient(s) refused")


@app.command()
def cost(
    to: To,
    *,
    text: TextArgument = None,
    via: ViaOption = Via.SMS,
    region: RegionOption = None,
    url: UrlOption = None,
    allow_http: AllowHttp = False,
    as_json: AsJson = False,
) -> None:
    """Show what a send would cost, without sending."""
    recipients, words = _to_and_text(to, text, via, region)
    price = _ask(lambda client: client.cost(recipients, words, via=_CHANNELS[via]()), url, allow_http=allow_http)
    output.emit(price.model_dump(mode="json"), output.cost_lines(price), as_json=as_json)


@app.command()
def status(
    ref: Annotated[str, typer.Argument(help="PHONE:ID, as printed by `send`.")],
    detail: Annotated[int, typer.Option(min=0, max=2, help="1 also shows the message, 2 also the operator.")] = 0,
    url: UrlOption = None,
    allow_http: AllowHttp = False,
    as_json: AsJson = False,
) -> None:
    """Show the status of a message."""
    level = cast("Literal[0, 1, 2]", detail)
    report = _ask(lambda client: client.status(MessageRef.parse(ref), detail=level), url, allow_http=allow_http)
    output.emit(report.model_dump(mode="json"), output.status_lines(report), as_json=as_json)


@app.command()
def watch(
    refs: Annotated[Path, typer.Argument(help="CSV with columns phone and id, or one PHONE:ID per line; - for stdin.")],
    *,
    state: Annotated[
        Path | None,
        typer.Option(help="File that stores what was printed; the same command continues."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after which a pending message expires; 0 for never.")
    ] = 86_400.0,
    delay_per_request: DelayOption = "auto",
    show_progress: Annotated[bool, typer.Option("--progress", help="Show the progress on stderr.")] = False,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    url: UrlOption = None,
    allow_http: AllowHttp = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Follow messages until all are final or expired.

    Prints a line for each change of status. The exit code is 1 if any of them was not delivered.
    """

    def command() -> int:
        messages = read_refs(refs, encoding=encoding, delimiter=delimiter_of(delimiter))
        with WatchState(state) as known:
            work = partial(
                follow,
                refs=messages,
                state=known,
                timeout=timeout or None,
                delay_per_request=delay_per_request,
                as_json=as_json,
                console=stderr_console(quiet=as_json and not show_progress),
                show_progress=show_progress,
            )
            again = _AGAIN if state else "with --state FILE the same command would go on where it ended"
            return _ask(work, url, allow_http=allow_http, quiet=as_json, on_interrupt=again)

    undelivered = attempt(command)
    if undelivered:
        fail(FAILED, f"{undelivered:,} message(s) not delivered")


@app.command()
def balance(url: UrlOption = None, allow_http: AllowHttp = False, as_json: AsJson = False) -> None:
    """Show the account's balance."""
    found = _ask(lambda client: client.balance(), url, allow_http=allow_http)
    output.emit(found.model_dump(mode="json"), output.balance_lines(found), as_json=as_json)


@app.command()
def parts(text: Annotated[str, typer.Argument(help="The text; - for stdin.")], as_json: AsJson = False) -> None:
    """Show how many SMS a text needs; works offline."""
    found = attempt(lambda: cut(check_xml_text(read_text(text))))
    output.emit({"count": found.count, **dataclasses.asdict(found)}, output.parts_lines(found), as_json=as_json)


@app.command()
def doctor(
    url: UrlOption = None,
    allow_http: AllowHttp = False,
    as_json: AsJson = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Instead, write what the service answers to the open questions into this new file."),
    ] = None,
) -> None:
    """Check the service's WSDL and the login.

    The WSDL is compared with the snapshot of this package. The exit code is 1 if a check fails.
    """
    if report is not None:
        say(*NOTICE)
        answers = run(write_report(report, url, allow_http=allow_http))
        asked = sum(each.is_asked for each in answers)
        output.emit(
            {"report": str(report), "requests": asked},
            [f"{asked} requests; read {report}, then attach it to an issue of smsc-async"],
            as_json=as_json,
        )
        return
    found = run(examine(url, allow_http=allow_http), on_interrupt=_AGAIN)
    output.emit(dataclasses.asdict(found), output.doctor_lines(found), as_json=as_json)
    if not found.is_healthy:
        fail(FAILED)


app.command("send-file")(send_file)
app.command()(phone)
app.command()(demo)
app.command()(sandbox)
app.command()(guards)
