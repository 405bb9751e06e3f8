"""Runs commands as a check's script does, and leaves what a judge reads."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from llm_pipeline.outcome import Observed

BIN: Final = Path(sys.executable).parent
RUFF_CHECK: Final = (
    *("ruff", "check", "--no-fix", "--no-cache"),
    *("--output-format=sarif", "--output-file={out}/ruff.sarif", "."),
)
RUFF_FORMAT: Final = ("ruff", "format", "--diff", "--no-cache", ".")
MYPY: Final = (
    *("mypy", "--no-pretty", "--show-column-numbers", "--show-error-codes"),
    *("--no-color-output", "--cache-dir=/dev/null"),
)
ZIZMOR: Final = ("zizmor", "--offline", "--no-progress", "--format=json", ".")
ACTIONLINT: Final = ("actionlint", "-no-color", "-format", "{{json .}}")
PYTEST: Final = (
    *("python", "-m", "pytest", "-p", "no:cacheprovider"),
    "--junitxml={out}/junit.xml",
)


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def execute(tree: Path, out: Path, *commands: Sequence[str]) -> Observed:
    """Run commands in a tree, in order; ``{out}`` in an argument is the folder for reports."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "tree").write_text(f"{tree.resolve()}\n")
    inherited = {name: value for name, value in os.environ.items() if "COV" not in name}
    env = inherited | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "COVERAGE_FILE": str(out / ".coverage"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    codes = []
    for number, command in enumerate(commands):
        argv = [argument.replace("{out}", str(out)) for argument in command]
        with (out / f"{number}.log").open("wb") as log:
            done = subprocess.run(
                argv, cwd=tree, env=env, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        codes.append(done.returncode if done.returncode >= 0 else 128 - done.returncode)
    return Observed(out, tuple(codes))
