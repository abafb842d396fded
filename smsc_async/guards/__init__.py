"""Client-side rate limits: the guards keep all requests within the limits of the service, also across processes."""

from typing import TYPE_CHECKING, Any

from ._demands import Completion, Part, RequestArrival
from ._guards import Guards
from ._identity import Identity
from ._in_force import LimitsInForce
from ._limits import BlockLimit, Limit, LoginLimit, Release, SpendLimit, StreakLimit, WindowLimit
from ._memory import MemoryStore
from ._redis.report import GuardReport, Pause, Reset, RuleReport
from ._rules import Policy, Rule, Rules, Spend
from ._spend import Slice
from ._store import PROOF_LASTS, Demand, Refusal, Reservation, RuleSnapshot, RuleState, Snapshot, Store

if TYPE_CHECKING:
    from smsc_async.guards._redis.admin import RedisAdmin as RedisAdmin
    from smsc_async.guards._redis.store import RedisStore as RedisStore

__all__ = [
    "PROOF_LASTS",
    "BlockLimit",
    "Completion",
    "Demand",
    "GuardReport",
    "Guards",
    "Identity",
    "Limit",
    "LimitsInForce",
    "LoginLimit",
    "MemoryStore",
    "Part",
    "Pause",
    "Policy",
    "Refusal",
    "Release",
    "RequestArrival",
    "Reservation",
    "Reset",
    "Rule",
    "RuleReport",
    "RuleSnapshot",
    "RuleState",
    "Rules",
    "Slice",
    "Snapshot",
    "Spend",
    "SpendLimit",
    "Store",
    "StreakLimit",
    "WindowLimit",
]


def __getattr__(name: str) -> Any:
    """Import `RedisStore` and `RedisAdmin` on first access, because they need an extra package."""
    if name not in {"RedisAdmin", "RedisStore"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from smsc_async.guards._redis.admin import RedisAdmin  # noqa: PLC0415 - redis is an extra
        from smsc_async.guards._redis.store import RedisStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise ModuleNotFoundError(
            "the Redis store needs an extra package: pip install 'smsc-async[redis]'", name="redis"
        ) from None
    return RedisAdmin if name == "RedisAdmin" else RedisStore
