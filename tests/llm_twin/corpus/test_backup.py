"""Backups: they hold all, come back whole or not at all, and lead nowhere else."""

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llm_twin.corpus.backup import backup, restore
from llm_twin.corpus.report import Report
from llm_twin.corpus.store import Corpus
from llm_twin.errors import RefusedError, TwinError, UsageError
from llm_twin.home import Home
from llm_twin.tracing.model import Entry
from llm_twin.tracing.spool import Spool

Take = Callable[..., Report]


@pytest.fixture
def full(take: Take, corpus: Corpus, writing: Path, home: Home) -> Home:
    """A state folder with documents, a trace and an index."""
    (writing / "a.md").write_text("Text of a.")
    take()
    assert len(corpus) == 1
    spool = Spool(home.spool_db)
    spool.append([Entry("trace", "t1", "answer", 1.0, failed=False, body="{}")])
    spool.close()
    folder = home.index_dir / "one"
    folder.mkdir(parents=True)
    (folder / "vectors.npy").write_bytes(b"\x93NUMPY")
    (home.index_dir / "old").mkdir()
    (home.index_dir / "old" / "x").write_text("not in use")
    (home.index_dir / "CURRENT").write_text("one\n")
    return home


def test_there_and_back(full: Home, tmp_path: Path) -> None:
    """Everything comes back in an empty folder; the file is its owner's alone."""
    file = tmp_path / "b.zip"
    assert backup(full, file) == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".b")] == []
    other = Home(tmp_path / "other")
    parts = restore(file, other)
    assert sorted(parts) == [
        "VERSION",
        "corpus.db",
        "index/CURRENT",
        "index/one/vectors.npy",
        "spool.db",
    ]
    with Corpus.open(full) as one, Corpus.open(other) as two:
        assert list(one.documents()) == list(two.documents())
        assert one.snapshot() == two.snapshot()
    with closing(Spool(other.spool_db)) as spool:
        assert spool.holds("t1")
    assert (other.index_dir / "one" / "vectors.npy").read_bytes() == b"\x93NUMPY"
    assert not (other.index_dir / "old").exists()
    assert {path.name for path in other.path.iterdir()} <= {
        *("VERSION", "corpus.db", "index", "spool.db", "locks"),
        *("corpus.db-wal", "corpus.db-shm", "spool.db-wal", "spool.db-shm"),
    }


def test_backup_of_databases_in_use(full: Home, tmp_path: Path) -> None:
    """What another process is writing is in it whole or not at all."""
    with closing(sqlite3.connect(full.spool_db, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM entries")
        backup(full, tmp_path / "b.zip")
        db.execute("ROLLBACK")
    other = Home(tmp_path / "other")
    restore(tmp_path / "b.zip", other)
    with closing(Spool(other.spool_db)) as spool:
        assert spool.holds("t1")


def test_what_is_there_is_not_replaced_unasked(full: Home, tmp_path: Path) -> None:
    """Neither a file nor a state folder is replaced without --force."""
    file = tmp_path / "b.zip"
    backup(full, file)
    with pytest.raises(UsageError, match="is there already"):
        backup(full, file)
    backup(full, file, force=True)
    with pytest.raises(UsageError, match="within the state folder"):
        backup(full, full.path / "b.zip")
    with pytest.raises(RefusedError, match=r"holds corpus.db, spool.db, index; --force"):
        restore(file, full)
    with Corpus.open(full) as corpus, corpus.writing() as db:
        db.execute("DELETE FROM entries")
    restore(file, full, force=True)
    with Corpus.open(full) as corpus:
        assert len(corpus) == 1


def changed(file: Path, **members: bytes | None) -> Path:
    """Write a copy of a backup with members replaced, added, or left out (None)."""
    copy = file.with_name("changed.zip")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name not in members:
                new.writestr(name, old.read(name))
        for name, content in members.items():
            if content is not None:
                new.writestr(name, content)
    return copy


def test_damaged_backups(full: Home, tmp_path: Path) -> None:
    """One that is cut, changed or no backup at all is refused, and nothing changes."""
    file = tmp_path / "b.zip"
    backup(full, file)
    other = Home(tmp_path / "other")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(file.read_bytes()[:-100])
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        database = archive.read("corpus.db")
    huge = {"size": 5, "sha256": "0" * 64}
    newer = json.dumps(manifest | {"schema": 2}).encode()
    outside = [
        json.dumps(manifest | {"parts": manifest["parts"] | {name: huge}}).encode()
        for name in (
            "../evil",
            "/etc/evil",
            "index/../../evil",
            "index/a\\b",
            "locks/x",
            "index//x",
        )
    ]
    cases = [
        (cut, "is no backup of llm-twin, or is cut short"),
        (tmp_path / "none.zip", "can't be read: No such file"),
        (changed(file, **{"corpus.db": database[:-1] + b"x"}), "corpus.db is damaged"),
    ]
    for case, problem in cases:
        with pytest.raises(TwinError, match=problem):
            restore(case, other)
    for content, problem in [
        (b"{}", "is no backup"),
        (b"[]", "is no backup"),
        (b"no json", "is no backup"),
        (newer, "made by a newer llm-twin"),
        *((each, "which no backup does") for each in outside),
    ]:
        with pytest.raises(UsageError, match=problem):
            restore(changed(file, **{"manifest.json": content}), other)
    for members in ({"corpus.db": None}, {"corpus.db": bytes(50 << 20)}):
        with pytest.raises(TwinError, match=r"corpus.db is damaged"):
            restore(changed(file, **members), other)
    assert {path.name for path in other.path.iterdir()} == {"VERSION", "locks"}
    assert not list(tmp_path.rglob("evil"))


def test_version_that_is_newer(full: Home, tmp_path: Path) -> None:
    """A state folder of a newer version is not restored."""
    (full.path / "VERSION").write_text("2\n")
    backup(full, tmp_path / "b.zip")
    with pytest.raises(UsageError, match="made by a newer llm-twin"):
        restore(tmp_path / "b.zip", Home(tmp_path / "other"))


def test_restore_that_was_interrupted_goes_on(full: Home, corpus: Corpus) -> None:
    """Whoever opens the folder next finishes what was killed after all parts were checked."""
    expected = corpus.snapshot()
    corpus.close()
    parts = full.path / "restored"
    parts.mkdir()
    for path in (full.corpus_db, full.path / "VERSION"):
        shutil.copy(path, parts)
    full.corpus_db.write_bytes(b"damaged")
    full.corpus_db.with_name("corpus.db-wal").write_bytes(b"of the damaged one")
    opened = Home(full.path)
    assert not parts.exists()
    with Corpus.open(opened) as restored:
        assert restored.snapshot() == expected


def test_folder_that_can_not_be_written(full: Home, tmp_path: Path) -> None:
    """A target in a folder that is not there is one line."""
    with pytest.raises(TwinError, match="can't be written: No such file"):
        backup(full, tmp_path / "none" / "b.zip")
    assert not list(full.path.glob("backup.*"))
