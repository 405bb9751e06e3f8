"""Brings to this side what decides a plan: names, a few files, and where git is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import dagger
from dagger import dag

from llm_pipeline.containers.tracked import tracked
from llm_pipeline.errors import UsageError
from llm_pipeline.facts import FACT_FILES, Facts

_FACTS: Final = [name for name in FACT_FILES if name != ".git"]
_MAIN: Final = "ci/src/llm_pipeline/main.py"
"""In the module's own repository, and in no other."""


@dataclass
class Looked:
    """A source as it was looked at.

    ``files``: what git tracks or would track, without ``.git``; ``git``: its ``.git``, a file in a
    worktree; ``None`` where there is none.
    """

    files: dagger.Directory
    git: dagger.Directory | dagger.File | None
    facts: Facts


async def look(source: dagger.Directory, git: dagger.Directory | None, folder: Path) -> Looked:
    """Look at a source, in as few questions to the engine as it takes.

    Args:
        source: All files of the source, with or without its ``.git``.
        git: The folder ``.git``, where it was given apart.
        folder: Where the files go whose text matters.

    Raises:
        UsageError: The source is the module's own repository, but the caller is in another.
    """
    files = source.filter(exclude=["**/.git"], gitignore=True)
    names: list[str] = []
    top: list[str] = []
    index = source.filter(include=[".git/index"]) if git is None else git.filter(include=["index"])

    async def list_names() -> None:
        names.extend(await _names(files))
        if _MAIN in names:
            await _refuse_strangers()

    async def list_top() -> None:
        top.extend(await source.entries())

    async def export(directory: dagger.Directory, name: str) -> None:
        await directory.export(str(folder / name))

    async with anyio.create_task_group() as group:
        group.start_soon(list_names)
        group.start_soon(list_top)
        group.start_soon(export, files.filter(include=_FACTS), "facts")
        group.start_soon(export, index, "index")
    found: dagger.Directory | dagger.File | None = git
    if git is None and ".git/" in top:
        found = source.directory(".git")
    elif git is None and ".git" in top:
        found = source.file(".git")
    for path in (folder / "index").rglob("index"):
        hidden = tracked(path.read_bytes()) - set(names)
        if hidden and (ignored := await _names(kept := _only(source, hidden))):
            # git does not ignore what it tracks, whatever .gitignore says.
            files = files.with_directory(".", kept)
            names.extend(ignored)
            await export(kept.filter(include=_FACTS), "facts")
    return Looked(files, found, Facts(folder / "facts", tuple(sorted(names))))


async def _names(directory: dagger.Directory) -> list[str]:
    return [name for name in await directory.glob("**/*") if not name.endswith("/")]


def _only(source: dagger.Directory, names: frozenset[str]) -> dagger.Directory:
    return source.filter(include=["".join(map(_escaped, name)) for name in sorted(names)])


def _escaped(char: str) -> str:
    return f"\\{char}" if char in "\\*?[]{}!#" else char


async def _refuse_strangers() -> None:
    """Refuse to look at the module's own repository for somebody who is in another.

    With ``dagger -m REF call ci`` a source that is not given is the module's.
    """
    try:
        workspace = dag.current_workspace()
        await workspace.file(f"/{_MAIN}").size()
    except dagger.QueryError:
        raise UsageError(
            "The source is the repository of this module itself, and you are in another one. "
            "Name yours: `dagger -m REF call --source=. ci`."
        ) from None
