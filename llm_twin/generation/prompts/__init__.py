"""The prompts: files, and a version that changes with every change of one of them."""

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Final

NAMES: Final = (
    "answer.md",
    "question.md",
    "small.md",
    "small_question.md",
    "small_examples.jsonl",
    "unknown.md",
)


@cache
def text(name: str) -> str:
    """Return the text of one of the prompts, by the name of its file."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8").strip()


@cache
def examples() -> tuple[dict[str, str], ...]:
    """Return the examples for a small model: passages, question and answer."""
    return tuple(json.loads(line) for line in text("small_examples.jsonl").splitlines())


@cache
def version() -> str:
    """Return the prompts' version: the first 12 digits of a SHA-256 over all of them."""
    digest = hashlib.sha256()
    for name in NAMES:
        digest.update(f"{name}\0{text(name)}\0".encode())
    return digest.hexdigest()[:12]


def filled(name: str, **values: str) -> str:
    """Return a prompt with its places filled in; braces in the values stay what they are."""
    return text(name).format(**values)
