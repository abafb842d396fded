"""The commands: each calls the client and prints the result."""

import asyncio
import dataclasses
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

import typer
from rich.console import Console

from smsc_async._call import credentials_from
from smsc_async._client import Client
from smsc_async._model import (
    After,
    At,
    Channel,
    Flash,
    Hlr,
    MessageRef,
    Ping,
    Schedule,
    Sms,
    SmscError,
    Social,
    Viber,
    WhatsApp,
    check_xml_text,
)
from smsc_async._model import parts as cut

from . import output
from .doctor import examine
from .guards import guards
from .process import FAILED, INTERRUPTED, USAGE, fail, until_terminated
from .send_file import send_file
from .watch import follow, read_refs
from .watch_state import StateError, WatchState

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

UrlOption: TypeAlias = Annotated[str | None, typer.Option(help="URL of the service; also SMSC_URL.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
To: TypeAlias = Annotated[list[str], typer.Argument(help="Phones, group codes G<number>.")]
TextArgument: TypeAlias = Annotated[str | None, typer.Option(help="The text; none for hlr and ping.")]
ViaOption: TypeAlias = Annotated[Via, typer.Option(help="The channel.")]


def _run(command: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(command)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        # A second Ctrl-C is raised at an arbitrary point, and may be wrapped in the exception group of a task group.
        interrupted = isinstance(error, KeyboardInterrupt) or error.subgroup(KeyboardInterrupt) is not None
        raise (typer.Exit(INTERRUPTED) if interrupted else error) from None


async def _run_or_exit(work: Awaitable[T]) -> T:
    """Await `work`, and convert its errors to a message and an exit code."""
    try:
        return await work
    except SmscError as error:
        fail(FAILED, *output.error_lines(error))
    except ValueError as error:
        fail(USAGE, output.usage_line(error))


async def _ask(url: str | None, question: Callable[[Client], Awaitable[T]]) -> T:
    async def work() -> T:
        try:
            credentials_from(None, None, None)
        except ValueError:
            # The client's own message also names its arguments, which the command line does not have.
            raise ValueError(
                "credentials are missing; set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment"
            ) from None
        async with Client(url=url) as client:
            return await question(client)

    return await _run_or_exit(work())


def _when(text: str | None) -> Schedule | None:
    if text is None:
        return None
    if text.startswith("+") and text[1:].isdecimal():
        return After(int(text[1:]))
    try:
        return At(datetime.fromisoformat(text).astimezone())
    except ValueError:
        raise ValueError("--at must be a date and time such as 2030-12-31T09:30+03:00, or +MINUTES") from None


@app.command()
def send(
    to: To,
    *,
    text: TextArgument = None,
    sender: Annotated[str | None, typer.Option(help="The sender's name.")] = None,
    via: ViaOption = Via.SMS,
    message_id: Annotated[str | None, typer.Option("--id", help="The message id; a new one by default.")] = None,
    at: Annotated[
        str | None, typer.Option(help="ISO date and time, in the local time zone if it has no offset; or +MINUTES.")
    ] = None,
    cost: Annotated[bool, typer.Option("--cost", help="Also show the cost and the new balance.")] = False,
    url: UrlOption = None,
    as_json: AsJson = False,
) -> None:
    """Send a text to one or many recipients; exit code 1 if any of them was refused."""

    async def command() -> None:
        sent = await _ask(
            url,
            lambda client: client.send(
                to,
                text,
                sender=sender,
                via=_CHANNELS[via](),
                id=message_id,
                at=_when(at),
                cost=3 if cost else None,
            ),
        )
        output.emit(sent.model_dump(mode="json"), output.sent_lines(sent), as_json=as_json)
        if sent.errors:
            fail(FAILED, f"{len(sent.errors)} recipient(s) refused")

    _run(command())


@app.command()
def cost(
    to: To, *, text: TextArgument = None, via: ViaOption = Via.SMS, url: UrlOption = None, as_json: AsJson = False
) -> None:
    """Show what a send would cost, without sending."""

    async def command() -> None:
        price = await _ask(url, lambda client: client.cost(to, text, via=_CHANNELS[via]()))
        output.emit(price.model_dump(mode="json"), output.cost_lines(price), as_json=as_json)

    _run(command())


@app.command()
def status(
    ref: Annotated[str, typer.Argument(help="PHONE:ID, as printed by `send`.")],
    detail: Annotated[int, typer.Option(min=0, max=2, help="1 also shows the message, 2 also the operator.")] = 0,
    url: UrlOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the status of a message."""
    level = cast("Literal[0, 1, 2]", detail)

    async def command() -> None:
        report = await _ask(url, lambda client: client.status(MessageRef.parse(ref), detail=level))
        output.emit(report.model_dump(mode="json"), output.status_lines(report), as_json=as_json)

    _run(command())


@app.command()
def watch(
    refs: Annotated[Path, typer.Argument(help="CSV with columns phone and id, or one PHONE:ID per line; - for stdin.")],
    *,
    state: Annotated[
        Path | None, typer.Option(help="File that stores what was reported; the same command then continues.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after which a pending message expires; 0 for never.")
    ] = 86_400.0,
    delay_per_request: Annotated[
        float, typer.Option(min=0.001, help="Seconds of delay that one status request is worth.")
    ] = 10.0,
    progress: Annotated[bool, typer.Option("--progress", help="Show the progress on stderr.")] = False,
    url: UrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Follow messages until all are final or expired, and print a line for each change of status."""
    try:
        messages = read_refs(refs)
        with WatchState(state) as known:
            work = partial(
                follow,
                refs=messages,
                state=known,
                timeout=timeout or None,
                delay_per_request=delay_per_request,
                as_json=as_json,
                progress=progress,
            )
            _run(until_terminated(_ask(url, work)))
    except ValueError as error:
        fail(USAGE, str(error))
    except StateError as error:
        fail(FAILED, str(error))


@app.command()
def balance(url: UrlOption = None, as_json: AsJson = False) -> None:
    """Show the account's balance."""

    async def command() -> None:
        found = await _ask(url, lambda client: client.balance())
        output.emit(found.model_dump(mode="json"), output.balance_lines(found), as_json=as_json)

    _run(command())


@app.command()
def parts(text: Annotated[str, typer.Argument(help="The text.")], as_json: AsJson = False) -> None:
    """Show how many SMS a text needs; works offline."""
    try:
        found = cut(check_xml_text(text))
    except ValueError as error:
        fail(USAGE, output.usage_line(error))
    output.emit({"count": found.count, **dataclasses.asdict(found)}, output.parts_lines(found), as_json=as_json)


@app.command()
def doctor(url: UrlOption = None, as_json: AsJson = False) -> None:
    """Compare the service's live WSDL with the snapshot, and check the login; exit code 1 if a check fails."""

    async def command() -> None:
        found = await _run_or_exit(examine(url))
        output.emit(dataclasses.asdict(found), output.doctor_lines(found), as_json=as_json)
        if not found.is_healthy:
            raise typer.Exit(FAILED)

    _run(command())


@app.command()
def demo(
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="The number of messages.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Send messages to a sandbox on this machine and follow each; needs no account."""
    demonstration = _demonstration()
    console = Console(quiet=as_json)

    async def command() -> None:
        with output.progress(messages, console) as note:
            report = await _run_or_exit(demonstration.demonstrate(messages, note))
        if as_json:
            output.emit(report.as_json(), (), as_json=True)
        else:
            output.print_demo(report, console)
        if not report.is_complete:
            fail(FAILED, f"{report.pending} pending, {report.refused} refused")

    _run(command())


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="The host to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 for any free port.")] = 8025,
    state: Annotated[
        Path | None, typer.Option(help="File for the state of the sandbox, so that it survives a restart.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="The only namespace of requests; by default the service's, and the sandbox's URL."),
    ] = None,
) -> None:
    """Serve a sandbox of the service until Ctrl-C; login, password and apikey are all `demo`."""
    demonstration = _demonstration()
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
        served = demonstration.Sandbox(state=state, namespace=namespace)
    except (ValueError, OSError) as error:
        listener.close()
        fail(FAILED, f"can't use the {'namespace' if str(error).startswith('namespace') else 'state'}: {error}")
    _run(demonstration.serve_while(served.app, listener, announce))


app.command("send-file")(send_file)
app.command()(guards)


def _demonstration() -> ModuleType:
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        fail(USAGE, "the demo and the sandbox need extra packages: pip install 'smsc-async[cli,sandbox]'")
    return importlib.import_module(f"{__package__}.demo")
