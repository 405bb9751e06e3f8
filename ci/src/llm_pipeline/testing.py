"""What pytest's exit codes, its JUnit report and the coverage report mean together."""

import re
from dataclasses import replace

from llm_pipeline import coverage, junit
from llm_pipeline.judging import (
    absent,
    count,
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

_INTERRUPTED, _INTERNAL, _USAGE, _NO_TESTS = 2, 3, 4, 5
_UNDER_FLOOR = 2
"""Exit code of ``coverage xml`` where the total is under ``fail_under``."""

_CONFTEST = re.compile(r"^ImportError while loading conftest '(.+)'\.$", re.MULTILINE)
_RUNNING = re.compile(r"^(\S[^:\n]*?\.\w+)(::\S.*?)? [.FEsxXRuU,-]*$")
_CRASHED = re.compile(r'^  File "(.+?)", line (\d+) in (.+)$', re.MULTILINE)
_COV_FLOOR = re.compile(r"Required test coverage of (\S+?)% not reached")


def tests(observed: Observed) -> Judgement:
    """Judge pytest, and what measured its coverage, by exit codes and reports.

    The first code is pytest's, the others are coverage.py's. What pytest says comes first: where
    it died, there is no coverage to report.
    """
    root, log = root_of(observed), observed.text("0.log")
    files = {
        name: data
        for name in ("junit.xml", "coverage.xml")
        if (data := observed.data(name)) is not None
    }
    report = junit.parse(files.get("junit.xml", b""), log, root)
    if limit := over_limit(observed):
        found = _running(log, root, f"running when the {limit}")
        judgement = failed(f"{limit}{_at(found)}", *(report.findings if report else ()), *found)
        return replace(judgement, files=files)
    if lacking := absent(observed, "pytest") or absent(observed, "coverage"):
        return replace(lacking, files=files)
    judgement = _pytest(observed.codes[0], report, log, root)
    measured = coverage.parse(
        files.get("coverage.xml", b""), coverage.measured_files(observed.out / ".coverage"), root
    )
    if measured:
        total = coverage.floored(coverage.percent(measured), 1)
        summary = f"{judgement.summary}; coverage {total} %"
        judgement = replace(judgement, summary=summary, coverage=measured)
    if judgement.verdict is Verdict.PASSED:
        judgement = _coverage(
            observed, judgement, unreadable="coverage.xml" in files and not measured
        )
    return replace(judgement, files=files)


def planted_tests(observed: Observed) -> Judgement:
    """Judge the red control of the tests: each planted test fails, so one that passes never ran."""
    report = junit.parse(
        observed.data("junit.xml") or b"", observed.text("0.log"), root_of(observed)
    )
    if report and report.passed:
        return Judgement(Verdict.PASSED, f"{report.passed} of the planted tests passed")
    return tests(observed)


def with_floor(judgement: Judgement, floor: float | None) -> Judgement:
    """Hold a passed judgement against a floor for its coverage, in percent.

    The total is rounded down to two digits first: 79.996 is under 80.
    """
    if floor is None or judgement.verdict is not Verdict.PASSED:
        return judgement
    if not judgement.coverage:
        summary = f"no coverage was measured, but the floor is {floor:g} %; {judgement.summary}"
        return replace(judgement, verdict=Verdict.ERROR, summary=summary)
    total = coverage.floored(coverage.percent(judgement.coverage), 2)
    if float(total) >= floor:
        return judgement
    summary = f"coverage {total} % is under the floor of {floor:g} %; {judgement.summary}"
    return replace(judgement, verdict=Verdict.FAILED, summary=summary)


def _pytest(code: int, report: junit.Report | None, log: str, root: str) -> Judgement:
    if report is None or code in {_INTERNAL, _USAGE, _NO_TESTS} or signal_name(code):
        return _without_report(code, log, root)
    tally = _tally(report)
    if report.failed + report.errors:
        despite = "" if code else ", although pytest exited with 0"
        return failed(tally + despite, *report.findings)
    if code == _INTERRUPTED:
        return error(f"pytest was interrupted: {_reason(log)}")
    if code:
        floor = _COV_FLOOR.search(log)
        why = f"exit {code} though no test failed: {_bare(last_line(log))}"
        own = f"coverage is under the source's own floor of {floor[1]} %" if floor else why
        return failed(f"{own}; {tally}")
    if report.executed:
        return Judgement(Verdict.PASSED, tally)
    return error(f"no test was executed: {tally or 'none was selected'}")


def _tally(report: junit.Report) -> str:
    counts = [(report.failed, "failed"), (report.passed, "passed"), (report.skipped, "skipped")]
    counts.append((report.xfailed, "xfailed"))
    parts = [f"{number} {word}" for number, word in counts if number]
    if report.errors:
        parts.insert(bool(report.failed), count(report.errors, "error"))
    return ", ".join(parts)


def _usage(log: str, root: str) -> Judgement:
    """A ``conftest.py`` that can't be imported is the source's fault; a wrong option is not."""
    raised = re.findall(r"^E\s+(\S.*)$", log, re.MULTILINE)
    if conftest := _CONFTEST.search(log):
        path = relative(conftest[1], root)
        message = raised[-1] if raised else last_line(log)
        lines = re.findall(rf"^{re.escape(path)}:(\d+): ", log, re.MULTILINE)
        line = int(lines[-1]) if lines else None
        detail = "\n".join(log.rstrip().split("\n")[-junit.DETAIL_LINES :])
        return failed(
            f"{path} can't be imported: {message}",
            Finding(path, line, "error", f"conftest: {message}", detail=detail),
        )
    wrong = re.findall(r"^(?:ERROR: (?!usage:)|.*?: error: )(\S.*)$", log, re.MULTILINE)
    said = (
        f"{wrong[0]} {last_line(log)}" if wrong and wrong[0].endswith(":") else "".join(wrong[:1])
    )
    return error(f"pytest was called in a wrong way: {said or last_line(log)}")


def _without_report(code: int, log: str, root: str) -> Judgement:
    """Judge what ended before pytest could report on its tests."""
    line = _bare(last_line(log))
    if name := signal_name(code):
        found = _crashed(log, root, f"died of {name}") or _running(log, root, f"died of {name}")
        return failed(f"pytest died of {name}{_at(found)}", *found)
    if code == _USAGE:
        return _usage(log, root)
    if code == _INTERNAL:
        raised = re.findall(r"^INTERNALERROR> (\S.*)$", log, re.MULTILINE)
        return error(f"pytest had an internal error: {raised[-1] if raised else line}")
    if code == _NO_TESTS:
        return error(f"no tests were collected: {line}")
    shown = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", log, re.MULTILINE)
    if not (code and shown):
        return error(f"pytest exited with {code} and left no readable report: {line}")
    findings = tuple(
        Finding(node.partition("::")[0], None, "failed", f"{node.partition('::')[2]}: {why}")
        for node, why in shown
    )
    return failed(f"{count(len(findings), 'test')} failed; pytest left no report", *findings)


def _coverage(observed: Observed, judgement: Judgement, *, unreadable: bool) -> Judgement:
    for number, code in enumerate(observed.codes[1:], start=1):
        line = last_line(observed.text(f"{number}.log"))
        if code == _UNDER_FLOOR and number == len(observed.codes) - 1 and judgement.coverage:
            summary = f"coverage is under the source's own floor ({line}); {judgement.summary}"
            return replace(judgement, verdict=Verdict.FAILED, summary=summary)
        if code:
            summary = f"coverage could not be reported (exit {code}): {line}; {judgement.summary}"
            return replace(judgement, verdict=Verdict.ERROR, summary=summary)
    if unreadable:
        summary = f"coverage.xml is unreadable or names no file; {judgement.summary}"
        return replace(judgement, verdict=Verdict.ERROR, summary=summary)
    return judgement


def _running(log: str, root: str, what: str) -> tuple[Finding, ...]:
    """The test, or at least its file, that pytest was at when it wrote its last line."""
    lines = log.split("\n")
    match = _RUNNING.match(lines[-1]) if lines else None
    if not match:
        return ()
    test = (match[2] or "::a test of this file").removeprefix("::")
    return (Finding(relative(match[1], root), None, "stopped", f"{test}: {what}"),)


def _crashed(log: str, root: str, what: str) -> tuple[Finding, ...]:
    """The place that faulthandler names: the innermost one in the source."""
    if "(most recent call first)" not in log:
        return ()
    for path, line, function in _CRASHED.findall(log):
        at = relative(path, root)
        if not at.startswith(("/", "<")) and "site-packages/" not in at:
            return (Finding(at, int(line), "crashed", f"{function}: {what}"),)
    return ()


def _at(found: tuple[Finding, ...]) -> str:
    return f" in {found[0].path}" if found else ""


def _reason(log: str) -> str:
    reasons = re.findall(r"^!{3,} (.+?) !{3,}$", log, re.MULTILINE)
    return reasons[-1] if reasons else _bare(last_line(log))


def _bare(line: str) -> str:
    return line.strip("= ")
