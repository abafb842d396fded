"""The pages of the sandbox: the inbox, and what else its users look at and change in a browser."""

from .app import make_pages

__all__ = ["make_pages"]
