"""Who may use what is below `/_sandbox/`: programs on this machine, or those that know the token; no foreign web page.

The Host is checked because of DNS rebinding: a web page whose name suddenly means this machine. The Origin is checked
because a browser lets each web page send requests to this machine.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smsc_async._model import wrong

__all__ = ["Access", "Gate", "Refuse", "is_loopback"]

_LONGEST_BODY: Final = 65_536
_PORTS: Final = {"http": 80, "https": 443}
_SAFE: Final = {"GET", "HEAD"}
_UNAUTHORIZED: Final = 401
Refuse: TypeAlias = Callable[[Scope, int, str], Response]
"""Returns the answer to a request that is refused, with its HTTP status and the reason."""


def is_loopback(host: str) -> bool:
    """Return whether a name or an IP address always means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Access:
    """The rules.

    Args:
        token: The token that each request has to know, None for none.
        allowed_hosts: Names and IP addresses of this machine, on any port, beside those of the loopback.

    Raises:
        ValueError: An argument is wrong.
    """

    def __init__(self, token: str | SecretStr | None, allowed_hosts: Iterable[str]) -> None:
        given: object = allowed_hosts
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise wrong("allowed_hosts", "a list of host names", given)
        self._token = None if token is None else _checked(token)
        self._hosts = {_host_name(host) for host in allowed_hosts}

    @property
    def has_token(self) -> bool:
        """Whether a token is needed."""
        return self._token is not None

    def bind(self, host: str) -> None:
        """Allow the host that the server listens on."""
        self._hosts.add(host.lower())

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the HTTP status and the reason with which a request is refused, None if it is not."""
        refusal = self.foreign(scope)
        if refusal is None and self._token is not None and not self._knows_token(scope):
            return _UNAUTHORIZED, "this sandbox needs its token: Authorization: Bearer <token>"
        return refusal

    def page_refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the same for a request of a page, which has a cookie in place of the token.

        What changes something has to come from a page of the sandbox itself.
        """
        refusal = self.foreign(scope)
        if refusal is None and scope["method"] not in _SAFE and "origin" not in Headers(scope=scope):
            return 403, "only a page of this sandbox may do this; programs use /_sandbox/api"
        if refusal is None and not (self._token is None or self._has_cookie(scope) or self._knows_token(scope)):
            return _UNAUTHORIZED, "this sandbox needs its token"
        return refusal

    def cookie(self, scope: Scope, token: str) -> tuple[str, str] | None:
        """Return the name and the value of the cookie that stands for the token, None if this is not the token.

        The value is derived from the token, which can't be found from it, so that it outlives a restart. Cookies have
        no ports, so that the name has one.
        """
        if self._token is None or not hmac.compare_digest(token.encode("utf-8", "replace"), self._own()):
            return None
        return _cookie_name(scope), self._derived()

    def foreign(self, scope: Scope) -> tuple[int, str] | None:
        """Return the same for the Host and the Origin only."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("Host"), headers.getlist("Origin")
        host, port = _split(f"//{hosts[0]}") if len(hosts) == 1 else ("", None)
        if not self._is_allowed(host, scope.get("server")):
            return 403, "this Host is not allowed: use localhost, or start the sandbox with --allowed-host"
        port = port or _PORTS.get(scope["scheme"])
        if origins and [(host, port)] != [_origin(origin) for origin in origins]:
            return 403, "a web page of another Origin may not use the sandbox"
        return None

    def _is_allowed(self, host: str, server: tuple[str, int | None] | None) -> bool:
        return bool(host) and (is_loopback(host) or host in self._hosts or (server is not None and host == server[0]))

    def _knows_token(self, scope: Scope) -> bool:
        given = Headers(scope=scope).getlist("Authorization")
        kind, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._own())

    def _has_cookie(self, scope: Scope) -> bool:
        try:
            given = SimpleCookie("; ".join(Headers(scope=scope).getlist("Cookie"))).get(_cookie_name(scope))
        except CookieError:
            return False
        return given is not None and hmac.compare_digest(
            given.value.encode("utf-8", "replace"), self._derived().encode()
        )

    def _own(self) -> bytes:
        return b"" if self._token is None else self._token.get_secret_value().encode()

    def _derived(self) -> str:
        return hmac.new(self._own(), b"the cookie of the sandbox's pages", hashlib.sha256).hexdigest()


class Gate:
    """An application that only those may use who may; it gets no body of more than 65,536 bytes.

    Args:
        app: The application.
        check: Returns the HTTP status and the reason with which a request is refused, None if it is not.
        refuse: Returns the answer then, by default JSON.
    """

    def __init__(
        self, app: ASGIApp, check: Callable[[Scope], tuple[int, str] | None], refuse: Refuse | None = None
    ) -> None:
        self._app = app
        self._check = check
        self._refuse = refuse or _as_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        refusal = self._check(scope)
        body = b"" if refusal else await _body(receive)
        if refusal is None and body is None:
            refusal = 413, f"the body has more than {_LONGEST_BODY} bytes"
        if refusal is None:
            await self._app(scope, _Given(body or b"", receive), send)
            return
        await self._refuse(scope, *refusal)(scope, receive, send)


class _Given:
    """Receives a body that was read before.

    Args:
        body: The body.
        receive: Receives what follows.
    """

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """Return the next message."""
        body, self._body = self._body, None
        return await self._receive() if body is None else {"type": "http.request", "body": body}


async def _body(receive: Receive) -> bytes | None:
    """Return the body, empty if the client has gone, None if it is too long."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > _LONGEST_BODY:
            return None
        if not message.get("more_body"):
            return body


def _as_json(_: Scope, status: int, reason: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == _UNAUTHORIZED else {"Connection": "close"}
    return JSONResponse({"error": reason}, status, headers)


def _cookie_name(scope: Scope) -> str:
    port = urlsplit(f"//{Headers(scope=scope).get('Host', '')}").port
    return f"smsc_sandbox_{port or _PORTS.get(scope['scheme'])}"


def _origin(origin: str) -> tuple[str, int | None]:
    scheme, _, netloc = origin.partition("://")
    host, port = _split(f"//{netloc}") if scheme in _PORTS else ("", None)
    return host, port or _PORTS.get(scheme)


def _split(url: str) -> tuple[str, int | None]:
    """Return the host and the port of a URL that has nothing else, an empty host for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    name = f"[{host}]" if ":" in host else host
    return (host, port) if url.lower() in {f"//{name}", f"//{name}:", f"//{name}:{port}"} else ("", None)


def _host_name(host: object) -> str:
    if isinstance(host, str):
        name = host.lower().removeprefix("[").removesuffix("]")
        url = f"//[{name}]" if ":" in name else f"//{name}"
        if name and not any(each in " *" for each in name) and _split(url) == (name, None):
            return name
    raise wrong("each of allowed_hosts", "a host name without a port, such as 'sandbox'", host)


def _checked(token: object) -> SecretStr:
    text = token.get_secret_value() if isinstance(token, SecretStr) else token
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("token must be printable ASCII without spaces, at least one character")
    return SecretStr(text)
