"""What was forgotten must not come back: names and documents are known again by keyed hashes.

Neither names nor addresses are kept. The key lies beside the hashes, so whoever has the database
can try names; what nobody guesses stays unknown.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

PERSON: Final = "[person]"
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_ADDRESS: Final = re.compile(r"[\w.+%'-]{1,64}@[\w.-]{1,255}")


@dataclass(frozen=True)
class Veil:
    """Finds what was forgotten.

    Attributes:
        salt: The key of the hashes.
        names: For a number of words the hashes of the names that have so many.
        addresses: Hashes of e-mail addresses.
        documents: Hashes of documents' ids, and of the places where they were.
    """

    salt: bytes
    names: Mapping[int, frozenset[str]] = field(default_factory=dict)
    addresses: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()

    @classmethod
    def of(cls, salt: bytes, rows: Iterable[tuple[str, str, int]]) -> "Veil":
        """Make one from the rows of the table `forgotten`: hash, kind and number of words."""
        names: dict[int, set[str]] = {}
        other: dict[str, set[str]] = {"address": set(), "document": set()}
        for value, kind, words in rows:
            (names.setdefault(words, set()) if kind == "name" else other[kind]).add(value)
        return cls(
            salt,
            {words: frozenset(values) for words, values in names.items()},
            frozenset(other["address"]),
            frozenset(other["document"]),
        )

    def hash(self, text: str) -> str:
        """Return the keyed hash of a text, whatever its case."""
        return blake2b(text.casefold().encode("utf-8", "replace"), key=self.salt).hexdigest()[:64]

    def name_hash(self, name: str) -> tuple[str, int]:
        """Return the hash of a person's name, and of how many words it is."""
        words = _WORD.findall(name)
        return self.hash(" ".join(words)), len(words)

    def hides(self, author: str | None, e_mail: str | None) -> bool:
        """Tell whether an author was forgotten."""
        if e_mail and self.hash(e_mail.strip()) in self.addresses:
            return True
        if not author:
            return False
        value, words = self.name_hash(author)
        return value in self.names.get(words, frozenset())

    def over(self, text: str) -> str:
        """Return a text with a placeholder for each name and address that was forgotten."""
        if self.addresses and "@" in text:
            text = _ADDRESS.sub(lambda match: self._address(match[0]), text)
        if self.names:
            text = self._over_names(text)
        return text

    def _address(self, address: str) -> str:
        return PERSON if self.hash(address.rstrip(".")) in self.addresses else address

    def _over_names(self, text: str) -> str:
        words = [(match.start(), match.end(), match[0]) for match in _WORD.finditer(text)]
        pieces = []
        done = at = 0
        longest_first = sorted(self.names, reverse=True)
        while at < len(words):
            size = next((size for size in longest_first if self._named(words, at, size)), 0)
            if size:
                pieces += [text[done : words[at][0]], PERSON]
                done = words[at + size - 1][1]
            at += size or 1
        return "".join([*pieces, text[done:]])

    def _named(self, words: list[tuple[int, int, str]], at: int, size: int) -> bool:
        taken = words[at : at + size]
        if len(taken) < size:
            return False
        return self.hash(" ".join(word for _, _, word in taken)) in self.names[size]


def forms(name: str) -> list[str]:
    """Return a name as texts have it: as it is, and with the last of its words in front."""
    words = _WORD.findall(name)
    return (
        [" ".join(words)]
        if len(words) == 1
        else [" ".join(words), " ".join([words[-1], *words[:-1]])]
    )
