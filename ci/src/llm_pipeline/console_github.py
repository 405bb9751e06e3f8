"""A run in GitHub Actions: a log group for each check, annotations, and the step's summary.

The log commands are those of https://docs.github.com/actions/reference/workflow-commands.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from llm_pipeline import display
from llm_pipeline.console import Output, closing, one_masked_line, place, status_line
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, Finding, RunResult, Verdict
from llm_pipeline.report import linker
from llm_pipeline.summary import markdown

_ANNOTATIONS: Final = 10  # of one kind in a step: GitHub drops the others without a word
_LOG_LINES: Final = 5000
_DETAIL_LINES: Final = 20


class GitHub:
    """Writes log commands, and the summary to the file that ``GITHUB_STEP_SUMMARY`` names."""

    def __init__(
        self, output: Output, environ: Mapping[str, str], mask: Callable[[], Mask]
    ) -> None:
        self._output = output
        self._environ = environ
        self._mask = mask

    def started(self, name: str) -> None:
        """Say nothing: a group opens when its log is complete, as groups can't be interleaved."""

    def finished(self, result: CheckResult) -> None:
        """Show a check's log in a group of its own, then its outcome."""
        result = self._mask().check(result)
        write = self._output.line
        if log := list(_log(result)):
            write(f"::group::{_message(result.name)}")
            for line in _no_commands(log):
                write(line)
            write("::endgroup::")
        write(_inert(status_line(result, 0)))

    def note(self, text: str) -> None:
        """Show a note as a notice."""
        self._output.line(f"::notice::{_message(one_masked_line(text, self._mask()))}")

    def done(self, run: RunResult, reports: Path | None) -> None:
        """Annotate, append to the step's summary, and say the verdict in the last line."""
        run = self._mask().run(run)
        for line in _annotations(run):
            self._output.line(line)
        if name := self._environ.get("GITHUB_STEP_SUMMARY"):
            try:
                with Path(name).open("a", encoding="utf-8") as file:
                    file.write(markdown(run, link=linker(self._environ)))
            except OSError as error:
                told = f"The step's summary could not be written: {error.strerror}"
                self._output.line(f"::warning::{_message(told)}")
        for line in closing(run, reports):
            self._output.line(_inert(line))


def _log(result: CheckResult) -> Iterator[str]:
    lines, before = display.tail(result.log, _LOG_LINES)
    if before:
        yield f"... {display.counted(before, 'line')} before these are in the reports"
    yield from lines
    for finding in result.findings:
        yield place(finding)


def _no_commands(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines so that GitHub obeys none of them, whatever they say."""
    token = secrets.token_hex(16)
    yield f"::stop-commands::{token}"
    yield from lines
    yield f"::{token}::"


def _inert(line: str) -> str:
    # The runner obeys the old form of a command wherever in a line it stands.
    line = line.replace("##[", "## [")
    return f". {line}" if line.lstrip().startswith("::") else line


def _annotations(run: RunResult) -> Iterator[str]:
    """Yield as many as GitHub shows, the first of each check before the second of any."""
    bad = [check for check in run.checks if check.verdict in {Verdict.FAILED, Verdict.ERROR}]
    waiting = {check.name: deque(_of_check(check)) for check in bad}
    room = _ANNOTATIONS
    while room and any(waiting.values()):
        for lines in waiting.values():
            if lines and room:
                yield lines.popleft()
                room -= 1
    for name, lines in waiting.items():
        if lines:
            yield f"... and {display.counted(len(lines), 'more finding')} of {name} in its log"


def _of_check(result: CheckResult) -> Iterator[str]:
    if result.verdict is Verdict.ERROR or not result.findings:
        yield f"::error title={_property(result.name)}::{_message(result.summary)}"
    for finding in result.findings:
        yield _annotation(result.name, finding)


def _annotation(name: str, finding: Finding) -> str:
    title = " ".join(filter(None, (name, finding.rule)))
    where = {"file": finding.path, "line": finding.line, "col": finding.column, "title": title}
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in where.items() if value)
    told = "\n".join([finding.message, *display.tail(finding.detail, _DETAIL_LINES)[0]])
    return f"::error {properties}::{_message(told)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
