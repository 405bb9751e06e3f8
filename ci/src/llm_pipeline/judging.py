"""What the judges of all checks share: how an execution can end without the tool having its say."""

import re
import signal

from llm_pipeline.model import Finding, Verdict
from llm_pipeline.outcome import Judgement, Observed

NOT_FOUND = 127
NOT_EXECUTABLE = 126
_SIGNALLED = 128
_LONGEST = 300
_ADVICE = re.compile(r"tip: |Usage: |For more information")
"""Lines that follow the message about a wrong option, in ruff and zizmor."""


def count(number: int, noun: str) -> str:
    """Return a number with its noun, for example ``1 file`` or ``3 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def failed(summary: str, *findings: Finding) -> Judgement:
    """Return a judgement that says no."""
    return Judgement(Verdict.FAILED, summary, findings)


def error(summary: str, *findings: Finding) -> Judgement:
    """Return a judgement that says that the check could not look."""
    return Judgement(Verdict.ERROR, summary, findings)


def last_line(text: str) -> str:
    """Return the last line with words in it, shortened; a stack trace at the end is passed over."""
    text = text.partition("\nStack backtrace:")[0]
    lines = (line.strip() for line in reversed(text.split("\n")))
    said = (line for line in lines if re.search(r"\w{2}", line) and not _ADVICE.match(line))
    # Dots at the cut: only so is a secret that was cut in two still recognised and masked.
    return next(
        (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in said), "no output"
    )


def signal_name(code: int) -> str | None:
    """Return the signal that an exit code stands for, for example ``signal 11 (SIGSEGV)``."""
    try:
        found = signal.Signals(code - _SIGNALLED)
    except ValueError:
        return None
    return f"signal {found.value} ({found.name})"


def over_limit(observed: Observed) -> str | None:
    """Return the sentence about a time limit that was reached, or ``None``."""
    return None if observed.limit is None else f"time limit of {observed.limit:g} s reached"


def absent(observed: Observed, tool: str) -> Judgement | None:
    """Judge an execution in which nothing ran, or in which the tool could not be started."""
    if not observed.codes:
        return error(f"{tool} did not run")
    for number, code in enumerate(observed.codes):
        line = last_line(observed.text(f"{number}.log"))
        if code == NOT_FOUND or re.search(rf"No module named '?{tool}'?$", line):
            where = "the source's development requirements or [tool.llm-pipeline.install]"
            return error(f"{tool} was not found ({line}); add it to {where}")
        if code == NOT_EXECUTABLE:
            return error(f"{tool} can't be executed: {line}")
    return None


def cut_short(observed: Observed, tool: str) -> Judgement | None:
    """Judge an execution that a time limit, a missing tool or a signal ended; else ``None``.

    A tool that dies of a signal has not looked. (Tests that do are another matter: that is what
    they found.)
    """
    if limit := over_limit(observed):
        return failed(limit)
    if lacking := absent(observed, tool):
        return lacking
    for code in observed.codes:
        if name := signal_name(code):
            return error(f"{tool} died of {name}; run it again with more memory if it was killed")
    return None


def relative(path: str, root: str) -> str:
    """Return a path relative to the source's root, with ``/``; outside of it, unchanged."""
    path = path.replace("\\", "/").removeprefix("./")
    prefix = root.rstrip("/") + "/"
    return path.removeprefix(prefix) if root else path


def root_of(observed: Observed) -> str:
    """Return the absolute path of the tree that a script ran in, which it left in ``tree``."""
    return observed.text("tree").strip("\n")
