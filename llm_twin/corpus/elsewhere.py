"""Erases what was forgotten from where text lies outside the corpus."""

import shutil
from collections.abc import Sequence

from llm_twin.errors import TwinError
from llm_twin.home import Home
from llm_twin.progress import Progress
from llm_twin.settings import Settings


def forget(  # noqa: PLR0913 - the parts that hold text, and what to tell of them
    home: Home,
    settings: Settings,
    progress: Progress,
    terms: Sequence[str],
    *,
    left: int,
    beyond: list[str],
) -> int:
    """Erase traces that name one of the terms, the cache, and the index's old passages.

    A part that can't be reached does not keep the others from being erased.

    Args:
        home: The state folder.
        settings: Where index and traces are.
        progress: Told how far it is.
        terms: Ids, sources and names.
        left: How many documents the corpus holds still.
        beyond: Takes a line for all that was not reached.

    Returns:
        How many traces were erased.
    """
    shutil.rmtree(home.cache_dir, ignore_errors=True)
    traces = 0
    try:
        traces = _forget_traces(home, settings, terms, beyond)
    except TwinError as error:
        beyond.append(f"traces: {error}; then run this command again")
    try:
        _forget_index(home, settings, progress, left, beyond)
    except TwinError as error:
        beyond.append(f"the index: {error}; then run `llm-twin index`")
    beyond += [
        "adapters and bundles that were made before: they stay out of production at the next run",
        "backups that were made before: delete them and make a new one",
        "your files: they are left where they are, and are not taken again",
    ]
    return traces


def _forget_traces(home: Home, settings: Settings, terms: Sequence[str], beyond: list[str]) -> int:
    if not home.spool_db.exists():
        return 0
    from llm_twin.tracing import retention
    from llm_twin.tracing.spool import Spool

    spool = Spool(home.spool_db)
    try:
        gone = retention.forget(spool, terms)
    finally:
        spool.close()
    if gone.delivered:
        _forget_delivered(settings, gone.delivered, beyond)
    return gone.traces


def _forget_delivered(settings: Settings, traces: Sequence[str], beyond: list[str]) -> None:
    from llm_twin.tracing.server import Server

    try:
        with Server(settings.opik) as server:
            server.delete(traces)
    except TwinError as error:
        beyond.append(f"traces at the Opik server ({error}): delete there {', '.join(traces)}")


def _forget_index(
    home: Home, settings: Settings, progress: Progress, left: int, beyond: list[str]
) -> None:
    if not home.index_dir.exists():
        return
    from llm_twin.retrieval import files
    from llm_twin.retrieval.build import build_index, remove_index

    if left:
        build_index(home, settings, progress)
    else:
        remove_index(home, settings)
    files.unused(home.index_dir)
    current = files.current(home.index_dir)
    if any(path.is_dir() and path != current for path in home.index_dir.iterdir()):
        beyond.append(
            "the index that a running service still holds: ask it something or stop it, then run "
            "this command again"
        )
