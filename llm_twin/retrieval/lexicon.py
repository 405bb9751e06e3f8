"""BM25 over the passages: which of them share rare words with a question.

The formula is that of Robertson and Zaragoza 2009, with the inverse document frequency that Lucene
uses, log(1 + (n - df + 0.5) / (df + 0.5)), which is never negative.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from llm_twin.retrieval.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

K1: Final = 1.2
B: Final = 0.75


@dataclass(frozen=True)
class Lexicon:
    """The words of all passages.

    Attributes:
        terms: Each stem's place in `starts`.
        starts: Where a stem's entries begin in `rows` and `weights`; one more than there are stems.
        rows: The passages that hold the stem.
        weights: The part of BM25 that depends on the passage.
        size: Number of passages.
    """

    terms: Mapping[str, int]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    size: int

    @classmethod
    def build(cls, texts: Sequence[str]) -> Self:
        """Count the words of every passage."""
        import numpy as np

        counts = [Counter(words(text)) for text in texts]
        lengths = [sum(count.values()) for count in counts]
        mean = max(sum(lengths) / max(len(lengths), 1), 1.0)
        entries: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            penalty = K1 * (1 - B + B * length / mean)
            for term, times in count.items():
                entries[term].append((row, times * (K1 + 1) / (times + penalty)))
        ordered = sorted(entries)
        flat = [entry for term in ordered for entry in entries[term]]
        return cls(
            terms={term: place for place, term in enumerate(ordered)},
            starts=np.cumsum([0, *(len(entries[term]) for term in ordered)], dtype=np.int64),
            rows=np.array([row for row, _ in flat], dtype=np.int32),
            weights=np.array([weight for _, weight in flat], dtype=np.float32),
            size=len(texts),
        )

    def rarity(self, text: str) -> dict[str, float]:
        """Return the inverse document frequency of each stem of a text, the highest for unknown."""
        return {stem: self._idf(self._frequency(stem)) for stem in words(text)}

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return the score of every passage for a question, 0 where they share no word."""
        import numpy as np

        scores = np.zeros(self.size, dtype=np.float32)
        for stem, weight in self.rarity(text).items():
            if (place := self.terms.get(stem)) is not None:
                part = slice(self.starts[place], self.starts[place + 1])
                scores[self.rows[part]] += self.weights[part] * weight
        return scores

    def save(self, path: Path) -> None:
        """Write the lexicon to a file."""
        import numpy as np

        np.savez(
            path,
            terms=np.frombuffer("\n".join(self.terms).encode(), dtype=np.uint8),
            starts=self.starts,
            rows=self.rows,
            weights=self.weights,
            size=np.array(self.size),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a lexicon that `save` wrote.

        Raises:
            OSError, ValueError, KeyError: The file is not whole.
        """
        import numpy as np

        with np.load(path, allow_pickle=False) as file:
            text = file["terms"].tobytes().decode()
            return cls(
                terms={term: place for place, term in enumerate(text.split("\n") if text else [])},
                starts=file["starts"],
                rows=file["rows"],
                weights=file["weights"],
                size=int(file["size"]),
            )

    def _frequency(self, stem: str) -> int:
        place = self.terms.get(stem)
        return 0 if place is None else int(self.starts[place + 1] - self.starts[place])

    def _idf(self, frequency: int) -> float:
        return math.log(1 + (self.size - frequency + 0.5) / (frequency + 0.5))
