"""Small images in a registry, signed or not."""

from collections.abc import Iterable

from llm_pipeline.cd import attest, oci
from llm_pipeline.cd.oci import Manifest, Stored
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.signing import KeySigner, Signer, open_signer
from llm_pipeline.cd.verification import attach_statement

CONFIG = "application/vnd.oci.image.config.v1+json"


def push(
    registry: Registry, text: str = "one", *tags: str, inputs: str | None = None, label: str = ""
) -> Stored:
    """Push a small image and return its manifest."""
    labels = f'{{"llm-pipeline.inputs": "{label}"}}' if label else "{}"
    config = f'{{"architecture": "amd64", "os": "linux", "config": {{"Labels": {labels}}}}}'
    manifest = Manifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        config=registry.put_blob(config.encode(), CONFIG),
        layers=[registry.put_blob(text.encode(), "application/vnd.oci.image.layer.v1.tar")],
        annotations={"text": text} | ({"llm-pipeline.inputs": inputs} if inputs else {}),
    )
    data = oci.encode(manifest)
    registry.put(manifest)
    for tag in tags:
        registry.create_tag(tag, data, oci.MANIFEST)
    return registry.read(oci.digest_of(data))


def new_key(kind: str = "ecdsa") -> KeySigner:
    """Make a signer with a new key."""
    return open_signer(private_key(kind))  # type: ignore[return-value] # a key's is always one


def private_key(kind: str = "ecdsa") -> str:
    """Make a private key, as PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    if kind == "ecdsa":
        key = ec.generate_private_key(ec.SECP256R1())
    elif kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def statements(registry: Registry, digest: str, *, scan: bool = True) -> dict[str, bytes]:
    """Make the statements that a release needs."""
    name = f"{registry.host}/{registry.repository}"
    made = attest.provenance(
        {"repository": "https://git.example.com/team/twin"},
        [attest.Material("git+https://git.example.com/team/twin", {"gitCommit": "c" * 40})],
        "urn:llm-pipeline:test",
        "0.1.0",
        "run-1",
    )
    checked = attest.result("scan", passed=scan)
    return {
        "provenance": attest.statement(name, digest, attest.PROVENANCE, made),
        "scan": attest.statement(name, digest, attest.RESULT, checked),
    }


def sign(
    registry: Registry,
    image: Stored,
    signer: Signer,
    kinds: Iterable[str] = ("provenance", "scan"),
    *,
    scan: bool = True,
) -> None:
    """Attach statements that are signed."""
    made = statements(registry, image.digest, scan=scan)
    for kind in kinds:
        attach_statement(registry, image.descriptor, made[kind], signer)
