"""The command `guards`: show what the guards in a shared Redis refuse, reset a rule, and pause or resume sending."""

import math
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import anyio
import typer
from pydantic_core import to_jsonable_python

from smsc_async._model import GuardStoreError, SendingPaused, SmscError
from smsc_async.guards import GuardReport, Guards, Reset, RuleReport

from . import output
from .process import USAGE, fail, run
from .terminal import say

if TYPE_CHECKING:
    from smsc_async.guards import RedisAdmin

__all__ = ["PrefixOption", "RedisOption", "SharedGuards", "guards"]

RedisOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="SMSC_REDIS_URL",
        show_envvar=False,
        help="URL of the Redis with the shared guards; SMSC_REDIS_URL keeps its password out of process lists.",
    ),
]
PrefixOption: TypeAlias = Annotated[str, typer.Option(help="The prefix of the keys in Redis.")]

_LOOK_EVERY: Final = 2.0
_WIDTH: Final = 80
_SERVICE_COUNTS: Final = (
    "the service still counts these requests: further ones may be refused with error 9, and many errors block "
    "the IP address"
)
_MAY_BLOCK: Final = (
    "if the cause still exists, further requests may block the IP address for 10 to 30 minutes, for all its clients"
)
_RECOVERY: Final = (
    "each rule below that is recovering waits for its window, and unproven logins and messages are sent one at a time"
)
_BREAKERS: Final = frozenset({"blocked", "login_failures", "address_failures", "bad_sends"})


class SharedGuards:
    """The guards of a job that are shared with other processes, and whether sending is paused for all of them.

    Args:
        url: The URL of Redis.
        prefix: The prefix of the keys.

    Raises:
        ValueError: The URL or the prefix is invalid, or the extra package is missing.
    """

    def __init__(self, url: str, prefix: str) -> None:
        _check_extra()
        from smsc_async.guards import RedisStore  # noqa: PLC0415 - redis is an extra

        self.guards = Guards(RedisStore.from_url(url, prefix=prefix))
        self._url = url
        self._prefix = prefix

    async def whenever_allowed(
        self, send: Callable[[], Awaitable[None]], *, meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        """Send, and go on after each pause; `meanwhile` runs during a pause, which is reported."""
        while True:
            try:
                return await send()
            except SendingPaused:
                pass
            await self._wait(meanwhile)

    async def _wait(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        async def work() -> None:
            with suppress(SmscError):  # it fails again after the pause, and is reported then
                await meanwhile()

        admin = _admin(self._url, self._prefix)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                await self._until_resumed(admin)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await admin.aclose()

    async def _until_resumed(self, admin: "RedisAdmin") -> None:
        said = None
        with suppress(GuardStoreError):  # the next send raises it
            while (pause := await admin.paused()) is not None:
                if pause != said:
                    say(f"{pause}; the job waits, and can be interrupted with Ctrl-C")
                    said = pause
                await anyio.sleep(_LOOK_EVERY)
            if said is not None:
                say("sending is resumed")


def guards(
    *,
    redis: RedisOption = None,
    prefix: PrefixOption = "smsc",
    reset: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="Delete what a rule has counted, such as blocked; this is logged."),
    ] = None,
    pause: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Pause sending for all clients of this Redis until --resume; lost if Redis loses its data.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume sending.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show or change what the shared guards refuse.

    Shows which requests they refuse, why and until when; resets a rule; pauses or resumes sending.
    """
    if sum((reset is not None, pause is not None, resume)) > 1:
        fail(USAGE, "pass only one of --reset, --pause and --resume")
    if redis is None:
        fail(USAGE, "pass --redis URL, or set SMSC_REDIS_URL, to the URL of the Redis with the shared guards")
    report, done = run(_work(redis, prefix, reset, pause, resume=resume))
    change = [] if done is None else [*_wrapped("", _reset_words(done)), ""]
    output.emit(_data(report, done), [*change, *_lines(report)], as_json=as_json)


async def _work(
    url: str, prefix: str, reset: str | None, pause: str | None, *, resume: bool
) -> tuple[GuardReport, Reset | None]:
    admin = _admin(url, prefix)
    try:
        done = None if reset is None else await admin.reset(reset)
        if pause is not None:
            await admin.pause(pause)
        if resume:
            await admin.resume()
        return await admin.report(), done
    finally:
        await admin.aclose()


def _admin(url: str, prefix: str) -> "RedisAdmin":
    _check_extra()
    from smsc_async.guards import RedisAdmin  # noqa: PLC0415 - redis is an extra

    return RedisAdmin.from_url(url, prefix=prefix)


def _check_extra() -> None:
    if find_spec("redis") is None:
        raise ValueError("shared guards need an extra package: pip install 'smsc-async[cli,redis]'")


def _data(report: GuardReport, done: Reset | None) -> dict[str, Any]:
    rules = [{**asdict(each), "is_closed": each.is_closed} for each in report.rules]
    data: dict[str, Any] = to_jsonable_python({**asdict(report), "rules": rules})
    return data if done is None else {**data, "reset": asdict(done)}


def _lines(report: GuardReport) -> Iterator[str]:
    now = report.taken_at
    if report.paused is None:
        yield "sending    open"
    else:
        since = report.paused.since
        when = "" if since is None else f" since {_at(since)}{_ago(since, now)}"
        yield from _wrapped("sending    ", f"PAUSED{when}: {report.paused.reason}")
    if report.lost_at is None:
        yield "histories  complete"
    else:
        when = f"{_at(report.lost_at)}{_ago(report.lost_at, now)}"
        yield from _wrapped("histories  ", f"lost at {when} in a flush, a restart or a failover; {_RECOVERY}")
    yield ""
    if not report.rules:
        yield "no rule is closed, and none has counted anything"
        return
    yield f"{'rule':17} {'closed keys':>12} {'in flight':>9}  until (UTC)"
    for each in report.rules:
        yield f"{each.rule:17} {_keys(each):>12} {each.in_flight:>9}  {_until(each, now)}".rstrip()
    for each in report.rules:
        if each.full:
            yield ""
            yield from _wrapped("", f"{each.rule}: {each.why}")


def _keys(rule: RuleReport) -> str:
    return "recovering" if rule.recovering_until else f"{rule.full} of {rule.keys}"


def _until(rule: RuleReport, now: datetime) -> str:
    ends = [end for end in (rule.until, rule.recovering_until) if end is not None]
    if ends:
        return f"{max(ends):%Y-%m-%d %H:%M:%S} (in {_span(max(ends) - now)})"
    return "a request in flight ends" if rule.full else ""


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _ago(since: datetime, now: datetime) -> str:
    return f" ({_span(now - since)} ago)"


def _span(length: timedelta) -> str:
    """Return a duration in its two largest units."""
    seconds = max(math.ceil(length.total_seconds()), 0)
    for unit, size, lower, rest in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // rest} {lower}"
    return f"{seconds} s"


def _wrapped(head: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))


def _reset_words(done: Reset) -> str:
    kept = f"; {done.in_flight} requests in flight keep their slots" if done.in_flight else ""
    removed = f"{done.rule} was reset: {done.removed} entries of {done.keys} keys were removed{kept}"
    return f"{removed}. Risk: {_MAY_BLOCK if done.rule in _BREAKERS else _SERVICE_COUNTS}."
