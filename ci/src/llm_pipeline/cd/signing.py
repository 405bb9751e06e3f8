"""Signatures of statements (DSSE): by a key in a variable or file, by AWS KMS, or keyless.

The cryptography is securesystemslib's and sigstore's. Both are imported where they are used.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from llm_pipeline.cd.attest import PAYLOAD
from llm_pipeline.display import one_line
from llm_pipeline.errors import ConfigError, LookError, UsageError

if TYPE_CHECKING:
    from securesystemslib.signer import Signer as Key
    from sigstore.models import ClientTrustConfig

ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGSTORE: Final = "sigstore"
"""The audience of the token that sigstore takes."""
GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
_KMS: Final = "awskms:"


class UntrustedError(LookError):
    """A signature is none that is trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed statement: the media type tells in which form."""

    media_type: str
    data: bytes


class Signer(Protocol):
    """Signs statements."""

    def sign(self, payload: bytes) -> Signed:
        """Return the payload with a signature.

        Raises:
            LookError: It could not be signed.
        """


@dataclass(frozen=True, slots=True)
class Identity:
    """Who may sign without a key: a workflow's address with its ref, and who vouches for it."""

    subject: str
    issuer: str = GITHUB_ISSUER


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count: public keys as PEM, and identities."""

    keys: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.identities)


def open_signer(value: str) -> Signer:
    """Return a signer for what a variable holds.

    Args:
        value: A private key as PEM (PKCS 8, without a passphrase), the path of a file that holds
            one, or ``awskms:`` and the id, ARN or alias of a key in AWS KMS.

    Raises:
        UsageError: It is none of these, or a key of a kind that is not supported.
        LookError: AWS KMS could not be asked for the key.
    """
    value = value.strip()
    if value.startswith(_KMS):
        return KeySigner(_kms(value.removeprefix(_KMS)), f"AWS KMS {value.removeprefix(_KMS)}")
    if not value.startswith("-----BEGIN"):
        try:
            value = Path(value).read_text(encoding="ascii")
        except (OSError, ValueError):
            raise UsageError(
                "The signing key is neither a private key as PEM, nor a file that can be read, nor "
                "awskms:KEY."
            ) from None
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        return KeySigner(CryptoSigner(load_pem_private_key(value.encode(), None)), "a key")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What they say may hold parts of the key.
        raise UsageError(
            "The signing key can't be used: it should be an ECDSA (P-256), Ed25519 or RSA key as "
            "PEM, without a passphrase."
        ) from None


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with one key; ``where`` names it in messages."""

    key: "Key" = field(repr=False)
    where: str

    @property
    def public(self) -> str:
        """The public key as PEM, for `Trust` and for a file in the source."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
        from securesystemslib.signer import SSlibKey

        known = self.key.public_key
        assert isinstance(known, SSlibKey)  # noqa: S101 - both kinds of signers have such keys
        public = known._crypto_key()  # noqa: SLF001 - there is no public way from it to PEM
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, payload: bytes) -> Signed:
        """Return a DSSE envelope.

        Raises:
            LookError: The key could not be used, as when AWS denies it.
        """
        import logging

        from securesystemslib.dsse import Envelope

        # What it would say of AWS's errors is said by ours.
        logging.getLogger("securesystemslib").setLevel(logging.CRITICAL)
        envelope = Envelope(payload, PAYLOAD, {})
        with _aws(f"sign with {self.where}"):
            envelope.sign(self.key)
        data = json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))
        return Signed(ENVELOPE, data.encode())


@contextmanager
def _aws(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into our errors."""
    from llm_pipeline.cd.aws_errors import aws_errors

    with aws_errors(doing):
        yield


def _kms(key: str) -> "Key":
    from securesystemslib.exceptions import UnsupportedAlgorithmError
    from securesystemslib.signer import AWSSigner

    try:
        with _aws(f"read the key {key} of AWS KMS"):
            uri, public = AWSSigner.import_(key)
            return AWSSigner.from_priv_key_uri(uri, public)
    except (UnsupportedAlgorithmError, KeyError):  # a key that encrypts has no such list
        raise UsageError(
            f"The key {key} of AWS KMS can't sign: it should be of the kind ECC_NIST_P256 or RSA, "
            "for SIGN_VERIFY."
        ) from None


@dataclass(frozen=True, slots=True)
class KeylessSigner:
    """Signs with the identity of the workflow that runs (sigstore).

    ``token`` gives GitHub's OIDC token for the audience ``sigstore``; ``trust`` is the sigstore
    instance, None for the public one.
    """

    token: Callable[[], str] = field(repr=False)
    trust: "ClientTrustConfig | None" = None

    def sign(self, payload: bytes) -> Signed:
        """Return a sigstore bundle.

        Raises:
            LookError: The token is none, or sigstore could not be reached or refused.
        """
        from requests import RequestException
        from sigstore.dsse import Statement
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityError, IdentityToken
        from sigstore.sign import SigningContext

        try:
            identity = IdentityToken(self.token())
            trust = self.trust or ClientTrustConfig.production()
            with SigningContext.from_trust_config(trust).signer(identity) as signer:
                return Signed(BUNDLE, signer.sign_dsse(Statement(payload)).to_json().encode())
        except (Error, IdentityError, RequestException, ValueError) as error:
            raise LookError(
                f"Can't sign without a key: {one_line(str(error))}. It takes a workflow with "
                "id-token: write that reaches sigstore; elsewhere sign with a key."
            ) from None


def check(signed: Signed, trust: Trust) -> tuple[bytes, str]:
    """Return the payload of a signed statement and who signed it.

    Raises:
        UntrustedError: No trusted key or identity signed it.
        ConfigError: A key of `trust` is none.
    """
    if signed.media_type == BUNDLE:
        return _check_bundle(signed.data, trust.identities)
    return _check_envelope(signed.data, trust.keys)


def _check_envelope(data: bytes, keys: Sequence[str]) -> tuple[bytes, str]:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature, SSlibKey

    known = [(fingerprint(pem), load_public(pem)) for pem in keys]
    try:
        envelope = Envelope.from_dict(json.loads(data))
        pae = envelope.pae()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UntrustedError("it is no signed envelope that can be read") from None
    if envelope.payload_type != PAYLOAD:
        raise UntrustedError(f"it signs {one_line(str(envelope.payload_type))}, not a statement")
    for signature in envelope.signatures.values():
        for name, public in known:
            # By DSSE the id is a hint, and signers name one key in several ways.
            key = SSlibKey.from_crypto(public)
            try:
                key.verify_signature(Signature(key.keyid, signature.signature), pae)
            except UnverifiedSignatureError:
                continue
            return envelope.payload, f"key {name}"
    if not known:
        raise UntrustedError("it is signed by a key, and `cd.keys` names none")
    raise UntrustedError("no key of `cd.keys` has signed it")


def load_public(pem: str):  # type: ignore[no-untyped-def] # noqa: ANN201 - one of cryptography's kinds of keys
    """Return a public key from PEM.

    Raises:
        ConfigError: It is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        first = one_line(pem.strip().partition("\n")[0][:60])
        raise ConfigError(
            f"A key of `cd.keys` is no public key as PEM; it begins with {first!r}."
        ) from None


def fingerprint(pem: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a public key, to name it."""
    import hashlib

    body = re.sub(r"-----[^-]+-----|\s", "", pem)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _check_bundle(data: bytes, identities: Sequence[Identity]) -> tuple[bytes, str]:
    if not identities:
        raise UntrustedError("it is signed without a key, and `cd.identities` names nobody")
    import logging

    from requests import RequestException
    from sigstore.errors import Error
    from sigstore.models import Bundle
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity as Expected

    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns of being offline
    try:
        bundle = Bundle.from_json(data)
    except (Error, ValueError):
        raise UntrustedError("it is no bundle of sigstore that can be read") from None
    why = ""
    for identity in identities:
        try:
            # Offline: a verdict depends on what was signed, not on who can be reached today.
            verifier = Verifier.production(offline=True)
            expected = Expected(identity=identity.subject, issuer=identity.issuer)
            kind, payload = verifier.verify_dsse(bundle, expected)
        except (Error, ValueError, RequestException) as error:
            why = one_line(str(error))
            continue
        if kind != PAYLOAD:
            raise UntrustedError(f"it signs {one_line(kind)}, not a statement")
        return payload, identity.subject
    raise UntrustedError(f"nobody of `cd.identities` has signed it ({why})")
