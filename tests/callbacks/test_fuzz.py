"""Callbacks that are changed at random: none says what was not signed, and nothing but one exception is raised."""

import json
import random
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from smsc_async.callbacks import Callbacks, CallConfirmed, IncomingMessage, InvalidCallbackSignature, StatusPush
from tests.callbacks.samples import FORMS, SECRET, signed

Pairs = list[bytes]

CALLBACKS: Final = Callbacks(secrets=[SECRET, "another"])
NAMES: Final = (b"status", b"mes", b"to", b"waitcall", b"id", b"md5", b"sha1", b"crc32")
ENDS: Final = (b";", b"\0", b"%00", b"%0A", b"%E2%80%8B", b"%ff")


def _repeat(chance: random.Random, pairs: Pairs, at: int) -> None:
    pairs.insert(at, chance.choice(pairs))


def _remove(_chance: random.Random, pairs: Pairs, at: int) -> None:
    if len(pairs) > 1:
        del pairs[at]


def _shuffle(chance: random.Random, pairs: Pairs, _at: int) -> None:
    chance.shuffle(pairs)


def _escape(_chance: random.Random, pairs: Pairs, at: int) -> None:
    plain = unquote_to_bytes(pairs[at].replace(b"+", b" "))
    pairs[at] = b"".join(b"%%%02X" % byte for byte in plain).replace(b"%3D", b"=", 1)


def _overwrite(chance: random.Random, pairs: Pairs, at: int) -> None:
    place = chance.randrange(len(pairs[at]) + 1)
    pairs[at] = pairs[at][:place] + chance.randbytes(1) + pairs[at][place + 1 :]


def _exchange(chance: random.Random, pairs: Pairs, at: int) -> None:
    name, _, value = pairs[at].partition(b"=")
    others = [each.partition(b"=")[2] for each in pairs]
    pairs[at] = name + b"=" + chance.choice([*others, b"", b"0", b":", value * 2, value[::-1]])


def _add(chance: random.Random, pairs: Pairs, _at: int) -> None:
    pairs.append(chance.choice(NAMES) + b"=" + chance.choice(pairs).partition(b"=")[2])


def _break_escapes(chance: random.Random, pairs: Pairs, at: int) -> None:
    pairs[at] = pairs[at].replace(b"%", chance.choice([b"%25", b"%%", b"+", b""]))


def _append(chance: random.Random, pairs: Pairs, at: int) -> None:
    pairs[at] += chance.choice(ENDS)


CHANGES: Final[tuple[Callable[[random.Random, Pairs, int], None], ...]] = (
    _repeat,
    _remove,
    _shuffle,
    _escape,
    _overwrite,
    _exchange,
    _add,
    _break_escapes,
    _append,
)


def _changed(chance: random.Random, query: bytes) -> tuple[bytes, bytes, str]:
    """Return query, body and content type of a request that a callback was made into."""
    pairs = query.split(b"&")
    for _ in range(chance.randrange(1, 4)):
        chance.choice(CHANGES)(chance, pairs, chance.randrange(len(pairs)))
    data = b"&".join(pairs)
    fields = dict(parse_qsl(data.decode("latin-1"), keep_blank_values=True, encoding="cp1251", errors="replace"))
    return chance.choice(
        [
            (data, b"", ""),
            (b"", data, "application/x-www-form-urlencoded"),
            (query, data, chance.choice(["", "application/json", "text/plain"])),
            (query, json.dumps(fields).encode(), "application/json"),
        ]
    )


def _proved(push: StatusPush | IncomingMessage | CallConfirmed) -> tuple[object, ...]:
    """Return what is signed of a callback."""
    if isinstance(push, StatusPush):
        return StatusPush, push.ref, push.status
    if isinstance(push, IncomingMessage):
        return IncomingMessage, push.phone, push.text, push.to
    return CallConfirmed, push.phone, push.at


def test_of_10_000_fuzzed_callbacks_none_says_what_was_not_signed() -> None:
    chance = random.Random(20231114)  # noqa: S311 - repeatable on purpose
    genuine = [signed(fields) for fields in FORMS.values()]
    proved = [_proved(CALLBACKS.unwrap(query)) for query in genuine]
    accepted = 0
    for number in range(10_000):
        request = _changed(chance, genuine[number % 3])
        try:
            push = CALLBACKS.unwrap(*request)
        except InvalidCallbackSignature:
            continue
        accepted += 1
        assert _proved(push) == proved[number % 3], request
    assert 500 < accepted < 9_000


def test_random_bytes_are_refused() -> None:
    chance = random.Random(7)  # noqa: S311 - as above
    for _ in range(2_000):
        data = chance.randbytes(chance.randrange(300))
        for request in ((data,), (b"", data), (b"", data, "application/json")):
            try:
                CALLBACKS.unwrap(*request)
            except InvalidCallbackSignature:
                continue
            raise AssertionError(request)
