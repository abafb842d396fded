"""The client: one public method for each thing a user does."""

from .client import Client

__all__ = ["Client"]
