"""The proxy for the URL of a request, and host names; all transports use this module, so they behave alike."""

import base64
import re
import unicodedata
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import idna

from smsc_async._model import ConnectError

__all__ = ["LAST_PORT", "ProxyURL", "ascii_host", "environment_proxy", "is_loopback", "read_proxy"]

_LONGEST: Final = 8192
_PROXY: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[^\]@/]*\]|[^:@\[\]/]*)(?::(?P<port>[0-9]{1,5}))?(?:/[^@?#\s]*)?",
    re.IGNORECASE | re.ASCII,
)
_PLAIN: Final = re.compile(r"(?:[!\"$&-.0->@-Z^-~]|%[0-9A-Fa-f]{2})*")
"""Characters that need no escaping in a user and a password."""
_LABEL: Final = re.compile("[a-z0-9_-]{1,63}")
_NUMERIC: Final = re.compile("[0-9.]+")
_LONGEST_HOST: Final = 253
LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class ProxyURL:
    """The URL of a proxy, separated from its credentials.

    Attributes:
        url: The URL without user and password.
        auth: The user and the password, None for none.
    """

    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)

    def authorization(self) -> str | None:
        """Return the value of the Proxy-Authorization header, None for none."""
        return None if self.auth is None else "Basic " + base64.b64encode(":".join(self.auth).encode()).decode()


def read_proxy(text: object, schemes: frozenset[str]) -> ProxyURL | str:
    """Return the proxy at a URL, or what is wrong with the URL; nothing is raised, as it may hold a password."""
    if not isinstance(text, str):
        return "must be a URL, such as http://proxy.example:3128"
    found = _PROXY.fullmatch(text) if len(text) <= _LONGEST else None
    user, password = ("", "") if found is None else (found["user"] or "", found["password"] or "")
    if found is None or not (_PLAIN.fullmatch(user) and _PLAIN.fullmatch(password)):
        return "must be a URL such as http://user:password@proxy.example:3128, with special characters written as %XX"
    if found["scheme"].lower() not in schemes:
        return f"must have another scheme: this transport supports {' and '.join(sorted(schemes))} proxies only"
    host, port = ascii_host(found["host"]), found["port"]
    if host is None or (port is not None and not 0 < int(port) <= LAST_PORT):
        return "must have a valid host, and a port from 1 to 65535 or none"
    try:
        auth = unquote(user, errors="strict"), unquote(password, errors="strict")
    except UnicodeDecodeError:
        return "must have a user and a password in UTF-8, with special characters written as %XX"
    url = f"{found['scheme'].lower()}://{host}{'' if port is None else f':{port}'}"
    return ProxyURL(url, auth if any(auth) else None)


def environment_proxy(url: str, schemes: frozenset[str]) -> ProxyURL | None:
    """Return the proxy set in the environment for a URL (HTTPS_PROXY and so on), None for a direct connection.

    Connections to the local machine are always direct.

    Raises:
        ConnectError: The proxy can't be used.
    """
    found = _environment_proxy(url, schemes)
    if isinstance(found, str):
        name = f"{urlsplit(url).scheme.upper()}_PROXY (or ALL_PROXY)"
        raise ConnectError(f"the proxy can't be used, nothing was sent: {name} {found}")
    return found


def _environment_proxy(url: str, schemes: frozenset[str]) -> ProxyURL | str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or _is_direct(parts, proxies.get("no")):
        return None
    return read_proxy(proxy if "://" in proxy else f"http://{proxy}", schemes)


def _is_direct(url: SplitResult, no_proxy: str | None) -> bool:
    """Return whether NO_PROXY matches the host of a URL; if it is not set, the system's settings apply, if any."""
    host = (url.hostname or "").removesuffix(".")
    if no_proxy is None:
        return bool(proxy_bypass(host))
    port = url.port or (80 if url.scheme == "http" else 443)
    return any(_names(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    """Return whether a NO_PROXY entry matches: a domain, an IP address or a network, each with or without a port."""
    if entry == "*":
        return True
    name, only = _divided(entry.rpartition("://")[2].rstrip("/"))
    if only not in {"", str(port)}:
        return False
    if _is_address(host):
        return _holds(name, host)
    name = name.removeprefix("*").strip(".").lower()
    name = ascii_host(name) or name
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _divided(entry: str) -> tuple[str, str]:
    """Return the name and the port, "" for none; an IPv6 address that has a port is in brackets."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        mask, _, port = rest.partition(":")
        return name + mask, port
    name, _, port = entry.partition(":")
    return (entry, "") if ":" in port else (name, port)


def _holds(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False


def ascii_host(host: str) -> str | None:
    """Return a host in the form that DNS and HTTP use, None if it isn't one."""
    if host.startswith("["):
        return host.lower() if _is_address(host[1:-1]) and ":" in host else None
    try:
        name = host.lower() if host.isascii() else idna.encode(unicodedata.normalize("NFC", host.lower())).decode()
    except UnicodeError:  # idna.IDNAError is one
        return None
    if len(name) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, name.removesuffix(".").split("."))):
        return None
    return name if not _NUMERIC.fullmatch(name) or _is_address(name) else None


def is_loopback(host: str) -> bool:
    """Return whether this is a name or an IP address of the local machine."""
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
