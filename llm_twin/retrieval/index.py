"""Searching the index."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from llm_twin.errors import UsageError
from llm_twin.retrieval import files, store
from llm_twin.retrieval.chunks import Hit
from llm_twin.retrieval.embed import embedder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llm_twin.home import Home
    from llm_twin.retrieval.embed import Embedder
    from llm_twin.settings import Settings

__all__ = ["Found", "Hit", "Index"]

POOL: Final = 50  # passages that each of the two rankings offers
DAMPING: Final = 10  # of reciprocal rank fusion: chosen on the tuning questions, see the docs


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave.

    Attributes:
        hits: The passages, the best first.
        rarity: Inverse document frequency of each stem of the question.
        index: Identity of the index.
        corpus: Snapshot of the corpus that it holds.
    """

    hits: tuple[Hit, ...]
    rarity: Mapping[str, float]
    index: str
    corpus: str


@dataclass(frozen=True)
class _State:
    folder: Path
    handle: int
    content: files.Content
    store: store.Store


class Index:
    """The index of a state folder. Safe to use from several threads."""

    def __init__(self, home: Home, settings: Settings, model: Embedder) -> None:
        """Take what is needed; `open` loads the index too."""
        self._home = home
        self._settings = settings
        self._model = model
        self._lock = threading.Lock()
        self._state: _State | None = None

    @classmethod
    def open(cls, home: Home, settings: Settings, model: Embedder | None = None) -> Self:
        """Open the index in use.

        Args:
            home: The state folder.
            settings: Which embedder and which vector store.
            model: The embedder, if it was made already.

        Raises:
            UsageError: There is no index, or it belongs to another corpus, embedder or store.
            TwinError: It is damaged, or the store can't be reached.
        """
        index = cls(home, settings, model or embedder(settings))
        state = index._current()
        from llm_twin.corpus.store import Corpus

        with Corpus.open(home) as corpus:
            snapshot = corpus.snapshot()
        try:
            files.check(state.content.manifest, index._model.name, snapshot, settings.qdrant.url)
        except UsageError:
            index.close()
            raise
        return index

    @property
    def manifest(self) -> files.Manifest:
        """What the index in use belongs to."""
        return self._current().content.manifest

    def search(self, query: str, k: int) -> list[Hit]:
        """Return the passages that fit a question best, at most `k`.

        Raises:
            TwinError: The embedder or the store can't be used.
        """
        return list(self.find(query, k).hits)

    def find(self, query: str, k: int) -> Found:
        """Search, and tell what else the answer needs.

        The nearest vectors and the passages that share the rarest words are fused by their ranks
        (Cormack, Clarke and Buettcher 2009).

        Raises:
            TwinError: The embedder or the store can't be used.
        """
        import numpy as np

        state = self._current()
        content = state.content
        (vector,) = self._model.embed([query])
        pool = max(POOL, k)
        dense = dict(state.store.nearest(vector, pool))
        scores = content.lexicon.scores(query)
        best = np.argsort(-scores, kind="stable")[:pool]
        fused = dict.fromkeys(dense, 0.0)
        for ranking in (dense, [int(row) for row in best if scores[row] > 0]):
            for rank, row in enumerate(ranking):
                fused[row] = fused.get(row, 0.0) + 1 / (DAMPING + rank)
        rows = sorted(fused, key=lambda row: (-fused[row], row))[:k]
        hits = tuple(
            Hit(
                chunk=content.passages[row],
                score=fused[row],
                dense=dense.get(row, float(content.vectors[row] @ vector)),
                sparse=float(scores[row]),
            )
            for row in rows
        )
        about = content.manifest
        return Found(hits, content.lexicon.rarity(query), about.id, about.corpus)

    def close(self) -> None:
        """Let the index go."""
        self._model.close()
        with self._lock:
            if self._state is not None:
                self._release(self._state)
                self._state = None

    def _current(self) -> _State:
        """The index in use: another one, if it was switched since the last search."""
        with self._lock:
            folder = files.current(self._home.index_dir)
            if self._state is not None and self._state.folder == folder:
                return self._state
            if folder is None:
                raise UsageError("there is no index yet; run `llm-twin ingest PATH`")
            state = self._load(folder)
            if self._state is not None:
                # A search may still use its vectors: they go when nothing refers to them.
                os.close(self._state.handle)
            self._state = state
            return state

    def _load(self, folder: Path) -> _State:
        try:
            handle = files.hold(folder)
        except FileNotFoundError:
            later = files.current(self._home.index_dir)
            if later is None or later == folder:
                files.manifest(folder)  # says what is wrong with it
                raise UsageError(f"the index is incomplete; {files.MEND}") from None
            return self._load(later)
        try:
            content = files.read(folder)
            about = content.manifest
            files.check(about, self._model.name, about.corpus, self._settings.qdrant.url)
            opened: store.Store
            if about.store:
                opened = server = store.ServerStore(self._settings.qdrant, about.collection)
                server.check(about.count)
            else:
                opened = store.LocalStore(content.vectors)
        except BaseException:
            os.close(handle)
            raise
        return _State(folder, handle, content, opened)

    @staticmethod
    def _release(state: _State) -> None:
        state.store.close()
        os.close(state.handle)
