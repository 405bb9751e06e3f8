"""The words of a text as BM25 counts them: lower case, without stop words, stemmed."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: Final = 2
"""Changes with every change of how words are made: an index belongs to one version."""

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_STOP: Final = frozenset(
    re.findall(
        r"\S+",
        """a about above after again all am an and any are as at be because been before being below
    between both but by can can't cannot could did didn't do does doesn't doing don't down during
    each else ever few for from further get gets give given gives had has have having he her here
    hers him his how i if in into is isn't it it's its itself just let like make may me might more
    most must my myself need no nor not of off on once one only or other our ours out over own per
    please same shall she should so some such take tell than that the their theirs them then there
    these they thing things this those through to too under until up upon us use used uses using
    very want was we were what when where which while who whom whose why will with without would
    yes you your yours yourself many much often kind sort happen happens happened called mean
        means someone somebody anyone something anything""",
    )
)


_HOW: Final = re.compile(
    r"(?<=\bhow )(?:long|far|old|big|large|high|tall|fast|slow|deep|heavy|hot|cold|hard|soon|wide"
    r"|thick)\b",
    re.IGNORECASE,
)


def measures(question: str) -> list[tuple[int, int]]:
    """Return where a question has words such as `long` in `how long`: they are no topic."""
    return [match.span() for match in _HOW.finditer(question)]


def words(text: str) -> list[str]:
    """Return the stemmed words of a text in order, stop words left out."""
    return [stem for _, stem in pairs(text)]


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word of a text that is no stop word, in lower case, and its stem."""
    for match in _WORD.finditer(_HOW.sub("", unicodedata.normalize("NFKC", text).lower())):
        word = match[0].replace("\u2019", "'")
        if word not in _STOP:
            word = word.removesuffix("'s")
            yield word, stem(word)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the English stem of a word; one that is not ASCII stays as it is."""
    stemmed: str = _stemmer().stemWord(word) if word.isascii() else word
    return stemmed


@cache
def _stemmer() -> Any:  # noqa: ANN401 - the package has no types
    import snowballstemmer  # type: ignore[import-untyped] # it has no types

    return snowballstemmer.stemmer("english")
