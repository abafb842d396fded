"""Callbacks, the requests of the service to the URL of an account, in both directions; no I/O.

A callback is a query, a form or a JSON object in one of three forms. Its signature is a digest of the values of some of
its fields and of a secret, joined by colons:

    status of a message    id:phone:status:secret
    incoming message       phone:mes:to:secret
    call                   phone:ts:secret

Nothing else is signed, not even the form. So that no values can be taken for those of another form, only `mes` may hold
a colon, and a `to` must not look like a status.
"""

import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, Literal, TypeAlias
from urllib.parse import quote_plus, unquote_to_bytes

from smsc_async._model import InvalidCallbackSignature

__all__ = ["CHARSETS", "CallbackCharset", "CallbackForm", "encode_callback", "read_callback", "verified_form"]

CallbackCharset: TypeAlias = Literal["windows-1251", "utf-8", "koi8-r"]
CallbackForm: TypeAlias = Literal["status", "mes", "waitcall"]
"""The field by which a form is recognised."""
Digest: TypeAlias = Literal["md5", "sha1", "crc32"]
Fields: TypeAlias = Mapping[str, str | None]
"""The fields of a callback; None for a value that is not readable as text."""

CHARSETS: Final[tuple[CallbackCharset, ...]] = ("windows-1251", "utf-8", "koi8-r")

_SIGNED: Final[Mapping[CallbackForm, tuple[str, ...]]] = {
    "status": ("id", "phone", "status"),
    "mes": ("phone", "mes", "to"),
    "waitcall": ("phone", "ts"),
}
_OWN: Final[Mapping[str, CallbackForm]] = {"status": "status", "mes": "mes", "to": "mes", "waitcall": "waitcall"}
"""The fields that only one form has."""
_DIGESTS: Final[tuple[Digest, ...]] = ("md5", "sha1", "crc32")
_SYNTAX: Final = {
    "id": re.compile("[A-Za-z0-9._-]{1,40}"),
    "phone": re.compile(r"(?!\s)[^:\x00-\x1f]{1,100}(?<!\s)"),
    "status": re.compile("-?[0-9]{1,3}"),
    "mes": re.compile(".*", re.DOTALL),
    "to": re.compile(r"(?!-?[0-9]{1,3}\Z)[^:\x00-\x1f]{0,100}"),
    "ts": re.compile("[1-9][0-9]{0,10}"),
}
_MOST_FIELDS: Final = 100
_JSON: Final = re.compile(r"\s*application/(?:[^;\s]+\+)?json\s*(?:;.*)?", re.DOTALL | re.IGNORECASE)


def encode_callback(
    fields: Mapping[str, str], secret: str, *, charset: CallbackCharset = "windows-1251", digest: Digest = "md5"
) -> bytes:
    """Return a signed callback as a query or a form, as the service makes it."""
    signed = ":".join([*(fields[name] for name in _SIGNED[_form(fields)]), secret])
    signature = _signatures(digest, signed.encode(charset))[0]
    return "&".join(
        f"{quote_plus(name)}={quote_plus(value.encode(charset))}"
        for name, value in {**fields, digest: signature}.items()
    ).encode()


def read_callback(query: bytes, body: bytes, content_type: str, charset: CallbackCharset) -> dict[str, str | None]:
    """Return the fields of a callback; if there is a body, only those of the body.

    Raises:
        InvalidCallbackSignature: They can't be read, or there are too many, or a field is repeated.
    """
    found = _pairs_of_json(body) if body and _JSON.fullmatch(content_type) else _pairs(body or query, charset)
    pairs = list(islice(found, _MOST_FIELDS + 1))
    if len(pairs) > _MOST_FIELDS:
        raise InvalidCallbackSignature(f"the callback has more than {_MOST_FIELDS} fields")
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidCallbackSignature("the callback has a field twice")
    return fields


def verified_form(
    fields: Fields, secrets: Sequence[str], charset: CallbackCharset, *, allow_crc32: bool
) -> CallbackForm:
    """Return the form of a callback, after its signature was verified in constant time.

    Raises:
        InvalidCallbackSignature: It is not signed with one of the secrets, or has no form, or two of them.
    """
    form = _form(fields)
    values = []
    for name in _SIGNED[form]:
        value = fields.get(name)
        if value is None or not _SYNTAX[name].fullmatch(value):
            raise InvalidCallbackSignature(f"the field {name!r} of the callback is missing, or not of the right form")
        values.append(value)
    digests: list[Digest] = [digest for digest in ("md5", "sha1") if digest in fields]
    if not digests and allow_crc32:
        digests = ["crc32"]
    texts = [":".join([*values, secret]) for secret in secrets]
    # Every signature must be right, and all secrets are tried, so that the time does not depend on them.
    right = [_is_right(digest, fields.get(digest), texts, charset) for digest in digests]
    if not right or not all(right):
        raise InvalidCallbackSignature("the callback is not signed with one of the secrets")
    return form


def _form(fields: Mapping[str, object]) -> CallbackForm:
    forms: set[CallbackForm] = {form for name, form in _OWN.items() if name in fields}
    if len(forms) != 1:
        what = "fields of two forms" if forms else "none of the fields status, mes and waitcall"
        raise InvalidCallbackSignature(f"the callback has {what}")
    return forms.pop()


def _pairs(data: bytes, charset: str) -> Iterator[tuple[str, str | None]]:
    """Yield the fields of a query or a form; the escapes stand for bytes of the charset."""
    for pair in data.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            yield unquote_to_bytes(name).decode(charset, "backslashreplace"), _decoded(unquote_to_bytes(value), charset)


def _decoded(value: bytes, charset: str) -> str | None:
    try:
        return value.decode(charset)
    except UnicodeDecodeError:
        return None


def _pairs_of_json(body: bytes) -> Iterator[tuple[str, str | None]]:
    """Yield the fields of a JSON object; numbers as they are written, and null as no field."""
    try:
        found = json.loads(
            body.decode("utf-8-sig"), object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError):
        raise InvalidCallbackSignature("the callback is not JSON in UTF-8") from None
    if not isinstance(found, tuple):
        raise InvalidCallbackSignature("the callback is not a JSON object")
    for name, value in found:
        if value is not None:
            # A half of a surrogate pair is no text, and would fail wherever it is written.
            yield name.encode(errors="backslashreplace").decode(), value if _is_text(value) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _is_right(digest: Digest, given: str | None, texts: list[str], charset: str) -> bool:
    """Return whether one of the texts has this signature."""
    signature = (given or "").lower().encode()
    found = [
        hmac.compare_digest(signature, expected.encode())
        for text in texts
        for data in _encoded(text, charset)
        for expected in _signatures(digest, data)
    ]
    return any(found)


def _encoded(text: str, charset: str) -> Iterator[bytes]:
    """Yield the bytes that may be signed: which ones for a text that is not ASCII is unverified.

    A text that a charset lacks must not be signed as another one, with "?" in it.
    """
    for encoding in dict.fromkeys((charset, "utf-8", "windows-1251")):
        with suppress(UnicodeEncodeError):
            yield text.encode(encoding)


def _signatures(digest: Digest, data: bytes) -> list[str]:
    """Return the ways to write the signature of some bytes; that of a CRC-32 is unverified."""
    if digest == "md5":
        return [hashlib.md5(data, usedforsecurity=False).hexdigest()]
    if digest == "sha1":
        return [hashlib.sha1(data, usedforsecurity=False).hexdigest()]
    checksum = zlib.crc32(data)
    return [str(checksum), f"{checksum:08x}"]
