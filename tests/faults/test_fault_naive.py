"""The cases of the fault matrix can fail: they catch clients that send again after a lost answer."""

from functools import partial

import httpx
import pytest

from tests.faults.fault_cases import cases
from tests.faults.fault_naive import SendAgain, ZeepAgain, try_naively

pytestmark = pytest.mark.filterwarnings(
    # httpx leaves the body of a request half-read when writing fails, and trio warns about it.
    "ignore:Async generator 'httpx:ResourceWarning"
)


@pytest.mark.parametrize("kind", [SendAgain, ZeepAgain])
def test_client_that_sends_again_is_caught_doubling_messages_and_reporting_wrong_results(
    kind: type[SendAgain | ZeepAgain],
) -> None:
    def make(pause: float, http: httpx.AsyncClient) -> SendAgain | ZeepAgain:
        return kind(http, pause)

    some = list(cases("send", step=61))
    after_the_minute = try_naively(partial(make, 180.0), some)
    assert after_the_minute.doubled > len(some) / 4
    # The service refuses the same message within a minute, so the client reports an accepted message as failed.
    at_once = try_naively(partial(make, 1.0), some)
    assert not at_once.doubled
    assert len(at_once.wrong) > len(some) / 4
