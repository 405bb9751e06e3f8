"""The examples for other CI systems: valid, short, with the whole history and the reports kept."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import ROOT

EXAMPLES = ROOT / "examples/ci-systems"
FILES = {
    ".gitlab-ci.yml": ("gitlab-ci", 'GIT_DEPTH: "0"', "when: always"),
    "circleci.yml": ("circle-ci", "method: full", "when: always"),
    "azure-pipelines.yml": ("azure-pipelines", 'fetchDepth: "0"', "condition: always()"),
    "Jenkinsfile": (None, "", "always {"),
}


def test_every_example_is_tested_and_listed() -> None:
    """A file that is added is checked here and named in the table."""
    assert {file.name for file in EXAMPLES.iterdir()} == {*FILES, "README.md"}
    text = (EXAMPLES / "README.md").read_text()
    assert all(f"[{name}]({name})" in text for name in FILES)


@pytest.mark.parametrize("name", [name for name, row in FILES.items() if row[0]])
def test_example_is_valid(name: str) -> None:
    """The file obeys the JSON schema of its CI system."""
    schema = FILES[name][0]
    transform = ["--data-transform", schema] if schema in {"gitlab-ci", "azure-pipelines"} else []
    command = [str(Path(sys.executable).with_name("check-jsonschema")), str(EXAMPLES / name)]
    command += ["--builtin-schema", f"vendor.{schema}", *transform]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_example_runs_the_pipeline_and_keeps_its_reports(name: str) -> None:
    """About ten lines: the pinned package, the whole history, one command, the reports always."""
    text = (EXAMPLES / name).read_text()
    _, history, always = FILES[name]
    assert len(text.splitlines()) <= 12
    assert "git+https://github.com/OWNER/REPOSITORY@SHA#subdirectory=ci" in text
    assert re.search(r'llm-pipeline"? ci --reports reports', text)
    assert history in text
    assert always in text
    assert "reports/junit.xml" in text


def test_jenkinsfile_has_its_brackets_in_order() -> None:
    """There is no schema for it, but every bracket and quote is closed."""
    text = re.sub(r"'[^']*'", "", (EXAMPLES / "Jenkinsfile").read_text())
    assert "'" not in text
    depth = 0
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
