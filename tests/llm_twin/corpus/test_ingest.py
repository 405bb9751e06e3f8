"""Taking files: only what changed is read, what is gone leaves, and near duplicates are found."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.corpus.discover import discover
from llm_twin.corpus.document import Document
from llm_twin.corpus.report import Report
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.store import Corpus
from llm_twin.errors import UsageError
from llm_twin.home import Home
from tests.llm_twin.corpus.made import PARAGRAPH, archive

Take = Callable[..., Report]
Only = Callable[[], Document]


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """Taken, changed, unchanged, removed and skipped."""
    return (
        len(report.taken),
        len(report.changed),
        report.unchanged,
        len(report.removed),
        len(report.skipped),
    )


def sources(corpus: Corpus) -> list[str]:
    """Where the documents come from."""
    return sorted(document.source for document in corpus.documents())


def test_only_what_changed_is_touched(take: Take, corpus: Corpus, writing: Path) -> None:
    """A second run reads nothing; a change, a removal and a new file are each seen."""
    for name in ("a", "b", "c"):
        (writing / f"{name}.md").write_text(f"# {name}\n\nText of {name}.")
    assert counts(take()) == (3, 0, 0, 0, 0)
    first = corpus.snapshot()
    ids = {document.source: document.id for document in corpus.documents()}
    assert counts(take()) == (0, 0, 3, 0, 0)
    assert corpus.snapshot() == first

    os.utime(writing / "a.md", (1, 1))  # touched and the same
    assert counts(take()) == (0, 0, 3, 0, 0)
    (writing / "a.md").write_text("# a\n\nOther text.")
    (writing / "b.md").unlink()
    (writing / "d.md").write_text("# d\n\nText of d.")
    report = take()
    assert (report.taken, report.changed, report.removed) == (
        ["writing/d.md"],
        ["writing/a.md"],
        ["writing/b.md"],
    )
    assert sources(corpus) == ["writing/a.md", "writing/c.md", "writing/d.md"]
    found = {document.source: document.id for document in corpus.documents()}
    assert found["writing/c.md"] == ids["writing/c.md"]
    assert found["writing/a.md"] != ids["writing/a.md"]
    assert corpus.snapshot() != first


def test_a_change_of_the_same_length_and_time_is_seen(
    take: Take, only: Only, writing: Path
) -> None:
    """Whoever sets a file's time back does not hide a change."""
    path = writing / "a.md"
    path.write_text("one two")
    os.utime(path, (1, 1))
    take()
    path.write_text("two one")
    os.utime(path, (1, 1))
    assert len(take().changed) == 1
    assert only().text == "two one"


def test_a_folder_is_one_thing_and_a_file_in_it_another(
    take: Take, corpus: Corpus, writing: Path, tmp_path: Path
) -> None:
    """What other folders hold stays; a file named by itself is the one of its folder."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.md").write_text("x of other")
    (writing / "a.md").write_text("a of writing")
    take(other)
    take(writing)
    assert counts(take(writing / "a.md")) == (0, 0, 1, 0, 0)
    assert sources(corpus) == ["other/x.md", "writing/a.md"]
    (writing / "a.md").unlink()
    assert take(writing / "a.md").removed == ["writing/a.md"]
    assert sources(corpus) == ["other/x.md"]


def test_settings_that_matter_read_anew(take: Take, only: Only, writing: Path) -> None:
    """What is masked is a setting; another one reads the files again."""
    (writing / "a.md").write_text("Write to ada@example.com or call +1 650 253 0000.")
    take()
    assert only().text == "Write to [e-mail] or call [phone]."
    assert counts(take(mask=("phone",))) == (0, 1, 0, 0, 0)
    assert only().text == "Write to ada@example.com or call [phone]."
    assert counts(take(mask=("phone",), max_seconds=7)) == (0, 0, 1, 0, 0)


def test_masks_everything_that_is_kept(
    take: Take, corpus: Corpus, home: Home, writing: Path, canary: str
) -> None:
    """Addresses and keys are nowhere in the state folder, not in titles, authors or sources."""
    key = f"hf_{canary.replace('-', '')}{canary.replace('-', '')}"
    (writing / f"ada{canary}@example.com.md").write_text(
        f"---\ntitle: by {canary}@example.com\nauthor: Ada <{canary}@example.com>\n"
        f"url: https://x.example/?to={canary}%40example.com\n---\n{key} {canary}@example.com"
    )
    take()
    (document,) = corpus.documents()
    assert (document.title, document.author) == ("by [e-mail]", "Ada")
    assert document.text == "[key] [e-mail]"
    corpus.close()
    for path in home.path.rglob("*"):
        if path.is_file() and path.name != "corpus.db":
            assert canary.encode() not in path.read_bytes()
    # The path of the file itself is how it is found again.
    with Corpus.open(home) as opened:
        kept = "".join(opened.db.iterdump()).replace(f"{writing}/ada{canary}@example.com.md", "")
    assert canary not in kept


def test_hidden_and_installed_files_are_left(take: Take, corpus: Corpus, writing: Path) -> None:
    """Hidden files, environments and packages of others are not the author's writing."""
    for folder in (".git-like", "node_modules/x", "venv/lib", "kept"):
        (writing / folder).mkdir(parents=True)
        (writing / folder / "README.md").write_text(f"in {folder}")
    (writing / "venv" / "pyvenv.cfg").write_text("")
    (writing / ".hidden.md").write_text("hidden")
    (writing / "code.py").write_text("print()")
    (writing / "LICENSE").write_text("free")
    report = take()
    assert sources(corpus) == ["writing/kept/README.md"]
    assert report.others == {"": 1, ".py": 1}
    assert "not read" in "\n".join(report.lines())


def test_authors_of_the_settings(take: Take, corpus: Corpus, writing: Path) -> None:
    """Where authors are named, what others wrote is left; what names nobody is taken."""
    for name, author in [("a", "Ada Lovelace"), ("b", "Bob"), ("c", "bob, ada lovelace")]:
        (writing / f"{name}.md").write_text(f"---\nauthor: {author}\n---\nText of {name}.")
    (writing / "d.md").write_text("Text of nobody.")
    report = take(authors=("ADA lovelace",))
    assert sources(corpus) == ["writing/a.md", "writing/c.md", "writing/d.md"]
    assert report.skipped == [("writing/b.md", "is by another author (corpus.authors)")]


def test_exact_duplicates(take: Take, corpus: Corpus, only: Only, writing: Path) -> None:
    """The same text at two places is one document, which stays until both are gone."""
    (writing / "b.md").write_text("# Same\n\nText.")
    (writing / "a.md").write_text("# Same\n\n\nText.  \n")
    report = take()
    assert report.exact == [("writing/b.md", "writing/a.md")]
    assert only().source == "writing/a.md"
    first = corpus.snapshot()
    (writing / "a.md").unlink()
    take()
    assert only().source == "writing/b.md"
    assert corpus.snapshot() != first  # an index that named a.md would be wrong


def test_near_duplicates(take: Take, corpus: Corpus, writing: Path) -> None:
    """Of documents that are nearly the same the longest stays, and another when it goes."""
    words = (PARAGRAPH * 3).split()
    (writing / "long.md").write_text(" ".join([*words, "And one more line."]))
    (writing / "short.md").write_text(" ".join(words))
    (writing / "far.md").write_text(" ".join(sorted(words)))
    report = take()
    assert report.near == [("writing/short.md", "writing/long.md")]
    assert sources(corpus) == ["writing/far.md", "writing/long.md"]
    assert take(near_duplicates=1).near == []
    assert len(corpus) == 3
    assert take().near == report.near
    (writing / "long.md").unlink()
    take()
    assert sources(corpus) == ["writing/far.md", "writing/short.md"]


def test_short_texts_are_no_near_duplicates(take: Take, corpus: Corpus, writing: Path) -> None:
    """Two short notes that differ in a word may say different things."""
    (writing / "a.md").write_text("The port of the service is 8000 and it can't be changed.")
    (writing / "b.md").write_text("The port of the service is 8001 and it can't be changed.")
    assert take().near == []
    assert len(corpus) == 2


def test_path_that_is_not_there(take: Take, corpus: Corpus, writing: Path) -> None:
    """A path that was never there is a mistake, and nothing is changed."""
    (writing / "a.md").write_text("a")
    with pytest.raises(UsageError, match="no such file or folder"):
        take(writing, writing / "none")
    assert len(corpus) == 0


def test_folder_that_can_not_be_looked_into_keeps_its_documents(writing: Path) -> None:
    """What can't be seen is told, and not taken for gone."""
    at = os.open(writing, os.O_RDONLY)
    for _ in range(18):  # longer together than a path may be
        os.mkdir("d" * 250, dir_fd=at)
        at, above = os.open("d" * 250, os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(at)
    found = discover([writing], CorpusSettings(), [])
    (_, source, reason) = found.skipped[-1]
    assert source.startswith("writing/ddd")
    assert reason == "can't be looked into: File name too long"
    assert not found.covers(f"{found.unseen[0]}/a.md")
    assert found.covers(f"{writing}/a.md")


def test_members_of_an_archive_change_with_it(take: Take, corpus: Corpus, writing: Path) -> None:
    """A changed archive is read again, and what it no longer holds leaves."""
    path = writing / "a.zip"
    path.write_bytes(archive({"one.md": "One.", "two.md": "Two."}))
    take()
    kept = {document.text: document.id for document in corpus.documents()}
    path.write_bytes(archive({"two.md": "Two.", "three.md": "Three."}))
    assert counts(take()) == (0, 1, 0, 0, 0)
    assert {document.text: document.id for document in corpus.documents()}["Two."] == kept["Two."]
    assert sources(corpus) == ["writing/a.zip/three.md", "writing/a.zip/two.md"]


def test_second_run_is_much_faster(
    take: Take, corpus: Corpus, writing: Path, *, acceptance: bool
) -> None:
    """With nothing changed a run takes a small part of the first one's time."""
    number, times = (10_000, 50) if acceptance else (500, 10)
    chance = random.Random(1)  # noqa: S311 - made-up words
    words = PARAGRAPH.split()
    for each in range(number):
        text = " ".join(chance.choices(words, k=300))
        (writing / f"{each}.html").write_text(f"<article><h1>{each}</h1><p>{text}</p></article>")
    start = time.perf_counter()
    take()
    first = time.perf_counter() - start
    start = time.perf_counter()
    assert counts(take()) == (0, 0, number, 0, 0)
    assert time.perf_counter() - start < first / times
    assert len(corpus) == number
