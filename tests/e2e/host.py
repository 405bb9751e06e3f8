"""Runs ``llm-pipeline ci`` as a user does, and gathers all that came of it."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e.cases import Case

COMMAND: Final = str(Path(sys.executable).with_name("llm-pipeline"))


@dataclass(frozen=True)
class Ran:
    """A run that has ended; ``reports`` is the folder of its reports."""

    code: int
    out: str
    err: str
    reports: Path

    @property
    def verdict(self) -> dict[str, Any]:
        """What ``verdict.json`` holds."""
        document: dict[str, Any] = json.loads((self.reports / "verdict.json").read_text())
        return document

    @property
    def checks(self) -> dict[str, str]:
        """The verdict by check, without those that the configuration left out."""
        return {
            check["name"]: check["verdict"]
            for check in self.verdict["checks"]
            if "not among `checks`" not in check["summary"]
        }

    def of(self, name: str) -> dict[str, Any]:
        """What ``verdict.json`` holds of one check."""
        found: dict[str, Any] = next(
            check for check in self.verdict["checks"] if check["name"] == name
        )
        return found

    @property
    def said(self) -> str:
        """All that the run printed."""
        return self.out + self.err

    @property
    def written(self) -> dict[str, bytes]:
        """The reports by their path below the folder."""
        return {
            str(path.relative_to(self.reports)): path.read_bytes()
            for path in self.reports.rglob("*")
            if path.is_file()
        }


@dataclass
class Host:
    """Runs the pipeline on sources in one folder, with one cache."""

    folder: Path
    cache: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def reports(self) -> Path:
        """Where the reports go."""
        return self.folder / "reports"

    def arguments(self, source: Path, config: str | None = None, *options: str) -> list[str]:
        """Return the command for a source, with its configuration written to a file."""
        command = [COMMAND, "ci", "--source", str(source), "--reports", str(self.reports)]
        if config is not None:
            file = self.folder / "settings.toml"
            file.write_text(config)
            command += ["--config", str(file)]
        return [*command, *options]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a run."""
        cache = {"LLM_PIPELINE_CACHE": str(self.cache)}
        return {**os.environ, **cache, **self.env, **(extra or {})}

    def run(
        self,
        source: Path,
        config: str | None = None,
        *options: str,
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run the pipeline on a source; whatever comes of it, the source is left as it was."""
        remove(self.reports)
        before = snapshot(source)
        done = subprocess.run(
            self.arguments(source, config, *options),
            env=self.environment(env),
            cwd=self.folder,
            capture_output=True,
            timeout=300,
            check=False,
        )
        ran = Ran(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
            self.reports,
        )
        assert snapshot(source) == before, "the source was touched"
        assert "Traceback" not in ran.err
        assert "internal error" not in ran.err
        return ran

    def check(self, case: Case) -> Ran:
        """Build the repository of a case, run the pipeline on it, and compare."""
        source = self.folder / case.place
        remove(source)
        case.build(source)
        ran = self.run(source, case.config)
        assert ran.code == case.exit_code, ran.said
        if not case.expected:
            assert_refused(ran, case.says)
            return ran
        assert ran.checks == case.expected, ran.said
        wrong = [name for name, verdict in case.expected.items() if verdict in {"failed", "error"}]
        if case.says:
            summaries = [ran.of(name)["summary"] for name in wrong]
            assert any(case.says in summary for summary in summaries), summaries
        for path in case.found:
            assert path in (ran.reports / "summary.md").read_text().replace("\\", "")
        return ran


def assert_refused(ran: Ran, says: str) -> None:
    """The run did not begin: one line says why, and nothing was written."""
    assert says in ran.err
    assert ran.err.startswith("llm-pipeline: ")
    assert ran.err.count("\n") == 1
    assert not ran.out
    assert not ran.reports.exists()


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return all that can be told of every file in a folder, without following links."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, files in os.walk(os.fsencode(folder)):
        for name in (b".", *folders, *files):
            path = os.path.join(parent, name)  # noqa: PTH118 - names may be no text
            status = os.lstat(path)
            about: tuple[object, ...] = (status.st_mode, status.st_mtime_ns, status.st_ino)
            if stat.S_ISREG(status.st_mode):
                data = Path(os.fsdecode(path)).read_bytes()
                about += (hashlib.sha256(data).hexdigest(),)
            found[os.fsdecode(path)] = about
    return found


def remove(folder: Path) -> None:
    """Remove a folder, also one that nobody may write."""
    if folder.exists():
        for parent, _, _ in os.walk(folder):
            Path(parent).chmod(0o700)
        shutil.rmtree(folder)
