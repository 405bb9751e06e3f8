"""Executes the graph's scripts in containers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagger

from llm_pipeline.containers.layers import DATA, ENV, OUT, REPO, TOOLS, VERSION, Layers
from llm_pipeline.errors import InstallError, LookError
from llm_pipeline.graph import Execution
from llm_pipeline.install import explain
from llm_pipeline.plan import Planned
from llm_pipeline.script import Places, script

_KILLED: Final = 5
_TIMED_OUT: Final = (124, 143)
"""Exit codes of coreutils' and busybox' ``timeout``."""
_STAYS: Final = ("repository", "merges", "messages", "patches")
"""What the leak scan works with: as large as the source, and no report."""


@dataclass
class ContainerExecutor:
    """Executes checks, each in one exec of a container of its own."""

    layers: Layers
    folder: Path

    def container(self, planned: Planned) -> dagger.Container:
        """Return the container in which a check's script has run."""
        tools = TOOLS
        for tool, _ in self.layers.plan.hooked:
            if tool in planned.check.tools:
                tools = f"/hooked/{tool}:{tools}"
        places = Places(OUT, ENV, tools, REPO, "/tmp/llm-pipeline", DATA)  # noqa: S108 - in a container
        text = script(planned, places)
        if planned.check.git:
            text = f"export GITLEAKS_VERSION=$(cat {VERSION})\n{text}"
        path = f"{DATA}/{planned.name}.sh"
        # That of busybox counts whole seconds.
        limit = ["timeout", "-k", str(_KILLED), str(math.ceil(planned.limit))]
        return (
            self.layers.container(planned)
            .with_new_file(path, text)
            .with_exec([*limit, "sh", path], expect=dagger.ReturnType.ANY)
        )

    async def execute(self, planned: Planned) -> Execution:
        """Run one check's script and bring what it wrote to this side.

        Raises:
            InstallError: A layer below the check could not be made.
            LookError: The engine could not run the script.
        """
        container = self.container(planned)
        out = self.folder / planned.name
        try:
            await container.directory(OUT).filter(exclude=list(_STAYS)).export(str(out))
            done = (out / "done").exists()
            timed_out = not done and await container.exit_code() in _TIMED_OUT
        except dagger.ExecError as error:
            raise unmade(error) from None
        except dagger.QueryError as error:
            raise unanswered(error) from None
        return Execution(out, 0.0, planned.limit if timed_out else None)


def unmade(error: dagger.ExecError) -> InstallError:
    """Make of a layer's failed command an error that shows its output."""
    log = f"{error.stdout}\n{error.stderr}".strip()
    said = explain(error.stderr.strip() or error.stdout, 1)
    command = " ".join(word for word in error.command[:8] if not word.endswith("/trust.sh"))
    return InstallError(
        f"the environment could not be made: `{command}` ended with {error.exit_code}: {said}",
        log,
    )


def unanswered(error: dagger.QueryError) -> LookError:
    """Make of the engine's refusal an error that says what to do."""
    problem = str(error)
    if any(sign in problem for sign in ("failed to resolve", "failed to pull", "pull access")):
        return LookError(
            f"an image could not be pulled: {problem}. Behind a mirror, name your images in "
            "[tool.llm-pipeline.images]."
        )
    return LookError(problem)
