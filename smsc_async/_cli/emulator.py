"""The commands `demo` and `sandbox`: the emulator of the service, on this machine."""

import asyncio
import dataclasses
import gc
import importlib
import logging
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import anyio
import anyio.to_thread
import typer
from pydantic import SecretStr

from . import output
from .arguments import AsJson, amount
from .process import FAILED, USAGE, attempt, fail, run
from .progress import progress
from .terminal import show, stderr_console

if TYPE_CHECKING:  # the extra [sandbox]
    from smsc_async.sandbox import CallbackHash, Sandbox

__all__ = ["demo", "sandbox"]

_PATIENCE: Final = 60.0  # seconds
_PAUSE: Final = 0.05  # seconds
_HOST: Final = re.compile(r"[\w.:%-]+", re.ASCII)


def demo(
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="The number of messages.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Send messages to a sandbox, and follow each.

    The sandbox runs on this machine, so no account is needed.
    """
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
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest messages to keep, at least.")] = 100_000,
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
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="A host name by which programs may use /_sandbox/, such as 'sandbox'; repeat for more."),
    ] = None,
    token: Annotated[
        SecretStr | None,
        typer.Option(
            parser=SecretStr, envvar="SMSC_SANDBOX_TOKEN", metavar="TOKEN", help="A token that /_sandbox/ requires."
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Listen where other machines can connect, without a token.")
    ] = False,
    callback: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to report statuses, incoming messages and calls.")
    ] = None,
    callback_secret: Annotated[
        SecretStr | None,
        typer.Option(
            parser=SecretStr,
            envvar="SMSC_SANDBOX_CALLBACK_SECRET",
            metavar="SECRET",
            help="The secret with which --callback is signed.",
        ),
    ] = None,
    callback_hash: Annotated[str, typer.Option(help="Its signature: md5, sha1 or crc32.")] = "md5",
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not show a line for each request.")] = False,
    wait: Annotated[
        str | None, typer.Option(metavar="URL", help="Serve none: return when the sandbox with this URL is ready.")
    ] = None,
) -> None:
    """Serve a sandbox of the service until Ctrl-C.

    Login, password and apikey are all `demo`.
    """
    if wait is not None:
        run(_until_ready(attempt(partial(_ready_url, wait))))
        return
    demonstration = _demonstration()
    money = attempt(partial(amount, "--balance", balance))
    faults = attempt(lambda: [demonstration.Fault.parse(each) for each in fault or ()])
    account = dataclasses.replace(demonstration.Account.demo(), balance=money)
    options: dict[str, Any] = {
        "accounts": [account],
        "namespace": namespace,
        "latency": latency,
        "faults": faults,
        "seed": seed,
        "keep": keep,
        "token": token,
        "allowed_hosts": allowed_host or (),
    }

    def prepare(made: "Sandbox") -> None:
        made.bind(host, no_token=no_token)
        if callback is not None:
            if callback_secret is None:
                raise ValueError(
                    "--callback needs a secret: set SMSC_SANDBOX_CALLBACK_SECRET, or pass --callback-secret"
                )
            made.callbacks.set(callback, secret=callback_secret, hash=cast("CallbackHash", callback_hash))

    attempt(lambda: prepare(demonstration.Sandbox(**options)))
    try:
        listener = demonstration.listen(host, port)
    except OSError as error:
        fail(FAILED, f"can't listen on {host}, port {port}: {error.strerror}")
    gc.disable()  # it would look through all messages of the state again and again
    try:
        served = demonstration.Sandbox(state=state, **options)
    except (ValueError, OSError) as error:
        listener.close()
        fail(FAILED, f"can't use the state: {error}")
    finally:
        gc.enable()
    prepare(served)

    async def announce(url: str) -> None:
        show(f"the sandbox listens on {url} (WSDL: {url}?wsdl); login, password and apikey: demo; stop with Ctrl-C")
        await asyncio.Event().wait()

    with closing(served), served.callbacks.in_thread(), nullcontext() if quiet else _shown_requests():
        run(demonstration.serve_while(served.app, listener, announce))


def _demonstration() -> ModuleType:
    if not all(map(find_spec, ("starlette", "uvicorn", "fastapi", "jinja2"))):
        fail(USAGE, "the demo and the sandbox need extra packages: pip install 'smsc-async[cli,sandbox]'")
    return importlib.import_module(f"{__package__}.demo")


@contextmanager
def _shown_requests() -> Iterator[None]:
    """Show a line for each request on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("smsc_async.sandbox")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def _ready_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        is_host = bool(_HOST.fullmatch(host) and host.encode("idna"))  # as the socket does
    except ValueError:
        is_host = False
    if not is_host or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ValueError("--wait needs the URL of a sandbox, such as http://127.0.0.1:8025")
    return f"{parts.scheme}://{parts.netloc}/readyz"


async def _until_ready(url: str) -> None:
    with anyio.move_on_after(_PATIENCE):
        while not await anyio.to_thread.run_sync(_is_ready, url, abandon_on_cancel=True):  # noqa: ASYNC110 - elsewhere
            await anyio.sleep(_PAUSE)
        return
    fail(FAILED, f"the sandbox was not ready within {_PATIENCE:.0f} s")


def _is_ready(url: str) -> bool:
    direct = build_opener(ProxyHandler({}))  # not at import: it reads the certificates, which takes 20 ms
    try:
        with direct.open(url, timeout=5) as answer:
            return bool(answer.read(3) == b"ok")
    except (OSError, HTTPException):
        return False
