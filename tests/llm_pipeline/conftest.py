"""What several tests of the pipeline share."""

import os
import signal
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

from llm_pipeline.processes import Finished, clean_env, run
from tests.llm_pipeline.rogues import Running, alive


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Run a command in the test's folder, with its output in a file there."""

    def start(
        *argv: str, limit: float | None = None, append: bool = False, log: str = "log"
    ) -> Awaitable[Finished]:
        env = clean_env({})
        return run(argv, cwd=tmp_path, env=env, log=tmp_path / log, limit=limit, append=append)

    return start


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """A folder in which processes note their number; what still lives at the end is killed."""
    folder = tmp_path / "pids"
    folder.mkdir()
    yield folder
    for pid in alive(folder):
        os.kill(pid, signal.SIGKILL)
