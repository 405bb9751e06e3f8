"""What speaks for and against an image: the signed statements that are attached to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_pipeline.cd import attest, signing
from llm_pipeline.cd.oci import Descriptor
from llm_pipeline.cd.referrers import attach, referrers
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.release import Evidence
from llm_pipeline.cd.signing import Signed, Signer, Trust, UntrustedError
from llm_pipeline.errors import ConfigError, LookError

_SIGNED: Final = frozenset({signing.ENVELOPE, signing.BUNDLE})
PREDICATE: Final = "in-toto.io/predicate-type"
"""The annotation by which tools find a kind of statement; what counts is in the statement."""


@dataclass(frozen=True, slots=True)
class Attested:
    """One statement whose signature is trusted."""

    kind: str
    signer: str
    artifact: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found on a digest.

    ``attested`` are the statements that count, ``ignored`` says why others don't, and ``problems``
    are sentences on what is missing or says no. Without problems the digest is verified.
    """

    digest: str
    attested: tuple[Attested, ...]
    ignored: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        """This, for a decision."""
        return Evidence(self.digest, published=True, problems=self.problems)


def attach_statement(
    registry: Registry, subject: Descriptor, payload: bytes, signer: Signer
) -> str:
    """Sign a statement, attach it to an image, and return the artifact's digest.

    Raises:
        LookError: It could not be signed, or the registry could not store it.
    """
    signed = signer.sign(payload)
    kind = attest.read(payload).predicate_type
    return attach(registry, subject, signed.data, signed.media_type, {PREDICATE: kind})


def verify(
    registry: Registry, digest: str, trust: Trust, required: Sequence[str]
) -> Verification | None:
    """Look at what is attached to a digest; None where the registry does not have it.

    Args:
        registry: Where.
        digest: The image.
        trust: Whose signatures count.
        required: The kinds of statements that there have to be.

    Raises:
        ConfigError: Nobody is trusted, so nothing could be verified.
        LookError: The registry could not be read.
    """
    if not trust:
        raise ConfigError(
            "Nobody's signatures are trusted: name public keys in `cd.keys`, or workflows in "
            "`cd.identities`."
        )
    if registry.head(digest) is None:
        return None
    attested: list[Attested] = []
    ignored: list[str] = []
    for found in referrers(registry, digest):
        media_type = found.artifact_type or ""
        if media_type in _SIGNED:
            try:
                attested.append(_attested(registry, digest, found, trust))
            except UntrustedError as error:
                kind = (found.annotations or {}).get(PREDICATE, "a statement")
                ignored.append(f"{kind} in {found.digest[:19]}: {error}")
    problems = tuple(_problems(attested, ignored, required))
    return Verification(digest, tuple(attested), tuple(ignored), problems)


def evidence(registry: Registry, digest: str, trust: Trust, required: Sequence[str]) -> Evidence:
    """Return what is known of a digest, for a decision; raises as `verify`."""
    found = verify(registry, digest, trust, required)
    return Evidence(digest, published=False) if found is None else found.evidence


def _attested(registry: Registry, digest: str, found: Descriptor, trust: Trust) -> Attested:
    stored = registry.read(found.digest)
    layers = stored.manifest.layers or []
    if len(layers) != 1 or layers[0].media_type not in _SIGNED:
        raise UntrustedError("it does not hold exactly one signed statement")
    payload, signer = signing.check(Signed(layers[0].media_type, registry.blob(layers[0])), trust)
    try:
        statement = attest.read(payload)
    except LookError as error:
        raise UntrustedError(str(error)) from None
    if not statement.is_about(digest):
        raise UntrustedError("it is about another digest")
    return Attested(statement.kind, signer, found.digest, statement.passed)


def _problems(
    attested: Sequence[Attested], ignored: Sequence[str], required: Sequence[str]
) -> list[str]:
    problems = []
    for kind in required:
        if not any(each.kind == kind for each in attested):
            why = f" Not counted: {'; '.join(ignored)}." if ignored else ""
            problems.append(f"It has no {kind} that is signed by someone trusted.{why}")
    problems += [
        f"Its {kind} says no."
        for kind in sorted({each.kind for each in attested if each.passed is False})
    ]
    return problems
