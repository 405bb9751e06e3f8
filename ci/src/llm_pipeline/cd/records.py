"""The record of a release: a small index under the release's tag, which names the image.

Because it is an index, container tools start the image by the release's tag; and registries do not
remove what an index names, so an image is kept for as long as a rollback may need it.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from llm_pipeline.cd import oci
from llm_pipeline.cd.oci import Descriptor, Manifest, Stored
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.release import Kind, Release, parse_tag
from llm_pipeline.errors import LookError

RECORD: Final = "application/vnd.llm-pipeline.release.v1+json"
CREATED: Final = "org.opencontainers.image.created"
_PREFIX: Final = "llm-pipeline.release."
_KINDS: Final[tuple[Kind, ...]] = ("promote", "rollback")
_CONFIGS: Final = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)


def encode(release: Release, images: Sequence[Descriptor]) -> bytes:
    """Return the record of a release, as it stands under the release's tag.

    No two are equal, so that of two that want the same tag only one can have it.

    Args:
        release: The release.
        images: What `described` returned for the release's image.
    """
    told = {
        "environment": release.environment,
        "number": str(release.number),
        "kind": release.kind,
        "before": "" if release.before is None else str(release.before),
        "restores": "" if release.restores is None else str(release.restores),
        "by": release.by,
        "why": release.why,
        "id": secrets.token_hex(16),
    }
    annotations = {f"{_PREFIX}{key}": text for key, text in told.items() if text}
    return oci.encode(
        Manifest(
            schema_version=2,
            media_type=oci.INDEX,
            artifact_type=RECORD,
            manifests=list(images),
            annotations={**annotations, CREATED: release.at} if release.at else annotations,
        )
    )


def is_record(stored: Stored) -> bool:
    """Tell whether a manifest is the record of a release."""
    return stored.manifest.artifact_type == RECORD


def decode(environment: str, tag: str, stored: Stored) -> Release:
    """Return the release that a record tells of.

    Raises:
        LookError: It is no record of this environment's release with this tag.
    """
    told = {
        key.removeprefix(_PREFIX): text
        for key, text in stored.annotations.items()
        if key.startswith(_PREFIX)
    }
    images = stored.manifest.manifests or []
    kind = next((kind for kind in _KINDS if kind == told.get("kind")), None)
    number = parse_tag(environment, tag)
    right = (
        is_record(stored)
        and len(images) > 0
        and kind is not None
        and told.get("environment") == environment
        and told.get("number") == str(number)
        and all(told.get(key, "0").isdecimal() for key in ("before", "restores"))
    )
    if not right or kind is None or number is None:
        raise LookError(
            f"The tag {tag} is no record of a release, so what should run in {environment} is not "
            "known. If somebody pushed it by hand, remove it, and run this again."
        )
    return Release(
        environment,
        number,
        images[0].digest,
        kind,
        int(told["before"]) if "before" in told else None,
        int(told["restores"]) if "restores" in told else None,
        told.get("by", ""),
        stored.annotations.get(CREATED, ""),
        told.get("why", ""),
    )


class _Platform(msgspec.Struct, frozen=True):
    os: str
    architecture: str
    variant: str | None = None


def described(registry: Registry, image: Stored) -> list[Descriptor]:
    """Return how a record names an image: first itself, then its parts for each platform.

    With the platform, by which tools choose: most don't look into an index inside of an index.
    """
    plain = Descriptor(image.descriptor.media_type, image.digest, image.descriptor.size)
    if image.is_index:
        return [plain, *(image.manifest.manifests or [])]
    config = image.manifest.config
    if config is None or config.media_type not in _CONFIGS:
        return [plain]
    try:
        told = msgspec.json.decode(registry.blob(config), type=_Platform)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [plain]
    platform: dict[str, Any] = {"architecture": told.architecture, "os": told.os}
    if told.variant:
        platform["variant"] = told.variant
    return [msgspec.structs.replace(plain, platform=platform)]
