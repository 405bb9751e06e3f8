"""Executes the graph's scripts in containers."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagger
from dagger import dag

from llm_pipeline.config import from_pyproject, from_text
from llm_pipeline.containers.layers import DATA, ENV, OUT, REPO, TOOLS, Layers
from llm_pipeline.errors import InstallError, LookError
from llm_pipeline.facts import FACT_FILES, Facts
from llm_pipeline.graph import Execution
from llm_pipeline.plan import Plan, Planned, make_plan
from llm_pipeline.script import Places, script

_KILLED: Final = 5
_TIMED_OUT: Final = 124


@dataclass
class ContainerExecutor:
    """Executes checks, each in one exec of a container of its own."""

    layers: Layers
    folder: Path

    async def execute(self, planned: Planned) -> Execution:
        """Run one check's script and bring what it wrote to this side.

        Raises:
            InstallError: A layer below the check could not be made.
            LookError: The engine could not run the script.
        """
        tools = TOOLS
        for tool, _ in self.layers.plan.hooked:
            if tool in planned.check.tools:
                tools = f"/hooked/{tool}:{tools}"
        places = Places(OUT, ENV, tools, REPO, "/tmp/llm-pipeline", DATA)  # noqa: S108 - in a container
        path = f"{DATA}/{planned.name}.sh"
        limit = ["timeout", "-k", str(_KILLED), str(planned.limit)]
        container = self.layers.container(planned)
        if planned.check.git:
            version = await self.layers.gitleaks_version()
            container = container.with_env_variable("GITLEAKS_VERSION", version)
        container = container.with_new_file(path, script(planned, places)).with_exec(
            [*limit, "sh", path], expect=dagger.ReturnType.ANY
        )
        out = self.folder / planned.name
        try:
            await container.directory(OUT).export(str(out))
            done = (out / "done").exists()
            timed_out = not done and await container.exit_code() == _TIMED_OUT
        except dagger.ExecError as error:
            command = " ".join(error.command[:6])
            last = (error.stderr or error.stdout).strip().splitlines()[-1:]
            message = (
                f"the environment could not be made: `{command}` ended with {error.exit_code}: "
                f"{''.join(last)}"
            )
            raise InstallError(message, error.stdout + error.stderr) from None
        except dagger.QueryError as error:
            raise LookError(_explain(str(error))) from None
        return Execution(out, 0.0, planned.limit if timed_out else None)


def _explain(problem: str) -> str:
    if "failed to resolve" in problem or "pull" in problem:
        return (
            f"an image could not be pulled: {problem}. Behind a mirror, name your images in "
            "[tool.llm-pipeline.images]."
        )
    return problem


async def read_facts(source: dagger.Directory, folder: Path) -> Facts:
    """Bring the files that decide a plan to this side, and the names of all the others."""
    names = [name for name in await source.glob("**/*") if not name.endswith("/")]
    await source.filter(include=[name for name in FACT_FILES if name != ".git"]).export(str(folder))
    return Facts(folder, tuple(names))


async def read_plan(facts: Facts, config: dagger.File | None, only: Collection[str]) -> Plan:
    """Return the plan for a source.

    Raises:
        ConfigError: The configuration is wrong.
        UsageError: A check's name is.
    """
    if config is None:
        return make_plan(facts, from_pyproject(facts.pyproject), only)
    return make_plan(facts, from_text(await config.contents(), await config.name()), only)


def directory(folder: Path) -> dagger.Directory:
    """Return the files below a folder of the module's own container as a directory."""
    found = dag.directory()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            found = found.with_new_file(name, path.read_text("utf-8", "replace"))
    return found
