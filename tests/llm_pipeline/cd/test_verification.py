"""What speaks for and against an image: signed statements in a registry."""

from collections.abc import Callable

import pytest

from llm_pipeline.cd import attest
from llm_pipeline.cd.referrers import attach
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.signing import ENVELOPE, KeySigner, Trust
from llm_pipeline.cd.verification import Verification, attach_statement, evidence, verify
from llm_pipeline.errors import ConfigError, LookError
from tests.llm_pipeline.cd.front import Front
from tests.llm_pipeline.cd.images import new_key, push, sign, statements

Open = Callable[..., Registry]
REQUIRED = ("provenance", "scan")


@pytest.fixture
def signer() -> KeySigner:
    """A key that is trusted."""
    return new_key()


def looked(registry: Registry, digest: str, signer: KeySigner) -> Verification:
    """Look at a digest that is there, trusting one key."""
    found = verify(registry, digest, Trust(keys=(signer.public,)), REQUIRED)
    assert found is not None
    return found


def test_verified(front: Front, opened: Open, signer: KeySigner) -> None:
    """With all that is required, signed by a trusted key, nothing speaks against it."""
    registry = opened(front)
    image = push(registry)
    sign(registry, image, signer)
    found = looked(registry, image.digest, signer)
    assert (found.problems, found.ignored) == ((), ())
    assert sorted(each.kind for each in found.attested) == ["provenance", "scan"]
    assert found.evidence.published
    trust = Trust(keys=(signer.public,))
    assert evidence(registry, image.digest, trust, REQUIRED) == found.evidence


def test_unsigned(memory: Front, opened: Open, signer: KeySigner) -> None:
    """Without statements each that is required is missed."""
    registry = opened(memory)
    image = push(registry)
    assert looked(registry, image.digest, signer).problems == (
        "It has no provenance that is signed by someone trusted.",
        "It has no scan that is signed by someone trusted.",
    )


def test_unscanned(memory: Front, opened: Open, signer: KeySigner) -> None:
    """Provenance alone is not enough."""
    registry = opened(memory)
    image = push(registry)
    sign(registry, image, signer, ["provenance"])
    assert looked(registry, image.digest, signer).problems == (
        "It has no scan that is signed by someone trusted.",
    )


def test_wrongly_signed(memory: Front, opened: Open, signer: KeySigner) -> None:
    """What someone else signed does not count, and the message says so."""
    registry = opened(memory)
    image = push(registry)
    sign(registry, image, new_key())
    found = looked(registry, image.digest, signer)
    assert found.attested == ()
    assert len(found.problems) == 2
    assert "no key of `cd.keys` has signed it" in found.problems[0]


def test_signed_for_another_image(memory: Front, opened: Open, signer: KeySigner) -> None:
    """A good signature that is attached to another image is worth nothing there."""
    registry = opened(memory)
    one, two = push(registry), push(registry, "two")
    for payload in statements(registry, one.digest).values():
        attach_statement(registry, two.descriptor, payload, signer)
    found = looked(registry, two.digest, signer)
    assert found.attested == ()
    assert "about another digest" in found.problems[0]


@pytest.mark.parametrize("check", ["scan", "evaluation"])
def test_a_check_that_says_no(memory: Front, opened: Open, signer: KeySigner, check: str) -> None:
    """One result that says no is enough, required or not, and whatever others say."""
    registry = opened(memory)
    image = push(registry)
    sign(registry, image, signer)
    said = attest.result(check, passed=False)
    payload = attest.statement("image", image.digest, attest.RESULT, said)
    attach_statement(registry, image.descriptor, payload, signer)
    assert looked(registry, image.digest, signer).problems == (f"Its {check} says no.",)


def test_a_no_of_somebody_else(memory: Front, opened: Open, signer: KeySigner) -> None:
    """A result that nobody trusted has signed says nothing."""
    registry = opened(memory)
    image = push(registry)
    sign(registry, image, signer)
    sign(registry, image, new_key(), ["scan"], scan=False)
    assert looked(registry, image.digest, signer).problems == ()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"payload": "e30=", "payloadType": "t"}'])
def test_rubbish_is_not_counted(
    memory: Front, opened: Open, signer: KeySigner, data: bytes
) -> None:
    """What can't be read neither counts nor stands in the way."""
    registry = opened(memory)
    image = push(registry)
    sign(registry, image, signer)
    attach(registry, image.descriptor, data, ENVELOPE)
    attach(registry, image.descriptor, b"a list of contents", "text/plain")
    found = looked(registry, image.digest, signer)
    assert found.problems == ()
    assert len(found.ignored) == 1


def test_signed_but_no_statement(memory: Front, opened: Open, signer: KeySigner) -> None:
    """A signature on something else than a statement does not count."""
    registry = opened(memory)
    image = push(registry)
    for payload in (b"[]", b'{"_type": "other", "subject": [], "predicateType": "t"}'):
        signed = signer.sign(payload)
        attach(registry, image.descriptor, signed.data, signed.media_type)
    found = looked(registry, image.digest, signer)
    assert "no statement that can be read" in " ".join(found.ignored)
    assert "of another version: 'other'" in " ".join(found.ignored)


def test_not_there(memory: Front, opened: Open, signer: KeySigner) -> None:
    """A digest that the registry does not have has no evidence."""
    registry, digest = opened(memory), f"sha256:{'0' * 64}"
    trust = Trust(keys=(signer.public,))
    assert verify(registry, digest, trust, REQUIRED) is None
    assert not evidence(registry, digest, trust, REQUIRED).published


def test_nobody_is_trusted(memory: Front, opened: Open) -> None:
    """Where the settings trust nobody nothing is verified."""
    with pytest.raises(ConfigError, match=r"name public keys in `cd.keys`"):
        verify(opened(memory), f"sha256:{'0' * 64}", Trust(), REQUIRED)


def test_a_statement_that_is_gone(memory: Front, opened: Open, signer: KeySigner) -> None:
    """A registry that lists what it does not have is an error, not a verdict."""
    registry = opened(memory)
    image = push(registry)
    sign(registry, image, signer)
    memory.backend.blobs.clear()  # type: ignore[attr-defined] # it is in memory
    with pytest.raises(LookError, match="does not have it"):
        looked(registry, image.digest, signer)


def test_kinds() -> None:
    """A statement tells its kind, whatever it is."""

    def kind(predicate_type: str, predicate: dict[str, object]) -> str:
        payload = attest.statement("image", "sha256:0", predicate_type, predicate)
        return attest.read(payload).kind

    assert kind(attest.PROVENANCE, {}) == "provenance"
    assert kind(attest.SBOM, {}) == "sbom"
    assert kind("https://example.com/other", {}) == "https://example.com/other"
    assert kind(attest.RESULT, attest.result("evaluation", passed=True)) == "evaluation"
    odd: object
    for odd in ([], ["x"], [{}], "x"):
        assert kind(attest.RESULT, {"configuration": odd}) == attest.RESULT
