"""The environment of the tests of the client."""

import pytest


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD", "SMSC_URL"):
        monkeypatch.delenv(name, raising=False)
