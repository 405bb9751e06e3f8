"""Shows a run to people while it happens: a live table, plain lines, or GitHub's log commands."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TextIO

from llm_pipeline import display
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, Finding, RunResult, Verdict
from llm_pipeline.summary import verdict_line

LEAK_SCAN: Final = "gitleaks"
_FINDINGS: Final = 50  # of one check
_LOG_LINES: Final = 40
_DETAIL_LINES: Final = 20


class Console(Protocol):
    """What a run tells. Every text is masked by the implementation before it is shown."""

    def started(self, name: str) -> None:
        """A check has begun."""

    def finished(self, result: CheckResult) -> None:
        """A check has its verdict, or was skipped."""

    def note(self, text: str) -> None:
        """Something that a person should know, in one line."""

    def done(self, run: RunResult, reports: Path | None) -> None:
        """The run is over; ``reports`` is the folder with its reports, where they were written."""


def choose(
    stream: TextIO, environ: Mapping[str, str], names: Sequence[str], mask: Callable[[], Mask]
) -> AbstractContextManager[Console]:
    """Return the console that fits where a run is watched; ``names`` are the checks, in order.

    ``mask`` is called for each event, as more secrets may be known by then.
    """
    output = Output(stream)
    if environ.get("GITHUB_ACTIONS") == "true":
        from llm_pipeline.console_github import GitHub

        return _as_context(AfterLeakScan(GitHub(output, environ, mask), names))
    if stream.isatty() and "NO_COLOR" not in environ and environ.get("TERM", "dumb") != "dumb":
        from llm_pipeline.console_live import Live

        return Live(output, names, mask)
    return _as_context(AfterLeakScan(Plain(output, names, mask), names))


@contextmanager
def _as_context(console: Console) -> Iterator[Console]:
    yield console


class Output:
    """A stream that any text can be written to, and whose reader may go away (``| head``)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write a text; what the stream's encoding lacks is written out."""
        safe = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        with self._reader_may_leave():
            self._stream.write(safe)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        with self._reader_may_leave():
            self._stream.flush()

    def line(self, text: str = "") -> None:
        """Write a line and hand it on."""
        self.write(f"{text}\n")
        self.flush()

    def isatty(self) -> bool:
        """Tell whether this is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()

    @contextmanager
    def _reader_may_leave(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # The run goes on, silent; the descriptor is replaced because Python would report the
            # broken pipe once more when it flushes the stream at exit.
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)


class AfterLeakScan:
    """Holds results back until the leak scan has its own: only then is known what to mask.

    Another check may show a line of source that holds a leaked value, and end before the scan.
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._waiting = LEAK_SCAN in names
        self._held: list[CheckResult] = []

    def started(self, name: str) -> None:
        """Hand on."""
        self._console.started(name)

    def finished(self, result: CheckResult) -> None:
        """Hand on, or keep for later."""
        self._held.append(result)
        if not self._waiting or result.name == LEAK_SCAN:
            self._release()

    def note(self, text: str) -> None:
        """Hand on."""
        self._console.note(text)

    def done(self, run: RunResult, reports: Path | None) -> None:
        """Hand on all that is left."""
        self._release()
        self._console.done(run, reports)

    def _release(self) -> None:
        self._waiting = False
        for result in self._held:
            self._console.finished(result)
        self._held.clear()


class Plain:
    """One line for each event, then what a check found; for logs, pipes and simple terminals."""

    def __init__(self, output: Output, names: Sequence[str], mask: Callable[[], Mask]) -> None:
        self._output = output
        self._width = max(map(len, names), default=0)
        self._mask = mask

    def started(self, name: str) -> None:
        """Say that a check runs."""
        self._output.line(f"{name:{self._width}}  running")

    def finished(self, result: CheckResult) -> None:
        """Say what came out, and the findings of a check that has not passed."""
        result = self._mask().check(result)
        self._output.line(status_line(result, self._width))
        for line in account(result):
            self._output.line(line)

    def note(self, text: str) -> None:
        """Show a note."""
        self._output.line(f"note: {one_masked_line(text, self._mask())}")

    def done(self, run: RunResult, reports: Path | None) -> None:
        """Say where the logs and reports are, and the verdict in the last line."""
        run = self._mask().run(run)
        for line in closing(run, reports):
            self._output.line(line)


def one_masked_line(text: str, mask: Mask) -> str:
    """Return a text that may be shown, in one line."""
    return mask.text(display.one_line(mask.text(text)))


def status_line(result: CheckResult, width: int) -> str:
    """Return a check's outcome in one line, for example ``lint  failed  0.4 s  3 findings``."""
    time = "" if result.verdict is Verdict.SKIPPED else display.duration(result.seconds)
    summary = display.shortened(result.summary)
    return f"{result.name:{width}}  {result.verdict:7}  {time:>8}  {summary}".rstrip()


def place(finding: Finding) -> str:
    """Return a finding in one line: ``path:line:col: RULE message``."""
    numbers = "".join(f":{number}" for number in (finding.line, finding.column) if number)
    where = f"{finding.path}{numbers}:" if finding.path else ""
    return " ".join(filter(None, (where, finding.rule, display.shortened(finding.message))))


def account(result: CheckResult) -> Iterator[str]:
    """Yield what to show of a masked check that failed or could not look."""
    if result.verdict not in {Verdict.FAILED, Verdict.ERROR}:
        return
    for finding in result.findings[:_FINDINGS]:
        yield f"  {place(finding)}"
        for line in display.tail(finding.detail, _DETAIL_LINES)[0]:
            yield f"      {line}"
    if (more := len(result.findings) - _FINDINGS) > 0:
        yield f"  ... and {display.counted(more, 'more finding')}"
    if not result.findings or result.verdict is Verdict.ERROR:
        lines, before = display.tail(result.log, _LOG_LINES)
        if before:
            yield f"  ... {display.counted(before, 'line')} before these"
        for line in lines:
            yield f"  | {line}"


def closing(run: RunResult, reports: Path | None) -> Iterator[str]:
    """Yield the last lines of a masked run: where the logs and reports are, and the verdict."""
    if reports is not None:
        for check in run.checks:
            if check.verdict in {Verdict.FAILED, Verdict.ERROR}:
                log = display.path(str(reports / "logs" / f"{check.name}.log"))
                yield f"full log of {check.name}: {log}"
        yield f"reports: {display.path(str(reports))}"
    yield verdict_line(run)
