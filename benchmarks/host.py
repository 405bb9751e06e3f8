"""The host's ``ci`` against a shell and against the task runners, on the same commands."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import Contestant
from llm_pipeline.environments import DATA
from llm_pipeline.host import Options, read_plan
from llm_pipeline.plan import Planned
from llm_pipeline.script import Places
from llm_pipeline.source import list_source

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ground:
    """Where the contest takes place: a source, a warm cache, and variables that both share."""

    source: Path
    cache: Path
    work: Path

    @property
    def slot(self) -> Path:
        """The folder that the pipeline uses for this source."""
        return next(path.parent for path in self.cache.glob("*/env-*"))

    @property
    def env(self) -> dict[str, str]:
        """The variables of every command: the environment and tools of the warm cache on PATH."""
        environment = next(self.slot.glob("env-*"))
        tools = next(path for path in (self.cache / "tools").glob("tools-*") if path.is_dir())
        leaks = next((self.cache / "tools").glob("gitleaks-*/lib/*/site-packages/*/bin"), BIN)
        path = [environment / "bin", tools / "bin", leaks, BIN, os.environ["PATH"]]
        return {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(self.work),
            "LANG": "C.UTF-8",
            "LLM_PIPELINE_CACHE": str(self.cache),
            "VIRTUAL_ENV": str(environment),
            "PYTHONPYCACHEPREFIX": str(self.slot / "cache/pyc"),
        }

    def commands(self) -> list[tuple[Planned, str]]:
        """Return each check with its commands as one shell line, red controls left out."""
        plan, _ = read_plan(list_source(self.source), Options(red_controls=False))
        found = []
        for planned in plan.checks:
            if planned.skip is not None:
                continue
            out = self.work / "out" / planned.name
            out.mkdir(parents=True, exist_ok=True)
            places = Places(
                out=str(out),
                env=self.env["VIRTUAL_ENV"],
                tools="",
                repo=str(self.source),
                cache=str(self.work / "tool-cache"),
                data=str(DATA),
            )
            lines = [shlex.join(places.fill(word) for word in words) for words in planned.commands]
            clean = f"rm -rf {shlex.quote(str(out))} && mkdir -p {shlex.quote(str(out))}"
            variables = f"export COVERAGE_FILE={shlex.quote(str(out))}/.coverage"
            found.append((planned, "; ".join([clean, variables, " && ".join(lines)])))
        return found

    def shell(self) -> Contestant:
        """A shell: the static checks side by side, the tests after them."""
        lines = ["cd " + shlex.quote(str(self.source)), "failed=0", "pids="]
        after = []
        for planned, command in self.commands():
            line = f"( {command} ) >{shlex.quote(str(self.work / planned.name))}.log 2>&1"
            if planned.check.stage == "static":
                lines.append(f'{line} & pids="$pids $!"')
            else:
                after.append(f"{line} || failed=1")
        lines.append("for pid in $pids; do wait $pid || failed=1; done")
        script = self.work / "ci.sh"
        script.write_text("\n".join([*lines, *after, "exit $failed", ""]))
        return Contestant("shell", ["sh", str(script)], self.source, self.env)

    def warm(self) -> None:
        """Make the environment and the tools, which no contestant is timed for."""
        argv = [str(BIN / "llm-pipeline"), "ci", "--source", str(self.source)]
        env = {**os.environ, "LLM_PIPELINE_CACHE": str(self.cache)}
        subprocess.run(argv, env=env, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - ours

    def pipeline(self, *options: str, name: str) -> Contestant:
        """The pipeline itself."""
        argv = [str(BIN / "llm-pipeline"), "ci", "--reports", str(self.work / "reports"), *options]
        env = {**self.env, "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}
        return Contestant(name, argv, self.source, env)
