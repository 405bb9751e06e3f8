"""The index's files: a folder for each index, and a file `CURRENT` that names the one in use.

An index is built in a folder of its own and never changed. `CURRENT` is replaced in one step, so a
reader sees the old index or the new one and nothing between. Readers hold a shared lock on their
folder; folders that nobody uses are removed after the next build.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.errors import TwinError, UsageError
from llm_twin.home import sync_folder, write_whole
from llm_twin.retrieval import chunks as cutting
from llm_twin.retrieval import words as counting
from llm_twin.retrieval.chunks import Chunk
from llm_twin.retrieval.lexicon import Lexicon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CURRENT: Final = "CURRENT"
MANIFEST: Final = "manifest.json"
VECTORS: Final = "vectors.npy"
PASSAGES: Final = "passages.jsonl"
LEXICON: Final = "words.npz"
LOCK: Final = "lock"
FORMAT: Final = f"{cutting.VERSION}.{counting.VERSION}"
MEND: Final = "run `llm-twin index`"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index belongs to.

    Attributes:
        id: Identity of the index: the same for the same corpus, chunker and embedder.
        corpus: `Corpus.snapshot()` of what is in it.
        embedder: Name of the embedder.
        format: Version of how documents are cut and words are counted.
        count: Number of passages.
        store: Address of the Qdrant server that holds the vectors, None for none.
        collection: The collection there.
    """

    id: str
    corpus: str
    embedder: str
    format: str
    count: int
    store: str | None
    collection: str


@dataclass(frozen=True)
class Content:
    """All that is in an index.

    Attributes:
        manifest: What it belongs to.
        passages: The passages; the vectors' rows and the lexicon's have the same order.
        vectors: One row of unit length a passage, float32.
        lexicon: The passages' words.
    """

    manifest: Manifest
    passages: Sequence[Chunk]
    vectors: NDArray[np.float32]
    lexicon: Lexicon


def current(folder: Path) -> Path | None:
    """Return the folder of the index in use, None where there is none yet."""
    try:
        name = (folder / CURRENT).read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return folder / name if name and "/" not in name else None


def manifest(folder: Path) -> Manifest:
    """Read the manifest of an index.

    Raises:
        TwinError: It is missing or not whole.
    """
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise _damaged(folder) from None


def write(folder: Path, content: Content) -> None:
    """Write an index to a new folder, so that all of it lasts before the folder has its name."""
    import numpy as np

    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    np.save(unfinished / VECTORS, content.vectors, allow_pickle=False)
    content.lexicon.save(unfinished / LEXICON)
    with (unfinished / PASSAGES).open("w", encoding="utf-8") as file:
        file.writelines(
            f"{json.dumps(asdict(each), ensure_ascii=False)}\n" for each in content.passages
        )
    (unfinished / LOCK).touch()
    (unfinished / MANIFEST).write_text(json.dumps(asdict(content.manifest), indent=2))
    for path in unfinished.iterdir():
        with path.open("rb") as written:
            os.fsync(written.fileno())
    sync_folder(unfinished)
    unfinished.rename(folder)
    sync_folder(folder.parent)


def read(folder: Path) -> Content:
    """Read an index whole.

    Raises:
        TwinError: A file is missing, damaged or of another index.
    """
    import numpy as np

    about = manifest(folder)
    try:
        vectors = np.load(folder / VECTORS, allow_pickle=False)
        lexicon = Lexicon.load(folder / LEXICON)
        with (folder / PASSAGES).open(encoding="utf-8") as file:
            passages = [_chunk(line) for line in file]
    except (OSError, ValueError, TypeError, KeyError, EOFError):
        raise _damaged(folder) from None
    if not about.count == len(vectors) == len(passages) == lexicon.size:
        raise _damaged(folder)
    return Content(about, passages, vectors, lexicon)


def switch(folder: Path) -> None:
    """Make an index the one in use."""
    write_whole(folder.parent / CURRENT, f"{folder.name}\n".encode("ascii"))


def hold(folder: Path) -> int:
    """Hold an index, so that it is not removed; close the handle to let it go.

    Raises:
        FileNotFoundError: It was removed just now; `current` names another.
    """
    handle = os.open(folder / LOCK, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def unused(folder: Path) -> list[Path]:
    """Remove what no reader holds and is not in use, and return what was removed."""
    kept, removed = current(folder), []
    for path in sorted(folder.iterdir()):
        if path == kept or not path.is_dir():
            continue
        with suppress(OSError):
            _free(path)
            shutil.rmtree(path)
            removed.append(path)
    return removed


def _free(path: Path) -> None:
    """Raise BlockingIOError where a reader holds the folder."""
    with suppress(FileNotFoundError):  # a build that was killed may have left it without one
        handle = os.open(path / LOCK, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(handle)


def check(about: Manifest, embedder: str, corpus: str, store: str | None) -> None:
    """Compare an index with what it is to be used with.

    Raises:
        UsageError: It belongs to something else; the message names what mends it.
    """
    if about.corpus != corpus:
        raise UsageError(f"the index is of another state of the corpus; {MEND}")
    if about.format != FORMAT:
        raise UsageError(f"the index was made by another version of llm-twin; {MEND}")
    if about.embedder != embedder:
        raise UsageError(
            f"the index was made with {about.embedder}, and the settings name {embedder}; {MEND}, "
            "or set embeddings.url and embeddings.name as they were"
        )
    if about.store != store:
        raise UsageError(
            f"the index is in {about.store or 'this process'}, and the settings name "
            f"{store or 'no server'}; {MEND}, or set qdrant.url as it was"
        )


def _chunk(line: str) -> Chunk:
    fields = json.loads(line)
    fields["headings"] = tuple(fields["headings"])
    return Chunk(**fields)


def _damaged(folder: Path) -> TwinError:
    return TwinError(f"{folder}: is not a whole index; {MEND}")
