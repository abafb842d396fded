"""Execute one operation through the guards and the network, with retries."""

from .caller import Caller, Trace
from .config import (
    checked,
    checked_namespace,
    checked_url,
    credentials_from,
    credentials_source,
    deadline_from,
    is_listener,
    named,
    positive,
    service_urls,
    timeout_from,
    transport_from,
)
from .login import Identities
from .namespaces import Namespaces

__all__ = [
    "Caller",
    "Identities",
    "Namespaces",
    "Trace",
    "checked",
    "checked_namespace",
    "checked_url",
    "credentials_from",
    "credentials_source",
    "deadline_from",
    "is_listener",
    "named",
    "positive",
    "service_urls",
    "timeout_from",
    "transport_from",
]
