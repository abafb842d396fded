"""The commands: each calls a client and prints the result."""

import asyncio
import dataclasses
import importlib
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final, Literal, TypeAlias, TypeVar, cast

import typer
from rich.console import Console

from smsc_async._client import Client
from smsc_async._model import (
    Channel,
    Flash,
    Hlr,
    MessageRef,
    Ping,
    Sms,
    Social,
    Viber,
    WhatsApp,
    check_xml_text,
)
from smsc_async._model import parts as cut

from . import output
from .arguments import AsJson, AtOption, DelayOption, UrlOption, check_credentials, not_past, schedule
from .doctor import examine
from .guards import guards
from .process import FAILED, USAGE, attempt, fail, run
from .progress import progress
from .send_file import send_file
from .watch import follow, read_refs
from .watch_state import WatchState

__all__ = ["app"]

T = TypeVar("T")

app = typer.Typer(
    name="smsc-async",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "SMS Center from the command line. Credentials come only from the environment: SMSC_APIKEY, or SMSC_LOGIN and "
        "SMSC_PASSWORD. Exit codes: 0 done, 1 the service or the network failed, 2 wrong usage, 130 interrupted, "
        "143 terminated."
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

To: TypeAlias = Annotated[list[str], typer.Argument(help="Phones, group codes G<number>; also separated by commas.")]
TextArgument: TypeAlias = Annotated[str | None, typer.Option(help="The text; none for hlr and ping.")]
ViaOption: TypeAlias = Annotated[Via, typer.Option(help="The channel.")]


def _ask(url: str | None, question: Callable[[Client], Awaitable[T]], *, on_interrupt: str = "") -> T:
    """Return what a client answers, or exit."""

    async def work() -> T:
        check_credentials()
        async with Client(url=url) as client:
            return await question(client)

    return run(work(), on_interrupt=on_interrupt)


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
    url: UrlOption = None,
    as_json: AsJson = False,
) -> None:
    """Send a text to one or many recipients; exit code 1 if any of them was refused."""
    sent = _ask(
        url,
        lambda client: client.send(
            to,
            text,
            sender=sender,
            via=_CHANNELS[via](),
            id=message_id,
            at=not_past(schedule(at)),
            cost=3 if cost else None,
        ),
        on_interrupt="the message may have been sent, so look it up before you send it again",
    )
    output.emit(sent.model_dump(mode="json"), output.sent_lines(sent), as_json=as_json)
    if sent.errors:
        fail(FAILED, f"{len(sent.errors)} recipient(s) refused")


@app.command()
def cost(
    to: To, *, text: TextArgument = None, via: ViaOption = Via.SMS, url: UrlOption = None, as_json: AsJson = False
) -> None:
    """Show what a send would cost, without sending."""
    price = _ask(url, lambda client: client.cost(to, text, via=_CHANNELS[via]()))
    output.emit(price.model_dump(mode="json"), output.cost_lines(price), as_json=as_json)


@app.command()
def status(
    ref: Annotated[str, typer.Argument(help="PHONE:ID, as printed by `send`.")],
    detail: Annotated[int, typer.Option(min=0, max=2, help="1 also shows the message, 2 also the operator.")] = 0,
    url: UrlOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the status of a message."""
    level = cast("Literal[0, 1, 2]", detail)
    report = _ask(url, lambda client: client.status(MessageRef.parse(ref), detail=level))
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
    url: UrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Follow messages until all are final or expired, and print a line for each change of status."""

    def command() -> None:
        messages = read_refs(refs)
        with WatchState(state) as known:
            work = partial(
                follow,
                refs=messages,
                state=known,
                timeout=timeout or None,
                delay_per_request=delay_per_request,
                as_json=as_json,
                console=Console(stderr=True, quiet=not show_progress),
            )
            _ask(url, work)

    attempt(command)


@app.command()
def balance(url: UrlOption = None, as_json: AsJson = False) -> None:
    """Show the account's balance."""
    found = _ask(url, lambda client: client.balance())
    output.emit(found.model_dump(mode="json"), output.balance_lines(found), as_json=as_json)


@app.command()
def parts(text: Annotated[str, typer.Argument(help="The text.")], as_json: AsJson = False) -> None:
    """Show how many SMS a text needs; works offline."""
    found = attempt(lambda: cut(check_xml_text(text)))
    output.emit({"count": found.count, **dataclasses.asdict(found)}, output.parts_lines(found), as_json=as_json)


@app.command()
def doctor(url: UrlOption = None, as_json: AsJson = False) -> None:
    """Compare the service's live WSDL with the snapshot, and check the login; exit code 1 if a check fails."""
    found = run(examine(url))
    output.emit(dataclasses.asdict(found), output.doctor_lines(found), as_json=as_json)
    if not found.is_healthy:
        fail(FAILED)


@app.command()
def demo(
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="The number of messages.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Send messages to a sandbox on this machine and follow each; needs no account."""
    demonstration = _demonstration()
    console = Console(quiet=as_json)

    with progress(console, messages, sent=0, final=0) as stages:
        report = run(demonstration.demonstrate(messages, stages))
    if as_json:
        output.emit(report.as_json(), (), as_json=True)
    else:
        output.print_demo(report, console)
    if not report.is_complete:
        fail(FAILED, f"{report.pending} pending, {report.refused} refused")


@app.command()
def sandbox(
    *,
    host: Annotated[str, typer.Option(help="The host to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 for any free port.")] = 8025,
    state: Annotated[
        Path | None, typer.Option(help="File for the state of the sandbox, so that it survives a restart.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="The only namespace of requests; by default the service's, and the sandbox's URL."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="A fault to inject, such as 'lose_answer operation=send probability=0.1'; repeat for more."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of delivery results and faults.")] = 0,
) -> None:
    """Serve a sandbox of the service until Ctrl-C; login, password and apikey are all `demo`."""
    demonstration = _demonstration()
    faults = attempt(lambda: [demonstration.Fault.parse(each) for each in fault or ()])
    try:
        listener = demonstration.listen(host, port)
    except OSError as error:
        fail(FAILED, f"can't listen on {host}, port {port}: {error.strerror}")

    async def announce(url: str) -> None:
        typer.echo(
            f"the sandbox listens on {url} (WSDL: {url}?wsdl); login, password and apikey: demo; stop with Ctrl-C"
        )
        await asyncio.Event().wait()

    try:
        served = demonstration.Sandbox(state=state, namespace=namespace, faults=faults, seed=seed)
    except (ValueError, OSError) as error:
        listener.close()
        if str(error).startswith("namespace"):
            fail(USAGE, str(error))
        fail(FAILED, f"can't use the state: {error}")
    run(demonstration.serve_while(served.app, listener, announce))


app.command("send-file")(send_file)
app.command()(guards)


def _demonstration() -> ModuleType:
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        fail(USAGE, "the demo and the sandbox need extra packages: pip install 'smsc-async[cli,sandbox]'")
    return importlib.import_module(f"{__package__}.demo")
