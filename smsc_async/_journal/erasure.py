"""Remove phones and texts from the tables of a journal."""

import hashlib
import itertools
import json
import sqlite3
from collections.abc import Container
from datetime import datetime
from operator import itemgetter
from typing import Final

__all__ = ["digest_of", "erase"]

_DUE: Final = """
SELECT row, message.chunk, phone FROM message LEFT JOIN chunk ON chunk.key = message.chunk
WHERE message.state IN ('final', 'failed', 'skipped') AND phone != '' AND julianday(coalesce(
    final_at, attempted_at, (SELECT value FROM job WHERE name = 'planned_at'))) <= julianday(?)
ORDER BY message.chunk
"""


def erase(connection: sqlite3.Connection, before: datetime) -> int:
    """Remove the phones and texts of the messages whose outcome has been final since before a time; return how many."""
    due = connection.execute(_DUE, (before.isoformat(),)).fetchall()
    for key, messages in itertools.groupby(due, itemgetter(1)):
        phones = {row: phone for row, _, phone in messages}
        connection.executemany("UPDATE message SET phone = '' WHERE row = ?", [(row,) for row in phones])
        for (content,) in connection.execute("SELECT content FROM chunk WHERE key = ?", (key,)).fetchall():
            rest = _without(content, set(phones.values()))
            connection.execute("UPDATE chunk SET content = ?, digest = ? WHERE key = ?", (rest, digest_of(rest), key))
    return len(due)


def digest_of(content: str) -> bytes:
    """Return the digest of a stored request."""
    return hashlib.sha256(content.encode()).digest()


def _without(content: str, phones: Container[str]) -> str:
    """Return a finished request without some of its recipients, an empty string if none is left."""
    operation = json.loads(content)
    if "messages" in operation:
        left = operation["messages"] = [each for each in operation["messages"] if each["phone"] not in phones]
    else:
        left = operation["to"] = [each for each in operation["to"] if each not in phones]
    return json.dumps(operation) if left else ""
