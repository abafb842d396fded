"""Checks of the arguments of guards."""

from smsc_async._clock import is_clock
from smsc_async._model import wrong

from ._memory import MemoryStore
from ._rules import Rules

__all__ = ["check_objects"]


def check_objects(store: object, rules: object, clock: object) -> None:
    """Raise a `ValueError` for an argument of `Guards` that is another kind of object."""
    if isinstance(store, type) or not (store is None or hasattr(store, "acquire")):
        raise wrong("store", "an object such as MemoryStore() or RedisStore.from_url(...)", store)
    if not isinstance(rules, Rules):
        raise wrong("rules", "a Rules object", rules)
    if clock is not None and not is_clock(clock):
        raise wrong("clock", "an object with the methods of Clock, or None for real time", clock)
    if clock is not None and not (store is None or isinstance(store, MemoryStore)):
        raise ValueError("the store counts in real time; with a clock pass no store, or MemoryStore(clock.now)")
