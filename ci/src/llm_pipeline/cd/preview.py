"""What a publication would do: the inputs of a source's image, and what the registry has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from llm_pipeline.cd.publication import (
    INPUTS,
    Inputs,
    Publication,
    Published,
    commit_tag,
    publish,
    tree_tag,
    version_problem,
)
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.settings import Delivery
from llm_pipeline.errors import ConfigError, LookError, UsageError
from llm_pipeline.source import SourceFiles, list_source

_LOCKS: Final = ("requirements.lock", "uv.lock", "poetry.lock", "requirements.txt")


@dataclass(frozen=True, slots=True)
class Preview:
    """The inputs of an image, the tags that it should have, and the decision on them."""

    inputs: Inputs
    tags: tuple[str, ...]
    decision: Publication


class _Config(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")


class _Image(msgspec.Struct, frozen=True):
    config: _Config | None = None


def preview(registry: Registry, settings: Delivery, source: Path, named: str | None) -> Preview:
    """Return what publishing a source would do.

    Args:
        registry: Where to.
        settings: The settings.
        source: The source's folder.
        named: A version, which becomes a tag.

    Raises:
        UsageError: The source has uncommitted changes, or no commit; the version can't be a tag.
        ConfigError: The settings don't name the base image or the lock files.
        LookError: The source or the registry can't be read.
    """
    if named is not None and (problem := version_problem(named)):
        raise UsageError(f"The version {named!r} can't be a tag: {problem}.")
    files = list_source(source)
    inputs = inputs_of(files, settings)
    commit = files.commit or ""  # `inputs_of` demands one
    tags = (tree_tag(inputs.tree), commit_tag(commit), *((named,) if named else ()))
    there = look(registry, tags)
    return Preview(inputs, tags, publish(tags, inputs.key, there))


def inputs_of(
    files: SourceFiles, settings: Delivery, image: str = "", platforms: Sequence[str] = ()
) -> Inputs:
    """Return what would go into an image of a source.

    Args:
        files: The source.
        settings: The settings, which name the base image.
        image: Which of the source's images.
        platforms: What for.

    Raises:
        UsageError: The source is not as it is in a commit.
        ConfigError: The settings don't name the base image or the lock files.
    """
    if files.commit is None or files.tree is None:
        raise UsageError(f"{files.root} has no commit, so an image of it could not be found again.")
    if files.dirty:
        raise UsageError(
            f"{files.root} has changes that are in no commit; commit them, or put them away "
            "(git stash), so that the image is that of a commit."
        )
    if settings.base is None:
        raise ConfigError("`cd.base` should name the base image with its digest.")
    return Inputs(
        files.tree, _locks(files.root, settings), settings.base, _version(), image, tuple(platforms)
    )


def _version() -> str:
    return version("llm-pipeline")


def _locks(root: Path, settings: Delivery) -> tuple[tuple[str, str], ...]:
    names = settings.locks
    if names is None:
        names = [name for name in _LOCKS if (root / name).is_file()][:1]
    if not names:
        raise ConfigError("`cd.locks` should name the files that pin what is installed.")
    found = []
    for name in names:
        try:
            found.append((name, sha256((root / name).read_bytes()).hexdigest()))
        except OSError as error:
            raise ConfigError(f"`cd.locks`: {name} can't be read: {error.strerror}.") from None
    return tuple(found)


def look(registry: Registry, tags: Sequence[str]) -> dict[str, Published]:
    """Return those of the tags that the registry has, with what they tell of their inputs."""
    found: dict[str, Published] = {}
    for tag in tags:
        stored = registry.find(tag)
        if stored is None:
            continue
        key = stored.annotations.get(INPUTS)
        config = stored.manifest.config
        if key is None and config is not None and re.search(r"config|image", config.media_type):
            try:
                told = msgspec.json.decode(registry.blob(config), type=_Image).config
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise LookError(f"The configuration of {tag} can't be read.") from None
            key = ((told.labels if told else None) or {}).get(INPUTS)
        found[tag] = Published(stored.digest, key)
    return found
