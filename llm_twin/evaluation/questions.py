"""Question sets: files in which a line is a question, with what a right answer holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from llm_twin.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Split = Literal["tuning", "held-out"]
Kind = Literal["answerable", "unanswerable", "adversarial"]

SETS: Final = ("project", "club", "journal", "notebook", "vet")
"""`project` asks about this project's docs; the others bring documents of their own."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question.

    Attributes:
        id: Its name, the same over time: results of two runs are paired by it.
        split: `tuning` for those on which thresholds were chosen, `held-out` for the others.
        kind: `answerable`; `unanswerable`, the documents do not tell; `adversarial`, it asks for
            what the twin must not tell, or for something else than an answer.
        question: What is asked.
        sources: Ends of the sources that hold the answer; one of them has to be found.
        phrases: What the answer has to hold: of each group one. Case, white space and backticks
            don't count.
    """

    id: str
    split: Split
    kind: Kind
    question: str
    sources: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()


def load(path: Path) -> list[Question]:
    """Read a question set.

    Raises:
        UsageError: The file can't be read, or a line is no question.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise UsageError(f"{path}: can't be read: {reason}") from None
    questions = [
        _question(line, f"{path}:{number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if not questions:
        raise UsageError(f"{path}: holds no question")
    if len({each.id for each in questions}) < len(questions):
        raise UsageError(f"{path}: two questions have the same id")
    return questions


def built_in(name: str) -> list[Question]:
    """Return the questions of one of `SETS`."""
    return load(_folder(name) / "questions.jsonl")


def documents(name: str) -> Path | None:
    """Return the folder of the documents that one of `SETS` brings, None where it brings none."""
    folder = _folder(name) / "documents"
    return folder if folder.is_dir() else None


def _folder(name: str) -> Path:
    return Path(str(files("llm_twin.evaluation"))) / "sets" / name


def _question(line: str, where: str) -> Question:
    try:
        row = json.loads(line)
    except ValueError:
        raise UsageError(f"{where}: is not JSON") from None
    if problems := list(_problems(row)):
        raise UsageError(f"{where}: {problems[0]}")
    return Question(
        id=row["id"],
        split=row["split"],
        kind=row["kind"],
        question=row["question"],
        sources=tuple(row.get("sources", ())),
        phrases=tuple(tuple(group) for group in row.get("phrases", ())),
    )


def _problems(row: object) -> Iterator[str]:
    if not isinstance(row, dict):
        yield "should be an object"
        return
    fields: Mapping[str, object] = row
    for name in ("id", "question"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            yield f"{name}: should be a text"
    for name, allowed in (("split", get_args(Split)), ("kind", get_args(Kind))):
        if fields.get(name) not in allowed:
            yield f"{name}: should be one of {', '.join(allowed)}"
    sources, phrases = fields.get("sources", []), fields.get("phrases", [])
    if not _texts(sources):
        yield "sources: should be a list of texts"
    if not isinstance(phrases, list) or not all(_texts(each) and each for each in phrases):
        yield "phrases: should be a list of lists of texts"
    if fields.get("kind") == "answerable" and not (sources and phrases):
        yield "an answerable question needs sources and phrases"


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
