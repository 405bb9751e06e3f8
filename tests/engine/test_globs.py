"""Asks a Dagger engine for the table of globs that the host's reading is tested with."""

import json
import os
import shutil
import subprocess

import pytest

from tests.llm_pipeline.test_globs import BROKEN, CASES, FILES

RUNNER = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        shutil.which("dagger") is None or not os.environ.get(RUNNER),
        reason=f"no Dagger engine: {RUNNER} names none, or the command dagger is missing",
    ),
]


def query(inner: str) -> subprocess.CompletedProcess[str]:
    """Ask about a directory that holds all files of the table."""
    head = "".join(f'withNewFile(path: {json.dumps(name)}, contents: "") {{' for name in FILES)
    text = f"{{ directory {{ {head} {inner} {'}' * len(FILES)} }} }}"
    return subprocess.run(
        ["dagger", "--silent", "query", "--no-mod"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def filtered(include: list[str], exclude: list[str]) -> str:
    """The query for the files that globs leave."""
    globs = f"include: {json.dumps(include)}, exclude: {json.dumps(exclude)}"
    return f'filter({globs}) {{ glob(pattern: "**/*") }}'


def test_engine_agrees_with_the_table() -> None:
    """The engine chooses for each case what the table says."""
    asked = query(
        " ".join(
            f"case{number}: {filtered(include, exclude)}"
            for number, (include, exclude, _) in enumerate(CASES)
        )
    )
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)["directory"]
    for _ in FILES:
        found = found["withNewFile"]
    for number, (include, exclude, left) in enumerate(CASES):
        names = [name for name in found[f"case{number}"]["glob"] if not name.endswith("/")]
        assert sorted(names) == sorted(left), (include, exclude)


@pytest.mark.parametrize("glob", BROKEN)
def test_engine_refuses_broken_globs(glob: str) -> None:
    """The engine refuses the globs that we refuse."""
    assert query(filtered(["**"], [glob])).returncode != 0
