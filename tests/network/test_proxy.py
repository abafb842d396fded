"""The environment's proxies, and which URLs need none."""

import pytest

from smsc_async import ConnectError
from smsc_async._network import proxy as proxy_module
from smsc_async._network.proxy import ProxyURL, ascii_host, environment_proxy, is_loopback, read_proxy

ALL = frozenset({"http", "https", "socks5"})
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
    assert environment_proxy(URL, ALL) == (None if proxy is None else ProxyURL(proxy))


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("sms.test", "https://sms.test/"),
        ("SMS.Test", "https://sms.test/"),
        ("sms.test.", "https://sms.test/"),
        ("sms.test", "https://sms.test./"),
        (".test.", "https://sms.test./"),
        ("test", "https://sms.test/"),
        ("*.test", "https://sms.test/"),
        ("*", "https://10.0.0.1/"),
        ("a.test,,*", "https://sms.test/"),
        ("a.test sms.test", "https://sms.test/"),
        ("a.test ,\tsms.test ", "https://sms.test/"),
        ("sms.test:443", "https://sms.test/"),
        ("sms.test:80", "http://sms.test/"),
        (".test:8443", "https://sms.test:8443/"),
        ("https://sms.test/", "https://sms.test/"),
        ("прокси.рф", "https://xn--h1adldfi.xn--p1ai/"),
        ("10.0.0.1", "https://10.0.0.1/"),
        ("10.0.0.1:443", "https://10.0.0.1/"),
        ("10.0.0.0/8", "https://10.1.2.3/"),
        ("10.1.2.3/8", "https://10.9.9.9/"),
        ("10.0.0.0/8:8443", "https://10.1.2.3:8443/"),
        ("2001:db8::1", "https://[2001:db8::1]/"),
        ("[2001:db8::1]", "https://[2001:DB8:0::1]/"),
        ("[2001:db8::1]:443", "https://[2001:db8::1]/"),
        ("2001:db8::/32", "https://[2001:db8::5]/"),
        ("[2001:db8::]/32", "https://[2001:db8::5]:8443/"),
        ("[2001:db8::]/32:8443", "https://[2001:db8::5]:8443/"),
    ],
)
def test_a_host_that_no_proxy_names_is_reached_directly(
    variable: str, entry: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv(variable, entry)
    assert environment_proxy(url, ALL) is None


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("", "https://sms.test/"),
        (" , ", "https://sms.test/"),
        (".", "https://sms.test/"),
        ("*.", "https://sms.test/"),
        ("ms.test", "https://sms.test/"),
        ("a.sms.test", "https://sms.test/"),
        ("sms.test:80", "https://sms.test/"),
        ("sms.test:x", "https://sms.test/"),
        ("sms.*", "https://sms.test/"),
        ("0.0.1", "https://10.0.0.1/"),
        ("10.0.0.0/16", "https://10.1.2.3/"),
        ("10.0.0.0/40", "https://10.0.0.1/"),
        ("10.0.0.1:80", "https://10.0.0.1/"),
        ("[2001:db8::1]:80", "https://[2001:db8::1]/"),
        ("[2001:db8::1", "https://[2001:db8::2]/"),
        ("10.0.0.0/8", "https://[2001:db8::1]/"),
        ("10.0.0.0/8", "https://sms.test/"),
    ],
)
def test_a_host_that_no_proxy_does_not_name_goes_through_the_proxy(
    entry: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", entry)
    assert environment_proxy(url, ALL) == ProxyURL("http://proxy:3128")


def test_without_no_proxy_the_settings_of_the_system_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setattr(proxy_module, "proxy_bypass", lambda host: host == "sms.test")
    assert environment_proxy("https://sms.test./", ALL) is None
    assert environment_proxy("https://other.test/", ALL) is not None


@pytest.mark.parametrize("host", ["localhost", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_needs_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert is_loopback(host.strip("[]"))
    assert environment_proxy(f"https://{host}:8000/", ALL) is None


@pytest.mark.parametrize("host", ["sms.test", "10.0.0.1", "localhost.test"])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "url", "auth"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128", None),
        ("HTTPS://Proxy.Test/", "https://proxy.test", None),
        ("http://proxy_1/path", "http://proxy_1", None),
        ("http://ann:secret@10.0.0.1:8080", "http://10.0.0.1:8080", ("ann", "secret")),
        ("http://ann@proxy.test", "http://proxy.test", ("ann", "")),
        ("http://:secret@proxy.test", "http://proxy.test", ("", "secret")),
        ("http://@proxy.test", "http://proxy.test", None),
        ("http://ann:a:b@c@[::1]:1", "http://[::1]:1", ("ann", "a:b@c")),
        ("http://ann:Secret%231%2F%3F%5B%0A%25@proxy.test", "http://proxy.test", ("ann", "Secret#1/?[\n%")),
        ("http://ann:%D0%BF@proxy.test", "http://proxy.test", ("ann", "п")),
        ("http://прокси.рф:1", "http://xn--h1adldfi.xn--p1ai:1", None),
        ("socks5://proxy.test", "socks5://proxy.test", None),
    ],
)
def test_url_of_a_proxy_is_divided_into_its_url_and_its_credentials(
    text: str, url: str, auth: tuple[str, str] | None
) -> None:
    assert read_proxy(text, ALL) == ProxyURL(url, auth)
    assert "ecret" not in repr(read_proxy(text, ALL))


def _wrong_passwords() -> list[str]:
    signs = [
        "#",
        "/",
        "?",
        "[",
        "]",
        "\\",
        "\n",
        "\r",
        "\t",
        "\0",
        "\x7f",
        " ",
        "п",
        "\u200b",
        "\ud800",
        "%",
        "%2",
        "%zz",
        "%FF",
    ]
    return [f"http://user:canary{sign}z@host:3128" for sign in signs] + [
        f"http://can{sign}ary:canary@host" for sign in ("#", "/", "?", "[", "\n", "п")
    ]


WRONG: list[object] = [
    *_wrong_passwords(),
    "",
    "canary",
    "host:3128",
    "user:canary@host:3128",
    "http:user:canary@host:3128",
    "http://",
    "http://:3128",
    "http://user:canary@",
    "http://user:canary@:3128",
    "http://user:canary@host:",
    "http://user:canary@host:0",
    "http://user:canary@host:65536",
    "http://user:canary@host:port",
    "http://user:canary@host:\uff13",
    "http://user:canary@host:3128?canary",
    "http://user:canary@host:3128#canary",
    "http://user:canary@ho st",
    "http://user:canary@ho\nst",
    "http://user:canary@host\n",
    " http://user:canary@host",
    "http://user:canary@a..b",
    "http://user:canary@-\u00ad.рф",
    "http://user:canary@[::x]",
    "http://user:canary@[1.2.3.4]",
    "http://user:canary@1.2.3.256",
    f"http://user:canary@{'a' * 64}.test",
    f"http://user:canary@{'a.' * 127}test",
    f"http://user:canary{'y' * 1_000_000}@host",
    "gopher://user:canary@host",
    b"http://user:canary@host",
    7,
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: ascii(text)[:50])
def test_url_of_a_proxy_that_is_wrong_is_said_to_be_and_not_quoted(text: object) -> None:
    problem = read_proxy(text, ALL)
    assert isinstance(problem, str)
    assert problem.startswith("must ")
    assert "canary" not in problem


def test_wrong_proxy_of_the_environment_sends_nothing_and_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary#1@host:3128")
    with pytest.raises(ConnectError, match=r"HTTPS_PROXY.*special characters written as %XX") as caught:
        environment_proxy(URL, ALL)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "ascii_form"),
    [
        ("ПРИМЕР.рф", "xn--e1afmkfd.xn--p1ai"),
        ("Sms.Test.", "sms.test."),
        ("cafe\u0301.test", "xn--caf-dma.test"),
        ("[::FFFF]", "[::ffff]"),
        ("a\u00adb.test", None),
        ("", None),
        (".", None),
    ],
)
def test_a_host_has_one_ascii_form_or_none(host: str, ascii_form: str | None) -> None:
    assert ascii_host(host) == ascii_form
