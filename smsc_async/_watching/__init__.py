"""Following the delivery of messages."""

from .curve import Curve
from .registry import Pending, Update, utc
from .watcher import Source, Watcher, last_report

__all__ = ["Curve", "Pending", "Source", "Update", "Watcher", "last_report", "utc"]
