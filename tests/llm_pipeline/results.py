"""Made-up results of checks, for the tests of what is shown and written."""

import json
from pathlib import Path
from typing import Any

from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, RunResult, SourceState, Stage, Verdict
from llm_pipeline.report import write_reports

DOCUMENTS = {
    "verdict.json",
    "summary.md",
    "junit.xml",
    "coverage.xml",
    "gitleaks.sarif",
    "ruff.sarif",
}


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


def write(run: RunResult, folder: Path, *secrets: str) -> set[str]:
    """Write a run's reports and return the names of all files in the folder."""
    paths = write_reports(run, folder, mask=Mask(secrets), link=None)
    assert all(path.is_file() for path in paths)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def document(path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON file's content; a value that JSON has not, such as NaN, is refused."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(path.read_bytes().decode(), parse_constant=refuse)
