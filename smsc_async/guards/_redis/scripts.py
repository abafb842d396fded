"""The calls of the Lua scripts and their answers. The scripts describe their protocol."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b, sha1
from importlib.resources import files
from itertools import chain
from typing import Final, NamedTuple

from pydantic import SecretBytes, SecretStr

from smsc_async._model import GuardStoreError
from smsc_async.guards._limits import BlockLimit, Limit, LoginLimit, Release, SpendLimit, StreakLimit
from smsc_async.guards._refusals import until
from smsc_async.guards._store import PAUSE, PROOF_LASTS, Demand, Reservation

from .report import Pause

__all__ = [
    "Epoch",
    "Names",
    "Script",
    "ScriptCall",
    "acquiring",
    "joined",
    "pepper_of",
    "releasing",
    "span_of",
    "trusted",
]

_MICROSECONDS: Final = 1_000_000
_PREFIX: Final = re.compile(r"[\w.:-]+", re.ASCII)
_MILLISECONDS: Final = 1_000
_NO_RELEASE: Final = Release()
# After a loss the messages of this rule are sent one at a time until one is accepted.
_ACCEPTED_ENDS: Final = "bad_sends"
_KINDS: Final[Mapping[type, str]] = {StreakLimit: "streak", LoginLimit: "login", SpendLimit: "spend"}
_BAD_SALT: Final = (
    "salt must be a secret text or bytes, not empty, the same in all processes; leave it out to have none"
)


class Script(NamedTuple):
    """A script, and the hash under which Redis stores it."""

    text: str
    sha: str


class ScriptCall(NamedTuple):
    """A call of a script."""

    script: Script
    keys: list[str]
    arguments: list[str]


class Epoch(NamedTuple):
    """A period without lost histories: its id, and the salt of all clients that share it, in hexadecimal."""

    id: str
    salt: str


def pepper_of(salt: object, environment: Mapping[str, str] = os.environ) -> bytes:
    """Return the part of the hash key that is not in Redis, from the deployment's salt or SMSC_GUARD_SALT.

    Raises:
        ValueError: The salt is empty or not text or bytes.
    """
    if salt is None:
        salt = environment.get("SMSC_GUARD_SALT") or b""
    else:
        salt = salt.get_secret_value() if isinstance(salt, SecretStr | SecretBytes) else salt
        if not isinstance(salt, str | bytes) or not salt:
            raise ValueError(_BAD_SALT)
    return blake2b(salt if isinstance(salt, bytes) else salt.encode(errors="surrogatepass")).digest()


class Names:
    """The names of the keys in Redis, all in one hash slot of a cluster.

    Args:
        prefix: The prefix that distinguishes them from other keys.

    Raises:
        ValueError: The prefix contains characters other than letters, digits, and `_ . : -`.
    """

    def __init__(self, prefix: str) -> None:
        given: object = prefix
        if not isinstance(given, str) or not _PREFIX.fullmatch(given):
            raise ValueError("prefix must consist of letters, digits and _ . : -")
        self.start: Final = f"{{{prefix}}}:"
        self.epoch: Final = f"{self.start}epoch"
        self.reports: Final = f"{self.start}reports"

    def history(self, demand: Demand) -> str:
        """Return the name of a history."""
        return f"{self.start}{demand.rule}:{demand.key.hex()}"

    def proof(self, proof: bytes) -> str:
        """Return the name of a proof."""
        return f"{self.start}proof:{proof.hex()}"

    def turn(self, demand: Demand) -> str:
        """Return the name of the key that holds the next process in turn at a gate."""
        return f"{self.start}turn:{demand.rule}:{demand.key.hex()}"

    def accepted(self, demand: Demand) -> str:
        """Return the name of the key that says whether a message was accepted since a loss."""
        return f"{self.start}accepted:{demand.key.hex()}"

    def token(self, token: str) -> str:
        """Return the name of a reservation."""
        return f"{self.start}token:{token}"


def acquiring(
    names: Names,
    demands: Sequence[Demand],
    token: str,
    *,
    known: Epoch | None,
    fresh: Epoch,
    lease: float,
    report: float,
    look: bool,
    proven: Mapping[bytes, float],
) -> ScriptCall:
    """Return the call that reserves slots.

    Args:
        names: The names of the keys.
        demands: The demands of the request; empty to ask for the epoch only.
        token: The id that makes a repeated call reserve only once.
        known: The epoch that the caller knows.
        fresh: The epoch to begin if there is none.
        lease: Seconds after which the slots are free if they are not released.
        report: Seconds for which requests of the caller from before the last loss may be in flight.
        look: Whether to check the memory policy.
        proven: The proofs that the caller has seen, and the seconds for which they count.
    """
    life = span_of(demands) + lease
    keys = [names.epoch, names.token(token), names.reports, *map(names.history, demands)]
    arguments = [token, "" if known is None else known.id, *fresh, _micro(lease), _micro(report)]
    arguments += [_milli(life), _flag(look)]
    for demand in demands:
        proof = turn = accepted = 0
        shape = ("pause", "1", "0") if demand.rule == PAUSE.rule else _shape(demand.limit)
        if demand.proof is not None:
            keys.append(names.proof(demand.proof))
            proof = len(keys)
        if shape[0] == "gate":
            keys.append(names.turn(demand))
            turn = len(keys)
        if demand.rule == _ACCEPTED_ENDS:
            keys.append(names.accepted(demand))
            accepted = len(keys)
        left = 0.0 if demand.proof is None else proven.get(demand.proof, 0.0)
        arguments += [*shape[:3], str(demand.amount), _flag(demand.forced)]
        arguments += [str(proof), _milli(left), str(turn), str(accepted)]
    return ScriptCall(ACQUIRE, keys, arguments)


def span_of(demands: Sequence[Demand]) -> float:
    """Return the seconds for which a request matters after its end."""
    return max((sum(map(float, _shape(demand.limit)[2:])) / _MICROSECONDS for demand in demands), default=0.0)


def releasing(
    names: Names, reservation: Reservation, releases: Sequence[Release], renewed: set[bytes], void: float = 0.0
) -> ScriptCall:
    """Return the call that releases a reservation; `joined` merges several calls into one.

    Args:
        names: The names of the keys.
        reservation: The slots of the request.
        releases: The release of each of its demands; held slots stay.
        renewed: The proofs that Redis has to renew, if the answer proves them.
        void: Seconds for which a request for these slots is void if it arrives later; 0 if they were granted.
    """
    keys = [names.token(reservation.token)]
    arguments: list[str] = []
    count = 0
    for demand, amount, release in zip(reservation.demands, reservation.amounts, releases, strict=True):
        proof = _proof_of(demand, amount, release, renewed)
        is_spend = isinstance(demand.limit, SpendLimit)
        if (release.hold and not is_spend) or not (amount or proof or release._replace(proof=None) != _NO_RELEASE):
            continue
        count += 1
        keys.append(names.history(demand))
        if demand.proof is not None and proof:
            keys.append(names.proof(demand.proof))
        accepted = release.clear and demand.rule == _ACCEPTED_ENDS
        if accepted:
            keys.append(names.accepted(demand))
        kind, slots, span, first, again = _shape(demand.limit)
        if is_spend:
            first, again = str(-1 if release.cost is None else release.cost), _flag(release.hold)
        arguments += [kind, slots, span, str(amount), str(release.keep), _micro(release.late), _flag(release.clear)]
        arguments += [_flag(release.fill), proof, _milli(PROOF_LASTS), _flag(accepted), first, again]
    head = [reservation.token, _micro(reservation.started), _milli(void), str(count)]
    return ScriptCall(RELEASE, keys, head + arguments)


def _proof_of(demand: Demand, amount: int, release: Release, renewed: set[bytes]) -> str:
    if release.proof is None or demand.proof is None:
        return ""
    if not release.proof:
        return "refuted"
    return "new" if amount else "renewed" if demand.proof in renewed else ""


def joined(calls: Sequence[ScriptCall]) -> ScriptCall:
    """Return one call that releases the reservations of several calls."""
    keys = chain.from_iterable(call.keys for call in calls)
    arguments = chain.from_iterable(call.arguments for call in calls)
    return ScriptCall(RELEASE, list(keys), list(arguments))


def trusted(line: str, demands: Sequence[Demand] = ()) -> str:
    """Return an answer of the script that reserves slots for these demands.

    Raises:
        SendingPaused: The answer says that sending is paused.
        GuardStoreError: The answer says that this Redis can't be trusted, for a while or at all.
    """
    if line == "silent":
        raise GuardStoreError("this Redis forbids INFO, which the guards need to detect lost histories; allow it")
    what, _, value = line.partition(" ")
    if what == "paused":
        raise Pause.parse(value).error()
    if what == "evicting":
        raise GuardStoreError(
            f"this Redis evicts keys when its memory is full (maxmemory-policy {value}); "
            "set maxmemory-policy noeviction or use another Redis for the guards"
        )
    if what == "quarantined":
        number, delay, flying = map(int, value.split())
        raise _quarantined(demands[number - 1], delay / _MICROSECONDS, flying / _MICROSECONDS)
    return line


def _quarantined(demand: Demand, delay: float, flying: float) -> GuardStoreError:
    now, span = datetime.now(UTC), demand.limit.span
    waits = [f"requests from before that, which may be in flight until {until(flying, now)}"] if flying else []
    waits += [f"the {span:g} s that its rule {demand.rule} counts"] if span else []
    sooner = " (sooner once a request with a single message is accepted)" if demand.rule == _ACCEPTED_ENDS else ""
    return GuardStoreError(
        "this Redis was flushed, restarted or replaced, so its histories are incomplete, and the request waits for "
        f"{', then '.join(waits)}{sooner}; nothing was sent, try again at {until(delay, now)}",
        retry_after=delay,
    )


@lru_cache(maxsize=256)
def _shape(limit: Limit) -> tuple[str, str, str, str, str]:
    if isinstance(limit, BlockLimit):
        return "block", "1", _micro(limit.span), _micro(limit.first), _micro(limit.again)
    kind = _KINDS.get(type(limit)) or ("window" if limit.span else "gate")
    return kind, str(limit.count), _micro(limit.span), "0", "0"


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _micro(seconds: float) -> str:
    return str(round(seconds * _MICROSECONDS))


def _milli(seconds: float) -> str:
    return str(round(seconds * _MILLISECONDS))


def _script(name: str) -> Script:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE: Final = _script("acquire.lua")
RELEASE: Final = _script("release.lua")
