"""The command line."""

from .app import app as commands

__all__ = ["commands"]
