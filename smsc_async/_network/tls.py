"""The TLS contexts: one for all clients with the same `verify`."""

import os
import ssl
from functools import lru_cache

import certifi

__all__ = ["tls_context"]


@lru_cache(maxsize=8)
def tls_context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Return the context for `verify`; True stands for the certificates of certifi, or SSL_CERT_FILE, or SSL_CERT_DIR.

    Reading them takes tens of milliseconds, so all clients of the process share them.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify:
        file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        if not file and directory:
            return ssl.create_default_context(capath=directory)
        return ssl.create_default_context(cafile=file or certifi.where())
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
