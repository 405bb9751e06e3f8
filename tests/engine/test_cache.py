"""What an engine executes again on this project, told by its own output."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.repositories import commit, git
from tests.engine.engine import Called, dagger
from tests.repository import ROOT

pytestmark = pytest.mark.engine

# The project's own settings, but for its tests: they take minutes, and which run is no matter here.
QUICK = 'command = ["python", "-m", "pytest", "tests/llm_twin"]\ncoverage-floor = 0\n'


def executed(called: Called) -> list[str]:
    """The scripts of checks, and the other commands, that did not come from the cache."""
    return [
        command.removeprefix("timeout -k 5 1800 sh /llm-pipeline/").removesuffix(" (expect: ANY)")
        for command, state in called.execs.items()
        if state != "CACHED"
    ]


def test_what_runs_again(tmp_path: Path) -> None:
    """An empty commit or an edit of the README runs the leak scan alone; code runs its readers."""
    source = tmp_path / "project"
    git(tmp_path, "clone", "--quiet", ROOT.as_uri(), str(source))
    changed = subprocess.run(
        ["git", "diff", "HEAD", "--binary"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    if changed:
        subprocess.run(["git", "apply"], cwd=source, check=True, input=changed)
    pyproject = source / "pyproject.toml"
    text = pyproject.read_text()
    assert "coverage-floor = 80\n" in text
    pyproject.write_text(text.replace("coverage-floor = 80\n", QUICK))
    commit(source)

    def ci() -> Called:
        return dagger("call", "--keep-going", "ci", cwd=source)

    first = ci()
    assert len(first.execs) >= 10, first.log
    assert executed(ci()) == []
    commit(source, message="empty")
    assert executed(ci()) == ["gitleaks.sh"]
    (source / "README.md").write_text("# Another\n")
    assert executed(ci()) == ["gitleaks.sh"]
    commit(source, {"llm_twin/added.py": '"""More."""\n'})
    again = executed(ci())
    assert sorted(again) == ["format.sh", "gitleaks.sh", "lint.sh", "test.sh", "types.sh"]
