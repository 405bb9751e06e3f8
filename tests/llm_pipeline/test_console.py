"""What a run shows: plain lines in a pipe, a table on a terminal; never a secret."""

import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_pipeline.console import choose
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, Finding, RunResult, Verdict
from tests.llm_pipeline.results import result, run_of

ROOT = Path(__file__).parents[2]
NAMES = ("gitleaks", "lint", "test")

# Shows a run of three checks; the canary is in the environment.
SHOW = """
import os, sys, time
from pathlib import Path
from llm_pipeline.console import choose
from llm_pipeline.masking import Mask
from llm_pipeline.model import Finding, Verdict
from tests.llm_pipeline.results import result, run_of
canary = os.environ["CANARY"]
finding = Finding("src/a.py", 3, "F821", f"Undefined {canary} \\x1b]0;title\\x07\\x1b[2J [red]x", 5)
checks = [
    result("lint", Verdict.FAILED, summary=f"1 finding \\x1b[5m{canary}", findings=(finding,)),
    result("gitleaks", secrets=frozenset({canary}), seconds=1.2),
    result("test", Verdict.ERROR, summary="no tests", log="".join(f"l{n}\\n" for n in range(90))),
]
with choose(sys.stdout, os.environ, ("gitleaks", "lint", "test"), lambda: Mask([canary])) as shown:
    for check in checks:
        shown.started(check.name)
    shown.note(f"a note with {canary}")
    for check in checks:
        time.sleep(float(os.environ.get("PAUSE", "0")))
        shown.finished(check)
    shown.done(run_of(*checks), Path("out"))
assert ("rich" in sys.modules) == ("RICH" in os.environ), sorted(sys.modules)
"""


def show(
    run: RunResult,
    secrets: frozenset[str] = frozenset(),
    *,
    names: tuple[str, ...] = NAMES,
    reports: Path | None = None,
) -> list[str]:
    """Return the lines that a pipe gets of a run."""
    stream = io.StringIO()
    with choose(stream, {}, names, lambda: Mask(secrets)) as console:
        for check in run.checks:
            console.finished(check)
        console.done(run, reports)
    return stream.getvalue().splitlines()


def environment(canary: str, **extra: str) -> dict[str, str]:
    """Return what a process needs, without a word about the terminal."""
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return {**measured, **path, "CANARY": canary, **extra}


def on_terminal(canary: str, **extra: str) -> tuple[str, int]:
    """Return what a terminal of 80 by 24 gets of the run, and the exit code."""
    leader, follower = pty.openpty()
    environ = environment(canary, COLUMNS="80", LINES="24", **extra)
    with subprocess.Popen(
        [sys.executable, "-c", SHOW], stdout=follower, stderr=follower, env=environ, cwd=ROOT
    ) as process:
        os.close(follower)
        data = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # on Linux: the other side has closed
                break
            if not part:
                break
            data += part
    os.close(leader)
    return data.decode().replace("\r\n", "\n"), process.returncode


def test_a_pipe_gets_a_line_for_each_check_then_its_findings() -> None:
    """Names in a column, findings as `path:line:col: RULE message`, the verdict last."""
    findings = (
        Finding("src/a.py", 3, "F821", "Undefined name `x`", 5),
        Finding("src/b.py", None, "", "odd", detail="first\n  second\n"),
    )
    run = run_of(
        result("gitleaks", seconds=1.25, summary="12 commits scanned, no leaks"),
        result("lint", Verdict.FAILED, seconds=0.4, summary="2 findings", findings=findings),
        result("test", Verdict.SKIPPED, summary="not run, since lint did not pass"),
    )
    assert show(run, reports=Path("out")) == [
        "gitleaks  passed      1.2 s  12 commits scanned, no leaks",
        "lint      failed      0.4 s  2 findings",
        "  src/a.py:3:5: F821 Undefined name `x`",
        "  src/b.py: odd",
        "      first",
        "        second",
        "test      skipped            not run, since lint did not pass",
        "full log of lint: out/logs/lint.log",
        "reports: out",
        "failed: lint",
    ]


def test_without_findings_the_end_of_the_log_is_shown() -> None:
    """An error, or a failure of which nothing more is known."""
    log = "".join(f"line {n}\n" for n in range(100))
    lines = show(run_of(result("gitleaks", Verdict.ERROR, summary="broken", log=log)))
    assert lines[1] == "  ... 60 lines before these"
    assert lines[2:42] == [f"  | line {n}" for n in range(60, 100)]
    assert lines[42:] == ["error: gitleaks (broken)"]


def test_an_error_shows_its_log_beside_its_findings() -> None:
    """What was found may not be why the check could not look."""
    finding = Finding("a.py", 1, "R", "m")
    check = result("gitleaks", Verdict.ERROR, summary="x", findings=(finding,), log="why\n")
    assert show(run_of(check))[1:3] == ["  a.py:1: R m", "  | why"]


def test_many_findings_are_cut_with_their_number() -> None:
    """A terminal is no place for a thousand lines."""
    findings = tuple(Finding("a.py", n, "R", "m") for n in range(1, 1001))
    lines = show(run_of(result("gitleaks", Verdict.FAILED, findings=findings)))
    assert lines[50] == "  a.py:50: R m"
    assert lines[51:] == ["  ... and 950 more findings", "failed: gitleaks"]


def test_started_and_notes_are_told_at_once(canary: str) -> None:
    """A CI system ends a job that says nothing for long."""
    stream = io.StringIO()
    with choose(stream, {}, NAMES, lambda: Mask([canary])) as console:
        console.started("test")
        console.note(f"submodule {canary}\nis missing")
        assert stream.getvalue() == "test      running\nnote: submodule *** is missing\n"


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "true"}])
def test_nothing_is_shown_before_the_leak_scan_says_what_to_mask(
    canary: str, environ: dict[str, str]
) -> None:
    """A diff that ends before the scan may hold what the scan then finds."""
    known: set[str] = set()
    stream = io.StringIO()
    diff = result("lint", Verdict.FAILED, summary=f"+ {canary}", log=f"+ {canary}\n")
    leaks = result("gitleaks", Verdict.FAILED, summary="1 leak", secrets=frozenset({canary}))
    with choose(stream, environ, NAMES, lambda: Mask(known)) as console:
        console.finished(diff)
        assert stream.getvalue() == ""
        known.add(canary)
        console.finished(leaks)
        assert "lint" in stream.getvalue()
        console.finished(result("test"))
        assert "test" in stream.getvalue()
        console.done(run_of(diff, leaks), None)
    assert canary not in stream.getvalue()
    assert "+ ***" in stream.getvalue()


def test_what_was_held_back_is_shown_when_the_run_is_interrupted() -> None:
    """The leak scan will never say anything then."""
    lines = show(run_of(result("lint", Verdict.FAILED), interrupted=True))
    assert lines[0].startswith("lint      failed")
    assert lines[-1] == "interrupted after 12.3 s: there is no verdict"


def test_nothing_of_a_secret_or_a_terminal_sequence_is_shown(canary: str) -> None:
    """In no field of any result."""
    text = f"{canary} \x1b]0;title\x07\x1b[2J\x9b5m\n::x"
    checks = tuple(
        CheckResult(
            name,
            result(name).stage,
            verdict,
            text,
            tool=text,
            findings=(Finding(text, 1, text, text, 1, detail=text),),
            log=text,
        )
        for name, verdict in zip(
            NAMES, (Verdict.ERROR, Verdict.FAILED, Verdict.PASSED), strict=True
        )
    )
    shown = "\n".join(show(run_of(*checks), frozenset({canary})))
    assert canary not in shown
    assert shown.count("***") > 10
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_a_terminal_gets_a_table_and_then_what_failed(canary: str) -> None:
    """The table is redrawn while checks run, the cursor comes back, the verdict is last."""
    shown, code = on_terminal(canary, TERM="xterm-256color", PAUSE="0.4", RICH="1")
    assert code == 0, shown
    assert canary not in shown
    assert "\x1b]0" not in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[5m" not in shown
    assert "running" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    after = shown[shown.rindex("\x1b[?25h") :]
    for line in (
        "lint: 1 finding ***",
        "  src/a.py:3:5: F821 Undefined *** [red]x",
        "  | l89",
        "reports: out",
        "error: test (no tests); failed: lint",
    ):
        assert line in after
    assert after.index("lint: ") < after.index("test: ") < after.index("reports: out")


@pytest.mark.parametrize("extra", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}, {}])
def test_a_simple_terminal_gets_plain_lines(canary: str, extra: dict[str, str]) -> None:
    """No colour, nothing redrawn, and rich is not even imported."""
    shown, code = on_terminal(canary, **extra)
    assert code == 0, shown
    assert "\x1b" not in shown
    assert shown.endswith("error: test (no tests); failed: lint\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(canary: str, unbuffered: str) -> None:
    """`llm-pipeline ci | head -1`: no traceback, and the run goes on to its end."""
    with subprocess.Popen(
        [sys.executable, "-c", SHOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(canary, PAUSE="0.1", PYTHONUNBUFFERED=unbuffered),
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"lint      running\n"
        process.stdout.close()
        errors = process.stderr.read()
    assert (errors, process.returncode) == (b"", 0)


def test_a_stream_without_unicode_gets_what_it_can_show() -> None:
    """With an ASCII locale, other letters are written out."""
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding="ascii")
    with choose(stream, {}, ("gitleaks",), lambda: Mask([])) as console:
        console.finished(result("gitleaks", summary="ä \u2013 ok"))
    stream.flush()
    assert data.getvalue() == b"gitleaks  passed      0.0 s  \\xe4 \\u2013 ok\n"


def test_a_large_log_is_shown_quickly() -> None:
    """Ten megabytes of a chatty test are no reason to wait."""
    log = "some line of a log with a few words in it\n" * 250_000
    started = time.process_time()
    show(run_of(result("gitleaks", Verdict.ERROR, log=log)), frozenset({"never-there-0123"}))
    assert time.process_time() - started < 20
