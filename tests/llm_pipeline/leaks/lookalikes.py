"""Clean files that look as if they leaked something."""

import uuid
from collections.abc import Callable
from random import Random

from .harmless import TEXTS
from .made import BASE64, HEX, chars, to_base64
from .placeholders import KEYS, URLS

_FORMS: dict[str, Callable[[Random], str]] = {
    "SHA256": lambda rng: chars(rng, HEX, 64),
    "SHA1": lambda rng: chars(rng, HEX, 40),
    "MD5": lambda rng: chars(rng, HEX, 32),
    "UUID": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "BASE64": lambda rng: chars(rng, BASE64, 43),
    "SRI": lambda rng: "sha512-" + to_base64(rng.randbytes(64)),
}
_NAMES = ("README.md", ".env.example", "settings.py", "config.yaml", "notes.txt", "run.sh")


def _fill(rng: Random, text: str) -> str:
    for form, make in _FORMS.items():
        while form in text:
            text = text.replace(form, make(rng), 1)
    return text


def lookalikes(seed: int) -> dict[str, str]:
    """Return clean files: path to content, with random values that come from `seed`."""
    rng = Random(seed)  # noqa: S311 - the same seed must give the same files
    files = {}
    for number, line in enumerate(URLS + KEYS):
        files[f"placeholder{number:03}/{rng.choice(_NAMES)}"] = f"# before\n{line}\n# after\n"
    for number, (name, text) in enumerate(TEXTS):
        files[f"harmless{number:03}/{name}"] = _fill(rng, text) + "\n"
    return files
