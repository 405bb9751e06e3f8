"""One run of the graph inside of the Dagger module: what its functions share."""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagger
from dagger import dag

from llm_pipeline.console import choose
from llm_pipeline.containers.executor import ContainerExecutor, unmade
from llm_pipeline.containers.layers import REPO, SOURCE, Layers
from llm_pipeline.errors import LookError
from llm_pipeline.facts import Facts
from llm_pipeline.graph import run_graph
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, RunResult, SourceState
from llm_pipeline.plan import Plan, Planned

_REPORTING: Final = frozenset(
    {"--no-fix", "--output-format=sarif", "--output-file={out}/ruff.sarif", "--diff"}
)
_STATE: Final = """\
g() { git -c safe.directory='*' -c core.bare=false -c core.fsmonitor= --git-dir="$0/.git" "$@"; }
g rev-parse HEAD 'HEAD^{tree}' || exit
export GIT_INDEX_FILE=/tmp/index
g read-tree HEAD
changed=$(g --work-tree=. status --porcelain --ignore-submodules=all | head -n 1)
echo "${changed:+dirty}"
"""


@dataclass
class Pipeline:
    """A source that was looked at, and what would run on it. ``folder`` is ours, on this side."""

    plan: Plan
    facts: Facts
    layers: Layers
    folder: Path
    link: str

    async def run(self) -> RunResult:
        """Run the plan and return its result, in which the source's state is not yet known."""
        started = time.monotonic()
        results: dict[str, CheckResult] = {}
        executor = ContainerExecutor(self.layers, self.folder / "out")
        await run_graph(self.plan, self.facts, executor.execute, _Silent(), results=results)
        checks = tuple(results[planned.name] for planned in self.plan.checks)
        seconds = round(time.monotonic() - started, 3)
        python = _python(self.folder / "out") or self.plan.python
        return RunResult(checks, SourceState(), "containers", python, seconds)

    async def state(self) -> SourceState:
        """Return which state of the source was looked at.

        The leak scan finds it on its way; where it did not run, git is asked.
        """
        try:
            said = (self.folder / "out" / "gitleaks" / "state").read_text()
        except OSError:
            if self.layers.git is None:
                return SourceState()
            asked = self.layers.state().with_exec(
                ["sh", "-c", _STATE, REPO], expect=dagger.ReturnType.ANY
            )
            try:
                said = await asked.stdout()
            except dagger.QueryError:  # the image that the leak scan could not have either
                return SourceState()
        lines = said.splitlines()
        if len(lines) < 2:  # noqa: PLR2004 - a commit and its tree
            return SourceState()
        return SourceState(lines[0], lines[1], "dirty" in lines[2:])

    def reports(self, run: RunResult) -> dagger.Directory:
        """Return the reports of a run."""
        from llm_pipeline.report import links_below, write_reports

        # Only what lies below the working directory can be handed to the engine.
        folder = Path("reports")
        link = links_below(self.link) if self.link else None
        write_reports(run, folder, mask=mask(run), link=link)
        return dag.current_module().workdir(str(folder))

    async def fixed(self) -> dagger.Changeset:
        """Return ruff's fixes as a change of the source; a check that does not apply has none.

        Raises:
            LookError: ruff can't use its settings.
        """
        before = self.layers.source
        for planned in self.plan.checks:
            if planned.skip is None and not planned.custom:
                # The formatter gets what the linter has mended.
                self.layers.source = self.layers.source.with_directory(
                    ".", await self._mended(planned)
                )
        return self.layers.source.changes(before)

    async def _mended(self, planned: Planned) -> dagger.Directory:
        words = [word for word in planned.commands[0] if word not in _REPORTING]
        if planned.name == "lint":
            words += ["--fix-only", "--exit-zero"]
        container = self.layers.container(planned)
        for name, value in planned.env:
            container = container.with_env_variable(name, value)
        container = container.with_exec(words, expect=dagger.ReturnType.ANY)
        try:
            code, said = await container.exit_code(), await container.stderr()
        except dagger.ExecError as error:
            raise unmade(error) from None
        # A file that is no Python stays as it is.
        if code and "Failed to parse" not in said:
            raise LookError(f"`{' '.join(words)}` ended with {code}: {said.strip()}")
        return container.directory(SOURCE)


class _Silent:
    """Tells nothing: a function's output is shown at its end."""

    def started(self, name: str) -> None:
        pass

    def finished(self, result: CheckResult) -> None:
        pass


def mask(run: RunResult) -> Mask:
    """Return what hides the secrets that a run found."""
    return Mask(frozenset[str]().union(*(check.secrets for check in run.checks)))


def account(run: RunResult) -> str:
    """Return what a person reads of a run, with secrets masked."""
    stream = io.StringIO()
    with choose(stream, {}, [check.name for check in run.checks], lambda: mask(run)) as console:
        for check in run.checks:
            console.finished(check)
        console.done(run, None)
    return stream.getvalue()


def _python(out: Path) -> str | None:
    for path in sorted(out.glob("*/python")):
        if found := path.read_text().strip():
            return found
    return None
