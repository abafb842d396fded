"""The file of a journal: its format, and what is checked when it is opened; all functions block."""

from pathlib import Path
from typing import Final

from smsc_async._model import JournalError

from .database import Database, FileFormat

__all__ = ["JOURNAL", "connect"]

JOURNAL: Final = FileFormat(
    name="journal",
    application=0x534D5343,  # "SMSC"
    version=5,  # also the version of the encoding in which the identity of a job is stored
    stops="nothing more is sent",
    if_damaged=(
        ", so that nothing is sent twice. Restore a copy of it: the next start then asks the service what has been "
        "sent since. Without a copy, find out what has been sent before you start a new journal"
    ),
    schema="""
CREATE TABLE job (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('planned', 'attempted', 'unresolved', 'done')),
    content TEXT NOT NULL,
    digest BLOB NOT NULL,
    is_list INTEGER NOT NULL CHECK (is_list IN (0, 1)),
    is_own_id INTEGER NOT NULL CHECK (is_own_id IN (0, 1)),
    attempted_at TEXT,
    failed_at TEXT,
    done_clock TEXT
);
CREATE INDEX chunk_state ON chunk (state) WHERE state != 'done';
CREATE TABLE message (
    row INTEGER PRIMARY KEY,
    chunk INTEGER REFERENCES chunk (key),
    phone TEXT NOT NULL,
    id TEXT,
    state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'failed', 'skipped', 'final')),
    status INTEGER,
    delivery_error INTEGER,
    code INTEGER,
    error TEXT,
    cost TEXT,
    parts INTEGER,
    accepted_at TEXT,
    final_at TEXT
);
CREATE INDEX message_chunk ON message (chunk);
CREATE INDEX message_id ON message (id, phone);
CREATE TABLE unresolved (key INTEGER PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE history (
    rule TEXT NOT NULL, key BLOB NOT NULL, span REAL NOT NULL, clock TEXT NOT NULL, ages TEXT NOT NULL,
    until REAL NOT NULL, PRIMARY KEY (rule, key)
) WITHOUT ROWID;
CREATE INDEX history_until ON history (until);
""",
    incomplete="""
SELECT 1 FROM job WHERE name = 'size'
    AND value != (SELECT count(*) FROM chunk) || ' ' || (SELECT count(*) FROM message)
""",
    # The service knows what became of a request of which only a part was recorded.
    repair="""
UPDATE chunk SET state = 'attempted'
    WHERE (state = 'done') = EXISTS (SELECT 1 FROM message WHERE chunk = key AND state = 'open')
""",
)


def connect(path: Path) -> Database:
    """Open the file of a journal whose lock file is locked; a new one is empty.

    Raises:
        JournalInUse: Another process has the file open.
        JournalError: The file can't be opened, is damaged, or is not a journal.
    """
    if path.with_name(f"{path.name}-wal").exists():
        raise JournalError(
            f"the file {path.name}-wal beside the journal {path} belongs to another database; nothing was sent: move "
            "it away and start again"
        )
    return Database(path, JOURNAL)
