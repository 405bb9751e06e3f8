"""Made-up keys that are documents: PEM, a Google service account, a JSON web token."""

import hashlib
import hmac
import json
import uuid
from random import Random

from .made import HEX, Made, chars, to_base64, to_urlsafe


def _pem(rng: Random) -> tuple[str, str]:
    """Return a private key as PEM and the first line of its body; the sizes are those of DER."""
    sizes = {"RSA ": 1190, "EC ": 119, "OPENSSH ": 400, "ENCRYPTED ": 1300, "": 1216}
    kind, size = rng.choice([*sizes.items(), ("", 46)])  # 46: Ed25519, a body of one line
    body = to_base64(b"\x30\x82" + rng.randbytes(size))
    width = rng.choice([64, 70])
    rows = [body[at : at + width] for at in range(0, len(body), width)]
    head = []
    if kind == "RSA " and rng.random() < 1 / 3:
        head = ["Proc-Type: 4,ENCRYPTED", f"DEK-Info: AES-256-CBC,{chars(rng, HEX, 32)}", ""]
    mark = f"{kind}PRIVATE KEY-----"
    return "\n".join(["-----BEGIN " + mark, *head, *rows, "-----END " + mark]), rows[0]


def private_key(rng: Random) -> Made:
    """Return a private key, as a file or inside of another one."""
    pem, body = _pem(rng)
    rows = pem.split("\n")
    snippets = (
        pem,
        "tls:\n  key: |\n" + "\n".join(f"    {row}" for row in rows),
        'PRIVATE_KEY="' + "\\n".join(rows) + '"',
        f'KEY = """{pem}"""',
        "KEY = (\n" + "\n".join(f'    "{row}\\n"' for row in rows) + "\n)",
    )
    return Made("PRIVATE_KEY", pem, body, snippets=snippets)


def service_account(rng: Random) -> Made:
    """Return the key file of a Google service account, as a file or inside of another one."""
    pem, body = _pem(rng)
    account = {
        "type": "service_account",
        "project_id": "llm-twin",
        "private_key_id": chars(rng, HEX, 40),
        "private_key": pem + "\n",
        "client_email": "ci@llm-twin.iam.gserviceaccount.com",
    }
    text = json.dumps(account, indent=2)
    return Made("GCP_KEY", text, body, snippets=(text, json.dumps({"GCP_KEY": text})))


def jwt(rng: Random) -> Made:
    """Return a signed JSON web token."""
    claims = {"sub": str(uuid.UUID(int=rng.getrandbits(128))), "exp": rng.randint(2, 3) * 10**9}
    parts = b'{"alg":"HS256","typ":"JWT"}', json.dumps(claims).encode()
    body = ".".join(to_urlsafe(part) for part in parts)
    signature = hmac.digest(rng.randbytes(32), body.encode(), hashlib.sha256)
    text = f"{body}.{to_urlsafe(signature)}"
    return Made(rng.choice(["QDRANT_API_KEY", "ZENML_STORE_API_TOKEN", "JWT"]), text, text)
