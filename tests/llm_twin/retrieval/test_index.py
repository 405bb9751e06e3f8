"""The index: what it belongs to, how it is switched, and what happens where it is damaged."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from llm_twin.errors import TwinError, UsageError
from llm_twin.home import Home
from llm_twin.progress import Silent
from llm_twin.retrieval import files
from llm_twin.retrieval.build import build_index, remove_index
from llm_twin.retrieval.index import Index
from llm_twin.retrieval.lexicon import Lexicon
from llm_twin.retrieval.minilm import MiniLM
from llm_twin.settings import EndpointSettings, QdrantSettings, Settings
from tests.llm_twin.answering import ingested, write_documents


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state folder with the small corpus and its index."""
    made = Home(tmp_path / "home")
    ingested(made, Settings(home=made.path), write_documents(tmp_path / "notes"))
    return made


@pytest.fixture(scope="module")
def model() -> MiniLM:
    """The embedded embedder."""
    return MiniLM()


def _folder(home: Home) -> Path:
    folder = files.current(home.index_dir)
    assert folder
    return folder


def test_both_rankings_find_and_the_scores_are_told(home: Home, model: MiniLM) -> None:
    """Both rankings find and the scores are told."""
    index = Index.open(home, Settings(home=home.path), model)
    first, *_ = index.search("What does make undo do?", 3)
    assert "make undo" in first.chunk.text
    assert first.sparse > 0
    (vector,) = model.embed(["What does make undo do?"])
    (own,) = model.embed([first.chunk.embedded])
    assert first.dense == pytest.approx(float(vector @ own), abs=1e-4)
    meaning, *_ = index.search("cycling", 1)
    assert "bicycle" in meaning.chunk.text
    index.close()


def test_a_second_build_does_nothing_and_a_change_embeds_what_is_new(
    home: Home, tmp_path: Path
) -> None:
    """A second build does nothing, and a change embeds what is new."""
    settings = Settings(home=home.path)
    before = _folder(home)
    built = build_index(home, settings, Silent())
    assert built.unchanged
    assert _folder(home) == before
    ferry = tmp_path / "notes" / "ferry.md"
    ferry.write_text(ferry.read_text().replace("six pounds", "seven pounds"))
    ingested(home, settings, tmp_path / "notes")
    assert _folder(home) != before
    assert not before.exists()
    known = {each.id: each.text for each in files.read(_folder(home)).passages}
    assert sum("seven pounds" in text for text in known.values()) == 1
    assert build_index(home, settings, Silent(), force=True).embedded == len(known)


def test_a_reader_keeps_the_old_index_until_its_next_search(
    home: Home, tmp_path: Path, model: MiniLM
) -> None:
    """A reader keeps the old index until its next search."""
    settings = Settings(home=home.path)
    index = Index.open(home, settings, model)
    index.search("ferry", 1)
    old = _folder(home)
    ferry = tmp_path / "notes" / "ferry.md"
    ferry.write_text(ferry.read_text().replace("six pounds", "seven pounds"))
    ingested(home, settings, tmp_path / "notes")
    assert old.exists()  # held
    assert any("seven pounds" in hit.chunk.text for hit in index.search("ticket", 2))
    files.unused(home.index_dir)
    assert not old.exists()
    index.close()


def test_searches_from_many_threads_agree(home: Home, model: MiniLM) -> None:
    """Searches from many threads agree."""
    index = Index.open(home, Settings(home=home.path), model)
    expected = [hit.chunk.id for hit in index.search("ticket", 3)]
    found: list[bool] = []

    def work() -> None:
        found.extend(
            [hit.chunk.id for hit in index.search("ticket", 3)] == expected for _ in range(5)
        )

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index.close()
    assert found == [True] * 30


def test_a_mismatch_names_the_command_that_mends_it(
    home: Home, tmp_path: Path, model: MiniLM
) -> None:
    """A mismatch names the command that mends it."""
    settings = Settings(home=home.path)
    elsewhere = settings.model_copy(
        update={"embeddings": EndpointSettings(url="http://127.0.0.1:9", name="other")}
    )
    with pytest.raises(UsageError, match=r"made with all-MiniLM.*run `llm-twin index`"):
        Index.open(home, elsewhere)
    server = settings.model_copy(update={"qdrant": QdrantSettings(url="http://127.0.0.1:9")})
    with pytest.raises(UsageError, match=r"the settings name http://127.*run `llm-twin index`"):
        Index.open(home, server, model)
    (tmp_path / "notes" / "new.md").write_text("# New\n\nSomething else altogether.\n")
    from llm_twin.corpus.ingest import ingest
    from llm_twin.corpus.store import Corpus

    with Corpus.open(home) as corpus:
        ingest([tmp_path / "notes"], corpus, settings, Silent())
    with pytest.raises(UsageError, match="another state of the corpus; run `llm-twin index`"):
        Index.open(home, settings, model)
    about = _folder(home) / files.MANIFEST
    about.write_text(json.dumps({**json.loads(about.read_text()), "format": "0.0"}))
    build_index(home, settings, Silent())
    Index.open(home, settings, model).close()


@pytest.mark.parametrize("name", [files.VECTORS, files.PASSAGES, files.LEXICON, files.MANIFEST])
@pytest.mark.parametrize("content", [None, b"", b"{]"])
def test_a_damaged_index_is_told_and_mended(
    home: Home, model: MiniLM, name: str, content: bytes | None
) -> None:
    """A damaged index is told and mended."""
    path = _folder(home) / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    settings = Settings(home=home.path)
    with pytest.raises(TwinError, match="is not a whole index; run `llm-twin index`"):
        Index.open(home, settings, model)
    build_index(home, settings, Silent(), force=name != files.MANIFEST)
    Index.open(home, settings, model).close()


def test_vectors_of_another_size_are_told(home: Home, model: MiniLM) -> None:
    """Vectors of another number are told."""
    path = _folder(home) / files.VECTORS
    np.save(path, np.load(path)[:-1])
    with pytest.raises(TwinError, match="is not a whole index"):
        Index.open(home, Settings(home=home.path), model)


def test_a_qdrant_server_that_is_not_there_is_told_and_the_old_index_stays(
    home: Home, model: MiniLM
) -> None:
    """A Qdrant server that is not there is told, and the old index stays."""
    settings = Settings(home=home.path)
    away = settings.model_copy(update={"qdrant": QdrantSettings(url="http://127.0.0.1:9")})
    with pytest.raises(TwinError, match="the vector store can't be reached"):
        build_index(home, away, Silent())
    assert len([path for path in home.index_dir.iterdir() if path.is_dir()]) == 1
    Index.open(home, settings, model).close()


def test_an_empty_corpus_has_no_index(tmp_path: Path) -> None:
    """An empty corpus has no index."""
    home = Home(tmp_path / "home")
    settings = Settings(home=home.path)
    with pytest.raises(UsageError, match="the corpus is empty; run `llm-twin ingest PATH`"):
        build_index(home, settings, Silent())
    with pytest.raises(UsageError, match="no index yet; run `llm-twin ingest PATH`"):
        Index.open(home, settings)


def test_removing_leaves_nothing(home: Home) -> None:
    """Removing leaves nothing."""
    remove_index(home, Settings(home=home.path))
    assert not list(home.index_dir.iterdir())


BUILD = """
import sys
from pathlib import Path
from llm_twin.home import Home
from llm_twin.progress import Silent
from llm_twin.retrieval.build import build_index
from llm_twin.settings import Settings
home = Home(Path(sys.argv[1]))
print("go", flush=True)
while True:
    build_index(home, Settings(home=home.path), Silent(), force=True)
    print("built", flush=True)
"""


def test_a_build_that_is_killed_leaves_a_whole_index(
    home: Home, model: MiniLM, *, acceptance: bool
) -> None:
    """A build that is killed leaves a whole index."""
    for round_ in range(20 if acceptance else 3):
        process = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(home.path)], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout
            process.stdout.readline()
            process.stdout.readline()
            time.sleep(0.07 * round_)
            process.send_signal(signal.SIGKILL)
            process.wait()
        index = Index.open(home, Settings(home=home.path), model)
        assert index.search("ferry", 1)
        index.close()
    build_index(home, Settings(home=home.path), Silent(), force=True)
    assert len([path for path in home.index_dir.iterdir() if path.is_dir()]) == 1


def test_a_lexicon_survives_its_file(tmp_path: Path) -> None:
    """A lexicon survives its file."""
    lexicon = Lexicon.build(["ferries leave the harbour", "the harbour", "été"])
    lexicon.save(tmp_path / "words.npz")
    loaded = Lexicon.load(tmp_path / "words.npz")
    for query in ("harbour ferry", "été", "nothing", ""):
        assert np.array_equal(loaded.scores(query), lexicon.scores(query))
    assert loaded.rarity("ferry harbour")["ferri"] > loaded.rarity("ferry harbour")["harbour"]
    assert loaded.scores("ferry").argmax() == 0
    empty = Lexicon.build([])
    empty.save(tmp_path / "empty.npz")
    assert Lexicon.load(tmp_path / "empty.npz").scores("a").size == 0
