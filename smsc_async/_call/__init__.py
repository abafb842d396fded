"""Execute one operation through the guards and the network, with retries."""

from .caller import Caller, Trace
from .config import (
    checked,
    checked_namespace,
    checked_url,
    clock_of,
    credentials_from,
    credentials_source,
    is_listener,
    observers_of,
    positive,
    service_urls,
    transport_from,
)
from .login import Identities
from .namespaces import Namespaces
from .observing import Recording

__all__ = [
    "Caller",
    "Identities",
    "Namespaces",
    "Recording",
    "Trace",
    "checked",
    "checked_namespace",
    "checked_url",
    "clock_of",
    "credentials_from",
    "credentials_source",
    "is_listener",
    "observers_of",
    "positive",
    "service_urls",
    "transport_from",
]
