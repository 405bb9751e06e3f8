"""The project itself: what the packages hold, that exceptions have a reason, that links lead on."""

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.repository import ROOT

# What tools make in the work tree.
MADE = {".git", ".venv", "__pycache__", "build", "dist", "reports", "sdk"}


def sources(pattern: str) -> list[Path]:
    """The project's own files; git isn't asked, for the tests also run in a copy without it."""
    return [path for path in ROOT.rglob(pattern) if not MADE & set(path.relative_to(ROOT).parts)]


def wheel(project: Path, tmp_path: Path) -> list[str]:
    """The names in the wheel that is built from a copy of a project."""
    source = tmp_path / "source"
    shutil.copytree(project, source, ignore=shutil.ignore_patterns(*MADE), symlinks=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (built,) = (tmp_path / "dist").iterdir()
    return zipfile.ZipFile(built).namelist()


def test_wheel_of_the_pipeline_holds_its_data(tmp_path: Path) -> None:
    """The pipeline installs alone: code, every data file, the licence and the entry points."""
    names = wheel(ROOT / "ci", tmp_path)
    package = ROOT / "ci/src"
    data = [str(file.relative_to(package)) for file in package.glob("llm_pipeline/data/*")]
    assert data
    assert set(data) <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(name.startswith(("llm_pipeline/", "llm_pipeline-")) for name in names)


def test_wheel_of_the_application_knows_nothing_of_the_pipeline(tmp_path: Path) -> None:
    """The application's wheel holds the application alone."""
    names = wheel(ROOT, tmp_path)
    assert {"llm_twin/cli.py", "llm_twin/service/static/chat.js"} <= set(names)
    assert all(name.startswith(("llm_twin/", "llm_twin-")) for name in names)


def test_the_application_does_not_import_the_pipeline() -> None:
    """`llm_twin` knows nothing of `ci/`."""
    for file in (ROOT / "llm_twin").rglob("*.py"):
        assert "llm_pipeline" not in file.read_text(), file


def test_ruff_has_every_rule_and_a_reason_for_each_exception() -> None:
    """All rules are selected; each one that is switched off says why on its line."""
    text = (ROOT / "pyproject.toml").read_text()
    settings = tomllib.loads(text)["tool"]["ruff"]["lint"]
    assert settings["select"] == ["ALL"]
    for rule in itertools.chain(settings["ignore"], *settings["per-file-ignores"].values()):
        assert re.search(rf'(?m)^    "{rule}", +# \w+', text), rule


def test_suppressions_have_a_code_and_a_reason() -> None:
    """A line that silences a tool names the rule and says why."""
    rules = r"noqa: [A-Z]+\d+(, [A-Z]+\d+)*|type: ignore\[[a-z, -]+\]|pragma: no cover"
    reasoned = re.compile(rf"# (ruff: )?({rules}) +(-|#) \w+")
    silenced = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in sources("*.py")
        for line in file.read_text().splitlines()
        if re.search(r"# *(ruff: *)?(noqa|type: ignore|pragma: no cover)", line)
    ]
    assert [line for line in silenced if not reasoned.search(line)] == []


def test_links_lead_to_files() -> None:
    """Every relative link of a document leads to a file of this repository."""
    documents = sources("*.md")
    assert ROOT / "ci/README.md" in documents
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (document.parent / target).exists(), f"{document}: {target}"


# The copy that the pipeline tests has no README.md, so that an edit of it runs no test again.
@pytest.mark.parametrize(
    "name", [name for name in ("README.md", "ci/README.md") if (ROOT / name).exists()]
)
def test_documents_use_options_that_exist(name: str) -> None:
    """Every option of our commands that a document names is in the command's help."""
    text = (ROOT / name).read_text()
    uses = re.findall(r"(?m)\b(llm-(?:pipeline|twin)) ([a-z]+)\b([^`\n#]*)", text)
    assert uses
    for command, verb, rest in uses:
        binary = Path(sys.executable).with_name(command)
        done = subprocess.run([binary, verb, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command} {verb}"
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in done.stdout
