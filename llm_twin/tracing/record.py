"""Traces, spans and scores in the shape in which Opik takes them; masked, and always JSON.

The field names are those of `TraceWrite`, `SpanWrite` and `FeedbackScoreBatchItem` in Opik's SDK.
The SDK itself is not imported: that takes seconds.
"""

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Final, cast

from pydantic_core import to_json

from llm_twin.masking import Masker
from llm_twin.observing import Kind
from llm_twin.tracing import ids

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

DEEPEST: Final = 32
"""What lies deeper is told as text: no reader has to follow it."""
LARGEST: Final = 2**63
"""Greater whole numbers are told as text: no database has room for them."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands in every record of a process.

    Attributes:
        project: Opik's project.
        environment: Opik's environment, so that staging and production never mix.
        metadata: Versions of the program, the image and the source commit.
    """

    project: str
    environment: str
    metadata: Mapping[str, str]


@dataclass(slots=True)
class Step:
    """A span or the trace itself while it is recorded; times in seconds since 1970."""

    id: str
    name: str
    start: float
    input: Mapping[str, object]
    kind: Kind = "general"
    parent: str | None = None
    end: float | None = None
    output: Mapping[str, object] | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    usage: Mapping[str, int] | None = None
    model: str | None = None
    provider: str | None = None
    cost: float | None = None
    first_token: float | None = None
    tags: list[str] = field(default_factory=list)
    error: BaseException | None = None


class Writer:
    """Turns steps into masked JSON."""

    def __init__(self, labels: Labels, masker: Masker) -> None:
        """Make one.

        Args:
            labels: What stands in every record.
            masker: Takes secrets and personal data out.
        """
        self._labels = labels
        self._masker = masker

    def trace(self, step: Step, spans: Sequence[Step], thread: str | None) -> str:
        """Return the body of a trace's entry: `{"trace": {...}, "spans": [...]}`."""
        written: dict[str, Json] = {
            **self._common(step),
            "metadata": self.clean({**self._labels.metadata, **step.metadata}),
            "thread_id": None if thread is None else self.text(thread),
            "ttft": None if step.first_token is None else step.first_token * 1000,
        }
        return _dumped({"trace": _known(written), "spans": [self._span(step, s) for s in spans]})

    def score(self, trace: str, name: str, value: float, reason: str | None, source: str) -> str:
        """Return the body of a score's entry."""
        written: dict[str, Json] = {
            "id": trace,
            "project_name": self._labels.project,
            "name": self.text(name),
            "value": value,
            "reason": None if reason is None else self.text(reason),
            "source": source,
        }
        return _dumped(_known(written))

    def _span(self, trace: Step, span: Step) -> Json:
        usage = {key: int(value) for key, value in (span.usage or {}).items()}
        written: dict[str, Json] = {
            **self._common(span),
            "trace_id": trace.id,
            "parent_span_id": span.parent,
            "type": span.kind,
            "metadata": self.clean(span.metadata) if span.metadata else None,
            "model": None if span.model is None else self.text(span.model),
            "provider": None if span.provider is None else self.text(span.provider),
            "usage": self.clean(usage) if usage else None,
            "total_estimated_cost": span.cost,
            "ttft": None if span.first_token is None else span.first_token * 1000,
        }
        return _known(written)

    def _common(self, step: Step) -> dict[str, Json]:
        end = _time(step.start if step.end is None else step.end)
        return {
            "id": step.id,
            "project_name": self._labels.project,
            "environment": self._labels.environment,
            "name": self.text(step.name),
            "start_time": _time(step.start),
            "end_time": end,
            "last_updated_at": end,
            "input": self.clean(step.input),
            "output": None if step.output is None else self.clean(step.output),
            "tags": [self.text(tag) for tag in step.tags] or None,
            "error_info": None if step.error is None else self._error(step.error),
            "source": "sdk",
        }

    def _error(self, error: BaseException) -> Json:
        return {
            "exception_type": self.text(type(error).__name__),
            "message": self.text(str(error)),
            "traceback": self.text("".join(traceback.format_exception(error))),
        }

    def text(self, text: str) -> str:
        """Mask a text."""
        return self._masker.mask_text(_whole(text))

    def clean(self, value: object) -> Json:
        """Make JSON of a value whatever it is, and mask its texts and keys."""
        return cast("Json", self._masker.mask(plain(value)))


def plain(value: object, depth: int = 0) -> Json:
    """Make JSON of a value whatever it is; what has no form in JSON is told as text."""
    if isinstance(value, str):  # most of them are
        return _whole(value)
    if value is None or isinstance(value, int | float):
        return _scalar(value)
    if depth >= DEEPEST:
        return f"({type(value).__name__} at depth {depth})"
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    if type(value) is not dict and is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict | Mapping):
        return {_whole(str(key)): plain(item, depth + 1) for key, item in value.items()}
    return _whole(value.isoformat() if isinstance(value, datetime) else str(value))


def _scalar(value: float | None) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -LARGEST <= value < LARGEST else hex(value)
    return float(value) if math.isfinite(value) else str(value)


def _whole(text: str) -> str:
    """Halves of surrogate pairs, which no encoding writes, become `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def new_step(name: str, start: float, given: Mapping[str, object]) -> Step:
    """Begin a step."""
    return Step(ids.new(), name, start, given)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _known(fields_: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in fields_.items() if value is not None}


def _dumped(value: Json) -> str:
    return to_json(value).decode()
