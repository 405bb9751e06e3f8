"""Building an index: cut the documents, embed what is new, switch."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.errors import TwinError, UsageError
from llm_twin.retrieval import files, store
from llm_twin.retrieval.chunks import chunks
from llm_twin.retrieval.embed import embedder
from llm_twin.retrieval.lexicon import Lexicon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from llm_twin.home import Home
    from llm_twin.progress import Progress
    from llm_twin.retrieval.chunks import Chunk
    from llm_twin.retrieval.embed import Embedder
    from llm_twin.settings import Settings

WAIT: Final = 600.0  # seconds for another build to end
STEP: Final = 64  # passages embedded between two steps of the progress bar


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did.

    Attributes:
        manifest: The index that is in use now.
        passages: Number of passages in it.
        embedded: Number of them that had to be embedded; the others were in the last index.
        unchanged: The index was up to date, and nothing was done.
    """

    manifest: files.Manifest
    passages: int
    embedded: int
    unchanged: bool


def build_index(
    home: Home, settings: Settings, progress: Progress, *, force: bool = False
) -> Built:
    """Build the index of the corpus, unless the one in use is up to date.

    Readers go on with the old index and take the new one with their next search.

    Args:
        home: The state folder.
        settings: Which embedder and which vector store.
        progress: Told how far the embedding is.
        force: Build it even where it is up to date, and embed everything anew.

    Raises:
        UsageError: The corpus is empty, or the settings can't work.
        TwinError: The embedder or the store can't be used, or the disk is full.
    """
    from llm_twin.corpus.store import Corpus

    with home.lock("index", wait=WAIT), Corpus.open(home) as corpus:
        snapshot = corpus.snapshot()
        model = embedder(settings)
        identity = _identity(snapshot, model.name)
        if not force and (about := _up_to_date(home, settings, identity)):
            return Built(about, about.count, 0, unchanged=True)
        if not len(corpus):
            raise UsageError("the corpus is empty; run `llm-twin ingest PATH` first")
        passages = [
            each for document in corpus.documents() for each in chunks(document, model.count)
        ]
        if not passages:
            raise UsageError("the documents hold no text; run `llm-twin ingest PATH` with others")
        known = {} if force else _known(home, model.name)
        vectors = _embedded(passages, known, model, progress)
        about = files.Manifest(
            id=identity,
            corpus=snapshot,
            embedder=model.name,
            format=files.FORMAT,
            count=len(passages),
            store=settings.qdrant.url,
            collection=f"llm-twin-{identity}-{secrets.token_hex(4)}",
        )
        lexicon = Lexicon.build([each.embedded for each in passages])
        _put(home, settings, files.Content(about, passages, vectors, lexicon))
        embedded = sum(each.id not in known for each in passages)
        return Built(about, len(passages), embedded, unchanged=False)


def remove_index(home: Home, settings: Settings) -> None:
    """Remove every index, as where the last document was forgotten.

    Raises:
        TwinError: A Qdrant server can't be reached.
    """
    with home.lock("index", wait=WAIT):
        if not home.index_dir.is_dir():
            return
        old = [path for path in home.index_dir.iterdir() if path.is_dir()]
        _drop(settings, old)
        (home.index_dir / files.CURRENT).unlink(missing_ok=True)
        for path in old:
            shutil.rmtree(path, ignore_errors=True)


def _identity(snapshot: str, model: str) -> str:
    return hashlib.sha256(f"{snapshot}\n{files.FORMAT}\n{model}".encode()).hexdigest()[:16]


def _up_to_date(home: Home, settings: Settings, identity: str) -> files.Manifest | None:
    folder = files.current(home.index_dir)
    if folder is None:
        return None
    try:
        about = files.manifest(folder)
        if about.id != identity or about.store != settings.qdrant.url:
            return None
        if about.store:
            server = store.ServerStore(settings.qdrant, about.collection)
            try:
                server.check(about.count)
            finally:
                server.close()
    except TwinError:
        return None  # whatever is wrong with it, building it anew mends it or says why not
    return about


def _known(home: Home, model: str) -> dict[str, NDArray[np.float32]]:
    """The vectors of the last index, by the passages' ids, if the same embedder made them."""
    folder = files.current(home.index_dir)
    if folder is None:
        return {}
    try:
        content = files.read(folder)
    except TwinError:
        return {}
    if content.manifest.embedder != model or content.manifest.format != files.FORMAT:
        return {}
    return {each.id: row for each, row in zip(content.passages, content.vectors, strict=True)}


def _embedded(
    passages: Sequence[Chunk],
    known: dict[str, NDArray[np.float32]],
    model: Embedder,
    progress: Progress,
) -> NDArray[np.float32]:
    import numpy as np

    new = [each for each in passages if each.id not in known]
    progress.begin("embedding", len(new))
    made = dict(known)
    # Long ones together and short ones together, which the embedder's packing likes.
    new.sort(key=lambda each: len(each.text))
    for start in range(0, len(new), STEP):
        part = new[start : start + STEP]
        made |= zip(
            (each.id for each in part), model.embed([e.embedded for e in part]), strict=True
        )
        progress.advance(len(part))
    return np.stack([made[each.id] for each in passages]).astype(np.float32)


def _put(home: Home, settings: Settings, content: files.Content) -> None:
    about = content.manifest
    folder = home.index_dir / about.collection
    home.index_dir.mkdir(mode=0o700, exist_ok=True)
    try:
        files.write(folder, content)
        if about.store:
            with store.explained(about.store):
                server = store.client(settings.qdrant)
                try:
                    store.fill(server, about.collection, content.vectors)
                finally:
                    server.close()
        files.switch(folder)
    except OSError as error:
        files.unused(home.index_dir)
        raise TwinError(
            f"{home.index_dir}: the index can't be written: {error.strerror}; the old one is "
            "still in use"
        ) from None
    except TwinError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _drop(settings, files.unused(home.index_dir))


def _drop(settings: Settings, folders: Sequence[Path]) -> None:
    """Remove the collections of indexes from the server, if it is there."""
    if not settings.qdrant.url:
        return
    with suppress(TwinError), store.explained(settings.qdrant.url):
        server = store.client(settings.qdrant)
        try:
            for folder in folders:
                server.delete_collection(folder.name)
        finally:
            server.close()
