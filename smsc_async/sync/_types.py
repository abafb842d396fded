"""The types of the arguments, as those of the asynchronous client have them."""

from collections.abc import AsyncIterable, Callable, Iterable
from datetime import datetime
from typing import Literal, TypeVar

from smsc_async import DeliveryReport, GetStatus, MessageRef, Schedule, SentMessage, Unfinished

__all__ = ["AnyRef", "AskStatus", "Id", "Many", "OnProgress", "OnUnknown", "Source", "When", "Workers"]

T = TypeVar("T")

AnyRef = MessageRef | SentMessage | str
Many = Iterable[T] | AsyncIterable[T]
Source = AnyRef | Unfinished | Many[AnyRef | Unfinished]
OnProgress = Callable[[int, int], object]
OnUnknown = Literal["reconcile", "raise", "resend"]
Workers = int | Literal["auto"]
When = Schedule | datetime | None
Id = str | int | None
AskStatus = Callable[[GetStatus], DeliveryReport]
"""Requests one status; `Client.call` does."""
