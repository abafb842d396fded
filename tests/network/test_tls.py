"""The trusted certificates: by default those of certifi, else those of the environment or the caller."""

import ssl
from pathlib import Path

import pytest

from smsc_async._network.tls import tls_context

CERTIFICATE = Path(__file__).parent / "localhost.pem"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    tls_context.cache_clear()


def test_one_context_serves_all_that_verify_alike() -> None:
    context = tls_context(True)
    assert tls_context(True) is context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) > 50


def test_callers_own_context_is_used() -> None:
    mine = ssl.create_default_context()
    assert tls_context(mine) is mine


def test_nothing_is_verified_on_demand_only() -> None:
    context = tls_context(False)
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


@pytest.mark.parametrize(("name", "value", "count"), [("FILE", CERTIFICATE, 1), ("DIR", CERTIFICATE.parent, 0)])
def test_environment_names_the_certificates(
    name: str, value: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SSL_CERT_{name}", str(value))
    assert len(tls_context(True).get_ca_certs()) == count
    tls_context.cache_clear()
