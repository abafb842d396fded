"""The TLS contexts: one for all clients with the same `verify` and the same environment."""

import os
import ssl
from functools import lru_cache
from pathlib import Path

import certifi

from smsc_async._model import ConnectError

__all__ = ["no_tls", "tls_context"]


def tls_context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Return the context for `verify`; True means the certificates of certifi, SSL_CERT_FILE or SSL_CERT_DIR.

    Raises:
        ConnectError: The certificates can't be read. The next call tries again.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if not verify:
        return _unverified()
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    source = "SSL_CERT_FILE" if file else "SSL_CERT_DIR" if directory else "certifi"
    try:
        return _verified(file or None, None if file else directory or None)
    except (OSError, ValueError) as error:
        kind = type(error).__name__
    raise ConnectError(f"the trusted certificates of {source} can't be read ({kind}), nothing was sent")


@lru_cache(maxsize=8)
def _verified(file: str | None, directory: str | None) -> ssl.SSLContext:
    """Read the certificates; that takes tens of milliseconds, so all clients of the process share them."""
    if directory is None:
        return ssl.create_default_context(cafile=file or certifi.where())
    # OpenSSL ignores an unreadable directory, and then trusts no certificate.
    if not any(Path(each).is_dir() and os.access(each, os.R_OK | os.X_OK) for each in directory.split(os.pathsep)):
        raise NotADirectoryError
    return ssl.create_default_context(capath=directory)


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@lru_cache(maxsize=1)
def no_tls() -> ssl.SSLContext:
    """Return a context for connections without TLS: it trusts nothing, so that no certificates are read for it."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
