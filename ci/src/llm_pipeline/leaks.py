"""What gitleaks reported, made into findings and SARIF in which no secret shows."""

import json
import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec

from llm_pipeline.model import Finding

MESSAGE_FILE: Final = ".git/COMMIT_EDITMSG"
"""Under this name the scan reads messages of commits and tags; no tree can hold such a path."""

_SHORTEST: Final = 4
"""Hiding shorter values would blot out half of every log and protect nothing."""

_SHORTEST_LINE: Final = 12
"""Of a secret of many lines, such as a key, each line that could not stand elsewhere is hidden."""

Hide = Callable[[str], str]


class Report(msgspec.Struct, frozen=True):
    """One entry of a report of gitleaks, after ``report/finding.go`` of gitleaks 8.30.

    ``commit`` is empty outside of git, ``line`` 0 where a rule looks at the file's name alone.
    """

    rule: str = msgspec.field(name="RuleID")
    file: str = msgspec.field(name="File")
    commit: str = msgspec.field(name="Commit")
    line: int = msgspec.field(name="StartLine")
    last_line: int = msgspec.field(name="EndLine")
    secret: str = msgspec.field(name="Secret")
    match: str = msgspec.field(name="Match")
    fingerprint: str = msgspec.field(name="Fingerprint")
    description: str = msgspec.field(name="Description", default="")
    date: str = msgspec.field(name="Date", default="")


def read(data: bytes) -> list[Report]:
    """Return the entries of a report: a line of JSON for each.

    Raises:
        msgspec.MsgspecError: It is no JSON, or not what gitleaks 8.30 writes.
    """
    return msgspec.json.Decoder(Report).decode_lines(data)


def secrets(reports: Iterable[Report]) -> frozenset[str]:
    """Return every value that no output may show."""
    found: set[str] = set()
    for report in reports:
        by_name = report.line == 0 and not report.secret
        for value in (report.secret, "" if by_name else report.match):
            lines = value.splitlines()
            found |= {value} if len(value) >= _SHORTEST else set()
            if len(lines) > 1:
                found |= {line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE}
    return frozenset(found)


def hider(values: Iterable[str]) -> Hide:
    """Return a function that replaces these values in a text, the longest first."""
    ordered = sorted(values, key=len, reverse=True)

    def hide(text: str) -> str:
        for value in ordered:
            text = text.replace(value, "***")
        return text

    return hide


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret in a file, with all reports of it, the oldest first.

    ``tree`` is the commit that stands for the working tree; ``prefix`` the path of the source in
    its repository, empty or with ``/`` at its end.
    """

    reports: tuple[Report, ...]
    tree: str
    prefix: str

    @property
    def first(self) -> Report:
        """The oldest report."""
        return self.reports[0]

    @property
    def path(self) -> str:
        """The file, relative to the source."""
        file = self.first.file
        return (
            posixpath.relpath(file, self.prefix) if self.prefix and file != MESSAGE_FILE else file
        )

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What names the leak in ``.gitleaksignore``; the working tree has no commit to name."""
        return tuple(
            f"{report.file}:{report.rule}:{report.line}"
            if report.commit == self.tree
            else report.fingerprint
            for report in self.reports
        )

    def message(self) -> str:
        """Say what it is, where it came in and how to go on; the secret is not in it."""
        what = (self.first.description or self.first.rule).rstrip(".")
        if self.first.commit == self.tree:
            return (
                f"{what} (not committed yet). Take it out; if it is no secret, put a comment with "
                "gitleaks:allow on its line."
            )
        place = "in the message of" if self.first.file == MESSAGE_FILE else "in"
        more = len(self.reports) - 1
        again = f" and {more} more" if more else ""
        return (
            f"{what} ({place} commit {self.first.commit[:10]} of {self.first.date[:10]}{again}). "
            "Revoke it and issue another; then, or if it is no secret, add to .gitleaksignore: "
            + " ".join(self.fingerprints)
        )


def group(reports: Iterable[Report], tree: str, prefix: str) -> list[Leak]:
    """Return one leak for each rule, file and secret, by file and line.

    A leak that is in the history and in the working tree is one, and the history's.
    """
    found: dict[tuple[str, str, str], list[Report]] = {}
    for report in reports:
        found.setdefault((report.file, report.rule, report.secret), []).append(report)
    leaks = []
    for same in found.values():
        same.sort(key=lambda report: (report.commit == tree, report.date, report.line))
        leaks.append(Leak(tuple(same), tree, prefix))
    return sorted(leaks, key=lambda leak: (leak.path, leak.first.line, leak.first.rule))


def findings(leaks: Iterable[Leak], hide: Hide) -> tuple[Finding, ...]:
    """Return the leaks as findings."""
    return tuple(
        Finding(hide(leak.path), leak.first.line or None, leak.first.rule, hide(leak.message()))
        for leak in leaks
    )


def sarif(leaks: Sequence[Leak], hide: Hide, version: str) -> bytes:
    """Return the leaks as SARIF 2.1.0, as GitHub's code scanning reads it; none give an empty run.

    ``partialFingerprints`` hold gitleaks' own, by which a leak is the same one in the next run.
    """
    rules = {leak.first.rule: leak.first.description or leak.first.rule for leak in leaks}
    driver = {
        "name": "gitleaks",
        "version": version,
        "informationUri": "https://github.com/gitleaks/gitleaks",
        "rules": [
            {"id": rule, "shortDescription": {"text": hide(text)}} for rule, text in rules.items()
        ],
    }
    run = {"tool": {"driver": driver}, "results": [_result(leak, hide) for leak in leaks]}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    document = {"$schema": schema, "version": "2.1.0", "runs": [run]}
    return (json.dumps(document, indent=2) + "\n").encode()


def _result(leak: Leak, hide: Hide) -> dict[str, Any]:
    first = leak.first
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(hide(leak.path))}}
    if first.line:
        place["region"] = {"startLine": first.line, "endLine": max(first.line, first.last_line)}
    result: dict[str, Any] = {
        "ruleId": first.rule,
        "level": "error",
        "message": {"text": hide(leak.message())},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"gitleaks/v1": hide(leak.fingerprints[0])},
    }
    if first.commit and first.commit != leak.tree:
        result["properties"] = {"commit": first.commit, "date": first.date}
    return result
