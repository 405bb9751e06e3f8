"""The three ways in which other repositories use the module, on the examples for each.

In all of them the caller's history is scanned: a leak in it is found, and no other history is.
"""

import shutil
from pathlib import Path

import pytest

from tests.e2e.repositories import commit, git, key
from tests.engine.engine import call, dagger
from tests.repository import ROOT

pytestmark = pytest.mark.engine

# A module on the disk has to lie in the repository that installs it; with an address it does not.
VENDORED = '\n[tool.llm-pipeline.lint]\nignores = ["llm-pipeline/**"]\n'


def example(name: str, source: Path) -> None:
    """Make a repository of an example."""
    shutil.copytree(ROOT / "examples" / name, source)
    if name != "call":
        module = source / "llm-pipeline"
        made = shutil.ignore_patterns("sdk", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT / "ci", module / "ci", ignore=made)
        shutil.copy(ROOT / "dagger.json", module)
        with (source / "pyproject.toml").open("a") as file:
            file.write(VENDORED)
    git(source, "init", "--quiet")
    commit(source)


def leak(source: Path) -> None:
    """Leave a key in the history, and no more of it in the files."""
    commit(source, {"leaking.py": f'TOKEN = "{key()}"\n'})
    (source / "leaking.py").unlink()
    commit(source)


def test_call(source: Path) -> None:
    """`dagger -m REF call --source=. ci` looks at the caller's repository."""
    example("call", source)
    passed = call(source, "ci")
    assert passed.code == 0, passed.log
    leak(source)
    failed = call(source, "ci")
    assert failed.code == 1
    assert "leaking.py" in failed.log


def test_call_without_a_source(source: Path) -> None:
    """Without a source the module would look at itself; it says so instead."""
    example("call", source)
    leak(source)
    called = dagger("-m", str(ROOT), "call", "--red-controls=false", "gitleaks", cwd=source)
    assert called.code == 2
    assert "call --source=. ci" in called.log


def test_toolchain(source: Path) -> None:
    """Installed as a toolchain, the checks are those of the repository's own `dagger check`."""
    example("toolchain", source)
    listed = dagger("check", "-l", cwd=source)
    assert [line.split()[0] for line in listed.out.splitlines()[1:] if line.strip()] == [
        f"llm-pipeline:{name}"
        for name in ("format", "gitleaks", "lint", "test", "types", "workflows")
    ]
    passed = dagger("check", cwd=source)
    assert passed.code == 0, passed.log
    leak(source)
    failed = dagger("check", cwd=source)
    assert failed.code == 1
    assert "leaking.py" in failed.log
    assert dagger("call", "llm-pipeline", "gitleaks", cwd=source).code == 1


def test_module(source: Path) -> None:
    """A module of the caller's own runs the pipeline with `dag.llm_pipeline(source=...)`."""
    example("module", source)
    passed = dagger("call", "release", cwd=source)
    assert passed.code == 0, passed.log
    assert "everything passed" in passed.out
    leak(source)
    failed = dagger("call", "release", cwd=source)
    assert failed.code == 1
    assert "leaking.py" in failed.log
