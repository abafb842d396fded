"""Bulk jobs stored in a file, so that they survive a restart of the process."""

from .database import Connection, Database, FileFormat
from .journal import Journal
from .rows import JournalRow, PlannedMessage, RowState, Summary

__all__ = [
    "Connection",
    "Database",
    "FileFormat",
    "Journal",
    "JournalRow",
    "PlannedMessage",
    "RowState",
    "Summary",
]
