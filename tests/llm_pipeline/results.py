"""Made-up results of checks, for the tests of what is shown and written."""

from typing import Any

from llm_pipeline.model import CheckResult, RunResult, SourceState, Stage, Verdict


def result(name: str, verdict: Verdict = Verdict.PASSED, **fields: Any) -> CheckResult:  # noqa: ANN401 - any field
    """Return a result; only ``test`` is of the test stage."""
    stage = Stage.TEST if name == "test" else Stage.STATIC
    fields = {"summary": f"{name} says so", **fields}
    return CheckResult(name, stage, verdict, **fields)


def run_of(*checks: CheckResult, **fields: Any) -> RunResult:  # noqa: ANN401 - any field
    """Return a run of 12.3 s on the host."""
    known: dict[str, Any] = {
        "source": SourceState("c" * 40, "d" * 40),
        "executor": "host",
        "python": "3.13.1",
        "seconds": 12.34,
    }
    return RunResult(checks, **{**known, **fields})
