"""The registry of a watch removes ended messages, and every open message expires."""

import math

from hypothesis import given
from hypothesis import strategies as st

from smsc_async import MessageRef, Update
from smsc_async._watching.registry import Expiries, Registry


def ref(number: int) -> MessageRef:
    return MessageRef("+79991234567", number + 1)


def enter(registry: Registry, number: int, since: float = 0.0) -> int:
    key = registry.add(ref(number), since, None)
    assert key is not None
    return key


def end(registry: Registry, key: int) -> None:
    update = Update(registry.ref(key), expired=True, is_last=True)
    assert registry.hand_over(key, update)
    assert not registry.hand_over(key, update)
    registry.take(key, update)


def test_a_key_is_reused_only_when_nothing_holds_it() -> None:
    registry = Registry()
    first, second = enter(registry, 0), enter(registry, 1)
    registry.hold(first)
    end(registry, first)
    end(registry, second)
    assert len(registry) == 0
    assert enter(registry, 2) == second
    registry.release(first)
    assert enter(registry, 3, 5.0) == first
    assert (registry.ref(first), registry.since(first), registry.entered) == (ref(3), 5.0, 4)


def test_an_ended_message_may_be_added_again() -> None:
    registry = Registry()
    key = enter(registry, 0)
    assert registry.add(ref(0), 0.0, None) is None
    end(registry, key)
    assert registry.keys(ref(0)) == []
    assert registry.add(ref(0), 0.0, None) is not None


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60))
def test_each_open_message_expires_at_its_time(messages: list[tuple[float, bool]]) -> None:
    registry = Registry()
    expiries = Expiries(registry, 10.0)
    for number, (since, ends) in enumerate(messages):
        key = enter(registry, number, since)
        expiries.add(key)
        if ends:
            end(registry, key)
    due = []
    while (at := expiries.next_at()) < math.inf:
        assert expiries.pop(at - 1e-9) is None or at > 1e6
        key_or_none = expiries.pop(at)
        if key_or_none is not None:
            due.append(registry.since(key_or_none))
    assert due == sorted(since for since, ends in messages if not ends)
    assert len(expiries) == 0


def test_expiries_of_ended_messages_do_not_accumulate() -> None:
    registry = Registry()
    expiries = Expiries(registry, 10.0)
    for number in range(1000):
        key = enter(registry, number, since=1000.0 - number if number % 2 else 1000.0)
        expiries.add(key)
        end(registry, key)
        assert len(expiries) < 100
    assert len(registry._names) < 100


def test_an_infinite_timeout_never_expires() -> None:
    registry = Registry()
    expiries = Expiries(registry, None)
    expiries.add(enter(registry, 0))
    assert (len(expiries), expiries.next_at(), expiries.pop(1e12)) == (0, math.inf, None)
