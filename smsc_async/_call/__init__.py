"""Execute one operation through the guards and the network, with retries."""

from .caller import Caller, Trace
from .config import (
    checked,
    checked_namespace,
    checked_url,
    credentials_from,
    is_listener,
    positive,
    service_urls,
    transport_from,
    without_arguments,
)
from .namespaces import Namespaces

__all__ = [
    "Caller",
    "Namespaces",
    "Trace",
    "checked",
    "checked_namespace",
    "checked_url",
    "credentials_from",
    "is_listener",
    "positive",
    "service_urls",
    "transport_from",
    "without_arguments",
]
