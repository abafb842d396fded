"""The example of a campaign sends each message once while workers and the service are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_campaign_whose_workers_and_service_are_killed_is_sent_exactly_once() -> None:
    given = {"messages": 300, "workers": 2, "kills": 3, "service-kills": 1, "window": 2.0, "deadline": 2.0}
    command = [sys.executable, str(ROOT / "examples" / "campaign.py")]
    command += [f"--{name}={value}" for name, value in given.items()]
    ran = subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    assert "accepted 300, doubled 0, lost 0, error 9: 0, wrong results 0" in ran.stdout
