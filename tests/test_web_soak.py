"""The soak of the benchmarks, shortened: clients that go away, two workers, lost answers."""

import pytest

from benchmarks.web_soak import measure

pytestmark = pytest.mark.slow


async def test_nothing_is_lost_doubled_or_left_behind_by_clients_that_go_away() -> None:
    soak = await measure(6, rounds=2, seed=1, patient_after=2)
    assert (soak.doubled, soak.lost, soak.error_9) == (0, 0, 0)
    assert soak.growth == []
    assert len(soak.sent) > 20
    assert soak.left > 5
