"""The commands `ingest`, `forget`, `backup` and `restore`, run as their users run them."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("llm-twin")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a folder of its own, with a state folder of its own."""

    def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=tmp_path,
            env=os.environ | {"LLM_TWIN_HOME": str(tmp_path / "state")} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return command


def test_from_ingest_to_restore(run: Run, writing: Path, tmp_path: Path) -> None:
    """Take, save, forget and bring back, for a person and for a program."""
    (writing / "a.md").write_text("# A\n\nText of a.")
    (writing / "b.pdf").write_text("no PDF")
    (writing / "c.py").write_text("")
    done = run("ingest", "writing", "--no-index")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "skipped  writing/b.pdf: is a broken PDF: Stream has ended unexpectedly",
        "not read 1 .py",
        "1 taken, 0 changed, 0 unchanged, 0 removed, 1 skipped; the corpus holds 1 document",
    ]
    about = json.loads(run("ingest", "writing", "--no-index", "--json").stdout)
    assert (about["schema"], about["unchanged"], about["documents"]) == (1, 2, 1)
    assert about["skipped"][0]["source"] == "writing/b.pdf"

    saved = json.loads(run("backup", "saved.zip", "--json").stdout)
    assert saved["bytes"] == (tmp_path / "saved.zip").stat().st_size
    gone = json.loads(run("forget", "writing/a.md", "--json").stdout)
    assert gone["documents"] == ["writing/a.md"]
    done = run("ingest", "writing", "--no-index")
    assert done.returncode == 3
    assert "Error: nothing was taken and the corpus is empty" in done.stderr
    assert run("restore", "saved.zip").returncode == 1
    assert "parts restored" in run("restore", "saved.zip", "--force").stdout
    assert json.loads(run("ingest", "writing", "--no-index", "--json").stdout)["documents"] == 1
    assert "erased   writing/a.md" in run("forget", "A", "--document").stdout
    assert run("forget", "writing/a.md", "--undo").returncode == 0
    assert "1 changed" in run("ingest", "writing", "--no-index").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["ingest", "none"], 2, "none: no such file or folder"),
        (["ingest", "writing"], 3, "nothing was taken and the corpus is empty"),
        (["ingest"], 2, "Missing argument 'PATH...'"),
        (["forget", "none"], 1, "none: no document has this id"),
        (["restore", "none.zip"], 2, "none.zip: can't be read: No such file or directory"),
        (["backup", "writing"], 2, "writing: is there already"),
    ],
)
def test_errors_are_one_line_with_their_code(
    run: Run, writing: Path, arguments: list[str], code: int, problem: str
) -> None:
    """Each mistake says what is wrong, and ends with its code."""
    assert writing.is_dir()
    done = run(*arguments)
    assert done.returncode == code
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    if "Usage" not in done.stderr:
        assert done.stderr.count("\n") == 1


def test_no_secret_of_the_settings_is_kept(
    run: Run, writing: Path, tmp_path: Path, canary: str
) -> None:
    """A key that the settings hold is masked in documents, whatever it looks like."""
    (writing / "a.md").write_text(f"# About {canary}\n\nThe value {canary} is in my notes.")
    done = run("ingest", "writing", "--no-index", LLM_TWIN_MODEL_API_KEY=canary)
    assert done.returncode == 0
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes()


def test_forgotten_text_leaves_the_index(run: Run, writing: Path, tmp_path: Path) -> None:
    """The index is built with the corpus, goes with a backup, and loses what is forgotten."""
    (writing / "a.md").write_text("# Anchors\n\nA zebra guards the harbour at night.")
    (writing / "b.md").write_text("# Boats\n\nThe boat leaves at noon.")
    assert run("ingest", "writing").returncode == 0

    def holding(word: bytes) -> set[str]:
        state = tmp_path / "state"
        files = (path for path in state.rglob("*") if path.is_file())
        return {path.name for path in files if word in path.read_bytes()}

    assert "passages.jsonl" in holding(b"zebra")
    assert run("backup", "saved.zip").returncode == 0
    done = run("forget", "writing/a.md")
    assert done.returncode == 0
    assert holding(b"zebra") == set()
    assert "passages.jsonl" in holding(b"noon")
    assert run("restore", "saved.zip", "--force").returncode == 0
    assert "passages.jsonl" in holding(b"zebra")
    assert run("forget", str(writing)).returncode == 0
    assert holding(b"zebra") == holding(b"noon") == set()


def test_terminal_gets_a_bar(run: Run, writing: Path, tmp_path: Path) -> None:
    """Progress is shown where somebody looks, and the report stays clean."""
    del run
    (writing / "a.md").write_text("Text.")
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [COMMAND, "ingest", "writing", "--no-index"],
            cwd=tmp_path,
            env=os.environ | {"LLM_TWIN_HOME": str(tmp_path / "state"), "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
            timeout=120,
        )
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "reading" in shown
    assert done.stdout.startswith(b"1 taken")
