"""Reads traces back, from the spool or from a server, for whoever looks over them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from llm_twin.settings import Settings
    from llm_twin.tracing.server import Server
    from llm_twin.tracing.spool import Spool

PAGE: Final = 100
"""Traces that are asked of a server at once."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it was recorded, in the field names of Opik's API.

    Attributes:
        trace: Id, name, times, input, output, metadata and so on.
        spans: Its steps, in the order in which they began.
        scores: What was thought of it; of each name the last word.
    """

    trace: dict[str, Any]
    spans: list[dict[str, Any]]
    scores: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return one object, as `llm-twin traces export` writes it."""
        return {"trace": self.trace, "spans": self.spans, "scores": self.scores}


class Tracker(Protocol):
    """Where traces can be read."""

    def traces(self, since: float, until: float | None = None) -> Iterator[Recorded]:
        """Give the requests that began in a span of time; flat in memory.

        Args:
            since: The earliest start, in seconds since 1970.
            until: The start before which they began, None for no end.

        Raises:
            TwinError: They can't be read.
        """
        ...


class SpoolTracker:
    """Reads the spool: oldest first."""

    def __init__(self, spool: "Spool") -> None:
        self._spool = spool

    def traces(self, since: float, until: float | None = None) -> Iterator[Recorded]:
        """Give the requests that began in a span of time; see `Tracker`."""
        for entry in self._spool.walk(since=since, until=until):
            found = self.get(entry.trace)
            if found is not None:  # else it was removed just now
                yield found

    def get(self, trace: str) -> Recorded | None:
        """Give one request by its trace's id, None where the spool doesn't hold it."""
        body: dict[str, Any] | None = None
        scores: dict[str, dict[str, Any]] = {}
        for entry in self._spool.of_trace(trace):
            read = json.loads(entry.body)
            if entry.kind == "trace":
                body = read
            else:
                scores[entry.name] = read
        if body is None:
            return None
        return Recorded(body["trace"], body["spans"], list(scores.values()))


class OpikTracker:
    """Reads a server: newest first, as it streams them."""

    def __init__(self, server: "Server", project: str, environment: str) -> None:
        """Make one.

        Args:
            server: The server.
            project: Opik's project.
            environment: Opik's environment; traces of others are passed over.
        """
        self._server = server
        self._project = project
        self._environment = environment

    def traces(self, since: float, until: float | None = None) -> Iterator[Recorded]:
        """Give the requests that began in a span of time; see `Tracker`."""
        search = self._server.api.traces.search_traces
        asked: dict[str, Any] = {
            "project_name": self._project,
            "from_time": _when(since),
            "limit": PAGE,
            "truncate": False,
        }
        if until is not None:
            asked["to_time"] = _when(until)
        while True:
            with self._server.asking():
                page = _rows(search(**asked))
            for trace in page:
                if trace.get("environment") == self._environment:
                    scores = trace.pop("feedback_scores", None) or []
                    yield Recorded(trace, self._spans(trace["id"]), scores)
            if len(page) < PAGE:
                return
            asked["last_retrieved_id"] = page[-1]["id"]

    def _spans(self, trace: str) -> list[dict[str, Any]]:
        from opik.rest_api import SpanFilterPublic

        condition = SpanFilterPublic(field="trace_id", operator="=", value=trace)
        search = self._server.api.spans.search_spans
        with self._server.asking():
            found = _rows(search(project_name=self._project, filters=[condition], truncate=False))
        return sorted(found, key=lambda span: str(span["start_time"]))


def tracker(settings: "Settings", spool: "Spool") -> Tracker:
    """Return where the traces of a deployment are read: the server where there is one."""
    if settings.opik.url is None:
        return SpoolTracker(spool)
    from llm_twin.tracing.server import Server

    return OpikTracker(Server(settings.opik), settings.opik.project, settings.tracing.environment)


def _rows(chunks: Iterator[bytes]) -> list[dict[str, Any]]:
    """Read an answer of JSON lines."""
    return [json.loads(line) for line in b"".join(chunks).splitlines() if line.strip()]


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
