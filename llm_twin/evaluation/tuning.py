"""Fits when there is evidence enough: `python -m llm_twin.evaluation.tuning DOCS`.

It reads the tuning questions of the sets `project`, of which DOCS are the documents, `club` and
`journal`, and writes `thresholds.json`. No held-out question is read. The weights are those of a
logistic regression with a ridge; the twin answers from the confidence on that all but `REFUSED` of
the answerable questions reach.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypedDict

from llm_twin.evaluation import questions as sets
from llm_twin.generation.evidence import FEATURES, Thresholds, features
from llm_twin.generation.orders import gives_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from llm_twin.evaluation.questions import Question


class Fitted(TypedDict):
    """What `thresholds.json` holds."""

    weights: dict[str, float]
    bias: float
    least: float


REFUSED: Final = 0.04
RIDGE: Final = 1.0
TUNED_ON: Final = ("project", "club", "journal")


def main() -> None:
    """Fit, and write the file."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the folder
        sys.exit("usage: python -m llm_twin.evaluation.tuning DOCS")
    rows: list[list[float]] = []
    answers: list[bool] = []
    for name in TUNED_ON:
        asked = [each for each in sets.built_in(name) if each.split == "tuning"]
        documents = sets.documents(name) or Path(sys.argv[1])
        rows += _rows(documents, asked)
        answers += [each.kind == "answerable" for each in asked]
    fitted = fit(rows, answers)
    target = Path(__file__).parents[1] / "generation" / "thresholds.json"
    target.write_text(f"{json.dumps(fitted, indent=2)}\n")
    judged = Thresholds(fitted["weights"], fitted["bias"], fitted["least"])
    enough = [
        judged.confidence(dict(zip(FEATURES, row, strict=True))) >= judged.least for row in rows
    ]
    told = [
        sum(yes and not got for yes, got in zip(answers, enough, strict=True)),
        sum(got and not yes for yes, got in zip(answers, enough, strict=True)),
    ]
    sys.stdout.write(
        f"{target}: {len(rows)} questions; {told[0]} of {sum(answers)} refused, "
        f"{told[1]} of {len(rows) - sum(answers)} answered that should not be\n"
    )


def fit(rows: Sequence[Sequence[float]], answers: Sequence[bool]) -> Fitted:
    """Fit the weights and the threshold.

    Args:
        rows: The features of each question, in the order of `FEATURES`.
        answers: Whether the documents answer it.

    Returns:
        What `thresholds.json` holds.
    """
    import numpy as np
    from scipy.optimize import minimize  # type: ignore[import-untyped] # it has no types

    values = np.array(rows)
    truth = np.array(answers, dtype=float)
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-9
    inputs = np.c_[(values - mean) / scale, np.ones(len(values))]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = inputs @ weights
        ridge = np.r_[weights[:-1], 0.0] * RIDGE
        likelihood = np.logaddexp(0, -logits) * truth + np.logaddexp(0, logits) * (1 - truth)
        slope = inputs.T @ (1 / (1 + np.exp(-logits)) - truth)
        return float(likelihood.sum() + ridge @ weights / 2), slope + ridge

    best = minimize(loss, np.zeros(inputs.shape[1]), jac=True).x
    weights = best[:-1] / scale
    bias = float(best[-1] - weights @ mean)
    confidence = 1 / (1 + np.exp(-(values @ weights + bias)))
    return {
        "weights": {
            name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)
        },
        "bias": round(bias, 4),
        "least": round(float(np.quantile(confidence[truth == 1], REFUSED)), 4),
    }


def _rows(documents: Path, asked: Sequence[Question]) -> list[list[float]]:
    from llm_twin.corpus.ingest import ingest
    from llm_twin.corpus.store import Corpus
    from llm_twin.generation.reading import Reader
    from llm_twin.home import Home
    from llm_twin.progress import Silent
    from llm_twin.retrieval.build import build_index
    from llm_twin.retrieval.index import Index
    from llm_twin.retrieval.minilm import MiniLM
    from llm_twin.settings import Settings

    settings = Settings()
    model = MiniLM()
    reader = Reader(model)
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        with Corpus.open(home) as corpus:
            ingest([documents], corpus, settings, Silent())
        build_index(home, settings, Silent())
        index = Index.open(home, settings, model)
        rows = []
        for each in asked:
            found = index.find(each.question, settings.answers.passages)
            statements = reader.statements(each.question, found.hits, found.rarity)
            told = features([one for one in statements if not gives_orders(one.unit.told)])
            rows.append([told[name] for name in FEATURES])
        index.close()
        return rows


if __name__ == "__main__":
    main()
