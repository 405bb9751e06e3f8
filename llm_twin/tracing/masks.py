"""The masker of traces: it knows the settings' secrets, and remembers texts that come again."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from llm_twin.masking import Masker
from llm_twin.values import secrets_in

if TYPE_CHECKING:
    from llm_twin.settings import Settings

REMEMBERED: Final = 1024
"""Texts whose masked form is kept: passages and prompts come again and again."""
LONGEST_REMEMBERED: Final = 20_000
PARAGRAPH: Final = "\n\n"
SPANS_PARAGRAPHS: Final = "-----BEGIN"
"""In texts with it something may be masked that an empty line is part of: a private key."""


class RememberingMasker(Masker):
    """A masker that looks at a paragraph once, as long as it is not forgotten.

    A prompt is made of passages that stand in the trace already, and in the traces before it.
    """

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(known)
        self._remembered = lru_cache(REMEMBERED)(super().mask_text)

    def mask_text(self, text: str) -> str:
        """Return a text with a placeholder in the place of each thing that is masked."""
        if PARAGRAPH not in text or SPANS_PARAGRAPHS in text:
            return self._part(text)
        return PARAGRAPH.join(map(self._part, text.split(PARAGRAPH)))

    def _part(self, text: str) -> str:
        if len(text) > LONGEST_REMEMBERED:
            return super().mask_text(text)
        return self._remembered(text)


def masker(settings: "Settings") -> Masker:
    """Return a masker that knows every secret of the settings."""
    return RememberingMasker(secrets_in(settings))
