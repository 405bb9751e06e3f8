"""The planted defects of ``tests/e2e``, in containers: the same verdicts as on the host."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.blind import BLIND
from tests.e2e.cases import Case
from tests.e2e.nothing import NOTHING, REFUSED
from tests.e2e.planted_code import CODE
from tests.e2e.planted_leaks import LEAKS
from tests.e2e.planted_settings import SETTINGS
from tests.e2e.planted_tests import TESTS
from tests.engine.engine import QueryError, Session

pytestmark = pytest.mark.engine

# How a control is judged is not the executor's doing: one blind configuration for each check.
_ONE_OF_EACH: Final = tuple({tuple(case.expected): case for case in BLIND}.values())
CASES: Final = {
    case.name: case
    for table in (LEAKS, CODE, TESTS, SETTINGS, NOTHING, REFUSED, _ONE_OF_EACH)
    for case in table
    if case.containers
}
EXIT_CODES: Final = {"passed": 0, "failed": 1, "error": 3}
_WORKERS: Final = 3
"""A run mostly waits for the start of a Python in a container."""


@pytest.fixture(scope="module")
def runs(
    session: Session, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Path]]]:
    """The runs of all chosen cases, a few at a time; each gives the folder of its reports."""

    def run(case: Case, folder: Path) -> Path:
        source = folder / case.place
        case.build(source)
        session.reports(source, folder / "reports", case.config)
        return folder / "reports"

    chosen = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == "test_defect"
        if item.path == request.path
    ]
    with ThreadPoolExecutor(_WORKERS) as pool:
        yield {
            name: pool.submit(run, CASES[name], tmp_path_factory.mktemp("case")) for name in chosen
        }


@pytest.mark.parametrize("name", CASES)
def test_defect(name: str, runs: dict[str, Future[Path]]) -> None:
    """A run in containers says of a case what the host says."""
    case = CASES[name]
    if not case.expected and case.exit_code == 2:
        with pytest.raises(QueryError, match=r"exit code: 2") as refused:
            runs[name].result()
        assert case.says in str(refused.value)
        assert "Traceback" not in str(refused.value)
        return
    reports = runs[name].result()
    verdict = json.loads((reports / "verdict.json").read_text())
    checks = {
        check["name"]: check
        for check in verdict["checks"]
        if "not among `checks`" not in check["summary"]
    }
    verdicts = {name: check["verdict"] for name, check in checks.items()}
    said = {name: check["summary"] for name, check in checks.items()}
    # What git refuses on the host before anything runs, the leak scan refuses here.
    expected = case.expected or {**verdicts, "gitleaks": "error"}
    assert verdicts == expected, said
    assert EXIT_CODES[verdict["verdict"]] == case.exit_code, said
    wrong = [said[name] for name, found in verdicts.items() if found in {"failed", "error"}]
    if case.expected and case.says:
        summary = (reports / "summary.md").read_text().replace("\\", "")
        assert any(case.says in text for text in [*wrong, summary]), said
    for path in case.found:
        assert path in (reports / "summary.md").read_text().replace("\\", "")
