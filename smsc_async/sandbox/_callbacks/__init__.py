"""Callbacks out of the sandbox: what it reports to the URL of an application, and what the application answers."""

from .callback import Callback, CallbackAttempt, CallbackHash, CallbackMethod, CallbackSettings, CallbackState
from .delivery import SandboxCallbacks
from .poster import CallbackAnswer, CallbackPoster, HttpxPoster

__all__ = [
    "Callback",
    "CallbackAnswer",
    "CallbackAttempt",
    "CallbackHash",
    "CallbackMethod",
    "CallbackPoster",
    "CallbackSettings",
    "CallbackState",
    "HttpxPoster",
    "SandboxCallbacks",
]
