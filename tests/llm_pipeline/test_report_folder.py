"""Where the reports are written: only they are touched, and all of them or none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pipeline.errors import LookError
from tests.llm_pipeline.results import DOCUMENTS, document, result, run_of, write


def test_only_reports_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    """The folder may be the user's own: `--reports .`."""
    write(run_of(result("lint"), result("test", log="old\n")), tmp_path)
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "logs" / "mine.log").write_text("mine")
    names = write(run_of(result("lint", log="new\n")), tmp_path)
    assert names == DOCUMENTS | {"README.md", "logs/lint.log", "logs/mine.log"}
    assert (tmp_path / "logs" / "lint.log").read_text() == "new\n"
    assert (tmp_path / "logs" / "mine.log").read_text() == "mine"


def test_an_earlier_verdict_file_can_not_name_files_to_delete(tmp_path: Path) -> None:
    """A verdict file comes from a repository, perhaps somebody else's."""
    for name in ("near.log", "out/important.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("keep")
    folder = tmp_path / "out"
    names = ["../important", "../../near", str(tmp_path / "near"), "", 3, None, "lint"]
    checks = [{"name": name} for name in names]
    (folder / "verdict.json").write_text(json.dumps({"checks": checks}))
    assert "important.log" in write(run_of(result("lint")), folder)
    assert (tmp_path / "near.log").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"checks": 3}', '{"checks": [1]}', "\x00", "[" * 99999]
)
def test_a_strange_earlier_verdict_file_is_replaced(tmp_path: Path, text: str) -> None:
    """What stood in it before is no reason to fail."""
    (tmp_path / "verdict.json").write_text(text)
    write(run_of(result("lint")), tmp_path)
    assert document(tmp_path / "verdict.json")["schema"] == 1


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """A repository may hold a link where a report goes."""
    target = tmp_path / "target"
    target.write_text("keep")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "junit.xml").symlink_to(target)
    write(run_of(result("lint")), folder)
    assert target.read_text() == "keep"
    assert not (folder / "junit.xml").is_symlink()


def test_a_link_in_place_of_the_logs_is_refused(tmp_path: Path) -> None:
    """Logs would land, and replace files, outside of the folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "logs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LookError, match="is a link"):
        write(run_of(result("lint")), tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_can_not_be_made_is_one_clear_message(tmp_path: Path) -> None:
    """The message names the folder, the reason and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(LookError) as raised:
        write(run_of(result("lint")), tmp_path / "file" / "out")
    assert str(tmp_path / "file") in str(raised.value)
    assert "Not a directory" in str(raised.value)
    assert "--reports" in str(raised.value)


def test_a_full_disk_leaves_the_earlier_reports_whole(tmp_path: Path) -> None:
    """Nothing is replaced unless everything could be written, and no half file stays."""
    write(run_of(result("lint", log="earlier\n")), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    script = f"""
import resource, signal
from pathlib import Path
from llm_pipeline.errors import LookError
from llm_pipeline.masking import Mask
from llm_pipeline.report import write_reports
from tests.llm_pipeline.results import result, run_of
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
run = run_of(result("lint", summary="another", log="x" * 200_000))
try:
    write_reports(run, Path({str(tmp_path)!r}), mask=Mask([]), link=None)
except LookError as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
