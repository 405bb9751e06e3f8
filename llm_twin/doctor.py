"""Looks at every part of the application by itself, so that one broken part hides no other."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llm_twin.home import Home
    from llm_twin.settings import Settings

LITTLE: Final = 200  # megabytes of free space


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part.

    Attributes:
        part: The part.
        usable: It can be used.
        told: What it is, or what to do.
    """

    part: str
    usable: bool
    told: str


def examine(config: Path | None) -> list[Finding]:
    """Look at the settings, the state folder, and everything that they name.

    Args:
        config: The TOML file, in place of the usual ones.
    """
    from llm_twin.home import Home
    from llm_twin.settings import load

    findings: list[Finding] = []

    def look(part: str, looking: Callable[[], str]) -> bool:
        try:
            findings.append(Finding(part, usable=True, told=looking()))
        except (TwinError, OSError, ImportError) as error:
            told = str(error).replace("\n", "; ")
            findings.append(Finding(part, usable=False, told=told))
            return False
        return True

    loaded: list[Settings] = []
    opened: list[Home] = []

    def settings() -> str:
        loaded.append(load(config).settings)
        return "no unknown and no wrong one"

    def home() -> str:
        opened.append(Home(loaded[0].home))
        return _space(loaded[0].home)

    if look("settings", settings) and look("state folder", home):
        for part, looking in _parts(loaded[0], opened[0]):
            look(part, looking)
    return findings


def _parts(settings: Settings, home: Home) -> list[tuple[str, Callable[[], str]]]:
    from llm_twin.tracing import check

    return [
        ("corpus", lambda: _corpus(home)),
        ("embeddings", lambda: _embeddings(settings)),
        ("index", lambda: _index(settings, home)),
        ("language model", lambda: _model(settings)),
        ("vector store", lambda: _store(settings)),
        ("traces", lambda: check.spool(home, settings)),
        ("tracker", lambda: check.server(settings)),
    ]


def _space(path: Path) -> str:
    free = shutil.disk_usage(path).free // 10**6
    if free < LITTLE:
        raise TwinError(f"{path}: only {free} MB are free; make space")
    return f"{path}, {free} MB free"


def _corpus(home: Home) -> str:
    from llm_twin.corpus.store import Corpus

    with Corpus.open(home) as corpus:
        count = len(corpus)
    if not count:
        raise TwinError("it is empty; run `llm-twin ingest PATH`")
    return f"{count} documents"


def _embeddings(settings: Settings) -> str:
    from llm_twin.retrieval.embed import embedder
    from llm_twin.retrieval.minilm import MiniLM

    model = embedder(settings)
    (vector,) = model.embed(["Is anybody there?"])
    if not isinstance(model, MiniLM):
        MiniLM()  # passages are read with it whatever embeds them
    return f"{model.name}, {len(vector)} dimensions"


def _index(settings: Settings, home: Home) -> str:
    from llm_twin.retrieval.index import Index

    index = Index.open(home, settings)
    try:
        about = index.manifest
    finally:
        index.close()
    return f"{about.id}, {about.count} passages, up to date"


def _model(settings: Settings) -> str:
    import asyncio

    if settings.answers.mode == "extractive":
        return "none is asked: answers.mode is extractive"
    if settings.model.url:
        key = settings.model.api_key
        return asyncio.run(
            _says(
                settings,
                settings.model.url,
                settings.model.name or "default",
                key.get_secret_value() if key else None,
            )
        )
    from llm_twin.generation.embedded import NAME, EmbeddedServer

    server = EmbeddedServer(parallel=1)
    try:
        address = server.start()
        return asyncio.run(_says(settings, address.url, NAME, address.key))
    finally:
        server.stop()


async def _says(settings: Settings, url: str, name: str, key: str | None) -> str:
    from contextlib import aclosing

    from llm_twin.generation.client import ChatClient

    client = ChatClient(url, name, key, settings.answers)
    asked = [{"role": "user", "content": "Say yes."}]
    try:
        async with aclosing(client.stream(asked, max_tokens=4, temperature=0)) as pieces:
            async for _ in pieces:
                pass
    finally:
        await client.close()
    return f"{name} answers"


def _store(settings: Settings) -> str:
    if not settings.qdrant.url:
        return "Qdrant in this process"
    from llm_twin.retrieval import store

    server = store.client(settings.qdrant)
    try:
        with store.explained(settings.qdrant.url):
            count = len(server.get_collections().collections)
    finally:
        server.close()
    return f"{settings.qdrant.url}, {count} collections"
