"""Which proxy the way to an address leads through; every transport asks here, so that all go the same way."""

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["environment_proxy", "is_loopback"]


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address (HTTPS_PROXY and so on), None for the direct way.

    The way to this machine itself is always direct.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Return whether this is a name or an address of this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
