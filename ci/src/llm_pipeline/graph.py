"""Runs the graph of checks: stages, what is skipped, and the verdict of each check.

Nothing here knows how a script is executed; both executors hand in a function for that.
"""

import errno
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import anyio

from llm_pipeline.defects import is_planted, likely_cause
from llm_pipeline.errors import InstallError, PipelineError
from llm_pipeline.facts import Facts
from llm_pipeline.judges import with_floor
from llm_pipeline.judging import error, last_line
from llm_pipeline.model import CheckResult, Control, Stage, Verdict
from llm_pipeline.outcome import Judgement, Observed
from llm_pipeline.plan import Plan, Planned


@dataclass(frozen=True, slots=True)
class Execution:
    """What an executor hands back: the folder that the script filled, and how it ended.

    ``limit``: the time limit in seconds, where it was reached; ``seconds``: wall time.
    """

    out: Path
    seconds: float
    limit: float | None = None


class Events(Protocol):
    """What is told while a graph runs."""

    def started(self, name: str) -> None:
        """A check has started."""

    def finished(self, result: CheckResult) -> None:
        """A check has its result."""


Execute = Callable[[Planned], Awaitable[Execution]]


async def run_graph(
    plan: Plan,
    facts: Facts,
    execute: Execute,
    events: Events,
    *,
    results: dict[str, CheckResult],
) -> None:
    """Run all checks of a plan, stage by stage, the checks of a stage side by side.

    Where a check of a stage did not pass, the later stages are skipped, unless the plan's
    configuration says to keep going. ``results`` receives every result as it is known, so that a
    caller who is cancelled still has what was found.
    """
    for stage in Stage:
        members = [planned for planned in plan.checks if planned.check.stage is stage]
        stopped = [
            name
            for name, result in results.items()
            if result.verdict in {Verdict.FAILED, Verdict.ERROR}
        ]

        async def one(planned: Planned, stopped: list[str] = stopped) -> None:
            if planned.skip is not None:
                result = skipped(planned, planned.skip)
            elif stopped and not plan.config.keep_going:
                result = skipped(planned, f"not run, since {', '.join(stopped)} did not pass")
            else:
                events.started(planned.name)
                result = await run_check(planned, facts, execute)
            results[planned.name] = result
            events.finished(result)

        try:
            async with anyio.create_task_group() as group:
                for planned in members:
                    group.start_soon(one, planned)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what stands in a group: that it came out of a group helps nobody."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def skipped(planned: Planned, reason: str) -> CheckResult:
    """Return the result of a check that does not run."""
    return CheckResult(planned.name, planned.check.stage, Verdict.SKIPPED, reason)


async def run_check(planned: Planned, facts: Facts, execute: Execute) -> CheckResult:
    """Execute one check and judge it; what could not be executed is an ``error`` that says why."""
    try:
        return settle(planned, facts, await execute(planned))
    except PipelineError as problem:
        summary = str(problem)
        log = problem.log if isinstance(problem, InstallError) else summary
    except OSError as problem:
        what = "full disk" if problem.errno == errno.ENOSPC else problem.strerror or problem
        summary = log = f"can't go on with {problem.filename or 'the output'}: {what}"
    except Exception as problem:  # noqa: BLE001 - a mistake of ours is no verdict on the others
        kind = type(problem).__name__
        summary = f"internal error: {kind}: {problem}; please report it with the log"
        log = "".join(traceback.format_exception(problem))
    return CheckResult(planned.name, planned.check.stage, Verdict.ERROR, summary, log=log)


def settle(planned: Planned, facts: Facts, execution: Execution) -> CheckResult:
    """Make a check's result of what its script left."""
    observed, judgement = _judged(planned, execution)
    control = Control.NOT_RUN
    log = _log(execution.out, len(planned.commands))
    if judgement.verdict is Verdict.PASSED:
        control = Control.OFF
        if planned.red:
            control, judgement = _controlled(planned, facts, execution, judgement)
        if judgement.verdict is not Verdict.PASSED:
            red = _log(execution.out / "red", len(planned.red))
            log = f"{log}\n--- the red control\n{red}"
    return CheckResult(
        planned.name,
        planned.check.stage,
        judgement.verdict,
        judgement.summary,
        seconds=_seconds(observed, execution),
        exit_code=_exit_code(observed),
        tool="; ".join(observed.text("version").split("\n")).strip("; ") or None,
        control=control,
        reports=(f"logs/{planned.name}.log", *judgement.files),
        findings=judgement.findings,
        log=log,
        coverage=judgement.coverage,
        files=judgement.files,
        secrets=judgement.secrets,
    )


def _judged(planned: Planned, execution: Execution) -> tuple[Observed, Judgement]:
    codes = _codes(execution.out)
    whole = len(codes) >= len(planned.commands)
    # Where all commands ended, the limit can only have hit the red control.
    observed = Observed(execution.out, codes, None if whole else execution.limit)
    if not whole and execution.limit is None:
        said = last_line(observed.text("script.log"))
        return observed, error(f"the check's script ended before its commands did: {said}")
    judgement = planned.judge(observed)
    return observed, with_floor(judgement, planned.floor)


def _log(out: Path, commands: int) -> str:
    observed = Observed(out, ())
    return "".join(observed.text(f"{number}.log") for number in range(commands))


def _controlled(
    planned: Planned, facts: Facts, execution: Execution, judgement: Judgement
) -> tuple[Control, Judgement]:
    out = execution.out / "red"
    codes = _codes(out)
    if len(codes) < len(planned.red):
        limit = execution.limit
        why = f"within the time limit of {limit:g} s" if limit is not None else "its commands"
        summary = f"error: the red control did not finish {why}"
        return Control.NOT_RUN, replace(judgement, verdict=Verdict.ERROR, summary=summary)
    seen = (planned.control or planned.judge)(Observed(out, codes))
    found = planned.custom or any(is_planted(finding.path) for finding in seen.findings)
    if seen.verdict is Verdict.FAILED and found and all(codes):
        return Control.SEEN, judgement
    command = planned.red[0]
    cause = likely_cause(planned.name, facts, command)
    summary = f"error: blind: a planted defect was not found; {cause}"
    return Control.BLIND, replace(judgement, verdict=Verdict.ERROR, summary=summary)


def _codes(out: Path) -> tuple[int, ...]:
    codes: list[int] = []
    while True:
        try:
            codes.append(int((out / f"{len(codes)}.code").read_text()))
        except (OSError, ValueError):
            return tuple(codes)


def _exit_code(observed: Observed) -> int | None:
    first = observed.codes[0] if observed.codes else None
    return next((code for code in observed.codes if code), first)


def _seconds(observed: Observed, execution: Execution) -> float:
    """The script's own clock where it has one: a cached container would else look instant."""
    ticks = [float(line) for line in observed.text("seconds").split() if line]
    return round(ticks[-1] - ticks[0] if len(ticks) > 1 else execution.seconds, 3)
