"""The recipients that the service refused, in the answer to a send."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field, JsonValue, ValidationError

from .details import Detail, read_code
from .result_base import Result
from .shown import TableRow, shown_phone
from .types import is_phone, recipient_key

__all__ = ["RecipientError", "Refusals", "read_refusals"]


class RecipientError(Result):
    """A recipient that the service refused.

    Attributes:
        phone: The recipient, as the service spells it.
        code: The service's error number for it, as in `ApiError.code`; None if the service gives none.
    """

    phone: Annotated[str, Field(validation_alias="phone")]
    code: Annotated[int | None, Field(validation_alias="status"), Detail(read_code)] = None

    def to_rows(self) -> list[TableRow]:
        """Return one row with the recipient and the error number."""
        return [{"phone": self.phone, "code": self.code}]

    def _sentence(self) -> str:
        why = "" if self.code is None else f" with error {self.code}"
        return f"The service refused {shown_phone(self.phone)}{why}."


def read_refusals(value: JsonValue) -> tuple[list[RecipientError], list[JsonValue]]:
    """Read the `errors` of an answer, one element or several; return those without a phone apart."""
    errors: list[RecipientError] = []
    rest: list[JsonValue] = []
    for entry in value if isinstance(value, list) else [value] if value else []:
        if not isinstance(entry, dict):
            rest.append(entry)
            continue
        try:
            errors.append(RecipientError.parse(entry))
        except ValidationError:
            # The message was accepted: one unexpected detail of the answer must not look like a failed send.
            rest.append(entry)
    return errors, rest


# Long enough to identify one subscriber, short enough to leave out a country code that the service may have added.
_TAIL: Final = 9


class Refusals:
    """The refused recipients of one answer, found even if the service spells them differently.

    Args:
        errors: The refused recipients.
        recipients: All recipients of the request.
    """

    def __init__(self, errors: Iterable[RecipientError], recipients: Iterable[str]) -> None:
        given = {recipient_key(error.phone): error for error in errors}
        keys = [recipient_key(recipient) for recipient in recipients] if given else []
        self._by_key = {key: given.pop(key) for key in keys if key in given}
        # Phones only: e-mail addresses of one domain share their ending. Two phones with the same ending are ambiguous.
        tails = Counter(key[-_TAIL:] for key in keys if is_phone(key) and key not in self._by_key)
        self._by_tail = {key[-_TAIL:]: error for key, error in given.items() if tails[key[-_TAIL:]] == 1}

    def find(self, recipient: str) -> RecipientError | None:
        """Return the refusal of this recipient, None if there is none."""
        if not self._by_key and not self._by_tail:
            return None
        key = recipient_key(recipient)
        return self._by_key.get(key) or (self._by_tail.get(key[-_TAIL:]) if is_phone(key) else None)
