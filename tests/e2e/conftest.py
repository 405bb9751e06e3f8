"""The pipeline as a user runs it, on sources that tests build."""

from pathlib import Path

import pytest

from tests.e2e.host import Host, remove


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, pipeline_cache: Path) -> Host:
    """The pipeline on this machine; sources lie at the same paths from test to test."""
    return Host(tmp_path_factory.mktemp("e2e"), pipeline_cache)


@pytest.fixture
def source(host: Host) -> Path:
    """Where a test builds its repository: it is gone before the test."""
    folder = host.folder / "source"
    remove(folder)
    return folder
