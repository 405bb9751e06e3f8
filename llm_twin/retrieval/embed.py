"""Embedders: the embedded MiniLM, or an endpoint that speaks OpenAI's `/v1/embeddings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from llm_twin.errors import TwinError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx
    import numpy as np
    from numpy.typing import NDArray

    from llm_twin.settings import EndpointSettings, Settings

BATCH: Final = 64  # texts in a request
TIMEOUT: Final = 60.0  # seconds
ATTEMPTS: Final = 4
PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: Identity: vectors of two embedders of one name may be compared.
    """

    name: str

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, about."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row of unit length for each text, float32 of shape (n, dimensions)."""
        ...

    def close(self) -> None:
        """Free what is open."""
        ...


def embedder(settings: Settings) -> Embedder:
    """Return the embedder that the settings name.

    Raises:
        UsageError: The endpoint is given without a model's name.
        TwinError: The weights of the embedded one are missing or are others.
    """
    if settings.embeddings.url:
        return Remote(settings.embeddings)
    from llm_twin.retrieval.minilm import MiniLM

    return MiniLM()


class Remote:
    """An OpenAI-compatible endpoint. Safe to use from several threads."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Take the address; nothing is called yet.

        Raises:
            UsageError: The model has no name.
        """
        if not settings.name:
            raise UsageError("embeddings.name: is needed with embeddings.url")
        self._url = f"{(settings.url or '').rstrip('/').removesuffix('/v1')}/v1/embeddings"
        self._model = settings.name
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        self._opened: httpx.Client | None = None
        self.name = f"{self._model}@{self._url}"

    def count(self, text: str) -> int:
        """Estimate the tokens of a text; a token of English prose has about four letters."""
        return -(-len(text) // 4)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Raises:
            TwinError: The endpoint can't be reached or answers something else.
        """
        import numpy as np

        rows: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            rows += self._rows(texts[start : start + BATCH])
        try:
            vectors = np.array(rows, dtype=np.float32)
        except ValueError:
            raise self._strange("its vectors differ in length") from None
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True) if rows else vectors
        if rows and not (np.isfinite(vectors).all() and lengths.all()):
            raise self._strange("a vector is empty or not finite")
        return vectors / lengths if rows else np.empty((0, 0), dtype=np.float32)

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _rows(self, texts: Sequence[str]) -> list[list[float]]:
        import httpx
        from tenacity import (
            Retrying,
            retry_if_exception,
            stop_after_attempt,
            wait_random_exponential,
        )

        def passing(error: BaseException) -> bool:
            if isinstance(error, httpx.HTTPStatusError):
                return error.response.status_code in PASSING
            return isinstance(error, httpx.TransportError)

        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(0.2, max=5),
            retry=retry_if_exception(passing),
            reraise=True,
        )
        try:
            answer = retrying(self._post, {"model": self._model, "input": list(texts)})
            data = sorted(answer["data"], key=lambda row: row["index"])
            rows = [[float(number) for number in row["embedding"]] for row in data]
        except httpx.HTTPStatusError as error:
            raise TwinError(
                f"{self._url}: answered {error.response.status_code}; see embeddings.url, "
                "embeddings.name and LLM_TWIN_EMBEDDINGS_API_KEY"
            ) from None
        except httpx.HTTPError as error:
            raise TwinError(f"{self._url}: can't be reached: {type(error).__name__}") from None
        except (KeyError, TypeError, ValueError):
            raise self._strange("the answer holds no vectors") from None
        if len(rows) != len(texts):
            raise self._strange(f"{len(rows)} vectors for {len(texts)} texts")
        return rows

    def _post(self, body: object) -> Any:  # noqa: ANN401 - JSON, checked by the caller
        response = self._client().post(self._url, json=body)
        response.raise_for_status()
        return response.json()

    def _client(self) -> httpx.Client:
        import httpx

        if self._opened is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
            self._opened = httpx.Client(headers=headers, timeout=TIMEOUT)
        return self._opened

    def _strange(self, what: str) -> TwinError:
        return TwinError(f"{self._url}: is no /v1/embeddings: {what}; see embeddings.url")
