"""What each check's exit codes and output mean: the same for both executors.

A judge reads what a script left behind and nothing else. Where a tool's exit code and its report
contradict each other, the check is an ``error``: one of the two is not what it seems.
"""

import dataclasses
import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from llm_pipeline.judging import (
    NOT_EXECUTABLE,
    NOT_FOUND,
    count,
    cut_short,
    error,
    failed,
    last_line,
    over_limit,
    relative,
    root_of,
    signal_name,
)
from llm_pipeline.model import Finding, Verdict
from llm_pipeline.outcome import Judgement, Observed
from llm_pipeline.testing import planted_tests, tests, with_floor
from llm_pipeline.workflows import workflows

__all__ = [
    "command",
    "formatting",
    "lint",
    "planted_tests",
    "tests",
    "types",
    "with_floor",
    "workflows",
]

_NO_FILES = "No Python files found"
_UNPARSED = re.compile(r"^error: Failed to parse (.+?):(\d+):(\d+): (.*)$", re.MULTILINE)
_UNREAD = re.compile(r"^warning: Failed to lint (.+)$", re.MULTILINE)
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_MYPY = re.compile(
    r"^(?P<path>[^\s:][^:]*):(?:(?P<line>\d+):)?(?:(?P<column>\d+):)?(?:\d+:\d+:)?"
    r" (?P<kind>error|note): (?P<message>.*?)(?:  \[(?P<rule>[\w-]+)\])?$"
)
_MYPY_SETTINGS = re.compile(
    r"^[^\s:]+\.(?:ini|cfg|toml): (?!No \[mypy\] section|.* is not supported \().+$", re.MULTILINE
)
"""What mypy says of settings that it passes over; one for a Python that it no longer knows is not
among them, since it then takes the running one."""


class _Region(msgspec.Struct, frozen=True, rename="camel"):
    start_line: int | None = None
    start_column: int | None = None


class _Artifact(msgspec.Struct, frozen=True):
    uri: str = ""


class _Physical(msgspec.Struct, frozen=True, rename="camel"):
    artifact_location: _Artifact = _Artifact()
    region: _Region = _Region()


class _Location(msgspec.Struct, frozen=True, rename="camel"):
    physical_location: _Physical = _Physical()


class _Message(msgspec.Struct, frozen=True):
    text: str = ""


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    rule_id: str | None = None
    message: _Message = _Message()
    locations: list[_Location] = []


class _Run(msgspec.Struct, frozen=True):
    results: list[_Result]


class _Sarif(msgspec.Struct, frozen=True):
    """The part of SARIF 2.1.0 (OASIS) that is read here."""

    runs: list[_Run]


def lint(observed: Observed) -> Judgement:
    """Judge ``ruff check`` by its exit code and its SARIF report, ``ruff.sarif``."""
    if ended := cut_short(observed, "ruff"):
        return ended
    code, log = observed.codes[0], observed.text("0.log")
    if code not in {0, 1}:
        return error(f"ruff could not run (exit {code}): {last_line(log)}")
    try:
        data = observed.data("ruff.sarif") or b""
        report = msgspec.json.decode(data, type=_Sarif)
        files = {"ruff.sarif": _relative_sarif(data, root_of(observed))}
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return error(f"ruff left an unreadable report ({problem}): {last_line(log)}")
    root = root_of(observed)
    findings = tuple(_finding(result, root) for run in report.runs for result in run.results)
    judgement = _ruff(code, log, findings, "no findings", _many(findings))
    return dataclasses.replace(judgement, files=files)


def _ruff(
    code: int, log: str, findings: tuple[Finding, ...], passed: str, summary: str
) -> Judgement:
    if _NO_FILES in log:
        return error("ruff found no Python files: see `include`, `exclude` and `extend-exclude`")
    if unread := _UNREAD.search(log):
        return error(f"ruff could not look at {unread[1]}; correct or exclude it", *findings)
    if bool(findings) != bool(code):
        return error(f"ruff exited with {code} but reports {_many(findings)}", *findings)
    return failed(summary, *findings) if findings else Judgement(Verdict.PASSED, passed)


def _many(findings: tuple[Finding, ...]) -> str:
    files = len({finding.path for finding in findings})
    return (
        f"{count(len(findings), 'finding')} in {count(files, 'file')}" if files else "no findings"
    )


def _finding(result: _Result, root: str) -> Finding:
    place = (result.locations or [_Location()])[0].physical_location
    return Finding(
        relative(_path(place.artifact_location.uri), root),
        place.region.start_line,
        # Depending on its version ruff gives a syntax error no rule at all.
        result.rule_id or "invalid-syntax",
        result.message.text,
        place.region.start_column,
    )


def _path(uri: str) -> str:
    parts = urlsplit(uri)
    return unquote(parts.path if parts.scheme == "file" else uri)


def _relative_sarif(data: bytes, root: str) -> bytes:
    """Return a SARIF log whose paths are relative to the source: so code scanning maps them."""
    log = msgspec.json.decode(data)
    pending: list[Any] = [log]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
            continue
        if not isinstance(node, dict):
            continue
        pending += node.values()
        place = node.get("artifactLocation")
        if isinstance(place, dict) and isinstance(place.get("uri"), str):
            path = relative(_path(place["uri"]), root)
            if not path.startswith("/"):
                place.update(uri=quote(path), uriBaseId="%SRCROOT%")
    return msgspec.json.encode(log)


def formatting(observed: Observed) -> Judgement:
    """Judge ``ruff format --diff``: a finding for each file that it would change."""
    if ended := cut_short(observed, "ruff"):
        return ended
    code, log = observed.codes[0], observed.text("0.log")
    root = root_of(observed)
    findings = tuple(
        Finding(relative(path, root), int(line), "invalid-syntax", message, int(column))
        for path, line, column, message in _UNPARSED.findall(log)
    )
    broken = len(re.findall(r"^(?:error: |ruff failed)", log, re.MULTILINE)) > len(findings)
    if code not in {0, 1} and (broken or not findings):
        return error(f"ruff could not run (exit {code}): {last_line(log)}", *findings)
    changed = _changed(log)
    parts = [f"{count(len(changed), 'file')} would be reformatted"] if changed else []
    parts += [count(len(findings), "syntax error")] if findings else []
    findings += tuple(
        Finding(relative(path, root), line, "format", "would be reformatted")
        for path, line in changed
    )
    judgement = _ruff(code, log, findings, last_line(log), ", ".join(parts))
    if judgement.verdict is Verdict.PASSED and "already formatted" not in log:
        return error("ruff looked at no file: see `include`, `exclude` and `extend-exclude`")
    return judgement


def _changed(diff: str) -> list[tuple[str, int]]:
    """Return (path, first changed line) of each file in a unified diff."""
    found: dict[str, int] = {}
    path, line, old, new = "", 0, 0, 0
    for text in diff.split("\n"):
        if old > 0 or new > 0:
            kind = text[:1]
            if kind in {"-", "+"}:
                found.setdefault(path, line)
            old -= kind not in {"+", "\\"}
            new -= kind not in {"-", "\\"}
            line += kind not in {"+", "\\"}
        elif hunk := _HUNK.match(text):
            line, old, new = int(hunk[1]), int(hunk[2] or 1), int(hunk[3] or 1)
        elif text.startswith("--- "):
            # A notebook's header names a cell too.
            path = re.sub(r"(\.ipynb):cell \d+$", r"\1", text[4:].partition("\t")[0])
    return list(found.items())


def types(observed: Observed) -> Judgement:
    """Judge mypy by its exit code and its lines; notes are the detail of the error before them."""
    if ended := cut_short(observed, "mypy"):
        return ended
    code, log = observed.codes[0], observed.text("0.log")
    findings = _mypy_findings(log, root_of(observed))
    if problem := _mypy_problem(code, log, findings):
        return error(problem, *findings)
    if findings:
        return failed(_many(findings), *findings)
    files = re.search(r"no issues found in (\d+) source files?", log)
    if "There are no .py[i] files" in log or (files and files[1] == "0"):
        return error("mypy looked at no files: see its `files` and `exclude`")
    return Judgement(
        Verdict.PASSED, f"no findings in {count(int(files[1]), 'file')}" if files else "no findings"
    )


def _mypy_problem(code: int, log: str, findings: tuple[Finding, ...]) -> str | None:
    """Tell why mypy's word is not to be taken, ``None`` where it is."""
    syntax = any(finding.rule == "syntax" for finding in findings)
    if (code not in {0, 1} and not syntax) or (code == 1 and not findings):
        line = f"{findings[0].path}: {findings[0].message}" if findings else last_line(log)
        return f"mypy could not look (exit {code}): {line}"
    if passed_over := _MYPY_SETTINGS.search(log):
        return f"mypy passed over settings: {passed_over[0]}"
    return f"mypy exited with 0 but reports {_many(findings)}" if findings and not code else None


def _mypy_findings(log: str, root: str) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    for text in log.split("\n"):
        match = _MYPY.match(text)
        if not match:
            continue
        path = relative(match["path"], root)
        if match["kind"] == "note":
            if findings and findings[-1].path == path:
                detail = f"{findings[-1].detail}\n{match['message']}".strip("\n")
                findings[-1] = dataclasses.replace(findings[-1], detail=detail)
            continue
        line, column = (int(value) if value else None for value in match.group("line", "column"))
        findings.append(Finding(path, line, match["rule"] or "mypy", match["message"], column))
    return tuple(findings)


def command(observed: Observed) -> Judgement:
    """Judge a command of the source's own by its exit code alone."""
    if limit := over_limit(observed):
        return failed(limit)
    if not observed.codes:
        return error("did not run")
    for number, code in enumerate(observed.codes):
        line = last_line(observed.text(f"{number}.log"))
        if code in {NOT_FOUND, NOT_EXECUTABLE}:
            return error(f"the command can't be run (exit {code}): {line}")
        if name := signal_name(code):
            return failed(f"the command died of {name}")
        if code:
            return failed(f"exit {code}: {line}")
    return Judgement(Verdict.PASSED, "exit 0")
