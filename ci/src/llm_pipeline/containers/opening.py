"""Opens a source for a run: looks at it, and decides what would run."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import dagger
from anyio import to_thread

from llm_pipeline.containers.sources import look
from llm_pipeline.errors import LookError

if TYPE_CHECKING:
    from llm_pipeline.containers.pipeline import Pipeline
    from llm_pipeline.facts import Facts
    from llm_pipeline.plan import Plan


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
    link: str


@contextmanager
def one_error() -> Iterator[None]:
    """Let a single error out where a task group gathered several, and the engine's as ours.

    Raises:
        LookError: The engine refused something.
    """
    try:
        yield
    except (BaseExceptionGroup, dagger.DaggerError) as error:
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, dagger.DaggerError):
            raise LookError(str(first)) from None
        raise first from None


async def open_pipeline(settings: Settings, only: Collection[str] = ()) -> "Pipeline":
    """Look at a source and decide what would run on it.

    Raises:
        UsageError: The configuration is wrong, or ``only`` is, or the source is not the caller's.
    """
    folder = Path(tempfile.mkdtemp(prefix="llm-pipeline-"))
    with one_error():
        async with anyio.create_task_group() as group:
            # What follows is read and compiled while the engine answers.
            group.start_soon(_load)
            looked = await look(settings.source, settings.git, folder)
        plan = await _plan(looked.facts, settings, only)
    from llm_pipeline.containers.layers import Layers
    from llm_pipeline.containers.pipeline import Pipeline

    images = plan.config.images
    python = settings.python_image or images.python.replace("{version}", plan.python)
    gitleaks = settings.gitleaks_image or images.gitleaks
    layers = Layers(plan, looked.files, looked.git, python, gitleaks)
    return Pipeline(plan, looked.facts, layers, folder, settings.link)


async def _load() -> None:
    await to_thread.run_sync(import_module, "llm_pipeline.containers.pipeline")


async def _plan(facts: "Facts", settings: Settings, only: Collection[str]) -> "Plan":
    from llm_pipeline.config import adjusted, from_pyproject, from_text
    from llm_pipeline.plan import make_plan

    if settings.config is None:
        config = from_pyproject(facts.pyproject)
    else:
        config = from_text(await settings.config.contents(), await settings.config.name())
    config = adjusted(config, keep_going=settings.keep_going, red_controls=settings.red_controls)
    return make_plan(facts, config, only)
