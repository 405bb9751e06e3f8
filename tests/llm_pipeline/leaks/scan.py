"""Runs the real gitleaks over folders and histories."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from .made import to_base64

RULES = Path(__file__).parents[3] / "ci/src/llm_pipeline/data/gitleaks.toml"
VERSION = "8.30.1"


class Finding(NamedTuple):
    """One finding of gitleaks; the file is relative to what was scanned."""

    file: str
    rule: str
    secret: str
    match: str
    commit: str

    def shows(self, secret: str) -> bool:
        """Tell whether this finding is about `secret`, as it is or in base64."""
        forms = secret, to_base64(secret.encode())
        return any(form in self.match or self.secret in form for form in forms)


def gitleaks() -> str:
    """Return the pinned gitleaks: beside this Python, else on the path.

    A missing or another gitleaks fails the test: without it nothing here is checked.
    """
    beside = Path(sys.executable).with_name("gitleaks")
    found = str(beside) if beside.exists() else shutil.which("gitleaks")
    if not found:
        pytest.fail(
            f"gitleaks {VERSION} is neither beside {sys.executable} nor on the path: make setup"
        )
    version = subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout
    if version.strip() != VERSION:
        pytest.fail(
            f"{found} is gitleaks {version.strip()}, the rules are for {VERSION}: make setup"
        )
    return found


def scan(how: str, source: Path, rules: Path | None = RULES) -> list[Finding]:
    """Return what gitleaks finds in `source`: in its files (`dir`) or in its history (`git`)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [gitleaks(), how, "--no-banner", "--no-color", "--exit-code", "0"]
        command += ["--report-format", "json", "--report-path", str(report)]
        command += ["--config", str(rules)] if rules else []
        run = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert " ERR " not in run.stderr, run.stderr
        entries = json.loads(report.read_text())
    return [
        Finding(
            entry["File"].removeprefix(f"{source}/"),
            entry["RuleID"],
            entry["Secret"],
            entry["Match"],
            entry["Commit"],
        )
        for entry in entries
    ]
