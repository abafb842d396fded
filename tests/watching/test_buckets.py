"""Buckets return the longest waiting message first and skip entries of messages that left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async._watching.buckets import Bucket, MessageTable, Position


def waiting(bucket: Bucket, key: int, since: float) -> None:
    bucket._table.add(key, since)
    bucket.put(key)


@given(st.lists(st.floats(-100, 100), max_size=40))
def test_the_longest_waiting_message_is_taken_first(times: list[float]) -> None:
    bucket = Bucket(3, MessageTable())
    for key, since in enumerate(times):
        waiting(bucket, key, since)
    left = []
    while bucket.size:
        first = bucket.first()
        left.append(times[bucket.take()])
        assert left[-1] == first
    assert left == sorted(times)


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_entries_of_messages_that_left_are_skipped(step: float) -> None:
    table = MessageTable()
    bucket = Bucket(3, table)
    for key in range(5):
        waiting(bucket, key, key * step)
    for key in (1, 2, 4):
        table.position[key] = Position.NOWHERE
        bucket.size -= 1
    assert {bucket.take(), bucket.take()} == {0, 3}
    assert bucket.size == 0


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_a_bucket_does_not_accumulate_entries_of_messages_that_left(step: float) -> None:
    table = MessageTable()
    bucket = Bucket(3, table)
    waiting(bucket, 0, 1e6)
    for number in range(10_000):
        waiting(bucket, 1 + number, number * step)
        table.position[1 + number] = Position.NOWHERE
        bucket.size -= 1
        assert len(bucket._heap) < 200
    assert bucket.first() == 1e6
    assert bucket.take() == 0
