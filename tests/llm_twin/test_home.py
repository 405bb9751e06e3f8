"""The state folder: who may look into it, versions, and locks between processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_twin.errors import TwinError, UsageError
from llm_twin.home import Home, write_whole


def test_new_folder_is_private_and_has_a_version(tmp_path: Path) -> None:
    """The folder and its parents are made; nobody else may look into it."""
    home = Home(tmp_path / "a" / "home")
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert (home.path / "VERSION").read_text() == "1\n"
    assert home.cache_dir.is_dir()
    Home(home.path)


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    """An empty folder, such as a volume, becomes a state folder."""
    Home(tmp_path)
    assert (tmp_path / "VERSION").read_text() == "1\n"
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    """A folder that holds somebody's files is left alone."""
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="not a state folder of llm-twin; set LLM_TWIN_HOME"):
        Home(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("2\n", "version 2, and this llm-twin knows up to 1"), ("x", "no version")],
)
def test_version_that_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """A folder of a newer version, or a damaged one, is refused and left as it is."""
    (tmp_path / "VERSION").write_text(text)
    with pytest.raises(UsageError, match=problem):
        Home(tmp_path)
    assert (tmp_path / "VERSION").read_text() == text


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """What can't be a folder is one line that names the variable."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(TwinError, match="set LLM_TWIN_HOME") as caught:
            Home(path)
        assert caught.value.exit_code == 3


def test_migrations_run_in_order_and_once(tmp_path: Path) -> None:
    """An old folder takes each step that it lacks; an interrupted one goes on where it was."""
    Home(tmp_path)
    done: list[str] = []

    def first(path: Path) -> None:
        done.append(f"first {path.name}")

    def broken(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    def second(path: Path) -> None:
        done.append(f"second {path.name}")

    with pytest.raises(TwinError, match="No space left"):
        Home(tmp_path, [first, broken])
    assert (tmp_path / "VERSION").read_text() == "2\n"
    Home(tmp_path, [first, second])
    Home(tmp_path, [first, second])
    assert done == [f"first {tmp_path.name}", f"second {tmp_path.name}"]
    assert (tmp_path / "VERSION").read_text() == "3\n"


def test_lock_is_one_processs(tmp_path: Path) -> None:
    """A second process is told who holds the lock; a kill -9 of the holder frees it."""
    home = Home(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from llm_twin.home import Home\n"
        "with Home(Path(sys.argv[1])).lock('ingest'): print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            pytest.raises(TwinError, match=rf"another ingest .*process {holder.pid}"),
            home.lock("ingest"),
        ):
            pass
        with home.lock("other"):
            pass
        holder.send_signal(signal.SIGKILL)
        with home.lock("ingest", wait=60):
            pass


def test_lock_can_be_taken_again_within(tmp_path: Path) -> None:
    """A step of a command takes the lock that the command holds; another `Home` does not."""
    home = Home(tmp_path)
    with home.lock("ingest"):
        with home.lock("ingest"):
            pass
        with pytest.raises(TwinError, match="another ingest"), Home(tmp_path).lock("ingest"):
            pass
    with Home(tmp_path).lock("ingest"):
        pass


def test_file_is_written_whole(tmp_path: Path) -> None:
    """A file that is replaced leaves nothing beside it; one that can't be made leaves nothing."""
    write_whole(tmp_path / "file", b"one")
    write_whole(tmp_path / "file", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
