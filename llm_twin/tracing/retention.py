"""How much the spool keeps, and for how long. Nothing goes without being counted in its list.

What a server has goes first. What no server has goes only where a limit leaves no other choice, and
is counted as undelivered; with `refuse` it stays, and new requests are refused instead.
"""

import json
import math
import re
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from llm_twin.errors import TwinError
from llm_twin.tracing.spool import Spool

SLACK: Final = 1.1
"""Between two rounds of `enforce` the spool may grow so far beyond its limit."""
ROOM: Final = 0.95
"""A round that removes something goes down to so much of the limit."""
BATCH: Final = 256
"""Entries removed, or pages given back, in one transaction: requests wait for no more."""
TOO_OLD: Final = "tracing.max_days"
TOO_LARGE: Final = "tracing.max_megabytes"
FORGOTTEN: Final = "forgotten"
DAY: Final = 86400.0

# The first rows are the oldest, so that nobody has to look at all of them.
_OLD: Final = (
    "SELECT seq FROM (SELECT seq, time FROM entries ORDER BY seq LIMIT :batch) WHERE time < :before"
)
_DELIVERED: Final = (
    "SELECT seq FROM entries e WHERE time < :before "
    "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.seq = e.seq) ORDER BY seq LIMIT :batch"
)
_OF_TRACE: Final = "SELECT seq FROM entries WHERE trace = :trace"
_ANY: Final = "SELECT seq FROM entries ORDER BY seq LIMIT :batch"


class FullError(TwinError):
    """The spool is full of what no server has, and may not drop it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a spool may hold.

    Attributes:
        bytes: Size of the content.
        seconds: Age of a trace.
        refuse: Refuse new requests rather than drop what no server has.
    """

    bytes: int
    seconds: float
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten.

    Attributes:
        traces: How many traces.
        delivered: Ids of those that a server has; they have to be deleted there too.
    """

    traces: int
    delivered: tuple[str, ...]


def enforce(spool: Spool, limits: Limits) -> int:
    """Remove what is beyond the limits; return the number of entries.

    Raises:
        TwinError: The spool can't be written.
    """
    removed = 0
    oldest = time.time() - limits.seconds
    while taken := _drop(spool, TOO_OLD, _DELIVERED if limits.refuse else _OLD, oldest):
        removed += taken
    if spool.measure() > limits.bytes:
        while spool.measure() > limits.bytes * ROOM and (taken := _shrink(spool, limits)):
            removed += taken
    while removed and _give_back(spool):
        pass
    return removed


def admit(spool: Spool, limits: Limits) -> None:
    """Make sure that one more request may be written.

    Raises:
        FullError: It may not, and nothing can be dropped for it.
        TwinError: The spool can't be written.
    """
    if spool.bytes <= limits.bytes * SLACK:
        return
    enforce(spool, limits)
    if spool.bytes > limits.bytes * SLACK:
        raise FullError(
            "the spool is full of traces that no server has: mend the server that "
            "`llm-twin traces status` tells of, or raise LLM_TWIN_TRACING_MAX_MEGABYTES"
        )


def forget(spool: Spool, terms: Iterable[str]) -> Forgotten:
    """Remove each trace in which one of the terms stands, with its scores, in whatever case.

    Args:
        spool: Where.
        terms: Texts such as a document's id or a person's name; `ada` is not found in `adapter`.
            The spool holds masked texts, so an e-mail address or a phone number is found nowhere.

    Raises:
        TwinError: The spool can't be read or written.
    """
    words = "|".join(re.escape(_written(term)) for term in terms if term.strip())
    # In JSON a line end is a letter.
    looked_for = re.compile(rf"(?:(?<!\w)|(?<=\\[nrt]))(?:{words or '(?!)'})(?!\w)")
    traces = {
        entry.trace for entry in spool.walk(scores=True) if looked_for.search(entry.body.casefold())
    }
    delivered = [trace for trace in sorted(traces) if not _waits(spool, trace)]
    for trace in traces:
        _drop(spool, FORGOTTEN, _OF_TRACE, trace=trace)
    while traces and _give_back(spool):
        pass
    return Forgotten(len(traces), tuple(delivered))


def _written(term: str) -> str:
    """A text as it stands in a body."""
    return json.dumps(term.strip(), ensure_ascii=False)[1:-1].casefold()


def _waits(spool: Spool, trace: str) -> bool:
    query = "SELECT 1 FROM outbox JOIN entries USING (seq) WHERE trace = ? AND kind = 'trace'"
    with spool.reading() as connection:
        return connection.execute(query, (trace,)).fetchone() is not None


def _shrink(spool: Spool, limits: Limits) -> int:
    taken = _drop(spool, TOO_LARGE, _DELIVERED)
    return taken if taken or limits.refuse else _drop(spool, TOO_LARGE, _ANY)


def _drop(spool: Spool, reason: str, chosen: str, before: float = math.inf, trace: str = "") -> int:
    """Remove the entries that a query names, and count them; return how many."""
    now = time.time()
    with spool.writing() as connection:
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (seq INTEGER PRIMARY KEY)")
        connection.execute("DELETE FROM temp.chosen")
        values = {"batch": BATCH, "before": before, "trace": trace}
        connection.execute(f"INSERT INTO temp.chosen {chosen}", values)
        removed, traces, oldest, newest = connection.execute(
            "SELECT count(*), count(CASE WHEN kind = 'trace' THEN 1 END), min(time), max(time) "
            "FROM entries JOIN temp.chosen USING (seq)"
        ).fetchone()
        if not removed:
            return 0
        undelivered = connection.execute(
            "SELECT count(*) FROM outbox JOIN temp.chosen USING (seq)"
        ).fetchone()[0]
        for table in ("outbox", "entries"):
            connection.execute(
                f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM temp.chosen)"  # noqa: S608 - two names
            )
        _count(connection, reason, now, (traces, removed - traces, undelivered, oldest, newest))
    return int(removed)


def _count(
    connection: sqlite3.Connection,
    reason: str,
    now: float,
    counts: tuple[int, int, int, float, float],
) -> None:
    """Add to the day's line of a reason."""
    connection.execute(
        "INSERT INTO removals VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, reason) DO UPDATE SET "
        "traces = traces + excluded.traces, scores = scores + excluded.scores, "
        "undelivered = undelivered + excluded.undelivered, "
        "oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest)",
        (now // DAY * DAY, reason, *counts),
    )


def _give_back(spool: Spool) -> bool:
    """Give some free pages back to the file system; return whether there are more."""
    with spool.writing() as connection:
        connection.execute(f"PRAGMA incremental_vacuum({BATCH})").fetchall()
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0]) > 0
