"""Progress of what takes long, shown to a person or to nobody."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Progress(Protocol):
    """Told by a command's parts how far they are."""

    def begin(self, what: str, total: int | None) -> None:
        """Start a part; `total` is the number of its steps, None where it is not known."""

    def advance(self, steps: int = 1) -> None:
        """Tell that steps of the current part are done."""


class Silent:
    """Shows nothing."""

    def begin(self, what: str, total: int | None) -> None:
        """Start a part."""

    def advance(self, steps: int = 1) -> None:
        """Tell that steps are done."""


class Bar:
    """A bar for each part, on the terminal."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._current: TaskID | None = None

    def begin(self, what: str, total: int | None) -> None:
        """Start a bar below those that are done."""
        self._current = self._bars.add_task(what, total=total)

    def advance(self, steps: int = 1) -> None:
        """Move the current bar."""
        if self._current is not None:
            self._bars.advance(self._current, steps)


@contextmanager
def shown() -> Iterator[Progress]:
    """Show progress on the error output where that is a terminal, else nowhere."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:12}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bar(bars)
