"""The words that both executors and all reports share: verdicts, findings and results."""

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What is known of a check after a run.

    ``ERROR`` is never a weaker ``PASSED``: the check could not look, or looked and was blind.
    """

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


class Stage(StrEnum):
    """When a check runs: all of one stage side by side, then the next stage."""

    STATIC = "static"
    TEST = "test"


class Control(StrEnum):
    """What the red control of a check said.

    ``SEEN``: the planted defect was found. ``BLIND``: it was not. ``OFF``: switched off by the
    configuration. ``NOT_RUN``: the check itself had not passed, so there was nothing to prove.
    """

    SEEN = "seen"
    BLIND = "blind"
    OFF = "off"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found, at a place in the source.

    ``path`` is relative to the source, with ``/``; ``line`` and ``column`` count from 1 and are
    ``None`` where the tool names none. ``detail`` is a longer text, such as a traceback's tail.
    """

    path: str
    line: int | None
    rule: str
    message: str
    column: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """Lines (and branches, where measured) of one file: how many there are, how many ran."""

    path: str
    total: int
    covered: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. ``seconds`` is wall time; ``exit_code`` is the tool's own."""

    name: str
    stage: Stage
    verdict: Verdict
    summary: str
    seconds: float = 0.0
    exit_code: int | None = None
    tool: str | None = None
    control: Control = Control.NOT_RUN
    reports: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    log: str = ""
    coverage: tuple[FileCoverage, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    """Reports of this check by file name, for example ``junit.xml``; secrets not yet masked."""
    secrets: frozenset[str] = frozenset()
    """Values that this check found and that no output may show."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """Which state of the source was looked at; ``None`` where there is no git commit."""

    commit: str | None = None
    tree: str | None = None
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a whole run, in the order of the graph."""

    checks: tuple[CheckResult, ...]
    source: SourceState
    executor: str
    python: str
    seconds: float
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def verdict(self) -> Verdict:
        """``error`` where anything could not look, else ``failed``, else ``passed``.

        A run in which nothing ran at all is an error: nothing was looked at.
        """
        verdicts = {check.verdict for check in self.checks}
        if Verdict.ERROR in verdicts or self.interrupted:
            return Verdict.ERROR
        if Verdict.FAILED in verdicts:
            return Verdict.FAILED
        return Verdict.PASSED if Verdict.PASSED in verdicts else Verdict.ERROR

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 3 could not look, 130 interrupted."""
        if self.interrupted:
            return 130
        return {Verdict.PASSED: 0, Verdict.FAILED: 1}.get(self.verdict, 3)
