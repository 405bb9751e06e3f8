"""The spool: requests and feedback on this machine's disk before anybody else has them.

One SQLite database in WAL mode with `synchronous=FULL`: `append` returns when the disk has the
entries, and a process that is killed at any moment leaves a file that opens again whole. Requests
that end at the same time share a commit.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from llm_twin.errors import TwinError
from llm_twin.tracing import schema
from llm_twin.tracing.model import COLUMNS, Entry, Removal, Status, Stored, stored

PAGE: Final = 64
"""Entries that a walk holds in memory at once."""


@dataclass(slots=True)
class _Ticket:
    entries: Sequence[Entry]
    done: bool = False
    problem: str | None = None


@dataclass(slots=True)
class _Writing:
    """What belongs to one process: a fork makes its own."""

    commit: threading.Lock = field(default_factory=threading.Lock)
    queue: threading.Lock = field(default_factory=threading.Lock)
    tickets: list[_Ticket] = field(default_factory=list)
    connection: sqlite3.Connection | None = None


class Spool:
    """The database; safe to use from several threads, and from several processes at once.

    Attributes:
        path: The database.
        bytes: Size of its content, without free pages, when we last wrote.
    """

    def __init__(self, path: Path, *, lasting: bool = True) -> None:
        """Open the spool, made where it is missing.

        Args:
            path: The database.
            lasting: As in `schema.connect`.

        Raises:
            TwinError: The file can't be used.
        """
        self.path = path
        self._lasting = lasting
        self._writing = _Writing()
        self.bytes = self.measure()
        _open_spools.add(self)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._writing.commit:
            if self._writing.connection is not None:
                self._writing.connection.close()
                self._writing.connection = None

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries, all or none; when this returns they are on the disk.

        Raises:
            TwinError: They could not be written; the message says why.
        """
        ticket = _Ticket(entries)
        writing = self._writing
        with writing.queue:
            writing.tickets.append(ticket)
        with writing.commit:
            # Whoever had the lock before may have written ours too.
            if not ticket.done:
                with writing.queue:
                    tickets, writing.tickets = writing.tickets, []
                self._commit(tickets)
        if ticket.problem is not None:
            raise TwinError(ticket.problem)

    def _commit(self, tickets: Sequence[_Ticket]) -> None:
        problem: str | None = "interrupted before the entries were written"
        try:
            with self._transaction(self._writer()) as connection:
                for entry in (entry for ticket in tickets for entry in ticket.entries):
                    seq = connection.execute(
                        "INSERT INTO entries (kind, trace, name, time, failed, body) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (entry.kind, entry.trace, entry.name, entry.time, entry.failed, entry.body),
                    ).lastrowid
                    connection.execute("INSERT INTO outbox (seq) VALUES (?)", (seq,))
            self.bytes = content_bytes(connection)
            problem = None
        except sqlite3.Error as error:
            problem = str(schema.problem(self.path, error))
        except TwinError as error:
            problem = str(error)
        finally:
            for ticket in tickets:
                ticket.done, ticket.problem = True, problem

    def version(self) -> int:
        """A number that is another one after each commit of another connection."""
        with self._writing.commit:
            return int(self._writer().execute("PRAGMA data_version").fetchone()[0])

    def measure(self) -> int:
        """Size of the content in bytes, now."""
        with self._writing.commit:
            self.bytes = content_bytes(self._writer())
        return self.bytes

    def walk(
        self,
        *,
        newest_first: bool = False,
        since: float | None = None,
        until: float | None = None,
        failed: bool = False,
        scores: bool = False,
    ) -> Iterator[Stored]:
        """Every trace in the order of the commits, a page at a time.

        Args:
            newest_first: The other way round.
            since: Only those that began at this time or later, in seconds since 1970.
            until: Only those that began before this time.
            failed: Only those that ended with an error.
            scores: The scores too, each at its place.
        """
        sign, order, at = ("<", "DESC", 1 << 62) if newest_first else (">", "ASC", -1)
        while True:
            with self.reading() as connection:
                rows = connection.execute(
                    f"SELECT {COLUMNS} FROM entries e WHERE e.seq {sign} ? "  # noqa: S608 - constants
                    "AND (e.kind = 'trace' OR ?) AND e.time >= ? AND e.time < ? AND e.failed >= ? "
                    f"ORDER BY e.seq {order} LIMIT {PAGE}",
                    (at, scores, since or 0, until or 1e18, failed),
                ).fetchall()
            yield from map(stored, rows)
            if len(rows) < PAGE:
                return
            at = rows[-1][0]

    def of_trace(self, trace: str) -> list[Stored]:
        """A trace and its scores, in the order of the commits; empty where it is unknown."""
        with self.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM entries e WHERE e.trace = ? ORDER BY e.seq",  # noqa: S608 - a constant
                (trace,),
            ).fetchall()
        return list(map(stored, rows))

    def holds(self, trace: str) -> bool:
        """Whether a trace is in the spool."""
        with self.reading() as connection:
            query = "SELECT 1 FROM entries WHERE trace = ? AND kind = 'trace'"
            return connection.execute(query, (trace,)).fetchone() is not None

    def status(self) -> Status:
        """Count what is there."""
        with self.reading() as connection:
            kinds = dict(
                connection.execute("SELECT kind, count(*) FROM entries GROUP BY kind").fetchall()
            )
            waiting, refused = connection.execute(
                "SELECT count(*), count(CASE WHEN refusals > 0 THEN 1 END) FROM outbox"
            ).fetchone()
            oldest = connection.execute(
                "SELECT e.time FROM outbox o JOIN entries e USING (seq) ORDER BY o.seq LIMIT 1"
            ).fetchone()
            size = content_bytes(connection)
        return Status(
            traces=kinds.get("trace", 0),
            scores=kinds.get("score", 0),
            waiting=waiting,
            refused=refused,
            oldest_waiting=oldest[0] if oldest else None,
            bytes=size,
        )

    def removals(self) -> list[Removal]:
        """What was removed so far, oldest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT day, reason, traces, scores, undelivered, oldest, newest "
                "FROM removals ORDER BY day, reason"
            ).fetchall()
        return [Removal(*row) for row in rows]

    def state(self, key: str) -> str | None:
        """A value that the forwarder keeps here."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_state(self, key: str, value: str) -> None:
        """Keep a value."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; rolled back where its block raises.

        Raises:
            TwinError: What SQLite could not do.
        """
        with self._writing.commit:
            try:
                with self._transaction(self._writer()) as connection:
                    yield connection
            except sqlite3.Error as error:
                raise schema.problem(self.path, error) from None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, which waits for no writer.

        Raises:
            TwinError: What SQLite could not do.
        """
        connection = schema.connect(self.path)
        try:
            yield connection
        except sqlite3.Error as error:
            raise schema.problem(self.path, error) from None
        finally:
            connection.close()

    def forked(self) -> None:
        """Take new locks and a new connection: those of the parent are of no use in a child."""
        if self._writing.connection is not None:
            # Closing it would drop the locks that the parent holds on the file.
            _of_parents.append(self._writing.connection)
        self._writing = _Writing()

    def _writer(self) -> sqlite3.Connection:
        if self._writing.connection is None:
            self._writing.connection = schema.connect(self.path, lasting=self._lasting)
        return self._writing.connection

    @staticmethod
    @contextmanager
    def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors, such as a full disk.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def content_bytes(connection: sqlite3.Connection) -> int:
    """Size of what a database holds, without its free pages."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


_open_spools: "weakref.WeakSet[Spool]" = weakref.WeakSet()
_of_parents: list[sqlite3.Connection] = []


def _after_fork() -> None:
    for spool in list(_open_spools):
        spool.forked()


os.register_at_fork(after_in_child=_after_fork)
