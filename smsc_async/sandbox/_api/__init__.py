"""The HTTP API of the sandbox, for the tests of programs in any language: what `Sandbox` offers to those in Python."""

from .app import make_api

__all__ = ["make_api"]
