"""One run of the graph inside of the Dagger module: what its functions share."""

import dataclasses
import io
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import anyio
import dagger
from msgspec.structs import replace

from llm_pipeline.console import choose
from llm_pipeline.containers.executor import ContainerExecutor, directory, read_facts, read_plan
from llm_pipeline.containers.layers import SOURCE, Layers
from llm_pipeline.facts import Facts
from llm_pipeline.graph import run_graph
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, RunResult, SourceState
from llm_pipeline.plan import Plan, without_controls
from llm_pipeline.report import write_reports


@dataclass
class Settings:
    """The arguments of the module's constructor."""

    source: dagger.Directory
    git: dagger.Directory | None
    config: dagger.File | None
    keep_going: bool
    red_controls: bool
    python_image: str
    gitleaks_image: str


@dataclass
class Pipeline:
    """A source that was looked at, and what would run on it."""

    settings: Settings
    plan: Plan
    facts: Facts
    layers: Layers
    folder: Path

    async def run(self) -> RunResult:
        """Run the plan and return its result."""
        started = time.monotonic()
        results: dict[str, CheckResult] = {}
        executor = ContainerExecutor(self.layers, self.folder / "out")
        await run_graph(self.plan, self.facts, executor.execute, _Silent(), results=results)
        checks = tuple(results[planned.name] for planned in self.plan.checks)
        return RunResult(
            checks,
            _state(self.folder / "out"),
            "containers",
            _python(self.folder / "out") or self.plan.python,
            round(time.monotonic() - started, 3),
        )

    def reports(self, run: RunResult) -> dagger.Directory:
        """Return the reports of a run."""
        folder = self.folder / "reports"
        write_reports(run, folder, mask=mask(run), link=None)
        return directory(folder)

    def fixed(self) -> dagger.Changeset:
        """Return ruff's fixes as a change of the source; what does not apply stays as it is."""
        planned = {check.name: check for check in self.plan.checks if check.skip is None}
        before = self.layers.source
        for name, words in (
            ("lint", "ruff check --fix-only --exit-zero --no-cache ."),
            ("format", "ruff format --no-cache ."),
        ):
            if name in planned:
                check = planned[name]
                fixed = self.layers.container(check).with_exec(words.split()).directory(SOURCE)
                self.layers.source = self.layers.source.with_directory(".", fixed)
        return self.layers.source.changes(before)


class _Silent:
    """Tells nothing: a function's output is shown at its end."""

    def started(self, name: str) -> None:
        pass

    def finished(self, result: CheckResult) -> None:
        pass


async def open_pipeline(settings: Settings, only: Collection[str] = ()) -> Pipeline:
    """Look at a source and decide what would run on it.

    Raises:
        UsageError: The configuration is wrong, or ``only`` is.
    """
    folder = Path(tempfile.mkdtemp(prefix="llm-pipeline-"))
    source = settings.source.filter(exclude=[".git"], gitignore=True)
    git: list[dagger.Directory | None] = [settings.git]

    async def find_git() -> None:
        if git[0] is None and ".git/" in await settings.source.entries():
            git[0] = settings.source.directory(".git")

    facts: list[Facts] = []

    async def find_facts() -> None:
        facts.append(await read_facts(source, folder / "facts"))

    async with anyio.create_task_group() as group:
        group.start_soon(find_git)
        group.start_soon(find_facts)
    plan = await read_plan(facts[0], settings.config, only)
    if settings.keep_going:
        plan = dataclasses.replace(plan, config=replace(plan.config, keep_going=True))
    if not settings.red_controls:
        plan = without_controls(plan)
    images = plan.config.images
    python = settings.python_image or images.python.replace("{version}", plan.python)
    gitleaks = settings.gitleaks_image or images.gitleaks
    layers = Layers(plan, source, git[0], python, gitleaks)
    return Pipeline(settings, plan, facts[0], layers, folder)


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


def _state(out: Path) -> SourceState:
    return SourceState()


def _python(out: Path) -> str | None:
    for path in sorted(out.glob("*/python")):
        if found := path.read_text().strip():
            return found
    return None
