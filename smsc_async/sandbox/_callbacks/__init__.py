"""Callbacks out of the sandbox: what it reports to the URL of an application, and what the application answers."""

from .callback import Callback, CallbackAttempt, CallbackSettings
from .delivery import Callbacks
from .poster import CallbackAnswer, CallbackPoster, HttpxPoster

__all__ = [
    "Callback",
    "CallbackAnswer",
    "CallbackAttempt",
    "CallbackPoster",
    "CallbackSettings",
    "Callbacks",
    "HttpxPoster",
]
