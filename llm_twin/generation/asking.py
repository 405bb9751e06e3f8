"""What is searched for, and what a model is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llm_twin.errors import UsageError
from llm_twin.generation import prompts
from llm_twin.generation.orders import gives_orders
from llm_twin.retrieval.units import units
from llm_twin.retrieval.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_twin.answers import Message
    from llm_twin.retrieval.chunks import Chunk

TURNS: Final = 6  # earlier messages that a capable model is shown
TURN: Final = 2000  # characters of each
LONGEST: Final = 2000  # characters of a question that are searched for
FEW: Final = 2  # words of a question that can't stand alone

_POINTS_BACK: Final = re.compile(
    r"\b(?:it|its|that|this|they|them|their|those|these|he|she|him|her|his|there|then|one|ones|else"
    r"|same|also|another|other|former|latter)\b",
    re.IGNORECASE,
)


def standalone(messages: Sequence[Message]) -> str:
    """Return the last question, with the one before it where it can't stand alone.

    Raises:
        UsageError: The last message is not from the user, or says nothing.
    """
    if not messages or messages[-1].role != "user":
        raise UsageError("the last message should be the user's question")
    question = messages[-1].content.strip()
    if not question:
        raise UsageError("the question is empty; ask something")
    earlier = [each.content.strip() for each in messages[:-1] if each.role == "user"]
    said = words(question)
    if earlier and (len(said) < FEW or (_POINTS_BACK.search(question) and len(said) <= FEW + 2)):
        question = f"{earlier[-1]} {question}"
    return question[:LONGEST]


def passage(chunk: Chunk) -> str:
    """Return a passage as a model is shown it: whatever in it gives orders to one is left out."""
    told = [unit.text for unit in units(chunk.text) if not gives_orders(unit.told)]
    return "\n".join(told)


def for_capable(messages: Sequence[Message], chunks: Sequence[Chunk]) -> list[dict[str, str]]:
    """Return the conversation for a capable model: our rules, what was said, the passages."""
    shown = "\n\n".join(
        f"[{number}] {chunk.place}\n{passage(chunk)}"
        for number, chunk in enumerate(chunks, start=1)
    )
    earlier = [
        {"role": each.role, "content": each.content[:TURN]}
        for each in messages[:-1]
        if each.role != "system"
    ][-TURNS:]
    question = messages[-1].content.strip()
    return [
        {"role": "system", "content": prompts.text("answer.md")},
        *earlier,
        {
            "role": "user",
            "content": prompts.filled("question.md", passages=shown, question=question),
        },
    ]


def for_small(question: str, shown: str) -> list[dict[str, str]]:
    """Return the conversation for a small model: one passage, after two examples."""
    asked = [{"role": "system", "content": prompts.text("small.md")}]
    for example in (*prompts.examples(), {"passages": shown, "question": question}):
        filled = prompts.filled(
            "small_question.md", passages=example["passages"], question=example["question"]
        )
        asked.append({"role": "user", "content": filled})
        if "answer" in example:
            asked.append({"role": "assistant", "content": example["answer"]})
    return asked


def leaks(text: str) -> bool:
    """Tell whether a text ends in eight words that stand so in our rules for the model."""
    said = re.findall(r"\w+", text.lower())[-EIGHT:]
    return len(said) == EIGHT and " ".join(said) in _rules()


EIGHT: Final = 8


def _rules() -> str:
    return " ".join(re.findall(r"\w+", prompts.text("answer.md").lower()))
