"""The client's brakes: they keep every request inside the limits of the service, in one process or in many."""

from ._guards import Guards, Identity, RuleSnapshot, Snapshot
from ._memory import MemoryStore
from ._rules import Policy, Rule, Rules
from ._store import Store

__all__ = ["Guards", "Identity", "MemoryStore", "Policy", "Rule", "RuleSnapshot", "Rules", "Snapshot", "Store"]
