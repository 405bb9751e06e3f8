"""The corpus on disk: an SQLite database that is always whole, whenever a process was killed."""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from llm_twin.corpus.document import Document
from llm_twin.errors import TwinError, UsageError
from llm_twin.home import Home

# A step for each version of the schema, as `PRAGMA user_version` counts them.
_MIGRATIONS: Final = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    -- A file or repository that was looked at: its stamp tells whether it was touched since, its
    -- digest whether it changed, and reader with which rules it was read.
    CREATE TABLE files (
        path TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL, reader TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE contents (
        id TEXT PRIMARY KEY, text TEXT NOT NULL, signature BLOB NOT NULL, duplicate_of TEXT
    );
    CREATE TABLE entries (
        path TEXT NOT NULL REFERENCES files ON DELETE CASCADE, name TEXT NOT NULL,
        document TEXT NOT NULL REFERENCES contents, source TEXT NOT NULL, title TEXT NOT NULL,
        author TEXT, date TEXT, url TEXT, kind TEXT NOT NULL, writer TEXT NOT NULL,
        PRIMARY KEY (path, name)
    ) WITHOUT ROWID;
    CREATE INDEX entries_of_document ON entries (document);
    CREATE TABLE skipped (
        path TEXT NOT NULL REFERENCES files ON DELETE CASCADE, name TEXT NOT NULL,
        source TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (path, name)
    ) WITHOUT ROWID;
    -- What must not come back, as keyed hashes: the names are nowhere.
    CREATE TABLE forgotten (
        hash TEXT PRIMARY KEY, kind TEXT NOT NULL, words INTEGER NOT NULL, at TEXT NOT NULL
    ) WITHOUT ROWID;
    -- Ids of documents that were erased: what was made from them has to go too.
    CREATE TABLE erased (document TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
    """,
)
_SHOWN: Final = """
    SELECT c.id, e.source, e.title, c.text, e.author, e.date, e.url, e.kind
    FROM contents c JOIN entries e ON e.document = c.id
"""


class Corpus:
    """The documents of a state folder. Every process may read, one at a time may write.

    Attributes:
        db: The connection, for the other modules of this package.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self.db = db
        self._path = path

    @classmethod
    def open(cls, home: Home) -> Self:
        """Open the corpus; an empty one is made where there is none.

        Raises:
            TwinError: The database is damaged or can't be opened.
            UsageError: It is of a newer version.
        """
        path = home.corpus_db
        with guarded(path):
            db = connect(path)
            try:
                _migrate(db, path)
            except BaseException:
                db.close()
                raise
        return cls(db, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def __len__(self) -> int:
        """Return the number of documents, duplicates left out."""
        with guarded(self._path):
            count = "SELECT count(*) FROM contents WHERE duplicate_of IS NULL"
            return int(self.db.execute(count).fetchone()[0])

    def documents(self) -> Iterator[Document]:
        """Yield the documents, duplicates left out, in the order of their ids.

        A document that several places hold has the metadata of the first, by their sources.
        """
        last = ""
        with guarded(self._path):
            query = f"{_SHOWN} WHERE c.duplicate_of IS NULL ORDER BY c.id, e.source, e.name"
            for row in self.db.execute(query):
                if row[0] != last:
                    last = row[0]
                    yield Document(*row)

    def get(self, document: str) -> Document | None:
        """Return the document of an id, None where there is none."""
        with guarded(self._path):
            query = f"{_SHOWN} WHERE c.id = ? ORDER BY e.source, e.name LIMIT 1"
            row = self.db.execute(query, (document,)).fetchone()
        return Document(*row) if row else None

    def snapshot(self) -> str:
        """Return what tells this state of the corpus from any other: a SHA-256 in hex.

        It is over the documents' ids, sources, titles and addresses, so that nothing that an index
        holds of them can differ under the same snapshot.
        """
        return self.meta("snapshot") or _digest_of([])

    def meta(self, key: str) -> str | None:
        """Return a value that is kept beside the documents."""
        with guarded(self._path):
            row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def salt(self) -> bytes:
        """Return the key of this corpus's hashes of names and addresses."""
        return bytes.fromhex(self.meta("salt") or "")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Change the corpus: all of it when the block ends, or nothing where it fails.

        Raises:
            TwinError: Another process writes, or the disk is full.
        """
        with guarded(self._path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self._seal()
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Leave nothing of what was deleted in the files, as far as other readers let us."""
        checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)"
        with guarded(self._path):
            for statement in (checkpoint, "VACUUM", checkpoint):
                self.db.execute(statement).fetchall()

    def erased(self) -> dict[str, str]:
        """Return the ids of documents that were forgotten, and when (ISO 8601).

        Whatever was made from one of them, such as an adapter, may not be used any more.
        """
        with guarded(self._path):
            return dict(self.db.execute("SELECT document, at FROM erased").fetchall())

    def prune(self) -> None:
        """Drop the texts that no place holds any more; part of every change."""
        self.db.execute("DELETE FROM contents WHERE id NOT IN (SELECT document FROM entries)")

    def _seal(self) -> None:
        self.prune()
        rows = self.db.execute(
            "SELECT c.id, e.source, e.title, e.url FROM contents c "
            "JOIN entries e ON e.document = c.id "
            "WHERE c.duplicate_of IS NULL ORDER BY c.id, e.source, e.name"
        )
        set_meta(self.db, "snapshot", _digest_of(rows))


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what SQLite can't do into one line that says what to do next.

    Raises:
        TwinError: The database is damaged, locked or out of space.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        reason = str(error)
        advice = {
            "database is locked": "another process writes it; try again when it is done",
            "database or disk is full": "make space and run the command again; nothing was changed",
        }.get(reason, "see that the folder can be written")
        raise TwinError(f"{path}: {reason}; {advice}") from None
    except sqlite3.DatabaseError as error:
        raise TwinError(
            f"{path}: {error}; bring back a backup with `llm-twin restore`, or delete the file and "
            "run `llm-twin ingest` again"
        ) from None


def connect(path: Path) -> sqlite3.Connection:
    """Open a database in which what was committed lasts, and what was deleted is gone."""
    path.touch(mode=0o600)
    # Threads of a service share it, one at a time.
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("PRAGMA secure_delete = ON")
    return db


def set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a value beside the documents."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(_MIGRATIONS):
        raise UsageError(f"{path}: was written by a newer llm-twin; install that one")
    if version == len(_MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")  # another process may do the same just now
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    for number, step in enumerate(_MIGRATIONS[version:], version + 1):
        for statement in _statements(step):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")
    if db.execute("SELECT 1 FROM meta WHERE key = 'salt'").fetchone() is None:
        set_meta(db, "salt", secrets.token_hex(16))
    db.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _digest_of(rows: Iterable[Sequence[str | None]]) -> str:
    digest = hashlib.sha256(b"llm-twin corpus 1\n")
    for row in rows:
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()
