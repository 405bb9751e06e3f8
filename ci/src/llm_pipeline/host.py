"""The host's executor: runs the graph as processes, with no container engine."""

import os
import platform
import shutil
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio import to_thread

from llm_pipeline import environments, gitleaks
from llm_pipeline.config import Job, adjusted, from_file, from_pyproject
from llm_pipeline.errors import PipelineError
from llm_pipeline.facts import Facts
from llm_pipeline.globs import matching
from llm_pipeline.graph import Events, Execution, run_graph
from llm_pipeline.model import CheckResult, RunResult, SourceState, Verdict
from llm_pipeline.plan import Plan, Planned, make_plan
from llm_pipeline.processes import clean_env, run
from llm_pipeline.script import Places, script
from llm_pipeline.source import SourceFiles, git_env
from llm_pipeline.workspace import cache_dir, copy_source, empty, link_tree, slot

_PASSING: Final = ("out", "trees", "scripts", "home")


class HostEvents(Events, Protocol):
    """What is told while the host runs a graph."""

    def note(self, text: str) -> None:
        """Something that a person may want to know."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the source's own settings."""

    only: Collection[str] = ()
    config: Path | None = None
    keep_going: bool = False
    red_controls: bool = True


@dataclass
class HostExecutor:
    """Executes checks in one slot of the cache; environments are made when first needed."""

    plan: Plan
    facts: Facts
    source: SourceFiles
    slot: Path
    _environment: Path | PipelineError | None = None
    _making: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def tree(self) -> Path:
        """The copy of the source, at the same place from run to run."""
        return self.slot / "source"

    async def execute(self, planned: Planned) -> Execution:
        """Run one check's script in a tree that holds what the check reads.

        Raises:
            LookError: A tool or an environment could not be had.
        """
        async with self._making:
            folders = await self._folders(planned)
        out = self.slot / "out" / planned.name
        out.mkdir(mode=0o700, parents=True)
        places = Places(
            out=str(out),
            env=str(self._environment or self.slot / "env"),
            tools=":".join(str(folder.parent) for folder in folders),
            repo=str(self.source.root),
            cache=str(self.slot / "cache"),
            data=str(environments.DATA),
        )
        path = self.slot / "scripts" / f"{planned.name}.sh"
        path.write_bytes(script(planned, places).encode("utf-8", "surrogateescape"))
        started = time.monotonic()
        finished = await run(
            ("sh", str(path)),
            cwd=self._tree(planned),
            env=self._git_env(folders) if planned.check.git else self._env(folders),
            log=out / "script.log",
            limit=planned.limit,
        )
        seconds = time.monotonic() - started
        return Execution(out, seconds, planned.limit if finished.timed_out else None)

    async def job_environment(self, job: Job) -> dict[str, str]:
        """Return the variables of a job; the environment is made where it is missing."""
        async with self._making:
            tools = await self._tools("tools") / "bin"
            folders = [await self._source_environment(tools) / "bin", tools]
        return clean_env({**self._env(folders), **job.env}, (*self.plan.config.env, *job.secrets))

    def _git_env(self, folders: list[Path]) -> dict[str, str]:
        """The variables of a check that reads git, whose user settings say whom the user trusts."""
        return {**git_env(), "PATH": _path(folders), "GITLEAKS_VERSION": gitleaks.VERSION}

    def _env(self, folders: list[Path]) -> dict[str, str]:
        extra = {
            "PATH": _path(folders),
            "HOME": str(self.slot / "home"),
            # The copy is new in each run; compiled files stay valid by time and size.
            "PYTHONPYCACHEPREFIX": str(self.slot / "cache" / "pyc"),
        }
        if isinstance(self._environment, Path):
            extra["VIRTUAL_ENV"] = str(self._environment)
        return clean_env(extra, self.plan.config.env)

    async def _folders(self, planned: Planned) -> list[Path]:
        """Return the folders of executables for a check, the source's own first."""
        log = self.slot / "tools.log"
        if planned.check.git:
            path = os.environ.get("PATH", os.defpath)
            found = gitleaks.find(path) or gitleaks.binary(await self._tools("gitleaks"))
            return [found.parent]
        folders = [(await self._tools("tools")) / "bin"]
        for tool, version in self.plan.hooked:
            if tool in planned.check.tools:
                hooked = await environments.hooked_tool(self.slot.parent, tool, version, log)
                folders.insert(0, hooked / "bin")
        if planned.environment:
            folders.insert(0, await self._source_environment(folders[-1]) / "bin")
        return folders

    async def _tools(self, name: str) -> Path:
        return await environments.tools(self.slot.parent, name, self.slot / "tools.log")

    async def _source_environment(self, tools: Path) -> Path:
        if isinstance(self._environment, PipelineError):
            raise self._environment
        if self._environment is None:
            folders = [tools]
            if self.plan.install.manager == "poetry":
                folders.append(await self._tools("poetry") / "bin")
            try:
                self._environment = await environments.source_environment(
                    self.plan.install,
                    self.slot,
                    self.facts.files,
                    _path(folders),
                )
            except PipelineError as error:
                self._environment = error
                raise
        return self._environment

    def _tree(self, planned: Planned) -> Path:
        files = matching(self.facts.files, planned.reads, planned.ignores)
        if planned.name != "test":
            tree = self.slot / "trees" / planned.name
            link_tree(self.tree, tree, map(os.fsencode, files))
            return tree
        # Editable installations point into the copy itself, so tests run there.
        for name in set(self.facts.files) - set(files):
            (self.tree / name).unlink(missing_ok=True)
        return self.tree


def _path(folders: list[Path]) -> str:
    return os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])


def read_plan(source: SourceFiles, options: Options) -> tuple[Plan, Facts]:
    """Return what would run for a source, and the facts that decided it.

    Raises:
        ConfigError: The configuration is wrong.
        UsageError: An option is.
    """
    facts = Facts(source.root, tuple(map(os.fsdecode, source.files)))
    config = from_file(options.config) if options.config else from_pyproject(facts.pyproject)
    config = adjusted(config, keep_going=options.keep_going, red_controls=options.red_controls)
    return make_plan(facts, config, options.only, insist=True), facts


async def run_ci(
    source: SourceFiles,
    plan: Plan,
    facts: Facts,
    events: HostEvents,
    results: dict[str, CheckResult],
) -> None:
    """Run a plan on a source.

    Args:
        source: The source's files; they are read and never written.
        plan: What to run.
        facts: What decided the plan.
        events: What is told meanwhile.
        results: Filled as checks end: what is there already survives an interruption.

    Raises:
        LookError: The source can't be copied, or the cache not be written.
    """
    async with prepared(source) as (folder, notes):
        for note in notes:
            events.note(note)
        executor = HostExecutor(plan, facts, source, folder)
        await run_graph(plan, facts, executor.execute, events, results=results)


@asynccontextmanager
async def prepared(source: SourceFiles) -> AsyncIterator[tuple[Path, list[str]]]:
    """Lend a slot of the cache with a fresh copy of the source, and what a person may want to know.

    Raises:
        LookError: The source can't be copied, or the cache not be written.
    """
    with slot(cache_dir(), source.root) as folder:
        try:
            for name in _PASSING:
                empty(folder / name)
            left_out = await to_thread.run_sync(copy_source, source, folder / "source")
            yield folder, [*source.notes, *map(str, left_out)]
        finally:
            for name in (*_PASSING, "source"):
                shutil.rmtree(folder / name, ignore_errors=True)


def finished_run(
    plan: Plan,
    source: SourceFiles,
    results: dict[str, CheckResult],
    started: float,
    *,
    interrupted: bool = False,
) -> RunResult:
    """Return the result of a run; what has no result yet was interrupted.

    ``started`` is the monotonic clock at the run's start, in seconds.
    """
    checks = tuple(
        results.get(planned.name)
        or CheckResult(planned.name, planned.check.stage, Verdict.ERROR, "interrupted")
        for planned in plan.checks
    )
    state = SourceState(source.commit, source.tree, source.dirty)
    seconds = round(time.monotonic() - started, 3)
    return RunResult(
        checks, state, "host", platform.python_version(), seconds, source.notes, interrupted
    )
