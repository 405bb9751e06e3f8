"""What an Opik server does with its requests; each body is checked with the SDK's own models."""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel

from llm_twin.tracing import sdk

sdk.quiet()  # before the first import

from opik.rest_api import (  # noqa: E402 - see above
    FeedbackScoreBatchItem,
    ProjectPagePublic,
    PromptVersionDetail,
    SpanPublic,
    SpanWrite,
    TracePublic,
    TraceWrite,
)

Json = dict[str, Any]
Reply = tuple[int, Any]


class OpikApi:
    """Keeps what it gets in memory, and merges what comes twice by its id, as Opik does.

    Attributes:
        traces: Traces by id.
        spans: Spans by id.
        scores: Feedback by trace and name.
        prompts: The versions of each prompt, oldest first.
        arrivals: How often each trace's or span's id came.
        order: Ids of the traces, in the order in which they first came.
        problems: What was wrong with the bodies that it refused.
        poison: It answers 422 to a batch that has a trace of this name.
    """

    def __init__(self) -> None:
        self.traces: dict[str, Json] = {}
        self.spans: dict[str, Json] = {}
        self.scores: dict[tuple[str, str], Json] = {}
        self.prompts: dict[str, list[Json]] = {}
        self.arrivals: Counter[str] = Counter()
        self.order: list[str] = []
        self.problems: list[str] = []
        self.poison: str | None = None

    MOST: ClassVar[int] = 1000
    """Records that Opik takes in a request."""

    def take(self, method: str, path: str, body: Json) -> Reply:
        """Do what a request asks for; return the status and what is answered."""
        for (wanted, pattern), action in self.ROUTES.items():
            match = re.fullmatch(f"/api/{pattern}", path)
            if wanted == method and match:
                try:
                    return action(self, body, *match.groups())
                except (ValueError, TypeError, KeyError) as error:
                    self.problems.append(f"{method} {path}: {error!r}")
                    return 422, {"errors": [str(error)]}
        self.problems.append(f"{method} {path}: no such path")
        return 404, {"code": 404, "message": "HTTP 404 Not Found"}

    def _alive(self, _body: Json) -> Reply:
        return 200, {"message": "pong", "healthy": True}

    def _projects(self, _body: Json) -> Reply:
        names = sorted({trace["project_name"] for trace in self.traces.values()})
        content = [{"name": name} for name in names]
        page = {"page": 1, "size": 1, "total": len(names), "content": content}
        return 200, _sent(ProjectPagePublic, page)

    def _traces(self, body: Json) -> Reply:
        self._few(body["traces"])
        traces = [_checked(TraceWrite, trace) for trace in body["traces"]]
        if any(self.poison and trace.get("name") == self.poison for trace in traces):
            return 422, {"errors": [f"traces named {self.poison} are not taken"]}
        for trace in traces:
            if trace["id"] not in self.traces:
                self.order.append(trace["id"])
            self._merge(self.traces, trace)
        return 204, None

    def _spans(self, body: Json) -> Reply:
        self._few(body["spans"])
        for span in [_checked(SpanWrite, span) for span in body["spans"]]:
            _id(span["trace_id"])
            self._merge(self.spans, span)
        return 204, None

    def _few(self, records: list[Json]) -> None:
        if not 1 <= len(records) <= self.MOST:
            raise ValueError(f"{len(records)} records in a request")

    def _merge(self, kept: dict[str, Json], new: Json) -> None:
        self.arrivals[new["id"]] += 1
        old = kept.setdefault(new["id"], {})
        if old and old["project_name"] != new["project_name"]:
            raise ValueError("belongs to another project")
        old.update({key: value for key, value in new.items() if value is not None})

    def _scores(self, body: Json) -> Reply:
        self._few(body["scores"])
        for score in [_checked(FeedbackScoreBatchItem, score) for score in body["scores"]]:
            self.scores[score["id"], score["name"]] = score
        return 204, None

    def _delete(self, body: Json) -> Reply:
        for identity in body["ids"]:
            _id(identity)
            self.traces.pop(identity, None)
        self.spans = {k: v for k, v in self.spans.items() if v["trace_id"] in self.traces}
        self.scores = {k: v for k, v in self.scores.items() if k[0] in self.traces}
        return 204, None

    def _search_traces(self, body: Json) -> Reply:
        return 200, [self._public(trace) for trace in _found(self.traces, body)]

    def _search_spans(self, body: Json) -> Reply:
        return 200, [_sent(SpanPublic, span) for span in _found(self.spans, body)]

    def _public(self, trace: Json) -> Json:
        scores = [
            {key: score.get(key) for key in ("name", "value", "reason", "source")}
            for (identity, _), score in self.scores.items()
            if identity == trace["id"]
        ]
        return _sent(TracePublic, {**trace, "feedback_scores": scores or None})

    def _trace(self, _body: Json, identity: str) -> Reply:
        trace = self.traces.get(identity)
        return (200, self._public(trace)) if trace else (404, {"errors": ["Trace not found"]})

    def _prompt(self, body: Json) -> Reply:
        versions = self.prompts.get(body["name"])
        return (200, versions[-1]) if versions else (404, {"errors": ["Prompt not found"]})

    def _new_version(self, body: Json) -> Reply:
        given = _checked(PromptVersionDetail, body["version"])
        versions = self.prompts.setdefault(body["name"], [])
        made = {
            "id": str(uuid.uuid4()),
            "commit": uuid.uuid4().hex[:8],
            "version_number": f"v{len(versions) + 1}",
            "template_structure": body.get("template_structure") or "text",
        }
        versions.append(_sent(PromptVersionDetail, given | made))
        return 200, versions[-1]

    def _new_prompt(self, body: Json) -> Reply:
        version = {key: body[key] for key in ("template", "metadata", "type") if body.get(key)}
        self._new_version({**body, "version": version})
        return 201, None

    ROUTES: ClassVar[Mapping[tuple[str, str], Callable[..., Reply]]] = {
        ("GET", "is-alive/ping"): _alive,
        ("GET", "v1/private/projects"): _projects,
        ("POST", "v1/private/traces/batch"): _traces,
        ("POST", "v1/private/spans/batch"): _spans,
        ("PUT", "v1/private/traces/feedback-scores"): _scores,
        ("POST", "v1/private/traces/delete"): _delete,
        ("POST", "v1/private/traces/search"): _search_traces,
        ("POST", "v1/private/spans/search"): _search_spans,
        ("GET", "v1/private/traces/([0-9a-f-]+)"): _trace,
        ("POST", "v1/private/prompts/versions/retrieve"): _prompt,
        ("POST", "v1/private/prompts/versions"): _new_version,
        ("POST", "v1/private/prompts"): _new_prompt,
    }


def _checked(model: type[BaseModel], body: Json) -> Json:
    """Raise an error for what is not the model's; its models take any further field."""
    model.model_validate(body, strict=False)
    if unknown := set(body) - set(model.model_fields):
        raise ValueError(f"{model.__name__} has no {unknown}")
    if "id" in body:
        _id(body["id"])
    if "project_name" in model.model_fields and not body.get("project_name"):
        raise ValueError("names no project")
    return body


def _id(text: str) -> None:
    if uuid.UUID(text).version != 7:
        raise ValueError(f"{text} is no UUID of version 7")


def _sent(model: type[BaseModel], body: Json) -> Json:
    """Check an answer too, so that what we read is what a server may send."""
    known = {key: value for key, value in body.items() if key in model.model_fields}
    model.model_validate(known)
    return known


def _found(kept: Mapping[str, Json], body: Json) -> list[Json]:
    """Newest first, as Opik streams them."""
    found = [
        item
        for item in kept.values()
        if item["project_name"] == body["project_name"]
        and all(_matches(item, each) for each in body.get("filters") or [])
        and _between(item["start_time"], body.get("from_time"), body.get("to_time"))
        and item["id"] < (body.get("last_retrieved_id") or "~")
    ]
    found.sort(key=lambda item: str(item["id"]), reverse=True)
    return found[: body.get("limit") or 500]


def _matches(item: Json, condition: Json) -> bool:
    if condition["operator"] != "=":
        raise ValueError(f"operator {condition['operator']}")
    return str(item.get(condition["field"])) == str(condition["value"])


def _between(time: str, start: str | None, end: str | None) -> bool:
    at = datetime.fromisoformat(time)
    return not (start and at < datetime.fromisoformat(start)) and not (
        end and at >= datetime.fromisoformat(end)
    )
