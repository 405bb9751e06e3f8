"""What the spool holds, as data."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["trace", "score"]

COLUMNS: Final = "e.seq, e.kind, e.trace, e.name, e.time, e.failed, e.body"
"""What `stored` reads, of the table `entries` as `e`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written at once: a trace with its spans, or a score.

    Attributes:
        kind: Which of the two.
        trace: Id of the trace that it is or belongs to.
        name: Name of the trace or the score.
        time: Start of the request, or when the feedback came; seconds since 1970.
        failed: Whether the request ended with an error.
        body: JSON, in the shape of Opik's API; see `record`.
    """

    kind: Kind
    trace: str
    name: str
    time: float
    failed: bool
    body: str


@dataclass(frozen=True, slots=True)
class Stored(Entry):
    """An entry in the spool; `seq` counts up in the order of the commits."""

    seq: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What a limit, or somebody's wish to be forgotten, removed on one day.

    Attributes:
        day: Its start in UTC, in seconds since 1970.
        reason: The limit, by the name of its setting, or `forgotten`.
        traces: How many traces.
        scores: How many scores.
        undelivered: How many of both no server had.
        oldest: Start of the oldest of them, in seconds since 1970.
        newest: Start of the newest of them.
    """

    day: float
    reason: str
    traces: int
    scores: int
    undelivered: int
    oldest: float
    newest: float


@dataclass(frozen=True, slots=True)
class Status:
    """What the spool holds.

    Attributes:
        traces: Traces.
        scores: Scores.
        waiting: Entries that no server has.
        refused: Those of them that the server answered with no, at least once.
        oldest_waiting: When the oldest of them began, in seconds since 1970.
        bytes: Size of the content, without free pages.
    """

    traces: int
    scores: int
    waiting: int
    refused: int
    oldest_waiting: float | None
    bytes: int


def stored(row: tuple[int, Kind, str, str, float, int, str]) -> Stored:
    """Make an entry of a row of `COLUMNS`."""
    seq, kind, trace, name, when, failed, body = row
    return Stored(kind, trace, name, when, bool(failed), body, seq)
