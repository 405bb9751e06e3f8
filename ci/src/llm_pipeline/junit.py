"""Reads the JUnit report that pytest writes (`--junitxml`, families xunit1 and xunit2)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from llm_pipeline.judging import relative
from llm_pipeline.model import Finding

DETAIL_LINES = 30
"""How many of the last lines of a traceback a finding keeps."""

_BAD = {"failure": "failed", "error": "error"}
_TRACE = re.compile(
    r"""^(?:E\s+)?(?:\s*File "(.+?)", line (\d+)|(\S.*?):(\d+):(?= |$))""", re.MULTILINE
)
_NODE = re.compile(r"^(?:FAILED|ERROR) (.+?)(?:::.*)?(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Report:
    """What ran: ``failed`` and ``errors`` have a finding each, unless a test has several."""

    passed: int
    failed: int
    errors: int
    skipped: int
    xfailed: int
    findings: tuple[Finding, ...]

    @property
    def executed(self) -> int:
        """How many tests ran, whatever came of them."""
        return self.passed + self.failed + self.errors + self.xfailed


def parse(data: bytes, log: str, root: str) -> Report | None:
    """Return what a report says, ``None`` where it is missing, truncated or no XML.

    The report names a test by its dotted module; where the file lies is told from pytest's
    summary in ``log``, from the traceback, or else from the shape of the name. ``root`` is the
    folder that paths are relative to.
    """
    try:
        # Expat limits the expansion of entities, and the file is our own pytest's.
        cases = list(ET.fromstring(data).iter("testcase"))  # noqa: S314 - our own pytest wrote it
    except (ET.ParseError, ValueError, LookupError):
        return None
    named = {match.rstrip() for match in _NODE.findall(log)}
    findings = []
    tally = dict.fromkeys(("passed", "failed", "error", "skipped", "xfailed"), 0)
    for case in cases:
        outcome = "passed"
        for child in case:
            if child.tag in _BAD:
                outcome = _BAD[child.tag]
                findings.append(_finding(case, child, named, root))
            elif child.tag == "skipped" and outcome == "passed":
                xfailed = child.get("type") == "pytest.xfail"
                outcome = "xfailed" if xfailed else "skipped"
        tally[outcome] += 1
    return Report(
        tally["passed"],
        tally["failed"],
        tally["error"],
        tally["skipped"],
        tally["xfailed"],
        tuple(findings),
    )


def _finding(case: ET.Element, problem: ET.Element, named: Collection[str], root: str) -> Finding:
    text = problem.text or ""
    dotted, name = case.get("classname", ""), case.get("name", "")
    trace = [
        (relative(match[1] or match[3], root), int(match[2] or match[4]))
        for match in _TRACE.finditer(text)
    ]
    path = case.get("file") or _path(dotted or name, [*named, *(at for at, _ in trace)])
    line = next((number for at, number in trace if at == path), None)
    stem = _module(path).rpartition(".")[2]
    _, _, group = f".{dotted}".rpartition(f".{stem}")
    test = "::".join(filter(None, [*group.split("."), name])) if dotted else "collection"
    first = _message(problem.get("message", ""), text)
    detail = "\n".join(text.rstrip().split("\n")[-DETAIL_LINES:])
    return Finding(path, line, _BAD[problem.tag], f"{test}: {first}", detail=detail)


def _message(given: str, text: str) -> str:
    """The first line of the message; of a collection error, which has none, the last ``E`` line."""
    raised = re.findall(r"^E\s+(\S.*)$", text, re.MULTILINE)
    if given == "collection failure" and raised:
        return str(raised[-1])
    return given.strip().partition("\n")[0] or "no message"


def _path(dotted: str, candidates: list[str]) -> str:
    """Return the file of a test: the candidate of that module, else the name made a path.

    A name counts from pytest's root folder, which may lie below the one that paths count from.
    """
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        module = "." + ".".join(parts[:length])
        fitting = [path for path in candidates if f".{_module(path)}".endswith(module)]
        if fitting:
            return min(fitting, key=len)
    while len(parts) > 1 and parts[-1][:1].isupper():
        parts.pop()
    return "/".join(parts) + ".py"


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")
