"""What zizmor and actionlint say of the workflows."""

import json
import re
from typing import Any, NamedTuple

import msgspec

from llm_pipeline.judging import count, cut_short, last_line, relative, root_of
from llm_pipeline.model import Finding, Verdict
from llm_pipeline.outcome import Judgement, Observed

_ZIZMOR_FOUND = range(10, 15)
"""Exit codes of zizmor for findings, by the highest severity."""
_SKIPPED = re.compile(r"failed to (?:parse|validate|load) .*")


class _Point(msgspec.Struct, frozen=True):
    row: int
    column: int


class _Span(msgspec.Struct, frozen=True):
    start_point: _Point


class _Concrete(msgspec.Struct, frozen=True):
    location: _Span


class _Symbolic(msgspec.Struct, frozen=True):
    key: dict[str, dict[str, Any]]
    annotation: str
    kind: str = "Primary"


class _Location(msgspec.Struct, frozen=True):
    symbolic: _Symbolic
    concrete: _Concrete


class _Audit(msgspec.Struct, frozen=True):
    """A finding of zizmor, in its JSON format v1."""

    ident: str
    desc: str
    locations: list[_Location]
    ignored: bool = False


class _Problem(msgspec.Struct, frozen=True):
    """An error of actionlint, as ``{{json .}}`` prints it."""

    message: str
    filepath: str
    line: int
    column: int
    kind: str


class _Part(NamedTuple):
    verdict: Verdict
    summary: str
    findings: tuple[Finding, ...] = ()
    unparsed: bool = False


def workflows(observed: Observed) -> Judgement:
    """Judge zizmor, actionlint or both; which of them ran is told from their output.

    A workflow that zizmor can't parse was not looked at, so that it is an ``error``, unless
    actionlint says what is wrong with it.
    """
    if ended := cut_short(observed, "zizmor or actionlint"):
        return ended
    root = root_of(observed)
    parts = [
        _part(code, observed.text(f"{number}.log"), root)
        for number, code in enumerate(observed.codes)
    ]
    findings = tuple(finding for part in parts for finding in part.findings)
    explained = any(finding.rule == "syntax-check" for finding in findings)
    verdicts = {Verdict.FAILED if part.unparsed and explained else part.verdict for part in parts}
    order = (Verdict.ERROR, Verdict.FAILED, Verdict.PASSED)
    verdict = next(verdict for verdict in order if verdict in verdicts)
    return Judgement(verdict, "; ".join(part.summary for part in parts), findings)


def _part(code: int, log: str, root: str) -> _Part:
    reported = _array(log)
    zizmor = "zizmor" in log if not reported else "ident" in reported[0]
    tool = "zizmor" if zizmor else "actionlint"
    skipped = _SKIPPED.findall(log) if zizmor else []
    found = code in _ZIZMOR_FOUND if zizmor else code == 1
    if code and not found:
        return _Part(
            Verdict.ERROR,
            f"{tool} could not look (exit {code}): {last_line(log)}",
            unparsed=bool(skipped),
        )
    try:
        findings = _zizmor(reported, root) if zizmor else _actionlint(reported, root)
    except msgspec.ValidationError as problem:
        return _Part(Verdict.ERROR, f"{tool} left an unreadable report: {problem}")
    summary = f"{tool}: {count(len(findings), 'finding') if findings else 'no findings'}"
    if reported is None or bool(findings) != found:
        what = summary if reported is not None else f"{tool} left no readable report"
        return _Part(Verdict.ERROR, f"{what}, but it exited with {code}", findings)
    if skipped:
        summary = f"{tool} passed over a file: {skipped[0]}"
        return _Part(Verdict.ERROR, summary, findings, unparsed=True)
    return _Part(Verdict.FAILED if findings else Verdict.PASSED, summary, findings)


def _array(log: str) -> list[dict[str, Any]] | None:
    """Return the JSON array of objects in a log that has other lines around it."""
    decoder = json.JSONDecoder()
    for start in re.finditer(r"^\[", log, re.MULTILINE):
        try:
            found, _ = decoder.raw_decode(log, start.start())
        except ValueError:
            continue
        if all(isinstance(item, dict) for item in found):
            return list(found)
    return None


def _zizmor(reported: list[dict[str, Any]] | None, root: str) -> tuple[Finding, ...]:
    findings = []
    for audit in msgspec.convert(reported or [], list[_Audit]):
        if audit.ignored or not audit.locations:
            continue
        place = next(
            (place for place in audit.locations if place.symbolic.kind == "Primary"),
            audit.locations[0],
        )
        # Which of these keys there is depends on zizmor's version.
        key = place.symbolic.key.get("Local", {})
        names = ("verbatim_path", "given_path", "path")
        path = next((str(key[name]) for name in names if name in key), "")
        point = place.concrete.location.start_point
        findings.append(
            Finding(
                relative(path, root),
                point.row + 1,
                audit.ident,
                audit.desc,
                point.column + 1,
                place.symbolic.annotation,
            )
        )
    return tuple(findings)


def _actionlint(reported: list[dict[str, Any]] | None, root: str) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            relative(problem.filepath, root),
            problem.line,
            problem.kind,
            problem.message,
            problem.column,
        )
        for problem in msgspec.convert(reported or [], list[_Problem])
    )
