"""The copy of a source, trees of links, and the folders lent to runs."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from llm_pipeline.errors import LookError, UsageError
from llm_pipeline.source import SourceFiles, list_source
from llm_pipeline.workspace import SLOTS, cache_dir, copy_source, link_tree, slot
from tests.llm_pipeline.rogues import without_coverage

ODD = [b"with space", b"new\nline", b"deep/er/\xc3\xa4"]
if sys.platform == "linux":
    ODD.append(b"latin-\xe4/\xff")  # macOS refuses names that are not UTF-8


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for a source."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the copy goes; not there yet."""
    return tmp_path / "cache" / "copy"


def listed(root: Path, *names: str) -> SourceFiles:
    """A source of these files, or of all that are there."""
    if names:
        return SourceFiles(root, tuple(os.fsencode(name) for name in names))
    return list_source(root)


def tree(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every path below a folder with its mode, time and content."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = ""
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes().hex()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def test_copy_keeps_contents_times_and_modes(root: Path, target: Path) -> None:
    """A copy has the contents, times and permissions of the source, in files of its own."""
    (root / "pkg").mkdir()
    (root / "empty").touch()
    (root / "pkg" / "run.sh").write_text("#!/bin/sh\n")
    (root / "pkg" / "run.sh").chmod(0o755)
    (root / "big").write_bytes(os.urandom((3 << 20) + 17))
    for path in root.rglob("*"):
        os.utime(path, ns=(1_000_000_007, 1_234_567_890_123_456_789))
    before = tree(root)
    assert copy_source(listed(root), target) == []
    copied = tree(target)
    assert copied.keys() == before.keys()
    for name in ("empty", "pkg/run.sh", "big"):
        assert copied[name] == before[name]
        assert (root / name).stat().st_ino != (target / name).stat().st_ino
    assert tree(root) == before


def test_copy_of_odd_names(root: Path, target: Path) -> None:
    """Names with spaces, newlines and bytes that are no UTF-8 are copied as they are."""
    for name in ODD:
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name)
    assert copy_source(listed(root), target) == []
    assert list_source(target).files == tuple(sorted(ODD))
    for name in ODD:
        assert (target / os.fsdecode(name)).read_bytes() == name


def test_copy_of_a_part(root: Path, target: Path) -> None:
    """Only the files of the listing are copied."""
    (root / "a").touch()
    (root / "b").touch()
    copy_source(listed(root, "a"), target)
    assert [path.name for path in target.iterdir()] == ["a"]


def test_read_only_source(root: Path, target: Path) -> None:
    """A source that nobody may write is left so, and its copy can be changed by its owner."""
    (root / "pkg").mkdir()
    (root / "pkg" / "a.py").write_text("a")
    (root / "pkg" / "a.py").chmod(0o444)
    (root / "pkg").chmod(0o555)
    root.chmod(0o555)
    try:
        before = tree(root)
        copy_source(listed(root), target)
        assert tree(root) == before
    finally:
        root.chmod(0o755)
        (root / "pkg").chmod(0o755)
    assert stat.S_IMODE((target / "pkg" / "a.py").stat().st_mode) == 0o644
    assert (target / "pkg").stat().st_mode & stat.S_IWUSR


def test_special_permissions_are_dropped(root: Path, target: Path) -> None:
    """The copy of a set-user-id program is an ordinary program."""
    (root / "tool").touch()
    (root / "tool").chmod(0o4755)
    copy_source(listed(root), target)
    assert stat.S_IMODE((target / "tool").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("links", "kept"),
    [
        ({"l": "a.py"}, {"l"}),
        ({"pkg/l": "../a.py"}, {"pkg/l"}),
        ({"l": "pkg"}, {"l"}),
        ({"pkg/l": ".."}, {"pkg/l"}),
        ({"l": "nowhere"}, {"l"}),
        ({"l": "l"}, {"l"}),
        ({"l": "../outside"}, set()),
        ({"l": ".."}, set()),
        ({"l": "../copy-of-a-neighbour"}, set()),
        ({"pkg/l": "../../outside"}, set()),
        ({"l": "pkg/../../outside"}, set()),
        ({"l": "nowhere/../../outside"}, set()),
        ({"pkg/top": "..", "pkg/l": "top/../outside"}, {"pkg/top"}),
        ({"a": "b", "b": "c", "c": "../outside"}, set()),
        ({"c": "b", "b": "a", "a": "../outside"}, set()),
    ],
)
def test_links(root: Path, target: Path, links: dict[str, str], kept: set[str]) -> None:
    """Links within the source are kept; those that lead out, in whatever way, are left out."""
    (root / "pkg").mkdir()
    (root / "a.py").write_text("a")
    (root / "pkg" / "b.py").write_text("b")
    (root.parent / "outside").write_text("precious")
    for name, aim in links.items():
        (root / name).symlink_to(aim)
    left_out = copy_source(listed(root), target)
    found = {name for name in links if (target / name).is_symlink()}
    assert found == kept
    for name in found:
        assert (target / name).readlink() == (root / name).readlink()
    assert {os.fsdecode(left.path) for left in left_out} == links.keys() - found


@pytest.mark.parametrize("where", ["outside", "source/a.py"])
def test_absolute_links(root: Path, target: Path, where: str) -> None:
    """An absolute link is left out, even one to the source: a check could write through it."""
    (root / "a.py").write_text("a")
    (root / "l").symlink_to(root.parent / where)
    (left,) = copy_source(listed(root), target)
    assert left.path == b"l"
    assert str(left).startswith("l was left out: a link to the absolute path /")
    assert [path.name for path in target.iterdir()] == ["a.py"]


def test_special_files(root: Path, target: Path, tmp_path: Path) -> None:
    """Pipes and sockets are left out and named, and nobody waits for them."""
    (root / "a.py").touch()
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        stack.callback(os.chdir, Path.cwd())
        os.chdir(tmp_path / "source")  # the name of a socket has to be short
        listener.bind("socket")
        left_out = copy_source(listed(root), target)
    assert sorted(map(str, left_out)) == [
        "pipe was left out: a named pipe",
        "socket was left out: a socket",
    ]
    assert [path.name for path in target.iterdir()] == ["a.py"]


def test_file_that_vanished(root: Path, target: Path) -> None:
    """A file that is deleted while the source is copied is left out and named."""
    (root / "a.py").touch()
    (left,) = copy_source(listed(root, "a.py", "gone\n.py", "a.py/b"), target)[:-1]
    assert str(left) == r"gone\n.py was left out: it vanished while the source was copied"


def test_target_is_emptied(root: Path, target: Path) -> None:
    """What an earlier run left is removed, and what its links lead to is not."""
    (root / "a.py").touch()
    precious = root.parent / "precious"
    precious.mkdir()
    (precious / "file").touch()
    copy_source(listed(root), target)
    (target / "left" / "over").mkdir(parents=True)
    (target / "left" / "over" / "file").touch()
    (target / "link").symlink_to(precious)
    copy_source(listed(root), target)
    assert [path.name for path in target.iterdir()] == ["a.py"]
    assert (precious / "file").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_target_is_no_folder(root: Path, target: Path, kind: str) -> None:
    """A file or a link in the place of the copy is replaced, and not followed."""
    (root / "a.py").touch()
    target.parent.mkdir()
    if kind == "link":
        (target.parent / "other").mkdir()
        (target.parent / "other" / "precious").touch()
        target.symlink_to("other")
    else:
        target.touch()
    copy_source(listed(root), target)
    assert not target.is_symlink()
    assert (target / "a.py").exists()
    assert kind == "file" or (target.parent / "other" / "precious").exists()


@pytest.mark.parametrize("where", [".", ".."])
def test_source_is_never_emptied(root: Path, where: str) -> None:
    """A copy onto the source or a folder around it is refused before anything is removed."""
    (root / "a.py").touch()
    with pytest.raises(UsageError, match=r"the source .* lies there"):
        copy_source(listed(root), root / where)
    assert (root / "a.py").exists()


AS_USER = """
import os, sys
from pathlib import Path
from llm_pipeline.errors import PipelineError
from llm_pipeline.source import SourceFiles, list_source
from llm_pipeline.workspace import cache_dir, copy_source, slot
if os.getuid() == 0 and sys.argv[2] == "ordinary":
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.umask(0o022)
here = Path(sys.argv[1])
root = here / "source"
root.mkdir()
(root / "a.py").touch()
try:
    {body}
except PipelineError as error:
    print(error)
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that an ordinary user may write; pytest's own are closed to it."""
    made = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True)
    folder = Path(made.stdout.strip()).resolve()
    folder.chmod(0o777)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
    subprocess.run(["rm", "-rf", folder], check=True)


def as_user(folder: Path, body: str, *prefix: str, user: str = "ordinary") -> str:
    """Run some Python as an ordinary user, whom permissions stop, and give what it prints."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", AS_USER.format(body=body), folder, user],
        cwd=folder,
        env=without_coverage(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_unreadable_file(shared: Path) -> None:
    """A file that can't be read is an error that names it."""
    body = '(root / "a.py").chmod(0); copy_source(list_source(root), here / "copy")'
    assert as_user(shared, body) == (
        "can't read a.py of the source: Permission denied; let this user read it\n"
    )


def test_folders_that_nobody_may_write_are_emptied(shared: Path) -> None:
    """Folders that a test made read-only, or closed, don't keep the next run from starting."""
    body = """
    copy = here / "copy"
    for mode in (0o555, 0o000):
        copy_source(list_source(root), copy)
        (copy / "d" / "e").mkdir(parents=True)
        (copy / "d" / "e" / "f").touch()
        (copy / "d" / "e").chmod(mode)
        (copy / "d").chmod(mode)
        copy.chmod(mode)
    copy_source(list_source(root), copy)
    print(*os.listdir(copy))
"""
    assert as_user(shared, body.strip()) == "a.py\n"


def test_target_that_cannot_be_written(shared: Path) -> None:
    """A copy that can't be written is an error that says where else it may go."""
    body = 'here = here / "closed"; here.mkdir(0o555); copy_source(list_source(root), here / "c")'
    said = as_user(shared, body)
    assert said == (
        f"can't write {shared}/closed/c: Permission denied;"
        " set LLM_PIPELINE_CACHE to another folder\n"
    )


def test_cache_that_cannot_be_written(shared: Path) -> None:
    """A cache folder that can't be made or written is an error that names the variable."""
    body = """
    (here / "closed").mkdir(0o555)
    for cache in (here / "closed", here / "closed" / "below", root / "a.py"):
        try:
            slot(cache, root).__enter__()
        except PipelineError as error:
            print(error)
"""
    lines = as_user(shared, body.strip()).splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith(f"can't write {shared}/")
        assert line.endswith("; set LLM_PIPELINE_CACHE to another folder")


def test_full_disk(shared: Path) -> None:
    """A full disk is an error that says so."""
    if sys.platform != "linux":
        pytest.skip("needs a small file system, which only Linux lets us make")
    script = 'mount -t tmpfs -o size=64k none "$0"/small && exec "$@"'
    prefix = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, str(shared)]
    (shared / "small").mkdir()
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system, not even in a namespace")
    body = "(root / 'a.py').write_bytes(bytes(1 << 20)); "
    body += "copy_source(list_source(root), here / 'small' / 'copy')"
    said = as_user(shared, body, *prefix, user="mapped to root")
    assert said.startswith(f"the disk is full: can't write {shared}/small/copy; make room")


def test_link_tree(root: Path, target: Path) -> None:
    """A tree of links holds the wanted files alone, sharing their content."""
    for name in ("a.py", "pkg/b.py", "pkg/c.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    (root / "l").symlink_to("a.py")
    target.mkdir(parents=True)
    (target / "old").touch()
    link_tree(root, target, [b"a.py", b"l", b"missing", b"gone/too", b"pkg/b.py"])
    assert list_source(target).files == (b"a.py", b"l", b"pkg/b.py")
    assert (target / "pkg" / "b.py").samefile(root / "pkg" / "b.py")
    assert (target / "l").readlink() == Path("a.py")


def test_link_tree_across_file_systems(root: Path, target: Path) -> None:
    """Where links can't be made the files are copied."""
    memory = Path("/dev/shm")  # noqa: S108 - the other file system that most machines have
    if not memory.is_dir() or memory.stat().st_dev == root.stat().st_dev:
        pytest.skip("there is no second file system")
    (root / "a.py").write_text("a")
    elsewhere = memory / f"llm-pipeline-test-{os.getpid()}"
    try:
        link_tree(root, elsewhere, [b"a.py"])
        assert (elsewhere / "a.py").read_text() == "a"
        assert (elsewhere / "a.py").stat().st_mtime_ns == (root / "a.py").stat().st_mtime_ns
    finally:
        subprocess.run(["rm", "-rf", elsewhere], check=True)
    assert not target.exists()


def test_slot_is_stable(root: Path, tmp_path: Path) -> None:
    """A source gets the same folder in each run, with what the last run left in it."""
    with slot(tmp_path / "cache", root) as first:
        (first / "kept").touch()
        assert first.parent == tmp_path / "cache"
        assert first.name.startswith("source-")
    with slot(tmp_path / "cache", root / ".." / "source") as second:
        assert second == first
        assert (second / "kept").exists()


def test_slots_of_different_sources_differ(tmp_path: Path) -> None:
    """Sources of the same name do not share a folder, and any name makes a folder."""
    folders = set()
    for name in ("a/My Repo", "b/My Repo", "a/...", "a/\udce4", "a/" + "long" * 50):
        source = tmp_path / name
        source.mkdir(parents=True)
        with slot(tmp_path / "cache", source) as folder:
            folders.add(folder)
            assert folder.is_dir()
            assert len(folder.name) < 60
    assert len(folders) == 5


def test_slots_at_the_same_time(root: Path, tmp_path: Path) -> None:
    """Runs of one source at the same time get folders of their own, and one too many is refused."""
    with ExitStack() as stack:
        folders = [stack.enter_context(slot(tmp_path / "cache", root)) for _ in range(SLOTS)]
        assert [folder.name for folder in folders[1:]] == [
            f"{folders[0].name}-{number}" for number in range(2, SLOTS + 1)
        ]
        with pytest.raises(LookError, match="wait until one"), slot(tmp_path / "cache", root):
            pass
    with slot(tmp_path / "cache", root) as again:
        assert again == folders[0]


def test_slot_of_a_killed_run_is_free(root: Path, tmp_path: Path) -> None:
    """A run that is killed frees its folder, even if a child of it lives on."""
    code = """
import subprocess, sys, time
from pathlib import Path
from llm_pipeline.workspace import slot
with slot(Path(sys.argv[1]), Path(sys.argv[2])) as folder:
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
    print(folder.name, child.pid, flush=True)
    time.sleep(60)
"""
    argv = [sys.executable, "-c", code, str(tmp_path / "cache"), str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        name, child = run.stdout.readline().split()
        with slot(tmp_path / "cache", root) as folder:
            assert folder.name == f"{name}-2"
        run.kill()
    try:
        with slot(tmp_path / "cache", root) as folder:
            assert folder.name == name
    finally:
        os.kill(int(child), 9)


def test_cache_inside_of_the_source(root: Path) -> None:
    """A cache folder in the source, as some CI systems want it, is no part of the source."""
    (root / "a.py").touch()
    with slot(root / "cache", root) as folder:
        copy_source(listed(root), folder / "copy")
        assert list_source(root).files == (b"a.py",)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        assert list_source(root).files == (b"a.py",)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LLM_PIPELINE_CACHE": "/c/mine", "XDG_CACHE_HOME": "/x"}, "/c/mine"),
        ({"LLM_PIPELINE_CACHE": "", "XDG_CACHE_HOME": "/x"}, "/x/llm-pipeline"),
        ({"XDG_CACHE_HOME": "relative"}, None),
        ({}, None),
    ],
)
def test_cache_dir(variables: dict[str, str], expected: str | None) -> None:
    """The cache folder is the named one, else the user's, as the platform has it."""
    platform = "Library/Caches" if sys.platform == "darwin" else ".cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/home/x")
        for name in ("LLM_PIPELINE_CACHE", "XDG_CACHE_HOME"):
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        assert cache_dir() == Path(expected or f"/home/x/{platform}/llm-pipeline")


def test_relative_cache_dir(tmp_path: Path) -> None:
    """A relative cache folder is meant from where the command is called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("LLM_PIPELINE_CACHE", ".cache")
        assert cache_dir() == tmp_path / ".cache"
