"""Execute one operation through the guards and the network, with retries."""

from .arguments import check_number, checked, deadline_from, name_after_client, named, positive, timeout_from
from .caller import Caller, Trace
from .config import (
    checked_namespace,
    checked_url,
    clock_of,
    credentials_from,
    credentials_source,
    observers_of,
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
    "check_number",
    "checked",
    "checked_namespace",
    "checked_url",
    "clock_of",
    "credentials_from",
    "credentials_source",
    "deadline_from",
    "name_after_client",
    "named",
    "observers_of",
    "positive",
    "service_urls",
    "timeout_from",
    "transport_from",
]
