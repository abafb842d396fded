"""A one-time code does not wait for the campaign of another process."""

import pytest

from benchmarks.campaign_codes import KINDS, measured


@pytest.mark.slow
@pytest.mark.usefixtures("server")
async def test_a_one_time_code_beside_a_campaign_takes_at_most_two_request_times_more_than_alone() -> None:
    found = await measured(20, 0.25)
    alone = found["alone"]
    for kind in KINDS:
        beside = found[kind]
        assert beside.longest <= alone.longest + 2
        assert beside.accepted > 500
        assert (beside.doubled, beside.error_9) == (0, 0)
