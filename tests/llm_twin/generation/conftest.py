"""The small corpus, indexed once."""

from pathlib import Path

import pytest

from llm_twin.home import Home
from llm_twin.settings import Settings
from tests.llm_twin.answering import ingested, write_documents


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with three short documents and their index."""
    folder = tmp_path_factory.mktemp("small")
    home = Home(folder / "home")
    ingested(home, Settings(home=home.path), write_documents(folder / "notes"))
    return home.path
