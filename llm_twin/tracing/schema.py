"""The spool's tables, and how an older file is brought up to date."""

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from llm_twin.errors import TwinError, UsageError
from llm_twin.home import sync_folder

BUSY_SECONDS: Final = 30.0
"""How long a connection waits for another one's commit."""
LARGEST_LOG: Final = 16 * 1024 * 1024
"""Bytes of the write-ahead log that stay on the disk after it was worked off."""

# Entries are never changed: rewriting a row writes its whole body once more. What is still to be
# delivered stands in a table of its own, and leaves it on delivery.
MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('trace', 'score')),
        trace TEXT NOT NULL,
        name TEXT NOT NULL,
        time REAL NOT NULL,
        failed INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX entries_of_trace ON entries (trace, kind);
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY,
        retry REAL NOT NULL DEFAULT 0,
        refusals INTEGER NOT NULL DEFAULT 0,
        problem TEXT
    );
    CREATE TABLE removals (
        day REAL NOT NULL,
        reason TEXT NOT NULL,
        traces INTEGER NOT NULL,
        scores INTEGER NOT NULL,
        undelivered INTEGER NOT NULL,
        oldest REAL NOT NULL,
        newest REAL NOT NULL,
        PRIMARY KEY (day, reason)
    );
    CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)


def connect(path: Path, *, lasting: bool = True) -> sqlite3.Connection:
    """Open the file, made or brought up to date where need be.

    Args:
        path: The database.
        lasting: A commit returns when the disk has it. Without, a power cut may undo the last
            commits, which is right for what can be found out again.

    Raises:
        UsageError: The file is of a newer version.
        TwinError: The file is damaged or can't be opened.
    """
    try:
        if not path.exists():
            path.touch(mode=0o600)
            sync_folder(path.parent)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise TwinError(f"{path}: can't be opened: {error}; check the folder's rights") from None
    try:
        _prepare(connection, path, lasting=lasting)
    except sqlite3.Error as error:
        connection.close()
        raise problem(path, error) from None
    except TwinError:
        connection.close()
        raise
    return connection


def problem(path: Path, error: sqlite3.Error) -> TwinError:
    """Say what an error of SQLite means for the user."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR"):
        return TwinError(f"{path}: can't be written: {error}; make room on its disk")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return TwinError(
            f"{path}: is damaged: {error}; `llm-twin restore` brings a backup back, "
            "or move the file away to start anew"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TwinError(f"{path}: another process holds it; try again when that one is done")
    return TwinError(f"{path}: {error}; check the file's rights and its disk")


def _prepare(connection: sqlite3.Connection, path: Path, *, lasting: bool) -> None:
    version = _version(connection)
    if version == 0:
        # Both are kept in the file; to set them again would wait for whoever writes.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
    # What is forgotten is gone from the file too.
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}").fetchall()
    if sys.platform == "darwin" and lasting:
        connection.execute("PRAGMA fullfsync = ON")  # its fsync alone leaves data in the drive
    if version > len(MIGRATIONS):
        raise UsageError(
            f"{path}: is of version {version}, and this llm-twin knows up to {len(MIGRATIONS)}; "
            "install a newer llm-twin"
        )
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been first.
        for number in range(_version(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[number].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
