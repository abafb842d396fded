"""Reads the file of `doctor --report`, and compares what a service has answered with the sandbox and the contract."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smsc_async._cli.doctor_report import write_report
from smsc_async._network.httpx import HttpxTransport
from smsc_async._protocol.contract import CONTRACT
from smsc_async.sandbox import Account, Sandbox

__all__ = ["LOGIN", "URL", "Section", "findings", "read_report", "sandbox_report"]

LOGIN: Final = {"SMSC_LOGIN": "canary-login", "SMSC_PASSWORD": "canary-password", "SMSC_APIKEY": "canary-apikey"}
URL: Final = "https://smscentre.com/sys/soap.php"
_SECTION: Final = re.compile(r"^## ([^:\n]+): .*\n\nreading: ((?:.+\n)+)((?:(?!## ).*\n)*)", re.MULTILINE)
_ANSWER: Final = re.compile(r"^answer: HTTP (\d+), .*\n\n((?:    .*\n)*)", re.MULTILINE)
_FIELDS: Final = {
    operation.response: {field.name for field in CONTRACT.types[operation.result_type]} | {operation.result}
    for operation in CONTRACT.operations.values()
}
_ERROR: Final = {field.name for field in CONTRACT.types["Error"]}


@dataclass(frozen=True)
class Section:
    """A question of a report.

    Attributes:
        reading: How the package read the answer, in lines.
        status: The HTTP status, None if there was no answer.
        answer: The body of the answer, on one line.
    """

    reading: tuple[str, ...]
    status: int | None
    answer: str

    @property
    def kind(self) -> str:
        """The class of the result or of the error."""
        return re.split("[: ]", self.reading[0])[0]

    @property
    def elements(self) -> tuple[str, ...]:
        """The local names of the elements inside the body of the envelope, in order."""
        _, _, inside = self.answer.partition(":Body>")
        return tuple(re.findall(r"<(?:[\w-]+:)?(\w+)[^>]*>", inside))

    @property
    def fault(self) -> str:
        """The text of the Fault, empty if there is none."""
        found = re.search(r"<faultstring>(.*?)</faultstring>", self.answer)
        return found[1] if found else ""


def read_report(text: str) -> Mapping[str, Section]:
    """Return the sections of a report by name."""
    assert text.startswith("# smsc-async doctor report, format 1\n")
    return {name: _section(reading, rest) for name, reading, rest in _SECTION.findall(text)}


def _section(reading: str, rest: str) -> Section:
    answer = _ANSWER.search(rest)
    body = "" if answer is None else "".join(line[4:] for line in answer[2].splitlines())
    return Section(tuple(reading.splitlines()), None if answer is None else int(answer[1]), body)


async def sandbox_report(path: Path, *, environment: Mapping[str, str] = LOGIN) -> str:
    """Return the report about a sandbox."""
    account = Account(login="canary-login", password="canary-password", apikey="canary-apikey")
    transport = HttpxTransport(Sandbox(accounts=[account]).transport())
    await write_report(path, URL, transport=transport, environment=environment)
    return path.read_text(encoding="utf-8")  # noqa: ASYNC240 - a small file


def findings(theirs: Mapping[str, Section], ours: Mapping[str, Section]) -> Iterator[str]:
    """Yield a sentence for each difference of a service from the sandbox, and for each field outside the contract."""
    for name, expected in ours.items():
        found = theirs.get(name)
        if found is None:
            yield f"{name}: missing"
            continue
        if name == "wsdl":
            yield from (f"wsdl: {line}" for line in found.reading[1:])
            continue
        if found.kind == "not":
            continue
        if (found.kind, found.status) != (expected.kind, expected.status):
            said = f"{expected.kind} with {expected.status}"
            yield f"{name}: {found.kind} with HTTP {found.status}, in the sandbox {said}"
        elif (found.elements, found.fault) != (expected.elements, expected.fault):
            yield f"{name}: {found.fault or found.elements}, in the sandbox {expected.fault or expected.elements}"
        yield from (f"{name}: unknown field {field}" for field in _unknown(found))


def _unknown(section: Section) -> list[str]:
    response, *fields = section.elements or ("",)
    known = _FIELDS.get(response)
    return [] if known is None else [field for field in fields if field not in known | _ERROR]
