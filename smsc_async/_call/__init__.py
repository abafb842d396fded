"""Execute one operation through the guards and the network, with retries."""

from .caller import Caller, Trace
from .config import checked_url, credentials_from, positive, transport_from
from .namespaces import Namespaces

__all__ = ["Caller", "Namespaces", "Trace", "checked_url", "credentials_from", "positive", "transport_from"]
