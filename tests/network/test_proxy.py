"""The environment's proxies, and which URLs need none."""

import pytest

from smsc_async._network.proxy import environment_proxy, is_loopback

URL = "https://sms.test/sys/soap.php"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"ALL_PROXY": "http://all:1", "HTTP_PROXY": "http://proxy:3128"}, "http://all:1"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.test, .test"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.test"}, "http://proxy:3128"),
    ],
)
def test_environment_names_the_proxy(
    environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(URL) == proxy


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_needs_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert is_loopback(host.strip("[]"))
    assert environment_proxy(f"https://{host}:8000/") is None


@pytest.mark.parametrize("host", ["sms.test", "10.0.0.1", "localhost.test"])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)
