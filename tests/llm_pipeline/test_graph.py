"""The graph: stages, what is skipped, controls, and that an error stays with its check."""

import errno
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from llm_pipeline.checks import BY_NAME
from llm_pipeline.config import Config
from llm_pipeline.errors import InstallError, LookError
from llm_pipeline.facts import Facts
from llm_pipeline.graph import Execution, run_graph
from llm_pipeline.install import InstallPlan
from llm_pipeline.judges import command as judge_command
from llm_pipeline.judging import error, failed
from llm_pipeline.model import CheckResult, Control, FileCoverage, Finding, Verdict
from llm_pipeline.outcome import Judge, Judgement, Observed
from llm_pipeline.plan import Plan, Planned
from llm_pipeline.processes import clean_env, run
from llm_pipeline.script import Places, script

Execute = Callable[[Planned], Awaitable[Execution]]
RunAll = Callable[..., dict[str, CheckResult]]


class Told:
    """What a graph told while it ran."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, name: str) -> None:
        """Note the start of a check."""
        self.lines.append(f"started {name}")

    def finished(self, result: CheckResult) -> None:
        """Note the end of a check."""
        self.lines.append(f"finished {result.name}")


@pytest.fixture
def execute(tmp_path: Path) -> Execute:
    """Run a check's script in a folder of its own."""

    async def one(planned: Planned) -> Execution:
        tree, out = tmp_path / "trees" / planned.name, tmp_path / "out" / planned.name
        tree.mkdir(parents=True)
        out.mkdir(parents=True)
        (tmp_path / planned.name).write_text(script(planned, Places(str(out), *["/none"] * 5)))
        finished = await run(
            ("sh", str(tmp_path / planned.name)),
            cwd=tree,
            env=clean_env({"SHARED": str(tmp_path)}),
            log=out / "script.log",
            limit=planned.limit,
        )
        return Execution(out, 1.5, planned.limit if finished.timed_out else None)

    return one


@pytest.fixture
def run_all(tmp_path: Path, execute: Execute) -> RunAll:
    """Run checks to their end and return the results in the order in which they came."""

    def all_of(
        *checks: Planned, keep_going: bool = False, by: Execute = execute, told: Told | None = None
    ) -> dict[str, CheckResult]:
        results: dict[str, CheckResult] = {}

        async def main() -> None:
            facts = Facts(tmp_path, ())
            plan = plan_of(*checks, keep_going=keep_going)
            await run_graph(plan, facts, by, told or Told(), results=results)

        anyio.run(main)
        return results

    return all_of


def plan_of(*checks: Planned, keep_going: bool = False) -> Plan:
    """A plan of these checks."""
    return Plan(checks, InstallPlan("none"), (), "3.13", Config(keep_going=keep_going))


def shell(
    name: str, *scripts: str, red: tuple[str, ...] = (), judge: Judge = judge_command
) -> Planned:
    """A check that runs shell scripts; one judged by its exit code alone counts as overridden."""
    return Planned(
        BY_NAME[name],
        commands=tuple(("sh", "-c", text) for text in scripts or ("exit 0",)),
        red=tuple(("sh", "-c", text) for text in red),
        plants=(("zz_llm_pipeline_red_control.py", "defect"),) if red else (),
        judge=judge,
        custom=judge is judge_command,
    )


def reads_findings(observed: Observed) -> Judgement:
    """Judge by the paths that a command prints, a line each."""
    paths = observed.text("0.log").split()
    found = [Finding(path, 1, "rule", "message") for path in paths]
    return failed("found", *found) if found else Judgement(Verdict.PASSED, "clean")


def test_order(run_all: RunAll) -> None:
    """Static checks come first, tests after them, and each start and end is told."""
    told = Told()
    results = run_all(shell("test"), shell("lint"), told=told)
    assert {name: result.verdict for name, result in results.items()} == {
        "lint": Verdict.PASSED,
        "test": Verdict.PASSED,
    }
    assert told.lines == ["started lint", "finished lint", "started test", "finished test"]


def test_checks_of_a_stage_run_side_by_side(run_all: RunAll) -> None:
    """Two checks that wait for each other end at once."""
    wait = 'touch "$SHARED/{0}.there"; while [ ! -e "$SHARED/{1}.there" ]; do sleep 0.01; done'
    lint = replace(shell("lint", wait.format("lint", "types")), limit=20)
    types = replace(shell("types", wait.format("types", "lint")), limit=20)
    assert [result.verdict for result in run_all(lint, types).values()] == [Verdict.PASSED] * 2


@pytest.mark.parametrize("keep_going", [False, True])
def test_static_failure_skips_the_tests(run_all: RunAll, *, keep_going: bool) -> None:
    """After a failure and an error the tests are skipped with the reason, unless we keep going."""
    checks = [shell("lint", "exit 1"), shell("types", "no-such-command"), shell("test")]
    told = Told()
    results = run_all(*checks, shell("format"), keep_going=keep_going, told=told)
    assert results["lint"].verdict is Verdict.FAILED
    assert results["types"].verdict is Verdict.ERROR
    assert results["format"].verdict is Verdict.PASSED
    assert results["test"].verdict is (Verdict.PASSED if keep_going else Verdict.SKIPPED)
    assert ("started test" in told.lines) is keep_going
    assert "finished test" in told.lines
    if not keep_going:
        names = [name for name in results if results[name].verdict in {"failed", "error"}]
        assert results["test"].summary == f"not run, since {', '.join(names)} did not pass"


def test_skipped_check_stops_nothing(run_all: RunAll) -> None:
    """A check that does not apply has its reason, and the tests run."""
    results = run_all(Planned(BY_NAME["lint"], skip="no need"), shell("test"))
    assert results["lint"] == CheckResult("lint", BY_NAME["lint"].stage, Verdict.SKIPPED, "no need")
    assert results["test"].verdict is Verdict.PASSED


def test_result_of_a_check(run_all: RunAll) -> None:
    """The result holds the output of all commands, the first exit code that is not 0, the time."""
    first = "echo one; echo 'ruff 1.0' >\"$SHARED/out/lint/version\""
    result = run_all(shell("lint", first, "echo two; exit 3", "exit 4"))["lint"]
    assert result.log == "one\ntwo\n"
    assert result.exit_code == 3
    assert result.tool == "ruff 1.0"
    assert result.control is Control.NOT_RUN
    assert result.reports == ("logs/lint.log",)
    if sys.platform == "linux":
        assert 0 <= result.seconds < 1.5
    else:
        assert result.seconds == 1.5


def test_control_that_sees(run_all: RunAll) -> None:
    """Green stays green where the same check fails on the planted defect."""
    planted = "test ! -e zz_llm_pipeline_red_control.py"
    result = run_all(shell("lint", planted, red=(planted,)))["lint"]
    assert (result.verdict, result.control) == (Verdict.PASSED, Control.SEEN)
    assert result.exit_code == 0


def test_control_that_is_off(run_all: RunAll) -> None:
    """Without a control green says so."""
    assert run_all(shell("lint"))["lint"].control is Control.OFF


def test_control_that_is_blind(run_all: RunAll) -> None:
    """Green that stays green on the planted defect is an error, with the control's output."""
    result = run_all(shell("lint", "echo green", red=("echo still green || true",)))["lint"]
    assert (result.verdict, result.control) == (Verdict.ERROR, Control.BLIND)
    assert result.summary.startswith("error: blind: a planted defect was not found; ")
    assert "`|| true` turns its exit code into 0" in result.summary
    assert result.log == "green\n\n--- the red control\nstill green\n"


@pytest.mark.parametrize(
    ("red", "control"),
    [
        ("ls; exit 1", Control.SEEN),
        ("echo other.py; exit 1", Control.BLIND),
        ("ls; exit 0", Control.BLIND),
        ("exit 1", Control.BLIND),
    ],
)
def test_control_must_find_the_planted_file(run_all: RunAll, red: str, control: Control) -> None:
    """Failing is not enough: a finding in the planted file and an exit code other than 0 are."""
    result = run_all(shell("lint", "true", red=(red,), judge=reads_findings))["lint"]
    assert result.control is control
    assert result.verdict is (Verdict.PASSED if control is Control.SEEN else Verdict.ERROR)


def test_control_must_be_seen_by_every_command(run_all: RunAll) -> None:
    """Where a check runs two tools, one that fails does not speak for the other."""
    result = run_all(shell("lint", "true", red=("ls; exit 1", "true"), judge=reads_findings))
    assert result["lint"].control is Control.BLIND


def test_control_that_could_not_look(run_all: RunAll) -> None:
    """A control that ends in an error has seen nothing."""

    def judge(observed: Observed) -> Judgement:
        return error("broken") if any(observed.codes) else Judgement(Verdict.PASSED, "clean")

    assert run_all(shell("lint", "true", red=("exit 2",), judge=judge))["lint"].control is (
        Control.BLIND
    )


def test_control_over_the_time_limit(run_all: RunAll) -> None:
    """A control that is cut off is an error of the control, no failure of the check."""
    result = run_all(replace(shell("lint", red=("echo red; sleep 60",)), limit=0.5))["lint"]
    assert (result.verdict, result.control) == (Verdict.ERROR, Control.NOT_RUN)
    assert result.summary == (
        "error: the red control did not finish within the time limit of 0.5 s"
    )
    assert result.log.endswith("red\n")
    assert result.exit_code == 0


def test_check_over_the_time_limit(run_all: RunAll) -> None:
    """A check that is cut off fails, with all that it printed so far."""
    check = replace(shell("lint", "echo first", "echo second; sleep 60", red=("true",)), limit=0.5)
    result = run_all(check)["lint"]
    assert result.verdict is Verdict.FAILED
    assert result.summary == "time limit of 0.5 s reached"
    assert result.log == "first\nsecond\n"
    assert result.seconds == 1.5


def test_script_that_ends_early(run_all: RunAll, tmp_path: Path) -> None:
    """A script that did not get to its end has no verdict, whatever its first command said."""
    kill = "kill -9 $PPID"
    result = run_all(shell("lint", "true", kill, judge=reads_findings))["lint"]
    assert result.verdict is Verdict.ERROR
    assert result.summary == "the check's script ended before its commands did: no output"

    async def nothing(_: Planned) -> Execution:
        (tmp_path / "script.log").write_text("sh: can't create 0.log: No space left on device\n")
        return Execution(tmp_path, 0.1)

    result = run_all(shell("lint"), by=nothing)["lint"]
    assert result.summary.endswith("No space left on device")


def test_floor_of_the_coverage(run_all: RunAll) -> None:
    """Coverage under the floor fails the check, and nothing is controlled then."""

    def judge(_: Observed) -> Judgement:
        return Judgement(Verdict.PASSED, "fine", coverage=(FileCoverage("a.py", 10, 7),))

    check = shell("lint", red=("exit 1",), judge=judge)
    result = run_all(replace(check, floor=70.1))["lint"]
    assert (result.verdict, result.control) == (Verdict.FAILED, Control.NOT_RUN)
    assert "70.00 % is under the floor of 70.1 %" in result.summary


@pytest.mark.parametrize(
    ("problem", "summary", "log"),
    [
        (LookError("git was not found"), "git was not found", "git was not found"),
        (InstallError("no environment", "pip said\nno"), "no environment", "pip said\nno"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/out"),
            "can't go on with /x/out: full disk",
            "can't go on",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "can't go on with the output: Permission denied",
            "can't go on",
        ),
        (
            ZeroDivisionError("ours"),
            "internal error: ZeroDivisionError: ours; please report it with the log",
            "Traceback (most recent call last):",
        ),
    ],
)
def test_executor_that_raises(
    run_all: RunAll, execute: Execute, problem: Exception, summary: str, log: str
) -> None:
    """What could not be executed is an error of that check; the others have their verdicts."""

    async def by(planned: Planned) -> Execution:
        if planned.name == "lint":
            raise problem
        return await execute(planned)

    results = run_all(shell("lint"), shell("types", "sleep 0.1; exit 1"), by=by)
    assert results["lint"].verdict is Verdict.ERROR
    assert results["lint"].summary == summary
    assert results["lint"].log.startswith(log)
    assert results["types"].verdict is Verdict.FAILED


def test_judge_that_raises(run_all: RunAll) -> None:
    """A mistake in judging is an error of that check, with the place where it happened."""

    def judge(_: Observed) -> Judgement:
        raise KeyError("unexpected")

    results = run_all(shell("lint", judge=judge), shell("types"))
    assert results["lint"].verdict is Verdict.ERROR
    assert "internal error: KeyError: 'unexpected'" in results["lint"].summary
    assert "test_graph.py" in results["lint"].log
    assert results["types"].verdict is Verdict.PASSED


def test_events_that_raise(run_all: RunAll) -> None:
    """A reader who has gone ends the run with that error itself, not with a group of errors."""

    class Gone(Told):
        def finished(self, result: CheckResult) -> None:
            raise BrokenPipeError(result.name)

    with pytest.raises(BrokenPipeError, match="lint"):
        run_all(shell("lint"), shell("types", "sleep 60"), told=Gone())


def test_cancelling_keeps_what_is_known(tmp_path: Path, execute: Execute) -> None:
    """A run that is cancelled has the results of the checks that had ended."""
    results: dict[str, CheckResult] = {}
    checks = [shell("lint"), shell("types", 'touch "$SHARED/there"; sleep 60'), shell("test")]

    async def main() -> None:
        async with anyio.create_task_group() as group:
            facts = Facts(tmp_path, ())
            group.start_soon(
                lambda: run_graph(plan_of(*checks), facts, execute, Told(), results=results)
            )
            with anyio.fail_after(20):
                there = tmp_path / "there"
                # A process tells it, so there is no event to wait for.
                while not ("lint" in results and there.exists()):  # noqa: ASYNC110 - a check tells it
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()

    anyio.run(main)
    assert list(results) == ["lint"]
    assert results["lint"].verdict is Verdict.PASSED


def test_output_is_gone(run_all: RunAll) -> None:
    """A check that removes its own output is an error, not a success."""
    result = run_all(shell("lint", 'rm -rf "$SHARED/out"', judge=reads_findings))["lint"]
    assert result.verdict is Verdict.ERROR
