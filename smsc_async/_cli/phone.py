"""The command `phone`: read phones as people write them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from smsc_async._model import Phone

from . import output
from .arguments import AsJson, RegionOption, check_region
from .process import USAGE, attempt, fail
from .terminal import read_text

__all__ = ["phone"]


@dataclass(frozen=True, slots=True)
class _PhoneText:
    """A text as a phone.

    Attributes:
        text: The text.
        phone: The phone in international form, None if it is none.
        error: Why it is none, None if it is one.
    """

    text: str
    phone: str | None = None
    error: str | None = None


def phone(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Phones; - for stdin, one in each line.")],
    *,
    region: RegionOption = None,
    as_json: AsJson = False,
) -> None:
    """Show phones in international form; works offline. Exit code 2 if one of them is not valid."""
    attempt(lambda: check_region(region))
    lines = attempt(lambda: [line for text in texts for line in read_text(text).splitlines() or [""]])
    found = [_read(line, region) for line in lines if line.strip() or len(lines) == 1]
    output.emit(
        {"phones": [{"text": each.text, "phone": each.phone, "error": each.error} for each in found]},
        [each.phone for each in found if each.phone is not None],
        as_json=as_json,
    )
    faults = list(_faults(found))
    if faults:
        fail(USAGE, *faults)


def _read(text: str, region: str | None) -> _PhoneText:
    try:
        return _PhoneText(text, phone=str(Phone.parse(text, region)))
    except ModuleNotFoundError as error:
        fail(USAGE, str(error))
    except ValueError as error:
        return _PhoneText(text, error=str(error))


def _faults(found: list[_PhoneText]) -> Iterator[str]:
    for number, each in enumerate(found, 1):
        if each.error is not None:
            yield f"phone {number}: {each.error}"
