"""What is still to be delivered, in the order of the commits."""

import time
from collections.abc import Iterable

from llm_twin.tracing.model import COLUMNS, Stored, stored
from llm_twin.tracing.spool import Spool


class Outbox:
    """The entries of a spool that no server has; an entry leaves it on delivery."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def waiting(self, count: int, size: int, now: float) -> list[Stored]:
        """The oldest entries that may be delivered now.

        Args:
            count: At most so many.
            size: At most so many characters of bodies, and at least one entry.
            now: Entries that were put off beyond this time, in seconds since 1970, are left out.
        """
        found: list[Stored] = []
        with self._spool.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM outbox o JOIN entries e USING (seq) "  # noqa: S608 - a constant
                "WHERE o.retry <= ? ORDER BY o.seq LIMIT ?",
                (now, count),
            )
            for entry in map(stored, rows):
                size -= len(entry.body)
                if found and size < 0:
                    break
                found.append(entry)
        return found

    def delivered(self, seqs: Iterable[int]) -> None:
        """Take entries off the list of what is to be delivered."""
        with self._spool.writing() as connection:
            connection.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs])

    def refused(self, seq: int, problem: str, wait: float, longest: float) -> None:
        """Put an entry off that a server said no to; `wait` seconds, doubled each time."""
        with self._spool.writing() as connection:
            connection.execute(
                "UPDATE outbox SET refusals = refusals + 1, problem = ?, "
                "retry = ? + min(?, ? * (1 << min(refusals, 20))) WHERE seq = ?",
                (problem, time.time(), longest, wait, seq),
            )

    def again(self, *, everything: bool) -> None:
        """Let what was refused be tried at once; or everything, what was delivered too."""
        with self._spool.writing() as connection:
            connection.execute("UPDATE outbox SET retry = 0")
            if everything:
                connection.execute("INSERT OR IGNORE INTO outbox (seq) SELECT seq FROM entries")

    def next_retry(self) -> float | None:
        """When the next entry may be delivered, 0 for at once; None where nothing waits."""
        with self._spool.reading() as connection:
            value = connection.execute("SELECT min(retry) FROM outbox").fetchone()[0]
        return None if value is None else float(value)

    def problems(self, count: int) -> list[tuple[str, int, str]]:
        """Entries that a server refused: trace, how often, and the last answer."""
        with self._spool.reading() as connection:
            rows = connection.execute(
                "SELECT e.trace, o.refusals, o.problem FROM outbox o JOIN entries e USING (seq) "
                "WHERE o.refusals > 0 ORDER BY o.seq LIMIT ?",
                (count,),
            ).fetchall()
        return [(str(trace), int(refusals), str(text)) for trace, refusals, text in rows]
