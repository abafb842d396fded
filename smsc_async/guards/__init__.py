"""Rate limits of the client: the guards keep every request inside the limits of the service, across processes too."""

from typing import TYPE_CHECKING, Any

from ._demands import Completion, Part, RequestArrival
from ._guards import Guards, Identity
from ._in_force import LimitsInForce
from ._limits import BlockLimit, Limit, LoginLimit, Release, StreakLimit, WindowLimit
from ._memory import MemoryStore
from ._rules import Policy, Rule, Rules
from ._store import PROOF_LASTS, Demand, Refusal, Reservation, RuleSnapshot, RuleState, Snapshot, Store

if TYPE_CHECKING:
    from smsc_async.guards._redis.store import RedisStore as RedisStore

__all__ = [
    "PROOF_LASTS",
    "BlockLimit",
    "Completion",
    "Demand",
    "Guards",
    "Identity",
    "Limit",
    "LimitsInForce",
    "LoginLimit",
    "MemoryStore",
    "Part",
    "Policy",
    "Refusal",
    "Release",
    "RequestArrival",
    "Reservation",
    "Rule",
    "RuleSnapshot",
    "RuleState",
    "Rules",
    "Snapshot",
    "Store",
    "StreakLimit",
    "WindowLimit",
]


def __getattr__(name: str) -> Any:
    """Import `RedisStore` on first access, because it needs an extra package."""
    if name != "RedisStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from smsc_async.guards._redis.store import RedisStore  # noqa: PLC0415 - redis is an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise ModuleNotFoundError(
            "the Redis store needs an extra package: pip install 'smsc-async[redis]'", name="redis"
        ) from None
    return RedisStore
