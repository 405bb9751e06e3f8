"""Sources and machines that are not as one would wish: one message, and nothing left behind."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.host import COMMAND, Host, assert_refused, remove, snapshot
from tests.e2e.repositories import clean, commit, git, key, write
from tests.e2e.running import left_behind, marked

LINT = 'checks = ["lint"]\n'
TEST = 'checks = ["test"]\n'
FORKS = """\
import os
import subprocess
import sys
import time

SLEEP = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"


def test_forks():
    subprocess.Popen([sys.executable, "-c", SLEEP])
    subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True, env={{"M": "{mark}"}})
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
    {then}
"""


def test_empty_folder(host: Host, source: Path) -> None:
    """In a folder with nothing in it there is nothing to look at, and that is no pass."""
    source.mkdir()
    ran = host.run(source)
    assert ran.code == 3
    assert ran.checks["gitleaks"] == "error"
    assert "This is no git repository" in ran.said


def test_no_folder(host: Host) -> None:
    """A source that is not there is a wrong use."""
    argv = [COMMAND, "ci", "--source", "absent"]
    done = subprocess.run(
        argv, cwd=host.folder, env=host.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "'absent' does not exist" in done.stderr


def test_inside_of_git(host: Host, source: Path) -> None:
    """The folder `.git` itself is no source."""
    clean(source)
    ran = host.run(source / ".git")
    assert ran.code == 3
    assert_refused(ran, "give the folder of its working tree")


def test_unknown_check(host: Host, source: Path) -> None:
    """A name that is no check's is told, with those that are."""
    clean(source)
    ran = host.run(source, None, "--only", "lints")
    assert ran.code == 2
    assert_refused(ran, "There is no check named 'lints'; there are: gitleaks, lint,")


def test_a_test_that_forks(host: Host, source: Path) -> None:
    """What a test starts and leaves behind is ended with it, whatever it does to stay."""
    with marked() as mark:
        clean(source, {"tests/test_more.py": FORKS.format(mark=mark, then="pass")})
        ran = host.run(source, TEST, env={"LANG": mark})
        assert ran.checks == {"test": "passed"}, ran.said
        assert not left_behind(mark)


def test_a_test_that_hangs_with_children(host: Host, source: Path) -> None:
    """At its time limit a test ends, with all that it started."""
    with marked() as mark:
        clean(source, {"tests/test_more.py": FORKS.format(mark=mark, then="time.sleep(60)")})
        ran = host.run(source, f"{TEST}test.timeout = 4\n", env={"LANG": mark})
        assert ran.checks == {"test": "failed"}, ran.said
        assert "4 s" in ran.of("test")["summary"]
        assert ran.verdict["seconds"] < 25
        assert not left_behind(mark)


def test_missing_git(host: Host, source: Path, tmp_path: Path) -> None:
    """Without git there is one line that says so."""
    clean(source)
    ran = host.run(source, LINT, env={"PATH": str(tmp_path)})
    assert ran.code == 3
    assert_refused(ran, "git was not found in the PATH; install git")


def test_foreign_gitleaks(host: Host, source: Path, tmp_path: Path) -> None:
    """Another gitleaks on the path than the pinned one is not taken."""
    clean(source)
    other = tmp_path / "gitleaks"
    other.write_text("#!/bin/sh\necho 8.0.0\n")
    other.chmod(0o755)
    write(source, {"notes.txt": f"{key()}\n"})
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ran = host.run(source, 'checks = ["gitleaks"]\n', env={"PATH": path})
    assert ran.checks == {"gitleaks": "failed"}
    assert ran.of("gitleaks")["tool"] == "gitleaks 8.30.1"


@pytest.mark.parametrize("kind", ["full", "folder", "file", "link"])
def test_reports_that_can_not_be_written(host: Host, source: Path, kind: str) -> None:
    """Where reports can't be written the run is no pass, and what was found is still shown."""
    clean(source, {"app/more.py": "import os\n"})
    reports = host.folder / "elsewhere"
    remove(reports)
    with _reports(reports, kind):
        argv = [COMMAND, "ci", "--source", str(source), "--reports", str(reports)]
        settings = host.folder / "settings.toml"
        settings.write_text(LINT)
        done = subprocess.run(
            [*argv, "--config", str(settings)],
            env=host.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2 if kind == "file" else 3
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    if kind != "file":
        assert done.stderr.count("\n") == 1
        assert "--reports" in done.stderr
        assert "app/more.py" in done.stdout


@contextmanager
def _reports(folder: Path, kind: str) -> Iterator[None]:
    """Make a folder for reports in which nothing can be written."""
    if kind == "full":
        # Where nobody may mount, the device that is always full does as well.
        folder.mkdir()
        (folder / "logs").mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=4", "none", str(folder)]
        if os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode:
            try:
                yield
            finally:
                subprocess.run(["umount", str(folder)], check=True)
            return
        (folder / "logs").rmdir()
        (folder / "logs").symlink_to("/dev/full")
    elif kind == "folder":
        folder.mkdir()
        (folder / "verdict.json").mkdir()
    elif kind == "file":
        folder.touch()
    else:
        folder.mkdir()
        (folder / "logs").symlink_to(folder)
    try:
        yield
    finally:
        folder.unlink() if kind == "file" else shutil.rmtree(folder)


def test_full_disk(host: Host, source: Path) -> None:
    """Where not even the copy of the source finds room, one line says so."""
    clean(source, {"large.bin": "x" * 3_000_000})
    before = snapshot(source)
    done = subprocess.run(
        host.arguments(source, LINT),
        env=host.environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "LLM_PIPELINE_CACHE" in done.stderr
    assert snapshot(source) == before


def test_read_only_source(host: Host, source: Path) -> None:
    """A source that nobody may write is looked at as any other."""
    clean(source, {"app/more.py": "import os\n"})
    for parent, _, files in os.walk(source):
        for path in (Path(parent), *(Path(parent, name) for name in files)):
            path.chmod(path.stat().st_mode & 0o555)
    ran = host.run(source, 'checks = ["gitleaks", "lint", "types"]\n')
    assert ran.checks == {"gitleaks": "passed", "lint": "failed", "types": "passed"}


@pytest.mark.skipif(sys.platform != "linux", reason="macOS takes no name that is no UTF-8")
def test_strange_names(host: Host, source: Path) -> None:
    """Names with spaces, newlines, control characters and bytes that are no text."""
    clean(source, {"ruff.toml": 'lint.select = ["F"]\n'})
    names = [
        b"a b.py",
        b"new\nline.py",
        b"\x1b[31mred.py",
        b"no-utf8-\xff.py",
        b"-x.py",
        b"'\"$.py",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(source) + b"/app/" + name)).write_text("import os\n")
    commit(source)
    ran = host.run(source, 'checks = ["gitleaks", "lint", "format"]\nkeep-going = true\n')
    assert ran.checks == {"gitleaks": "passed", "lint": "failed", "format": "passed"}, ran.said
    assert ran.of("lint")["summary"] == f"{len(names)} findings in {len(names)} files"
    assert "\x1b" not in ran.said
    for text in ran.written.values():
        assert text.decode()


def test_links_out_of_the_source(host: Host, source: Path, tmp_path: Path) -> None:
    """A link that leads out is not followed, for reading or writing, and that is told."""
    outside = tmp_path / "outside.py"
    outside.write_text("import os\n")
    clean(source)
    (source / "app/linked.py").symlink_to(outside)
    (source / "app/up.py").symlink_to(os.path.relpath(outside, source / "app"))
    commit(source)
    ran = host.run(source, 'checks = ["lint", "test"]\n')
    assert ran.code == 0
    assert "app/linked.py was left out" in ran.said
    assert "app/up.py was left out" in ran.said
    assert outside.read_text() == "import os\n"


def test_tests_that_write(host: Host, source: Path) -> None:
    """What tests write, change and delete is in the copy alone."""
    text = (
        "from pathlib import Path\n\n\ndef test_it():\n    root = Path(__file__).parents[1]\n"
        "    (root / 'app/__init__.py').write_text('')\n    (root / 'README.md').unlink()\n"
        "    (root / 'new.txt').write_text('')\n    (root / 'tests').chmod(0o500)\n"
    )
    clean(source, {"tests/test_app.py": text})
    for _ in range(2):
        assert host.run(source, f"red-controls = false\n{TEST}").code == 0


@pytest.mark.parametrize("count", [20_000])
def test_many_files(host: Host, source: Path, count: int, *, acceptance: bool) -> None:
    """A repository of many files is looked at in reasonable time."""
    count = count if acceptance else count // 10
    clean(source)
    for number in range(count):
        folder = source / f"data/{number % 100}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.py").write_text(f"VALUE = {number}\n")
    commit(source)
    git(source, "gc", "--quiet")
    ran = host.run(source, 'checks = ["gitleaks", "lint", "format", "test"]\n')
    assert ran.code == 0, ran.said
    assert ran.of("format")["summary"] == f"{count + 2} files already formatted"
    assert ran.verdict["seconds"] < 120
