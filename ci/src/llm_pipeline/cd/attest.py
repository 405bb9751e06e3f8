"""Statements about an image: what it was made of, what is in it, what checks said (in-toto).

A statement is bound to the image's digest. `signing` signs it, `verification` reads it back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from llm_pipeline.errors import LookError

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
SBOM: Final = "https://cyclonedx.org/bom"
RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD: Final = "application/vnd.in-toto+json"
BUILD_TYPE: Final = "urn:llm-pipeline:build:1"
_KINDS: Final = {PROVENANCE: "provenance", SBOM: "sbom"}


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about."""

    digest: dict[str, str]
    name: str = ""


class Statement(msgspec.Struct, frozen=True, rename="camel"):
    """An in-toto statement, version 1."""

    subject: list[Subject]
    predicate_type: str
    predicate: dict[str, Any] = {}
    type: str = msgspec.field(default="", name="_type")

    @property
    def kind(self) -> str:
        """What it tells: ``provenance``, ``sbom``, a check's name, or the predicate's type."""
        if self.predicate_type == RESULT:
            checked = self.predicate.get("configuration")
            first = checked[0] if isinstance(checked, list) and checked else None
            name = first.get("name") if isinstance(first, dict) else None
            return name if isinstance(name, str) else self.predicate_type
        return _KINDS.get(self.predicate_type, self.predicate_type)

    @property
    def passed(self) -> bool | None:
        """Whether a check passed; None where the statement is no check's result."""
        if self.predicate_type != RESULT:
            return None
        return self.predicate.get("result") == "PASSED"

    def is_about(self, digest: str) -> bool:
        """Tell whether one of its subjects has a digest."""
        algorithm, _, value = digest.partition(":")
        return any(subject.digest.get(algorithm) == value for subject in self.subject)


@dataclass(frozen=True, slots=True)
class Material:
    """Something that went into an image: where it is from, and its hashes by algorithm."""

    uri: str
    digest: Mapping[str, str]


def statement(name: str, digest: str, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """Return a statement about a digest, as it is signed.

    Args:
        name: The image's full name without a tag.
        digest: The image's digest.
        predicate_type: What kind of statement it is, a URI.
        predicate: What it says.
    """
    algorithm, _, value = digest.partition(":")
    content = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {algorithm: value}}],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }
    return msgspec.json.encode(content, order="deterministic")


def provenance(
    parameters: Mapping[str, Any],
    materials: Sequence[Material],
    builder: str,
    version: str,
    invocation: str = "",
) -> dict[str, Any]:
    """Return the predicate of SLSA's provenance, version 1.

    Args:
        parameters: What a caller chose: repository, commit, image, platforms.
        materials: What went in: the source by commit and tree, lock files, the base image.
        builder: Who ran it, a URI: a workflow of GitHub, or a person's machine.
        version: The pipeline's version.
        invocation: The run, a URI, where it has one.
    """
    details: dict[str, Any] = {"builder": {"id": builder, "version": {"llm-pipeline": version}}}
    if invocation:
        details["metadata"] = {"invocationId": invocation}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": dict(parameters),
            "resolvedDependencies": [
                {"uri": material.uri, "digest": dict(material.digest)} for material in materials
            ],
        },
        "runDetails": details,
    }


def result(check: str, *, passed: bool, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the predicate of a check's result, such as ``scan`` or ``evaluation``.

    Args:
        check: The check's name.
        passed: What it said.
        details: More for people to read, below ``llm-pipeline``.
    """
    verdict = "PASSED" if passed else "FAILED"
    predicate: dict[str, Any] = {"result": verdict, "configuration": [{"name": check}]}
    return predicate | ({"llm-pipeline": dict(details)} if details else {})


def read(payload: bytes) -> Statement:
    """Return the statement in a payload.

    Raises:
        LookError: It is none of a version that is known.
    """
    try:
        found = msgspec.json.decode(payload, type=Statement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LookError(f"The payload is no statement that can be read: {error}.") from None
    if found.type != STATEMENT:
        raise LookError(f"The payload is a statement of another version: {found.type!r}.")
    return found
