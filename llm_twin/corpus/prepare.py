"""Makes what a reader found ready to be stored: cleaned, masked, with an id."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_twin.corpus import cleaning, dedupe
from llm_twin.corpus.document import Document, Entry, Item, Skip, identity
from llm_twin.corpus.forgotten import Veil
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.masking import E_MAIL, Masker

_LONGEST: int = 5_000_000  # characters of a document


@dataclass(frozen=True)
class Preparer:
    """Turns items into entries.

    Attributes:
        rules: The settings.
        masker: Masks what the settings ask for.
        veil: Knows what was forgotten.
    """

    rules: CorpusSettings
    masker: Masker
    veil: Veil

    @classmethod
    def of(cls, rules: CorpusSettings, known: Sequence[str], veil: Veil) -> "Preparer":
        """Make one that masks known secrets too."""
        return cls(rules, Masker(known, rules.mask), veil)

    def entry(self, item: Item, source: str, path: str) -> Entry | Skip:
        """Return an item as it is stored, or why it is not.

        Args:
            item: What the reader found.
            source: The address of its file.
            path: Where that is on this machine.
        """
        if refusal := self._refusal(item, path):
            return Skip(item.name, refusal)
        document = self._document(item, source)
        if not document.text.strip():
            return Skip(item.name, "holds no text")
        if self.veil.hash(document.id) in self.veil.documents:
            return Skip(item.name, "was forgotten")
        writer = self.veil.hash(item.e_mail.strip()) if item.e_mail else ""
        return Entry(document, item.name, dedupe.signature(document.text), writer)

    def _refusal(self, item: Item, path: str) -> str | None:
        if self.veil.hides(item.author, item.e_mail):
            return "is by a person who was forgotten"
        if self.veil.hash(f"{path}\n{item.name}") in self.veil.documents:
            return "was forgotten"
        wanted = {author.casefold() for author in self.rules.authors}
        given = _authors(item)
        if wanted and given and not wanted & given:
            return "is by another author (corpus.authors)"
        if len(item.text) > _LONGEST:
            return f"holds more than {_LONGEST // 1_000_000} million characters; split it"
        return None

    def _document(self, item: Item, source: str) -> Document:
        place = item.source or f"{source}{item.name}"
        title = cleaning.one_line(self._hidden(item.title or ""))
        text = self._hidden(cleaning.clean(item.text))
        author = self._hidden(cleaning.one_line(item.author or ""))
        return Document(
            id=identity(title, text),
            source=self._hidden(place),
            title=title or cleaning.title_of(self._hidden(place)),
            text=text,
            author=re.sub(rf"[\s(<,]*{re.escape(E_MAIL)}[\s)>]*", "", author) or None,
            date=cleaning.iso_date(item.date),
            url=self._url(item.url),
            kind=item.kind,
        )

    def _hidden(self, text: str) -> str:
        return self.masker.mask_text(self.veil.over(text))

    def _url(self, url: str | None) -> str | None:
        text = cleaning.one_line(url or "")
        # It becomes a link on a page: nothing but what a browser opens as a page.
        usable = text.lower().startswith(("https://", "http://")) and " " not in text
        return self._hidden(text) if usable else None


def _authors(item: Item) -> set[str]:
    names = re.split(r"\s*(?:,|;|&| and )\s*", item.author or "")
    mails = re.findall(r"[\w.+%'-]+@[\w.-]+", f"{item.author or ''} {item.e_mail or ''}")
    return {each.casefold() for each in [item.author or "", *names, *mails] if each}
