"""`doctor --report`: what a live service answers to the open questions, as a file to be read and to be sent to us."""

import dataclasses
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import anyio

from smsc_async._call import checked_url
from smsc_async._model import Credentials, SmscError
from smsc_async._network import Reply, Timeout, TransportWithGet
from smsc_async._protocol import CONTRACT, differences, namespace_of, read_wsdl
from smsc_async._thread import in_own_thread
from smsc_async._version import __version__

from .questions import MOST, PHONE, TEXT, WRONG, Finding, Questions, credentials_in
from .stand_ins import StandIns

__all__ = ["NOTICE", "write_report"]

NOTICE: Final = (
    f"this makes at most {MOST} requests: the WSDL, the balance, prices, the status of a message that does not exist,",
    "a send without a valid recipient and, if the login works, one wrong login on purpose (five within 30 minutes",
    "would block this IP address); no message is sent and nothing is charged",
)
_INTRODUCTION: Final = """\
# smsc-async doctor report, format 1

Read this file before you send it to anybody. Logins, passwords, apikeys, phones, e-mail addresses and texts are
replaced by names such as [login 1], and the digits of balances by 0. Line breaks between two tags are added.
"""
_LONGEST: Final = 100_000  # characters of a body
_INVISIBLE: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")


async def write_report(
    path: Path,
    url: str | None,
    *,
    allow_http: bool = False,
    transport: TransportWithGet | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[Finding]:
    """Ask all questions, write the report, and return the answers.

    Args:
        path: The file, which must not exist.
        url: The URL of the service; None for SMSC_URL, or the default URL.
        allow_http: Whether the URL may be without TLS.
        transport: The transport to use, closed at the end; None for a new one.
        environment: The environment variables with the URL and the credentials.

    Raises:
        ValueError: An argument is wrong, there are no credentials, or the file can't be written.
    """
    from smsc_async._network import HttpxTransport  # noqa: PLC0415 - slow to import, see its module

    service = checked_url(url, allow_http=allow_http, environment=environment)
    credentials = credentials_in(environment)
    names = _names(credentials)
    with _created(path) as file:
        transport = transport or HttpxTransport()
        try:
            wsdl, namespace = await _ask_wsdl(service, transport)
            answers = await Questions(service, namespace, transport, credentials).ask_all()
        finally:
            with anyio.CancelScope(shield=True):
                await transport.aclose()
        file.writelines(f"{line}\n" for line in _lines(service, [*answers, wsdl], names))
    return [*answers, wsdl]


def _names(credentials: Sequence[Credentials]) -> StandIns:
    names = StandIns()
    for each in credentials:
        for kind, value in each.fields().items():
            names.add("password" if kind == "psw" else kind, value)
    for kind, value in (("phone", PHONE.removeprefix("+")), ("text", TEXT), ("wrong secret", WRONG)):
        names.add(kind, value)
    return names


async def _ask_wsdl(url: str, transport: TransportWithGet) -> tuple[Finding, str]:
    """Return the answer with the WSDL, and the namespace in it, or else that of the URL."""
    expected = namespace_of(url)
    answer = Finding("wsdl", "the interface as the service describes it")
    try:
        reply = await transport.get(f"{expected}?wsdl", Timeout())
        answer = dataclasses.replace(answer, reply=reply)
        theirs = await in_own_thread(lambda: read_wsdl(reply.body))
    except SmscError as error:
        return dataclasses.replace(answer, reading=f"{type(error).__name__}: {error}"), expected
    found = differences(theirs, dataclasses.replace(CONTRACT, namespace=expected))
    words = [f"namespace {theirs.namespace}, {len(found) or 'no'} difference(s) from the snapshot", *found]
    return dataclasses.replace(answer, reading="\n- ".join(words)), theirs.namespace or expected


def _lines(url: str, answers: Sequence[Finding], names: StandIns) -> Iterator[str]:
    yield _INTRODUCTION
    yield f"- service: {url}"
    yield f"- client: smsc-async {__version__}, Python {platform.python_version()}, {platform.system()}"
    yield f"- time: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield f"- requests: {sum(each.is_asked for each in answers)}"
    for each in answers:
        yield f"\n## {each.name}: {each.title}\n"
        yield _visible(names.hide(f"reading: {each.reading}"))
        if each.request:
            yield from ("\nrequest:\n", *_block(each.request, names))
        if each.reply is not None:
            yield from (f"\nanswer: {_head(each.reply, names)}\n", *_block(each.reply.body, names))


def _head(reply: Reply, names: StandIns) -> str:
    kind = _visible(names.hide(reply.content_type)).replace("\n", " ")
    return f"HTTP {reply.status_code}, {kind or 'no Content-Type'}, {len(reply.body)} bytes"


def _block(body: bytes, names: StandIns) -> Iterator[str]:
    """Yield the lines of a body, indented, so that none of them can be taken for a line of the report."""
    text = _visible(names.hide(body.decode("utf-8", "backslashreplace")[:_LONGEST].replace("><", ">\n<")))
    yield from (f"    {line}" for line in text.rstrip("\n").split("\n"))


def _visible(text: str) -> str:
    return _INVISIBLE.sub(lambda found: " " if found[0] in "\t\r" else f"\\u{ord(found[0]):04x}", text)


@contextmanager
def _created(path: Path) -> Iterator[IO[str]]:
    """Create the file before anything is asked; remove it if there is nothing to write."""
    try:
        file = path.open("x", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"can't write --report {path}: {error.strerror}; pass the path of a new file") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink()
        raise
