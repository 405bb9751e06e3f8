"""Signatures: by keys of several kinds, by AWS KMS, and what is not trusted."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope

from llm_pipeline.cd.signing import (
    BUNDLE,
    ENVELOPE,
    Identity,
    KeylessSigner,
    KeySigner,
    Signed,
    Trust,
    UntrustedError,
    check,
    load_public,
    open_signer,
)
from llm_pipeline.errors import ConfigError, LookError, UsageError
from tests.llm_pipeline.cd.images import new_key, private_key

PAYLOAD = b'{"_type": "https://in-toto.io/Statement/v1"}'


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519", "rsa"])
def test_keys(kind: str) -> None:
    """What a key signs is trusted by its public key, and by no other one."""
    signer, other = new_key(kind), new_key(kind)
    signed = signer.sign(PAYLOAD)
    assert signed.media_type == ENVELOPE
    payload, who = check(signed, Trust(keys=(other.public, signer.public)))
    assert payload == PAYLOAD
    assert who.startswith("key ")
    with pytest.raises(UntrustedError, match=r"no key of `cd.keys` has signed it"):
        check(signed, Trust(keys=(other.public,)))
    with pytest.raises(UntrustedError, match="names none"):
        check(signed, Trust())


def test_a_key_in_a_file(tmp_path: Path) -> None:
    """A variable may hold the path of a key."""
    file = tmp_path / "key.pem"
    file.write_text(private_key())
    signer = open_signer(f"{file}\n")
    assert isinstance(signer, KeySigner)
    assert check(signer.sign(PAYLOAD), Trust(keys=(signer.public,)))[0] == PAYLOAD


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "neither a private key"),
        ("/absent/key.pem", "neither a private key"),
        ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "can't be used"),
    ],
)
def test_keys_that_are_none(value: str, says: str) -> None:
    """What is no key is told without showing it."""
    with pytest.raises(UsageError, match=says) as caught:
        open_signer(value)
    assert "c2VjcmV0" not in str(caught.value)


def altered(signed: Signed, **changes: object) -> Signed:
    """An envelope with other fields."""
    content = {**json.loads(signed.data), **changes}
    return Signed(signed.media_type, json.dumps(content).encode())


def test_what_was_altered_is_not_trusted() -> None:
    """Another payload, another type, no signature: none counts."""
    signer = new_key()
    signed, trust = signer.sign(PAYLOAD), Trust(keys=(signer.public,))
    other = base64.b64encode(b"{}").decode()
    for changed, says in (
        (altered(signed, payload=other), "has signed it"),
        (altered(signed, payloadType="text/plain"), "signs text/plain, not a statement"),
        (altered(signed, signatures=[]), "has signed it"),
        (altered(signed, signatures="none"), "can be read"),
        (Signed(ENVELOPE, b"no json"), "can be read"),
        (Signed(ENVELOPE, b"[]"), "can be read"),
    ):
        with pytest.raises(UntrustedError, match=says):
            check(changed, trust)


def test_the_name_of_a_key_does_not_matter() -> None:
    """Other programs name keys in other ways; DSSE says that the name is a hint."""
    signer = new_key()
    content = json.loads(signer.sign(PAYLOAD).data)
    content["signatures"][0]["keyid"] = ""
    signed = Signed(ENVELOPE, json.dumps(content).encode())
    assert check(signed, Trust(keys=(signer.public,)))[0] == PAYLOAD


def test_a_public_key_that_is_none() -> None:
    """A wrong file in the settings is their error, not the image's."""
    with pytest.raises(ConfigError, match="is no public key as PEM; it begins with 'hello'"):
        check(new_key().sign(PAYLOAD), Trust(keys=("hello\n",)))


@pytest.fixture
def kms(aws: str) -> Iterator[str]:
    """A key in KMS that signs."""
    assert aws
    client = boto3.client("kms")
    made = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
    yield made["KeyMetadata"]["Arn"]
    client.close()


def test_kms(kms: str) -> None:
    """A key of KMS signs what its public key belongs to.

    AWS signs the hash that it is sent; moto hashes that once more, so `check` can't take it.
    """
    signer = open_signer(f"awskms:{kms}")
    assert isinstance(signer, KeySigner)
    signed = signer.sign(PAYLOAD)
    envelope = Envelope.from_dict(json.loads(signed.data))
    (signature,) = envelope.signatures.values()
    public = load_public(signer.public)
    digest = hashlib.sha256(envelope.pae()).digest()
    public.verify(bytes.fromhex(signature.signature), digest, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(UntrustedError):
        check(signed, Trust(keys=(signer.public,)))


def test_kms_that_refuses(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown keys, keys of another kind, and no way to AWS are told in a sentence."""
    assert aws
    with pytest.raises(LookError, match="Can't read the key gone of AWS KMS: AWS answers NotFound"):
        open_signer("awskms:gone")
    client = boto3.client("kms")
    secret = client.create_key(KeyUsage="ENCRYPT_DECRYPT", KeySpec="RSA_2048")
    client.close()
    with pytest.raises(UsageError, match="can't sign"):
        open_signer(f"awskms:{secret['KeyMetadata']['KeyId']}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(LookError, match="Check the network"):
        open_signer("awskms:gone")


IDENTITY = Identity("https://github.com/o/r/.github/workflows/cd.yaml@refs/heads/staging")


@pytest.mark.parametrize("data", [b"", b"{}", b"no json"])
def test_bundles_that_are_none(data: bytes) -> None:
    """What is no bundle of sigstore is not trusted, and nobody's is where nobody is named."""
    with pytest.raises(UntrustedError, match="no bundle of sigstore"):
        check(Signed(BUNDLE, data), Trust(identities=(IDENTITY,)))
    with pytest.raises(UntrustedError, match="names nobody"):
        check(Signed(BUNDLE, data), Trust(keys=("key",)))


@pytest.mark.parametrize(
    "token", ["", "a.b.c", "expired"], ids=["no token", "no JWT", "an expired one"]
)
def test_keyless_without_a_good_token(token: str) -> None:
    """Without a token that sigstore takes nothing is signed, and the token is not shown."""
    if token == "expired":
        claims = {"aud": "sigstore", "iat": 1, "nbf": 1, "exp": int(time.time()) - 60}
        claims |= {"iss": "https://token.actions.githubusercontent.com", "sub": "repo:o/r"}
        parts = [{"alg": "none"}, claims]
        token = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in parts
        )
        token += ".c2ln"
    with pytest.raises(LookError, match=r"Can't sign without a key: .*elsewhere sign with a key"):
        KeylessSigner(lambda: token).sign(PAYLOAD)
