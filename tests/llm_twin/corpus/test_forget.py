"""Forgetting: what is erased, where, that it stays away, and what is told to be out of reach."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.corpus.document import Document
from llm_twin.corpus.forget import Forgetting, forget, undo
from llm_twin.corpus.report import Report
from llm_twin.corpus.store import Corpus
from llm_twin.errors import RefusedError, UsageError
from llm_twin.home import Home
from llm_twin.progress import Silent
from llm_twin.settings import Settings
from llm_twin.tracing.model import Entry
from llm_twin.tracing.spool import Spool
from tests.llm_twin.corpus.made import PARAGRAPH

Take = Callable[..., Report]
Erase = Callable[..., Forgetting]
Only = Callable[[], Document]


@pytest.fixture
def erase(home: Home) -> Erase:
    """Forget a term, as the command does."""

    def run(term: str, **how: object) -> Forgetting:
        wanted = how.get("wanted")
        assert wanted in {None, "document", "person"}
        return forget(term, home, Settings(home=home.path), Silent(), wanted)

    return run


def spooled(home: Home, *texts: str) -> None:
    """Put traces with these texts into the spool."""
    spool = Spool(home.spool_db)
    spool.append(
        [
            Entry(
                "trace",
                f"0190-{number}",
                "answer",
                1.0,
                failed=False,
                body=json.dumps({"output": text}),
            )
            for number, text in enumerate(texts)
        ]
    )
    spool.close()


def everything(home: Home) -> bytes:
    """All bytes of the state folder."""
    return b"\n".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())


def test_document_by_any_name(take: Take, corpus: Corpus, erase: Erase, writing: Path) -> None:
    """A document is erased by whatever names it, and is not taken again."""
    for number in range(7):
        (writing / f"{number}.md").write_text(
            f"---\ntitle: Tale {number}\nurl: https://x.example/{number}\n---\nOnce upon {number}."
        )
    take()
    ids = {document.source: document.id for document in corpus.documents()}
    terms = (
        ids["writing/0.md"],
        ids["writing/1.md"][:8],
        "writing/2.md",
        str(writing / "3.md"),
        "https://x.example/4",
        "tale 5",
    )
    for number, term in enumerate(terms):
        assert erase(term).documents == [f"writing/{number}.md"]
    assert [kept.source for kept in corpus.documents()] == ["writing/6.md"]
    assert set(corpus.erased()) == set(ids.values()) - {ids["writing/6.md"]}
    (writing / "moved.md").write_bytes((writing / "0.md").read_bytes())
    (writing / "1.md").write_text("Once upon another time.")
    report = take()
    assert [kept.source for kept in corpus.documents()] == ["writing/6.md"]
    assert set(report.skipped) == {
        (f"writing/{name}.md", "was forgotten") for name in (*range(6), "moved")
    }


def test_nothing_of_a_document_is_left(
    take: Take, corpus: Corpus, erase: Erase, writing: Path, home: Home
) -> None:
    """No byte of it stays in the state folder: near duplicates, traces and the cache go too."""
    secret = f"The vanishing sentence. {PARAGRAPH}"
    (writing / "a.md").write_text(secret)
    (writing / "copy.md").write_text(f"{secret} Twice.")
    (writing / "other.md").write_text("Another text.")
    take()
    (home.cache_dir / "made").write_text("The vanishing sentence.")
    spooled(home, "quotes writing/a.md", "quotes writing/copy.md", "of xwriting/a.md", "other.md")
    corpus.close()
    assert b"vanishing sentence" in everything(home)
    done = erase("writing/a.md")
    assert sorted(done.documents) == ["writing/a.md", "writing/copy.md"]
    assert done.traces == 2
    left = everything(home)
    assert b"vanishing" not in left
    assert b"quotes" not in left
    assert b"xwriting" in left
    assert any("adapters" in line for line in done.beyond)
    assert any("backups" in line for line in done.beyond)


def test_folder_of_documents(take: Take, corpus: Corpus, erase: Erase, writing: Path) -> None:
    """A folder's name means all that came from it."""
    (writing / "in").mkdir()
    for name in ("in/a", "in/b", "c"):
        (writing / f"{name}.md").write_text(f"Text of {name}.")
    take()
    assert len(erase(str(writing / "in")).documents) == 2
    assert [kept.source for kept in corpus.documents()] == ["writing/c.md"]


def test_person(take: Take, corpus: Corpus, erase: Erase, writing: Path, home: Home) -> None:
    """What a person wrote is erased, and the name is replaced in what others wrote."""
    (writing / "a.md").write_text("---\nauthor: Charles Babbage\n---\nBy Charles himself.")
    (writing / "b.md").write_text(
        "---\nauthor: Ada and Charles Babbage\ntitle: With charles BABBAGE\n---\n"
        "Charles\nBabbage (Babbage, Charles) and Charlesine Babbageson."
    )
    (writing / "c.md").write_text("Of nobody.")
    take()
    spooled(home, "asked of\nCharles Babbage", "asked of Charlesine")
    done = erase("Charles Babbage")
    assert (done.documents, done.altered, done.traces) == (["writing/a.md"], ["writing/b.md"], 1)
    document = next(kept for kept in corpus.documents() if kept.source == "writing/b.md")
    assert document.text == "[person] ([person]) and Charlesine Babbageson."
    assert (document.title, document.author) == ("With [person]", "Ada and [person]")
    (writing / "d.md").write_text("I met Charles  Babbage again.")
    (writing / "e.md").write_text("---\nauthor: Babbage, Charles\n---\nText.")
    report = take()
    texts = {kept.source: kept.text for kept in corpus.documents()}
    assert texts["writing/d.md"] == "I met [person] again."
    assert ("writing/e.md", "is by a person who was forgotten") in report.skipped
    corpus.close()
    assert b"Babbage" not in everything(home).replace(b"Babbageson", b"")


def test_person_by_address(
    take: Take, corpus: Corpus, erase: Erase, writing: Path, git: Callable[..., str]
) -> None:
    """An e-mail address finds the commits of its owner, though it is not kept."""
    git("init", "--quiet", cwd=writing)
    message = "Weave: mend the loom\n\nThe loom lost threads when it was cold outside."
    git("commit", "--quiet", "--allow-empty", "-m", message, cwd=writing)
    take()
    assert len(corpus) == 1
    assert len(erase("Test@example.invalid").documents) == 1
    assert len(corpus) == 0
    git("commit", "--quiet", "--allow-empty", "-m", message.replace("cold", "hot"), cwd=writing)
    take()
    assert len(corpus) == 0


def test_unknown_term_is_refused(take: Take, erase: Erase, writing: Path, corpus: Corpus) -> None:
    """What nobody knows is told; a person may be kept out all the same."""
    (writing / "a.md").write_text("Text.")
    take()
    for term in ("Nobody Known", "none.md", "nobody@example.com", "0123456789abcdef"):
        with pytest.raises(RefusedError, match="--person keeps the name out"):
            erase(term)
    with pytest.raises(RefusedError, match="no document has this id"):
        erase("none.md", wanted="document")
    with pytest.raises(UsageError, match="no name"):
        erase("?!", wanted="person")
    assert erase("Nobody Known", wanted="person").documents == []
    (writing / "b.md").write_text("Of Nobody Known.")
    take()
    assert "Of [person]." in {document.text for document in corpus.documents()}


def test_title_of_several_documents(take: Take, erase: Erase, writing: Path) -> None:
    """A title that several documents have is not guessed at."""
    (writing / "a.md").write_text("# Same\n\nOne.")
    (writing / "b.md").write_text("# Same\n\nTwo.")
    take()
    with pytest.raises(UsageError, match="means 2 documents; name one by its id"):
        erase("Same")


def test_again_and_undone(
    take: Take, corpus: Corpus, erase: Erase, writing: Path, home: Home
) -> None:
    """Forgetting again reaches what was missed; undone, the next ingest takes it back."""
    (writing / "a.md").write_text("By Charles Babbage.")
    (writing / "b.md").write_text("B.")
    take()
    erase("writing/b.md")
    erase("Charles Babbage")
    spooled(home, "of writing/b.md", "of Charles Babbage")
    assert erase("writing/b.md").traces == 1
    assert erase(str(writing / "b.md")).traces == 0
    assert erase("Charles Babbage").traces == 1
    with pytest.raises(RefusedError, match="nothing was forgotten by this name"):
        undo("writing/c.md", corpus)
    undo("writing/b.md", corpus)
    undo("Charles Babbage", corpus)
    take()
    assert {kept.text for kept in corpus.documents()} == {"By Charles Babbage.", "B."}
