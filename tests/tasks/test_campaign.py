"""The example of a campaign sends each message once while workers, the service and Redis are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(**given: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "campaign.py")]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    return subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, text=True, timeout=900, check=False
    )


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_campaign_whose_workers_and_service_are_killed_is_sent_exactly_once() -> None:
    ran = run(messages=300, workers=2, kills=3, service_kills=1, window=2.0, deadline=2.0)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    assert "accepted 300, doubled 0, lost 0, error 9: 0, wrong results 0" in ran.stdout


@pytest.mark.slow
@pytest.mark.timeout(1000)  # lists without a single message may wait for ten minutes
@pytest.mark.usefixtures("server")
def test_a_campaign_of_lists_goes_on_after_a_restart_of_redis_and_says_what_it_waits_for() -> None:
    ran = run(messages=300, workers=2, kills=1, restarts=1, window=1.0, deadline=2.0, singles=0.0)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    assert "accepted 300, doubled 0, lost 0, error 9: 0, wrong results 0" in ran.stdout
    assert "single messages are sent in" in ran.stderr
