"""The pipeline as a user runs it, on sources that tests build."""

import os
from pathlib import Path

import pytest

from tests.e2e.host import Host, remove


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, pipeline_cache: Path) -> Host:
    """The pipeline on this machine; sources lie at the same paths from test to test."""
    folder = Path(os.environ.get("E2E_FOLDER") or tmp_path_factory.mktemp("e2e"))
    return Host(folder, pipeline_cache)


@pytest.fixture
def source(host: Host) -> Path:
    """Where a test builds its repository: it is gone before the test."""
    folder = host.folder / "source"
    remove(folder)
    return folder
