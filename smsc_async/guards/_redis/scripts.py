"""What the scripts in Redis are asked and what they answer; pure. The scripts tell the rest."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from itertools import chain
from typing import Final, NamedTuple

from smsc_async._model import GuardStoreError
from smsc_async.guards._limits import BlockLimit, Limit, Release, StreakLimit
from smsc_async.guards._store import Demand, Reservation

__all__ = ["Epoch", "Names", "Script", "ScriptCall", "acquiring", "joined", "releasing", "span_of", "trusted"]

_MICROSECONDS: Final = 1_000_000
_MILLISECONDS: Final = 1_000
_NO_RELEASE: Final = Release()


class Script(NamedTuple):
    """A script, and the name under which Redis keeps it."""

    text: str
    sha: str


class ScriptCall(NamedTuple):
    """A call of a script."""

    script: Script
    keys: list[str]
    arguments: list[str]


class Epoch(NamedTuple):
    """The time in which no history was lost: its id, and the salt of all who share it, in hexadecimal."""

    id: str
    salt: str


class Names:
    """The names of the keys in Redis, in one slot of a cluster.

    Args:
        prefix: What tells them from the keys of others.
    """

    def __init__(self, prefix: str) -> None:
        self.start: Final = f"{{{prefix}}}:"
        self.epoch: Final = f"{self.start}epoch"

    def history(self, demand: Demand) -> str:
        """Return the name of a history."""
        return f"{self.start}{demand.rule}:{demand.key.hex()}"

    def proof(self, proof: bytes) -> str:
        """Return the name of a proof."""
        return f"{self.start}proof:{proof.hex()}"

    def turn(self, demand: Demand) -> str:
        """Return the name of the note who is next at a gate."""
        return f"{self.start}turn:{demand.rule}:{demand.key.hex()}"

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
    longest: float,
    look: bool,
    proven: set[bytes],
) -> ScriptCall:
    """Return the call that takes places.

    Args:
        names: The names of the keys.
        demands: What is asked for; nothing, to hear of the epoch only.
        token: What makes the call the same when it is repeated.
        known: The epoch of the histories as far as the caller knows.
        fresh: The one to begin if there is none.
        lease: Seconds after which the places are free if nobody settles.
        longest: The longest lease of anybody, in seconds.
        look: Whether to look at the memory policy.
        proven: The proofs that the caller has seen.
    """
    life = span_of(demands) + lease
    keys = [names.epoch, names.token(token), *map(names.history, demands)]
    arguments = [token, "" if known is None else known.id, *fresh, _micro(lease), _micro(longest)]
    arguments += [str(round(life * _MILLISECONDS)), _flag(look)]
    for demand in demands:
        proof = turn = 0
        shape = _shape(demand.limit)
        if demand.proof is not None:
            keys.append(names.proof(demand.proof))
            proof = len(keys)
        if shape[0] == "gate":
            keys.append(names.turn(demand))
            turn = len(keys)
        arguments += shape[:3]
        arguments += [str(demand.amount), _flag(demand.forced), str(proof), _flag(demand.proof in proven), str(turn)]
    return ScriptCall(ACQUIRE, keys, arguments)


def span_of(demands: Sequence[Demand]) -> float:
    """Return for how many seconds after the end of a request something of it matters."""
    return max((sum(map(float, _shape(demand.limit)[2:])) / _MICROSECONDS for demand in demands), default=0.0)


def releasing(names: Names, reservation: Reservation, releases: Sequence[Release], void: float = 0.0) -> ScriptCall:
    """Return the call that settles a request; several make one when they are joined.

    Args:
        names: The names of the keys.
        reservation: The places of the request.
        releases: The mark of each of its demands.
        void: For so many seconds a request for these places, if it comes yet, is void; 0 if they were granted.
    """
    keys = [names.token(reservation.token)]
    arguments: list[str] = []
    count = 0
    for demand, amount, release in zip(reservation.demands, reservation.amounts, releases, strict=True):
        # Refuted always, proven only where it wasn't yet: that is once a day.
        proof = None if release.proof and not amount else release.proof
        if not amount and proof is None and release._replace(proof=None) == _NO_RELEASE:
            continue
        count += 1
        keys.append(names.history(demand))
        kind, slots, span, first, again = _shape(demand.limit)
        arguments += [kind, slots, span, str(amount), str(release.keep), _micro(release.late), _flag(release.clear)]
        if demand.proof is None or proof is None:
            arguments += [_flag(release.fill), "", first, again]
        else:
            arguments += [_flag(release.fill), _flag(proof), first, again]
            keys.append(names.proof(demand.proof))
    head = [reservation.token, _micro(reservation.started), str(round(void * _MILLISECONDS)), str(count)]
    return ScriptCall(RELEASE, keys, head + arguments)


def joined(calls: Sequence[ScriptCall]) -> ScriptCall:
    """Return one call that settles what several settle."""
    keys = chain.from_iterable(call.keys for call in calls)
    arguments = chain.from_iterable(call.arguments for call in calls)
    return ScriptCall(RELEASE, list(keys), list(arguments))


def trusted(line: str) -> str:
    """Return an answer of the script that takes places.

    Raises:
        GuardStoreError: It says that this Redis can't be trusted, for a while or at all.
    """
    if line == "silent":
        raise GuardStoreError("this Redis forbids INFO, which tells whether histories were lost; allow it")
    what, _, value = line.partition(" ")
    if what == "evicting":
        raise GuardStoreError(
            f"this Redis forgets keys when its memory is full (maxmemory-policy {value}); "
            "set maxmemory-policy noeviction, or take another Redis for the guards"
        )
    if what == "quarantined":
        delay = int(value) / _MICROSECONDS
        raise GuardStoreError(
            "this Redis was flushed, restarted or replaced, so its histories are incomplete; "
            f"nothing is sent for {delay:.0f} s",
            retry_after=delay,
        )
    return line


@lru_cache(maxsize=256)
def _shape(limit: Limit) -> tuple[str, str, str, str, str]:
    if isinstance(limit, BlockLimit):
        return "block", "1", _micro(limit.span), _micro(limit.first), _micro(limit.again)
    kind = "streak" if isinstance(limit, StreakLimit) else "window" if limit.span else "gate"
    return kind, str(limit.count), _micro(limit.span), "0", "0"


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _micro(seconds: float) -> str:
    return str(round(seconds * _MICROSECONDS))


def _script(name: str) -> Script:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE: Final = _script("acquire.lua")
RELEASE: Final = _script("release.lua")
