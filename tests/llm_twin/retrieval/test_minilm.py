"""MiniLM in numpy, its weights, and the remote embedder."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from pydantic import SecretStr

from llm_twin.errors import TwinError, UsageError
from llm_twin.retrieval.embed import Remote, embedder
from llm_twin.retrieval.minilm import DIMENSIONS, WEIGHTS, MiniLM
from llm_twin.settings import EndpointSettings, Settings
from llm_twin.weights import Weights, checked, find


@pytest.fixture(scope="module")
def model() -> MiniLM:
    """Model."""
    return MiniLM()


def test_the_vectors_are_those_of_the_published_model(model: MiniLM) -> None:
    """The similarities that sentence-transformers gives for these sentences, to three digits."""
    vectors = model.embed(
        ["A man is eating food.", "A man is eating a piece of bread.", "A cheetah is running."]
    )
    assert vectors.shape == (3, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(0.7553, abs=2e-3)
    assert float(vectors[0] @ vectors[2]) < 0.2


def test_packing_changes_no_vector(model: MiniLM) -> None:
    """Packing changes no vector."""
    texts = ["short", "a text of middling length about ferries " * 3, "", "long " * 400] * 5
    together = model.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.allclose(model.embed([text])[0], vector, atol=1e-5)


def test_states_know_their_place_in_the_text(model: MiniLM) -> None:
    """States know their place in the text."""
    text = "Bicycles are taken."
    (states,) = model.states([text])
    assert len(states.vectors) == len(states.spans) == len(states.words)
    assert "".join(text[slice(*span)] for span in states.spans) == "Bicyclesaretaken."
    assert states.words[-1] == 3


def test_several_threads_get_the_same(model: MiniLM) -> None:
    """Several threads get the same."""
    expected = model.embed(["the same text"])
    found: list[bool] = []

    def work() -> None:
        found.append(bool(np.allclose(model.embed(["the same text"]), expected)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_other_weights_are_refused() -> None:
    """Other weights are refused."""
    wrong = Weights(WEIGHTS.package, WEIGHTS.module, "model/config.json", WEIGHTS.sha256)
    with pytest.raises(TwinError, match="is not the file that was tested"):
        checked(wrong)
    with pytest.raises(TwinError, match="no-such-package is not installed; run `make setup`"):
        find(Weights("no-such-package", "no_such_module", "x", ""))


@contextmanager
def _embeddings(status: int, answer: object) -> Iterator[tuple[str, list[str | None]]]:
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            keys.append(self.headers.get("authorization"))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Write nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", keys
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _remote(url: str) -> Remote:
    return Remote(EndpointSettings(url=url, name="m", api_key=SecretStr("made-up-key")))


def test_a_remote_embedder_is_asked_with_its_key_and_answers_in_any_order() -> None:
    """A remote embedder is asked with its key and answers in any order."""
    data = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    with _embeddings(200, {"data": data}) as (url, keys):
        remote = _remote(url)
        vectors = remote.embed(["a", "b"])
        remote.close()
    assert np.allclose(vectors, np.array([[0.6, 0.8], [0.0, 1.0]]))
    assert keys == ["Bearer made-up-key"]


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (401, {}, "answered 401"),
        (200, b"<html>", "is no /v1/embeddings: the answer holds no vectors"),
        (200, {"data": []}, "0 vectors for 1 texts"),
        (200, {"data": [{"index": 0, "embedding": [0, 0]}]}, "empty or not finite"),
    ],
)
def test_a_remote_embedder_that_can_not_be_used(status: int, answer: object, told: str) -> None:
    """A remote embedder that can not be used."""
    with _embeddings(status, answer) as (url, _):
        remote = _remote(url)
        with pytest.raises(TwinError, match=told):
            remote.embed(["a"])
        remote.close()


def test_a_remote_embedder_needs_a_name() -> None:
    """A remote embedder needs a name."""
    with pytest.raises(UsageError, match=r"embeddings\.name"):
        embedder(Settings(embeddings=EndpointSettings(url="http://127.0.0.1:9")))
