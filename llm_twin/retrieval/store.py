"""The vector store: Qdrant, in this process or as a server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Protocol

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from qdrant_client import QdrantClient

    from llm_twin.settings import QdrantSettings

BATCH: Final = 256  # vectors in a request
TIMEOUT: Final = 20  # seconds
LOCAL: Final = "passages"


class Store(Protocol):
    """Finds the vectors that are nearest to one."""

    def nearest(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        """Return rows and their cosine similarity, the nearest first."""
        ...

    def close(self) -> None:
        """Free what the store holds."""
        ...


class LocalStore:
    """Qdrant's local mode, filled from the index's file. It is not thread-safe: one lock."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """Load vectors, shape (n, dimensions); a row's number is its identity."""
        from qdrant_client import QdrantClient

        self._lock = threading.Lock()
        self._client = QdrantClient(":memory:")
        fill(self._client, LOCAL, vectors)

    def nearest(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        """Return rows and their cosine similarity, the nearest first."""
        with self._lock:
            return _nearest(self._client, LOCAL, vector, limit)

    def close(self) -> None:
        """Free the vectors."""
        with self._lock:
            self._client.close()


class ServerStore:
    """A Qdrant server; each index is a collection of its own."""

    def __init__(self, settings: QdrantSettings, collection: str) -> None:
        """Connect; nothing is called yet."""
        self._client = client(settings)
        self._url = settings.url
        self._collection = collection

    def nearest(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        """Return rows and their cosine similarity, the nearest first.

        Raises:
            TwinError: The server can't be reached, or the collection is gone.
        """
        with explained(self._url):
            return _nearest(self._client, self._collection, vector, limit)

    def check(self, count: int) -> None:
        """Compare the number of vectors on the server with what was put there.

        Raises:
            TwinError: The server can't be reached, the collection is gone or of another size.
        """
        with explained(self._url):
            there = self._client.count(self._collection, exact=True).count
        if there != count:
            raise TwinError(
                f"{self._url}: collection {self._collection} holds {there} vectors of {count}; "
                "run `llm-twin index`"
            )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class explained:  # noqa: N801 - a context manager that reads like a function
    """Turns what a Qdrant server answers into an error that says what to do."""

    def __init__(self, url: str | None) -> None:
        """Take the server's address."""
        self._url = url

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Explain the error, if it is one of the server or the way to it."""
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        if isinstance(error, UnexpectedResponse):
            if error.status_code == 404:  # noqa: PLR2004 - not found
                raise TwinError(
                    f"{self._url}: the collection is gone; run `llm-twin index`"
                ) from None
            raise TwinError(
                f"{self._url}: answered {error.status_code}; see qdrant.url and "
                "LLM_TWIN_QDRANT_API_KEY"
            ) from None
        if isinstance(error, (ApiException, QdrantException)):
            raise TwinError(
                f"{self._url}: the vector store can't be reached; start it, or unset "
                "LLM_TWIN_QDRANT_URL and run `llm-twin index`"
            ) from None


def client(settings: QdrantSettings) -> QdrantClient:
    """Return a client of the server that the settings name."""
    from qdrant_client import QdrantClient

    key = settings.api_key.get_secret_value() if settings.api_key else None
    return QdrantClient(url=settings.url, api_key=key, timeout=TIMEOUT, check_compatibility=False)


def fill(target: QdrantClient, collection: str, vectors: NDArray[np.float32]) -> None:
    """Make a collection of vectors; a row's number is its identity."""
    from qdrant_client import models

    target.create_collection(
        collection,
        vectors_config=models.VectorParams(
            size=max(vectors.shape[1], 1), distance=models.Distance.COSINE
        ),
    )
    for rows in _batches(len(vectors)):
        target.upsert(
            collection,
            models.Batch(ids=list(rows), vectors=vectors[rows.start : rows.stop].tolist()),
            wait=True,
        )


def _batches(count: int) -> Iterator[range]:
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def _nearest(
    target: QdrantClient, collection: str, vector: NDArray[np.float32], limit: int
) -> list[tuple[int, float]]:
    found = target.query_points(collection, query=vector.tolist(), limit=limit, with_payload=False)
    return [(int(point.id), float(point.score)) for point in found.points]
