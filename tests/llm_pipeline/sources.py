"""Small sources for the tests of the pipeline, and the facts about them."""

from collections.abc import Mapping
from pathlib import Path

from llm_pipeline.facts import Facts


def write(root: Path, texts: Mapping[str, str | bytes], *empty: str) -> Facts:
    """Write files below a folder, `empty` without content, and return the facts about them."""
    for name, text in {**dict.fromkeys(empty, ""), **texts}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Facts(root, (*empty, *texts))
