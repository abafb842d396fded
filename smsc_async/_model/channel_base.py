"""The base of all channels."""

from enum import Enum
from typing import ClassVar

from .frozen import Choice
from .types import Url

__all__ = ["Channel", "TextUse", "given"]


class TextUse(Enum):
    """Whether a channel needs, accepts or refuses a text."""

    REQUIRED = "required"
    OR_FILE = "or file"
    OPTIONAL = "optional"
    REFUSED = "refused"


class Channel(Choice):
    """The base of all channels; use one of its subclasses, `Sms()` is the default.

    Attributes:
        file_url: Where the service fetches a file (at least 101 bytes long) that goes with the message; None for none.
            A text may then be left out, except that of an e-mail. Hlr and Ping send no message, so they refuse it.
    """

    examples: ClassVar[str] = "a channel, such as Sms() or Viber()"
    _text_use: ClassVar[TextUse] = TextUse.OR_FILE
    flag: ClassVar[str] = ""

    file_url: Url | None = None

    def parameters(self) -> dict[str, str]:
        """Return the parameters for `query` that choose the channel, and `fileurl`."""
        return {**({self.flag: "1"} if self.flag else {}), **given(fileurl=self.file_url)}

    def fields(self) -> dict[str, str]:
        """Return the fields of the envelope that the channel sets."""
        return {}

    def check_text(self, text: str | None) -> None:
        """Raise a `ValueError` if the channel can't be used with this text."""
        name = type(self).__name__
        needs_text = self._text_use is TextUse.REQUIRED or (self._text_use is TextUse.OR_FILE and self.file_url is None)
        if needs_text and text is None:
            raise ValueError(f"{name} needs a text: pass text=...")
        if self._text_use is TextUse.REFUSED and text is not None:
            raise ValueError(f"{name} has no text; leave `text` out")


def given(**values: str | None) -> dict[str, str]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
