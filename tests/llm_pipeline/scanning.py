"""The leak scan as an executor runs it: a copy of the source, the generated script, the judge."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from llm_pipeline import gitleaks
from llm_pipeline.config import Config, LeakSettings
from llm_pipeline.environments import DATA
from llm_pipeline.facts import Facts
from llm_pipeline.graph import Execution, settle
from llm_pipeline.model import CheckResult, Verdict
from llm_pipeline.plan import make_plan
from llm_pipeline.script import Places, script
from llm_pipeline.source import list_source
from llm_pipeline.workspace import copy_source

Git = Callable[..., str]
SHELLS = ("sh", *(shell for shell in ("busybox", "dash", "bash") if shutil.which(shell)))
RULES = """
[[rules]]
id = "made-up"
description = "A key that was made up for a test."
regex = '''leak_[0-9a-f]{24}'''
keywords = ["leak_"]
"""
"""One rule, since most of a scan's time is for compiling rules; the planted defect has no key of
this kind, so the red control needs the rules of the package."""


def made_up() -> str:
    """Return a value that the rule of these tests finds and no scanner's own does."""
    return f"leak_{secrets.token_hex(12)}"


def commit(git: Git, folder: Path, files: dict[str, str], message: str) -> str:
    """Commit files and return the commit's id."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--allow-empty", "--message", message, cwd=folder)
    return git("rev-parse", "HEAD", cwd=folder)


def repository(git: Git, folder: Path) -> Path:
    """Make a repository with one commit and no leak."""
    folder.mkdir()
    git("init", "--quiet", cwd=folder)
    commit(git, folder, {"app.py": "x = 1\n", "README.md": "An app.\n"}, "first")
    return folder


@dataclass
class Scan:
    """Scans `source` with its files below `folder`; `repo` is a history named apart from it."""

    source: Path
    folder: Path
    shell: str = "sh"
    rules: str | None = RULES
    settings: LeakSettings = field(default_factory=LeakSettings)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """What the check wrote."""
        return self.folder / "out"

    def run(self, *, repo: Path | None = None, red_controls: bool = False) -> CheckResult:
        """Run the check as both executors do, and return its result."""
        source = list_source(self.source)
        copy_source(source, self.folder / "copy")
        return self.run_in(
            tuple(map(os.fsdecode, source.files)), repo or self.source, red_controls=red_controls
        )

    def run_in(
        self, files: tuple[str, ...], repo: Path, *, red_controls: bool = False
    ) -> CheckResult:
        """Run the check on the copy that lies there."""
        facts = Facts(self.folder / "copy", files)
        config = Config(gitleaks=self.settings, red_controls=red_controls)
        planned = make_plan(facts, config, ["gitleaks"]).checks[0]
        data = self.folder / "data"
        shutil.copytree(DATA, data, dirs_exist_ok=True)
        if self.rules is not None:
            (data / "gitleaks.toml").write_text(self.rules)
        shutil.rmtree(self.out, ignore_errors=True)
        places = Places(str(self.out), "/no", "/no", str(repo), "/no", str(data))
        written = self.folder / "check.sh"
        written.write_bytes(script(planned, places).encode("utf-8", "surrogateescape"))
        env = {**os.environ, "PATH": self._path(), **self.env}
        command = ["busybox", "sh"] if self.shell == "busybox" else [self.shell]
        subprocess.run([*command, str(written)], cwd=self.folder / "copy", env=env, check=True)
        return settle(planned, facts, Execution(self.out, 0.0))

    def _path(self) -> str:
        """The search path: gitleaks, git, and with busybox its tools in place of the system's."""
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        if self.shell == "busybox":
            for name in ("sh", "awk", "sed", "grep", "ls", "head", "cp", "cat", "tr", "mkdir"):
                (tools / name).unlink(missing_ok=True)
                (tools / name).symlink_to(shutil.which("busybox") or "")
        scanner = gitleaks.binary(Path(sys.prefix)).parent
        return os.pathsep.join([str(tools), str(scanner), os.environ["PATH"]])


def everything(result: CheckResult) -> str:
    """Return all that a result shows to people, its reports included."""
    shown = [result.summary, result.log, *(data.decode() for data in result.files.values())]
    shown += [f"{item.path} {item.message} {item.detail}" for item in result.findings]
    return "\n".join(shown)


def sarif_results(result: CheckResult) -> list[dict[str, object]]:
    """Return the results in a check's SARIF report."""
    document = json.loads(result.files["gitleaks.sarif"])
    found: list[dict[str, object]] = document["runs"][0]["results"]
    return found


def assert_found(result: CheckResult, secret: str, *paths: str) -> None:
    """The check failed for a leak at each of these paths, and nowhere shows the secret."""
    assert result.verdict is Verdict.FAILED, result.summary
    assert [finding.path for finding in result.findings] == list(paths)
    assert secret in result.secrets
    assert secret not in everything(result)


def assert_error(result: CheckResult, *said: str) -> None:
    """The check could not look, says so in one line, and leaves no SARIF that closes alerts."""
    assert result.verdict is Verdict.ERROR, result.summary
    for text in said:
        assert text in result.summary
    assert "\n" not in result.summary
    assert result.files == {}
    assert result.exit_code == 3


def leave_a_leak(git: Git, source: Path) -> None:
    """Leave a leak in the history only."""
    commit(git, source, {"key.py": made_up()}, "leak")
    (source / "key.py").unlink()
    commit(git, source, {}, "hide it")
