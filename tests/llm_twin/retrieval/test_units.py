"""Statements of a passage, and passages of a document."""

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin.corpus.document import Document, identity
from llm_twin.retrieval.chunks import LARGEST, chunks
from llm_twin.retrieval.units import sentences, units


def _document(text: str, title: str = "Title") -> Document:
    return Document(identity(title, text), "notes/a.md", title, text, None, None, None, "markdown")


def _count(text: str) -> int:
    return len(text.split())


def test_sentences_end_at_full_stops_and_not_at_abbreviations() -> None:
    """Sentences end at full stops and not at abbreviations."""
    text = 'See e.g. Dr. Smith in vol. 3 of it. "Who?" asked J. Doe. It cost 3.50 pounds! Yes.'
    assert sentences(text) == [
        "See e.g. Dr. Smith in vol. 3 of it.",
        '"Who?"',
        "asked J. Doe.",
        "It cost 3.50 pounds!",
        "Yes.",
    ]


def test_units_keep_code_and_lose_marks() -> None:
    """Units keep code and lose marks."""
    found = units("A **bold** [link](http://x) and `code`. Next one:\n\n```sh\nmake it\n```\n")
    assert [(unit.kind, unit.text) for unit in found] == [
        ("sentence", "A bold link and `code`."),
        ("sentence", "Next one:"),
        ("code", "make it"),
    ]
    assert found[2].lead == "Next one:"


def test_items_and_rows_know_what_introduces_them() -> None:
    """Items and rows know what introduces them."""
    text = (
        "It reads\n\n- one;\n- two.\n\n| Key | Type | Meaning |\n|---|---|---|\n| a | int | b |\n"
    )
    first, one, two, row = units(text)
    assert first.text == one.lead == two.lead == "It reads"
    assert one.group == two.group
    assert (row.text, row.lead) == ("a: Type: int; Meaning: b", "Key, Type, Meaning:")


def test_a_passage_never_reaches_over_a_heading() -> None:
    """A passage never reaches over a heading."""
    text = "# Title\n\nIntro.\n\n## First\n\nOne.\n\n### Deep\n\nTwo.\n\n## Second\n\nThree.\n"
    found = chunks(_document(text), _count)
    assert [(each.headings, each.text) for each in found] == [
        ((), "Intro."),
        (("First",), "One."),
        (("First", "Deep"), "Two."),
        (("Second",), "Three."),
    ]
    assert [each.position for each in found] == [0, 1, 2, 3]
    assert len({each.id for each in found}) == 4


def test_parts_of_a_long_table_keep_its_head_and_parts_of_a_list_its_lead() -> None:
    """Parts of a long table keep its head and parts of a list its lead."""
    rows = "\n".join(f"| key{number} | {'word ' * 20}|" for number in range(20))
    items = "\n".join(f"- item{number} {'word ' * 20}" for number in range(20))
    text = f"| Key | Meaning |\n|---|---|\n{rows}\n\nWhat it is:\n\n{items}\n"
    found = chunks(_document(text), _count)
    tables = [each.text for each in found if "| key" in each.text]
    assert len(tables) > 1
    assert all(each.startswith("| Key | Meaning |\n|---|---|\n") for each in tables)
    lists = [each.text for each in found if "- item" in each.text]
    assert len(lists) > 1
    assert all("What it is:" in each for each in lists)


def test_a_long_block_of_code_stays_a_block_in_every_part() -> None:
    """A long block of code stays a block in every part."""
    code = "\n".join(f"step {number} of the work" for number in range(200))
    found = chunks(_document(f"~~~sh\n{code}\n~~~\n"), _count)
    assert len(found) > 1
    for each in found:
        (unit,) = units(each.text)
        assert unit.kind == "code"
        assert "~~~" not in unit.text


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab #-|`>\n.:*1[]()é\t", max_size=400))
def test_any_text_is_cut_and_no_passage_is_too_large(text: str) -> None:
    """Any text is cut and no passage is too large."""
    for each in chunks(_document(text), len):
        assert each.text.strip()
        units(each.text)
        assert len(each.text) <= 3 * LARGEST


def test_no_word_is_lost() -> None:
    """No word is lost."""
    words = [f"w{number}" for number in range(1000)]
    found = chunks(_document(" ".join(words)), _count)
    assert " ".join(each.text for each in found).split() == words
