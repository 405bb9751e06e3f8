"""A state folder, and a way to take files into its corpus."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_twin.corpus.document import Document
from llm_twin.corpus.ingest import ingest
from llm_twin.corpus.report import Report
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.store import Corpus
from llm_twin.home import Home
from llm_twin.progress import Silent
from llm_twin.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new state folder."""
    return Home(tmp_path / "state")


@pytest.fixture
def corpus(home: Home) -> Iterator[Corpus]:
    """An empty corpus."""
    with Corpus.open(home) as opened:
        yield opened


@pytest.fixture
def writing(tmp_path: Path) -> Path:
    """An empty folder for what the author wrote."""
    folder = tmp_path / "writing"
    folder.mkdir()
    return folder


@pytest.fixture
def take(corpus: Corpus, writing: Path, home: Home) -> Callable[..., Report]:
    """Take the author's folder, or other paths, with settings by keyword."""

    def run(*paths: Path, **rules: object) -> Report:
        settings = Settings(home=home.path, corpus=CorpusSettings.model_validate(rules))
        return ingest(paths or (writing,), corpus, settings, Silent())

    return run


@pytest.fixture
def only(corpus: Corpus) -> Callable[[], Document]:
    """Return the only document."""

    def found() -> Document:
        (document,) = corpus.documents()
        return document

    return found
