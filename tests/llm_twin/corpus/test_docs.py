"""The page on the corpus says what is true: endings, settings, and counts."""

import re

from llm_twin.corpus.readers import FORMATS
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.masking import mask_text
from tests.llm_twin.masking_texts import HARMLESS, addresses, keys, numbers
from tests.repository import ROOT

PAGE = (ROOT / "docs/twin-corpus.md").read_text()


def test_every_ending_is_in_the_table() -> None:
    """What is read is exactly what the page lists."""
    rows = re.findall(r"^\| ((?:`\.\w+` ?)+)\|", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\.\w+)`", " ".join(rows))) == set(FORMATS)


def test_every_setting_has_a_row_with_its_default() -> None:
    """The table holds each setting of the corpus once, as `llm-twin settings` shows it."""
    rows = dict(re.findall(r"^\| `corpus\.(\w+)` \| (?:`([^`]*)`)? ?\|", PAGE, re.MULTILINE))
    expected = {}
    for name, value in CorpusSettings().model_dump().items():
        shown = ", ".join(value) if isinstance(value, tuple) else str(value)
        expected[name] = shown.lower() if isinstance(value, bool) else shown
    assert rows == expected


def test_counts_of_masked_texts() -> None:
    """The numbers of texts are those that the tests of masking use, and what is said holds."""
    assert [text for text in HARMLESS if mask_text(text) != text] == []
    for text, secret in [*addresses(), *numbers(), *keys()]:
        assert secret not in mask_text(text)
    counts = [len(HARMLESS), len(addresses()), len(numbers()), len(keys())]
    said = re.search(
        r"(\d+) harmless ones.*?(\d+) with addresses, (\d+) with\s+phone.*?(\d+) with",
        PAGE,
        re.DOTALL,
    )
    assert said is not None
    assert [int(each) for each in said.groups()] == counts
