"""What one execution of a check left behind, and what is made of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from llm_pipeline.model import FileCoverage, Finding, Verdict


@dataclass(frozen=True, slots=True)
class Observed:
    """The folder that a check's script filled, on the host or exported from a container.

    ``out`` holds ``N.log`` (output of command N) and whatever the tools wrote there. ``codes``:
    exit codes of the commands that ended, in order, 128 + N for signal N. ``limit``: the time limit
    in seconds, where it was reached.
    """

    out: Path
    codes: tuple[int, ...]
    limit: float | None = None

    def text(self, name: str) -> str:
        """Return a file's text, empty where it is missing; bytes that are no UTF-8 are replaced."""
        try:
            return (self.out / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def data(self, name: str) -> bytes | None:
        """Return a file's bytes, ``None`` where it is missing."""
        try:
            return (self.out / name).read_bytes()
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check's output says. ``summary`` is one line for people.

    ``files`` are reports by file name; ``secrets`` are values that no output may show.
    """

    verdict: Verdict
    summary: str
    findings: tuple[Finding, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    coverage: tuple[FileCoverage, ...] = ()
    secrets: frozenset[str] = frozenset()


Judge = Callable[[Observed], Judgement]
