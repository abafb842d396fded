"""The proxy that a request to a URL goes through; every transport uses this module, so all choose the same one."""

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["environment_proxy", "is_loopback"]


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (HTTPS_PROXY and so on), None for a direct connection.

    Connections to this machine itself are always direct.
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
