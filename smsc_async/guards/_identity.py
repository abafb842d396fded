"""Whose requests count together."""

from dataclasses import dataclass

from smsc_async._model import Credentials

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Identity:
    """The caller, as far as the limits are concerned.

    Attributes:
        credentials: The credentials of the caller.
        account: The name under which all credentials of one account count, None for the login or the apikey.
        egress: Any name for the IP address that the service sees.
    """

    credentials: Credentials
    account: str | None = None
    egress: str = "default"
