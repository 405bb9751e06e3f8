"""The lock files: hashed, of one mind, and what the projects ask for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.repository import ROOT, locked

MAIN = ROOT / "requirements.lock"
LOCKS = [MAIN, ROOT / "ci/requirements.lock", *sorted(ROOT.glob("ci/src/llm_pipeline/data/*.lock"))]


def wanted(project: Path) -> list[Requirement]:
    """What a project asks for, to run, with its extras, and to be developed."""
    content = tomllib.loads(project.read_text())
    texts = [*content["project"]["dependencies"]]
    for more in content["project"].get("optional-dependencies", {}).values():
        texts += more
    texts += content.get("dependency-groups", {}).get("dev", [])
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_package_has_hashes(lock: Path) -> None:
    """Nothing is installed that isn't pinned by hash."""
    entries = re.split(r"(?m)^(?=\S)", lock.read_text())[1:]
    assert entries
    for entry in entries:
        assert re.match(
            r"[a-z0-9.-]+==\S+( ; .+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+$", entry
        )


@pytest.mark.parametrize("lock", LOCKS[1:], ids=lambda lock: str(lock.relative_to(ROOT)))
def test_a_package_has_one_version(lock: Path) -> None:
    """What stands in two locks has the same version in both."""
    main = locked(MAIN)
    assert {name: version for name, version in locked(lock).items() if name in main} == {
        name: main[name] for name in locked(lock) if name in main
    }


def test_the_lock_has_what_the_projects_ask_for() -> None:
    """A requirement that is added or raised without `make lock` is noticed."""
    pinned = locked(MAIN)
    for requirement in [*wanted(ROOT / "pyproject.toml"), *wanted(ROOT / "ci/pyproject.toml")]:
        assert requirement.name in pinned
        assert requirement.specifier.contains(pinned[requirement.name], prereleases=True)


def test_the_modules_lock_leaves_the_sdk_to_the_engine() -> None:
    """Dagger generates dagger-io, so its lock has what that needs and not the package itself."""
    pinned = locked(ROOT / "ci/requirements.lock")
    assert "dagger-io" not in pinned
    assert {"gql", "cattrs", "beartype"} <= set(pinned)
    for requirement in wanted(ROOT / "ci/pyproject.toml"):
        assert requirement.specifier.contains(pinned[requirement.name], prereleases=True)
        assert requirement.name != "dagger-io"
