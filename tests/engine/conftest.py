"""Where no engine answers, every test of this folder is skipped and says why."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.engine import RUNNER, Session


def missing() -> str | None:
    """Return why no engine can be talked to, or ``None``."""
    if shutil.which("dagger") is None:
        return "no Dagger engine: the command dagger is missing"
    if os.environ.get(RUNNER):
        return None
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "info"], capture_output=True, check=False).returncode
    ):
        return f"no Dagger engine: {RUNNER} names none, and no docker is there to start one"
    return None


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Skip where no engine can be talked to."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def session(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One session of the engine for many cases, with the module in it."""
    del engine
    with Session.start(tmp_path_factory.mktemp("session")) as started:
        yield started


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Where a test builds its repository; it is not there yet."""
    return tmp_path / "source"
