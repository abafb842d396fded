"""Bulk jobs stored in a file, so that they survive a restart of the process."""

from .journal import Journal
from .rows import JournalRow, PlannedMessage, RowState, Summary

__all__ = ["Journal", "JournalRow", "PlannedMessage", "RowState", "Summary"]
