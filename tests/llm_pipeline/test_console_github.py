"""A run in GitHub Actions, read as the runner reads it."""

import io
import re
from pathlib import Path

import pytest

from llm_pipeline.console import choose
from llm_pipeline.masking import Mask
from llm_pipeline.model import Finding, RunResult, Verdict
from tests.llm_pipeline.results import result, run_of

NAMES = ("gitleaks", "lint", "test")


def show(run: RunResult, summary: Path | None = None, secrets: tuple[str, ...] = ()) -> str:
    """Return the log of a run."""
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.example.invalid",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_SHA": "abc",
        **({"GITHUB_STEP_SUMMARY": str(summary)} if summary else {}),
    }
    stream = io.StringIO()
    with choose(stream, environ, NAMES, lambda: Mask(secrets)) as console:
        for note in run.notes:
            console.note(note)
        for check in run.checks:
            console.finished(check)
        console.done(run, Path("out"))
    return stream.getvalue()


def obeyed(log: str) -> list[tuple[str, dict[str, str], str]]:
    """Return the commands that a runner obeys: name, properties and message, decoded.

    A command begins its line with ``::``; the older form ``##[`` counts wherever it stands.
    """
    found = []
    stopped = None
    for line in log.splitlines():
        match = re.match(r"\s*::([^\s:]+)(?: ([^:]*))?::(.*)$", line)
        old = re.search(r"##\[([a-z-]+)", line)
        if stopped is not None:
            stopped = None if match and match[1] == stopped else stopped
        elif match and match[1] == "stop-commands":
            stopped = match[3]
        elif match:
            pairs = (pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
            found.append((match[1], {key: _decoded(value) for key, value in pairs}, match[3]))
        elif old:
            found.append((old[1], {}, line))
    assert stopped is None
    return [(name, properties, _decoded(message)) for name, properties, message in found]


def _decoded(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ",")):
        text = text.replace(code, character)
    return text.replace("%25", "%")


def test_each_check_has_a_group_with_its_log_and_a_line_below_it() -> None:
    """A check without a log has no empty group."""
    run = run_of(
        result("gitleaks", seconds=1.2, summary="no leaks", log="12 commits scanned.\n"),
        result("lint", Verdict.SKIPPED, summary="not configured"),
    )
    log = re.sub(r"[0-9a-f]{32}", "TOKEN", show(run))
    assert log.splitlines() == [
        "::group::gitleaks",
        "::stop-commands::TOKEN",
        "12 commits scanned.",
        "::TOKEN::",
        "::endgroup::",
        "gitleaks  passed      1.2 s  no leaks",
        "lint  skipped            not configured",
        "reports: out",
        "passed in 12.3 s; not run: lint",
    ]


def test_a_huge_log_is_shown_from_its_end() -> None:
    """Above it stands how much is missing."""
    log = "".join(f"line {n}\n" for n in range(6000))
    lines = show(run_of(result("gitleaks", log=log))).splitlines()
    assert lines[2:4] == ["... 1000 lines before these are in the reports", "line 1000"]


def test_findings_become_annotations_at_their_place() -> None:
    """Properties and messages with any character come out as they went in."""
    findings = (
        Finding("src/a,b:c%0A.py", 3, "F:821,x", "50% of `x`: a, b", 5),
        Finding("src/b.py", None, "R", "m", detail="E  one\nE  two::\n"),
    )
    run = run_of(
        result("lint", Verdict.FAILED, findings=findings),
        result("gitleaks", Verdict.ERROR, summary="shallow clone: run `git fetch`"),
    )
    errors = [command[1:] for command in obeyed(show(run)) if command[0] == "error"]
    place = {"file": "src/a,b:c%0A.py", "line": "3", "col": "5", "title": "lint F:821,x"}
    assert errors == [
        (place, "50% of `x`: a, b"),
        ({"title": "gitleaks"}, "shallow clone: run `git fetch`"),
        ({"file": "src/b.py", "title": "lint R"}, "m\nE  one\nE  two::"),
    ]


def test_no_more_annotations_than_github_shows_and_every_check_has_its_share() -> None:
    """GitHub drops all after the tenth of a step: the test must not drown in lint."""
    many = tuple(Finding("a.py", n, "R", f"m{n}") for n in range(1, 101))
    run = run_of(
        result("lint", Verdict.FAILED, findings=many),
        result("test", Verdict.FAILED, findings=many[:2]),
    )
    log = show(run)
    titles = [command[1]["title"] for command in obeyed(log) if command[0] == "error"]
    assert titles == ["lint R", "test R"] * 2 + ["lint R"] * 6
    assert "... and 92 more findings of lint in its log" in log.splitlines()


INJECTIONS = [
    "::set-output name=x::y",
    "  ::error::fake",
    "text ##[set-env name=PATH]/tmp",
    "##[add-mask]e",
    "::stop-commands::mine",
    "::endgroup::",
    "%0A::error::fake",
    "\r::error::fake",
    "\n::error::fake",
    "\x1b[0m::error::fake",
    "a\n::warning file=x::fake\nb",
]


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_text_of_a_run_is_obeyed(injection: str) -> None:
    """In logs, findings, summaries, names of files or notes: only our own commands count."""
    finding = Finding(injection, 1, injection, injection, detail=injection)
    run = run_of(
        result("gitleaks", Verdict.ERROR, summary=injection, log=injection, tool=injection),
        result("lint", Verdict.FAILED, summary=injection, log=injection, findings=(finding,)),
        result("test", Verdict.SKIPPED, summary=injection),
        notes=(injection,),
    )
    names = [command[0] for command in obeyed(show(run))]
    group = ["group", "endgroup"]
    assert names == ["notice", *group, *group, "error", "error"]


def test_the_step_s_summary_is_appended_and_masked(tmp_path: Path, canary: str) -> None:
    """What an earlier command wrote stays; links lead into the commit."""
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    finding = Finding("src/a.py", 3, "F821", f"a {canary}")
    log = show(run_of(result("lint", Verdict.FAILED, findings=(finding,))), summary, (canary,))
    text = summary.read_text()
    assert text.startswith("before\n## ❌ llm-pipeline: failed: lint\n")
    assert "(https://github.example.invalid/o/r/blob/abc/src/a.py#L3)" in text
    assert canary not in text + log


def test_a_summary_that_can_not_be_written_is_a_warning(tmp_path: Path) -> None:
    """The verdict does not depend on it."""
    log = show(run_of(result("lint")), tmp_path / "missing" / "summary.md")
    warnings = [command[2] for command in obeyed(log) if command[0] == "warning"]
    assert warnings == ["The step's summary could not be written: No such file or directory"]
    assert log.endswith("passed in 12.3 s\n")
