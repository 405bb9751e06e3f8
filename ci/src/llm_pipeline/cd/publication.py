"""What may be published: decisions alone; nothing is read or written here.

An image is known by what went into it, not by its digest: the same inputs built on two machines
give two digests. So its inputs stand in its annotations, and what is there is not built again.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeAlias

from llm_pipeline.cd.release import Refuse, is_environment

INPUTS: Final = "llm-pipeline.inputs"
"""The annotation, or label, that holds `Inputs.key`."""
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_OURS: Final = re.compile(r"(commit|tree)-[0-9a-f]+|sha256-[0-9a-f]{64}.*")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What goes into an image.

    ``tree`` is git's hash of the source; ``locks`` the files that pin what is installed with their
    SHA-256; ``base`` the base image with its digest; ``pipeline`` the version of this package;
    ``image`` and ``platforms`` which of the source's images it is, and for what.
    """

    tree: str
    locks: tuple[tuple[str, str], ...]
    base: str
    pipeline: str
    image: str = ""
    platforms: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 of all inputs, in hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Published:
    """What a tag names: a digest, and the key of its inputs where it tells them."""

    digest: str
    inputs: str | None


@dataclass(frozen=True, slots=True)
class Build:
    """Nothing was built of these inputs: build the image and push it under these tags."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tag:
    """The image is there; these tags of it are missing, as after a push that was cut off."""

    digest: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The image is there under every tag: there is nothing to do."""

    digest: str


Publication: TypeAlias = Build | Tag | Done | Refuse


def commit_tag(commit: str) -> str:
    """Return the tag of the image that was built of a commit."""
    return f"commit-{commit}"


def tree_tag(tree: str) -> str:
    """Return the tag by which any commit with the same tree finds the image."""
    return f"tree-{tree}"


def version_problem(tag: str) -> str | None:
    """Say why a version can't be a tag; None where it can."""
    if not _TAG.fullmatch(tag):
        return "it should be up to 128 letters, digits and . _ -, and not begin with . or -"
    prefix, _, digits = tag.rpartition("-")
    if _OURS.fullmatch(tag) or (digits.isdigit() and is_environment(prefix)):
        return "tags of this form name commits, trees, attestations and releases"
    return None


def publish(tags: Sequence[str], key: str, there: Mapping[str, Published]) -> Publication:
    """Decide on a publication.

    Args:
        tags: All tags that the image should have; the first is the one that counts most.
        key: The key of what would go into it.
        there: Those of the tags that the registry has.
    """
    same = [there[tag] for tag in tags if tag in there and there[tag].inputs == key]
    digest = same[0].digest if same else None
    for tag in tags:
        if tag in there and there[tag].digest != digest:
            return Refuse(_taken(tag, there[tag], key))
    missing = tuple(tag for tag in tags if tag not in there)
    if digest is None:
        return Build(missing)
    return Tag(digest, missing) if missing else Done(digest)


def _taken(tag: str, taken: Published, key: str) -> str:
    if taken.inputs is None:
        what = "an image that does not tell what went into it"
    elif taken.inputs == key:
        what = "another build of the same inputs"
    else:
        what = "an image with other inputs (tree, lock files, base image or pipeline)"
    return (
        f"The tag {tag} names {taken.digest}, {what}. Tags are never moved: commit a change and "
        "publish that, or choose another version."
    )
