"""Traces for people: times, tables, and texts that can't steer a terminal."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from llm_twin.errors import UsageError

if TYPE_CHECKING:
    from llm_twin.tracing.tracker import Recorded

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST_CELL: Final = 60
MEGABYTE: Final = 1_000_000


def moment(text: str | None) -> float | None:
    """Read a time: a date, a date with a time, or how long ago such as `12h`.

    Returns:
        Seconds since 1970; None for None. A time without a zone is local.

    Raises:
        UsageError: It is none of these.
    """
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    try:
        if ago:
            return (datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})).timestamp()
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {line(text)}: should be a date such as 2026-01-31, or 30m, 12h, 7d"
        ) from None


def line(text: str) -> str:
    """Put a text on one line, without what would steer a terminal."""
    return _printable(text).strip()


def row(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a list says of one request."""
    trace = body["trace"]
    usages = [span.get("usage") or {} for span in body["spans"] if span.get("type") == "llm"]
    return {
        "id": trace["id"],
        "start_time": trace["start_time"],
        "name": trace["name"],
        "outcome": _outcome(trace),
        "seconds": round(_seconds(trace), 3),
        "tokens": sum(usage.get("total_tokens", 0) for usage in usages),
        "environment": trace.get("environment"),
        "input": _excerpt(trace.get("input")),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a list."""
    if not rows:
        return ["no traces"]
    cells = [("time", "trace", "name", "outcome", "s", "tokens", "input")]
    cells += [
        (
            _local(each["start_time"]),
            each["id"],
            line(each["name"]),
            each["outcome"],
            f"{each['seconds']:.2f}",
            str(each["tokens"]),
            line(each["input"]),
        )
        for each in rows
    ]
    return _columns(cells)


def details(found: "Recorded") -> list[str]:
    """Return the lines that show one request."""
    trace = found.trace
    lines = [
        f"trace        {trace['id']}",
        f"name         {line(trace['name'])}",
        f"time         {_local(trace['start_time'])}, {_seconds(trace):.2f} s",
        f"outcome      {_outcome(trace)}",
        f"environment  {line(str(trace.get('environment')))}",
    ]
    for key, value in (trace.get("metadata") or {}).items():
        lines.append(f"{line(key):12} {line(str(value))}")
    lines += ["", "input", *_block(trace.get("input")), "", "output", *_block(trace.get("output"))]
    if error := trace.get("error_info"):
        lines += ["", "error", *_block(error.get("traceback") or error.get("message"))]
    lines += ["", "steps", *_columns([_step(span, found.spans) for span in found.spans])]
    if found.scores:
        lines += ["", "feedback"]
        for score in found.scores:
            said = f"  {line(score['name'])}: {score['value']:g} {line(score.get('reason') or '')}"
            lines.append(said.rstrip())
    return lines


def status(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of `llm-twin traces status`."""
    spool, server = report["spool"], report["server"]
    size = f"{spool['bytes'] / MEGABYTE:.1f} MB"
    limits = f"{spool['max_megabytes']} MB, {spool['max_days']} days"
    lines = [
        f"spool      {spool['path']}",
        f"holds      {spool['traces']} traces, {spool['scores']} scores, {size}",
        f"limits     {limits}; when full of what no server has: {spool['when_full']}",
        f"server     {server['url'] or 'none is set (LLM_TWIN_OPIK_URL); the spool is the store'}",
    ]
    if server["url"]:
        oldest = server["oldest_waiting"]
        since = f", the oldest since {_local(oldest)}" if oldest else ""
        last = server["last_delivery"]
        lines.append(f"waiting    {server['waiting']}{since}; {server['refused']} refused")
        lines.append(f"delivered  {'last ' + _local(last) if last else 'nothing yet'}")
        if server["problem"]:
            lines.append(f"problem    {line(server['problem'])}")
    lines += [
        f"refused    {refusal['trace']}, {refusal['times']} times: {line(refusal['problem'])}"
        for refusal in report["refusals"]
    ]
    lines += [
        f"removed    {removed['day'][:10]}: {removed['traces']} traces and {removed['scores']} "
        f"scores, by {removed['reason']}; {removed['undelivered']} of them no server had"
        for removed in report["removed"]
    ]
    return lines


@contextmanager
def replacing(file: Path) -> Iterator[TextIO]:
    """Write a file that takes the place of the old one when all of it is written.

    Raises:
        OSError: It can't be written; the old one is as it was.
    """
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        # Traces hold what people asked: for their owner alone.
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _outcome(trace: Mapping[str, Any]) -> str:
    if trace.get("error_info"):
        return "error"
    tags = trace.get("tags") or []
    return next((tag for tag in ("cancelled", "abstained") if tag in tags), "ok")


def _seconds(item: Mapping[str, Any]) -> float:
    start, end = (datetime.fromisoformat(item[key]) for key in ("start_time", "end_time"))
    return (end - start).total_seconds()


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def _excerpt(given: object) -> str:
    """The last text of an input: of a conversation, what was asked last."""
    texts: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, Mapping):
            for each in value.values():
                collect(each)
        elif isinstance(value, list):
            for each in value:
                collect(each)

    collect(given)
    text = " ".join(texts[-1].split()) if texts else ""
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


def _block(value: object) -> list[str]:
    """A value as indented lines, a text as it is."""
    import json

    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    if not isinstance(value, str):
        value = json.dumps(value, indent=2, ensure_ascii=False)
    return [f"  {_printable(each)}".rstrip() for each in value.splitlines()]


def _step(span: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    parents = {each["id"]: each.get("parent_span_id") for each in spans}
    depth, parent = 0, span.get("parent_span_id")
    while parent in parents and depth < len(spans):
        depth, parent = depth + 1, parents[parent]
    usage = span.get("usage") or {}
    cost = span.get("total_estimated_cost")
    return (
        "  " * (depth + 1) + line(span["name"]),
        span.get("type") or "",
        f"{_seconds(span):.3f} s",
        f"{usage['total_tokens']} tokens" if "total_tokens" in usage else "",
        "" if cost is None else f"${cost:g}",
        line(span.get("model") or ""),
        "error" if span.get("error_info") else "",
    )


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(each, widths, strict=True)).rstrip()
        for each in rows
    ]
