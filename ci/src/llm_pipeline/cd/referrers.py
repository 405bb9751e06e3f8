"""What refers to an image: signatures, lists of contents, reports (OCI referrers).

A registry without that list gets a tag in its place, ``sha256-...``, as the specification says.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from llm_pipeline.cd import oci
from llm_pipeline.cd.oci import Descriptor, Manifest
from llm_pipeline.cd.registry import Registry
from llm_pipeline.errors import LookError, RegistryError

_ATTEMPTS: Final = 5
_NO_LIST: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


def referrers(registry: Registry, digest: str) -> list[Descriptor]:
    """Return the descriptors of what refers to a digest, in the registry's order.

    Raises:
        RegistryError: The registry can't be reached, refuses or fails.
        LookError: It answers what can't be read.
    """
    try:
        return registry.list_referrers(digest)
    except RegistryError as error:
        if error.status not in _NO_LIST:
            raise
    listed = registry.find(_tag(digest))
    return (listed.manifest.manifests or []) if listed else []


def attach(
    registry: Registry,
    subject: Descriptor,
    data: bytes,
    media_type: str,
    annotations: Mapping[str, str] | None = None,
) -> str:
    """Store data as an artifact that refers to a manifest, and return the artifact's digest.

    The same data attached again gives the same artifact.

    Args:
        registry: Where.
        subject: What it is about.
        data: The artifact's one blob.
        media_type: The type of the blob and of the artifact.
        annotations: Annotations of the artifact.

    Raises:
        RegistryError: The registry can't be reached, refuses or fails.
        LookError: It answers what can't be, or others attach something all the time.
    """
    manifest = Manifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        artifact_type=media_type,
        config=registry.put_blob(b"{}", oci.EMPTY),
        layers=[registry.put_blob(data, media_type)],
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
        annotations=dict(annotations) if annotations else None,
    )
    mine = oci.descriptor(
        oci.encode(manifest),
        oci.MANIFEST,
        artifact_type=media_type,
        annotations=manifest.annotations,
    )
    answer = registry.put(manifest)
    if "oci-subject" not in answer.headers:
        _add(registry, subject.digest, mine)
    return mine.digest


def _add(registry: Registry, digest: str, mine: Descriptor) -> None:
    """Add to the tag that stands in for the list; others may do so at the same time."""
    tag = _tag(digest)
    for _ in range(_ATTEMPTS):
        listed = registry.find(tag)
        entries = list((listed.manifest.manifests or []) if listed else [])
        if any(entry.digest == mine.digest for entry in entries):
            return
        index = Manifest(schema_version=2, media_type=oci.INDEX, manifests=[*entries, mine])
        registry.put(index, tag)
    raise LookError(f"Can't add to the tag {tag}: others change it at the same time. Run it again.")


def _tag(digest: str) -> str:
    return digest.replace(":", "-")
