"""Callbacks: what the service reports to the URL of your account, verified and as values; no I/O.

The account's settings have one URL, to which the service sends each change of a status, each incoming message and each
confirmation call, and the secret with which it signs them.
"""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import SecretStr

from ._frames import without_arguments
from ._model import (
    CallConfirmed,
    HlrDetails,
    IncomingMessage,
    InvalidCallbackSignature,
    MessageType,
    StatusPush,
    checked_secret,
    wrong,
)
from ._protocol import CHARSETS, CallbackCharset, read_callback, verified_form

__all__ = [
    "CallConfirmed",
    "Callbacks",
    "HlrDetails",
    "IncomingMessage",
    "InvalidCallbackSignature",
    "MessageType",
    "StatusPush",
]


class Callbacks:
    """Verifies and reads the callbacks of an account, in any web framework.

        callbacks = Callbacks(secrets=[secret])
        push = callbacks.unwrap(query=request.query_string, body=request.body, content_type=request.content_type)

    Only the fields that the documentation of a value calls signed are proved, and not that it is new: the service
    repeats callbacks, and so may anybody who has recorded one. Handle each as if it might have been handled before.

    Args:
        secrets: The secrets of the account's settings that are accepted: during a change the new one and the old one.
        charset: The charset of the callbacks, which the service takes from `?charset=utf-8` in your URL.
        allow_crc32: Whether a CRC-32 is accepted as a signature. Anyone who sees one such callback can forge others, so
            choose MD5 or SHA-1 in the settings instead.

    Raises:
        ValueError: An argument is wrong.
    """

    max_bytes: ClassVar[int] = 65_536
    """The largest query and the largest body that are read."""

    @without_arguments
    def __init__(
        self,
        secrets: Iterable[str | SecretStr],
        *,
        charset: CallbackCharset = "windows-1251",
        allow_crc32: bool = False,
    ) -> None:
        given: object = secrets
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise wrong("secrets", "a list of strings, such as [new, old]", given)
        self._secrets = [checked_secret(f"secrets[{number}]", each) for number, each in enumerate(given)]
        if not self._secrets:
            raise ValueError("secrets must not be empty; pass the secret of the account's settings")
        if charset not in CHARSETS:
            raise wrong("charset", "'windows-1251', 'utf-8' or 'koi8-r'", charset)
        values = self._values()
        # A colon joins the signed values, so the end of one secret would belong to a value of the other.
        if any(one.endswith(f":{other}") for one in values for other in values):
            raise ValueError("no secret must end with a colon and another secret; choose another one")
        self._charset: CallbackCharset = charset
        if not isinstance(allow_crc32, bool):
            raise wrong("allow_crc32", "True or False", allow_crc32)
        self._allow_crc32 = allow_crc32

    @without_arguments
    def unwrap(
        self, query: bytes = b"", body: bytes = b"", content_type: str = ""
    ) -> StatusPush | IncomingMessage | CallConfirmed:
        """Return what a callback reports, after its signature was verified.

        Args:
            query: The query of the request as received, without "?".
            body: The body of the request. If there is one, the query doesn't count.
            content_type: The header of this name; a body is read as JSON if it says so, else as a form.

        Raises:
            InvalidCallbackSignature: It is not a callback that is signed with one of the secrets. Answer 403.
            ValueError: An argument is not of its type.
        """
        for name, value in (("query", query), ("body", body)):
            if not isinstance(value, bytes):
                raise wrong(name, "bytes", value)
            if len(value) > self.max_bytes:
                raise InvalidCallbackSignature(f"the {name} has more than {self.max_bytes:,} bytes")
        if not isinstance(content_type, str):
            raise wrong("content_type", "a string", content_type)
        fields = read_callback(query, body, content_type, self._charset)
        form = verified_form(fields, self._values(), self._charset, allow_crc32=self._allow_crc32)
        wire = {
            name: value for name, value in fields.items() if value is not None and name not in {"md5", "sha1", "crc32"}
        }
        if form == "mes":
            return IncomingMessage.from_wire(wire)
        if form == "waitcall":
            return CallConfirmed.parse(wire)
        try:
            return StatusPush.from_wire(wire)
        except ValueError as error:
            raise InvalidCallbackSignature(f"the callback is not about a message: {error}") from None

    def _values(self) -> list[str]:
        return [secret.get_secret_value() for secret in self._secrets]
