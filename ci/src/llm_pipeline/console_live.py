"""A run on a terminal: a table that changes while the checks run, then what they found."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, cast

import rich.live
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from llm_pipeline import display
from llm_pipeline.console import LEAK_SCAN, Output, account, closing, one_masked_line
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, RunResult, Verdict

_STYLES: Final = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
    Verdict.ERROR: "bold yellow",
}


class Live:
    """Shows a row for each check: verdict, time, and its summary."""

    def __init__(self, output: Output, names: Sequence[str], mask: Callable[[], Mask]) -> None:
        self._mask = mask
        self._results: dict[str, CheckResult | None] = dict.fromkeys(names)
        self._summaries: dict[str, str] = {}
        self._started: dict[str, float] = {}
        # An Output has what rich uses of a file. Highlighting would colour untrusted text by what
        # it looks like.
        self._terminal = Terminal(file=cast("IO[str]", output), highlight=False, markup=False)
        self._live = rich.live.Live(
            console=self._terminal,
            get_renderable=self._table,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Show the table."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the table as it stands, and the terminal as it was."""
        self._live.stop()

    def started(self, name: str) -> None:
        """Start a check's clock."""
        self._started[name] = time.monotonic()

    def finished(self, result: CheckResult) -> None:
        """Show a check's verdict in its row, and its summary once it is known what to mask."""
        self._results[result.name] = result
        if LEAK_SCAN not in self._results or self._results[LEAK_SCAN]:
            self._summarise()

    def note(self, text: str) -> None:
        """Show a note above the table."""
        self._print(f"note: {one_masked_line(text, self._mask())}", "dim")

    def done(self, run: RunResult, reports: Path | None) -> None:
        """End the table; show what failed below it, and the verdict in the last line."""
        run = self._mask().run(run)
        self._results |= {check.name: check for check in run.checks}
        self._summarise()
        self._live.stop()
        for check in run.checks:
            lines = list(account(check))
            if lines:
                self._print(f"\n{check.name}: {check.summary}", _STYLES[check.verdict])
            for line in lines:
                self._print(line)
        *rest, verdict = closing(run, reports)
        self._print("")
        for line in rest:
            self._print(line, "dim")
        self._print(verdict, _STYLES[run.verdict])

    def _summarise(self) -> None:
        mask = self._mask()
        for name, result in self._results.items():
            if result is not None:
                self._summaries[name] = one_masked_line(result.summary, mask)

    def _print(self, text: str, style: str = "") -> None:
        self._terminal.print(Text(text, style), soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=max(map(len, self._results), default=0))
        table.add_column(no_wrap=True, min_width=max(map(len, Verdict)))
        table.add_column(no_wrap=True, min_width=8, justify="right")
        table.add_column(overflow="ellipsis", no_wrap=True)
        for name, result in list(self._results.items()):
            if result is not None:
                style = _STYLES[result.verdict]
                skipped = result.verdict is Verdict.SKIPPED
                clock = "" if skipped else display.duration(result.seconds)
                row = (
                    Text(result.verdict, style),
                    Text(clock),
                    Text(self._summaries.get(name, "")),
                )
            elif name in self._started:
                clock = display.duration(time.monotonic() - self._started[name])
                row = (Text("running", "cyan"), Text(clock, "cyan"), Text(""))
            else:
                row = (Text("waiting", "dim"), Text(""), Text(""))
            table.add_row(Text(name), *row)
        return table
