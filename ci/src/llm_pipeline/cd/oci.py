"""The documents of a registry: digests, descriptors, manifests (OCI image specification 1.1)."""

import hashlib
import re
from typing import Any, Final

import msgspec

from llm_pipeline.errors import LookError

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
ACCEPTED: Final = (
    MANIFEST,
    INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_INDEXES: Final = frozenset(ACCEPTED[1::2])
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
)
_HOST: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?")


class _Document(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A part of a document; what the specification adds later is left aside."""


class Descriptor(_Document, frozen=True):
    """What a manifest says of a blob or of another manifest."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None
    platform: dict[str, Any] | None = None


class Manifest(_Document, frozen=True):
    """An image's manifest, an artifact's, or an index; the fields tell which."""

    schema_version: int = msgspec.field(default=0)
    media_type: str | None = None
    artifact_type: str | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Stored(msgspec.Struct, frozen=True):
    """A manifest as a registry has it: the bytes that its digest is of, and what they say."""

    descriptor: Descriptor
    data: bytes
    manifest: Manifest

    @property
    def digest(self) -> str:
        """The digest of the bytes."""
        return self.descriptor.digest

    @property
    def is_index(self) -> bool:
        """Whether this lists manifests, one for each platform."""
        return self.descriptor.media_type in _INDEXES

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations of the manifest itself."""
        return self.manifest.annotations or {}


def digest_of(data: bytes) -> str:
    """Return the digest of bytes, ``sha256:`` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest as this pipeline uses them."""
    return bool(_DIGEST.fullmatch(text))


def is_repository(text: str) -> bool:
    """Tell whether a text may be the name of a repository of images."""
    return bool(_REPOSITORY.fullmatch(text)) and len(text) <= 255  # noqa: PLR2004 - the distribution specification's limit


def is_host(text: str) -> bool:
    """Tell whether a text may be a registry's host, with or without a port."""
    return bool(_HOST.fullmatch(text))


def descriptor(data: bytes, media_type: str, **more: Any) -> Descriptor:  # noqa: ANN401 - a descriptor's other fields
    """Return the descriptor of bytes."""
    return Descriptor(media_type, digest_of(data), len(data), **more)


def encode(manifest: Manifest) -> bytes:
    """Return a manifest as JSON; equal ones give equal bytes, so one digest."""
    # msgspec leaves out what is as the default is, and a reader needs the version.
    return msgspec.json.encode(manifest, order="deterministic")


def decode(data: bytes, what: str) -> Manifest:
    """Return a manifest from JSON.

    Raises:
        LookError: The bytes hold no manifest of schema version 2.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LookError(f"{what} is no manifest that can be read: {error}.") from None
    if manifest.schema_version != 2:  # noqa: PLR2004 - the only one that is in use
        raise LookError(
            f"{what} has a manifest of schema version {manifest.schema_version}, not 2."
        )
    return manifest
