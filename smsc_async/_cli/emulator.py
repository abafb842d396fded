"""The commands `demo` and `sandbox`: the emulator of the service, on this machine."""

import asyncio
import dataclasses
import importlib
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from . import output
from .arguments import AsJson, amount
from .process import FAILED, USAGE, attempt, fail, run
from .progress import progress
from .terminal import show, stderr_console

__all__ = ["demo", "sandbox"]


def demo(
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="The number of messages.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Send messages to a sandbox on this machine and follow each; needs no account."""
    demonstration = _demonstration()
    console = stderr_console(quiet=as_json)

    with progress(console, messages, sent=0, final=0) as stages:
        report = run(demonstration.demonstrate(messages, stages), on_interrupt="run the same command again")
    output.emit(report.as_json(), output.demo_lines(report), as_json=as_json)
    if not report.is_complete:
        fail(FAILED, f"{report.pending} pending, {report.refused} refused")


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
    balance: Annotated[str, typer.Option(help="The balance of the account at the start.")] = "10000",
    latency: Annotated[float, typer.Option(min=0, help="Seconds from a request to its answer.")] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="A fault to inject, such as 'lose_answer operation=send probability=0.1'; repeat for more."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of delivery results and faults.")] = 0,
) -> None:
    """Serve a sandbox of the service until Ctrl-C; login, password and apikey are all `demo`."""
    demonstration = _demonstration()
    money = attempt(partial(amount, "--balance", balance))
    faults = attempt(lambda: [demonstration.Fault.parse(each) for each in fault or ()])
    try:
        listener = demonstration.listen(host, port)
    except OSError as error:
        fail(FAILED, f"can't listen on {host}, port {port}: {error.strerror}")

    async def announce(url: str) -> None:
        show(f"the sandbox listens on {url} (WSDL: {url}?wsdl); login, password and apikey: demo; stop with Ctrl-C")
        await asyncio.Event().wait()

    try:
        account = dataclasses.replace(demonstration.Account.demo(), balance=money)
        served = demonstration.Sandbox(
            accounts=[account], state=state, namespace=namespace, latency=latency, faults=faults, seed=seed
        )
    except (ValueError, OSError) as error:
        listener.close()
        if str(error).startswith("namespace"):
            fail(USAGE, str(error))
        fail(FAILED, f"can't use the state: {error}")
    run(demonstration.serve_while(served.app, listener, announce))


def _demonstration() -> ModuleType:
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        fail(USAGE, "the demo and the sandbox need extra packages: pip install 'smsc-async[cli,sandbox]'")
    return importlib.import_module(f"{__package__}.demo")
