"""What belongs to a source, in git repositories of every kind and without git."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_pipeline.errors import LookError, UsageError
from llm_pipeline.source import SourceFiles, git_env, list_source, show
from tests.llm_pipeline.rogues import without_coverage

Git = Callable[..., str]
ODD = [b"with space", b"new\nline", b"\xc3\xa4", b'quote"', b"-dash", b"#hash", b"tab\t"]
if sys.platform == "linux":
    ODD.append(b"latin-\xe4")  # macOS refuses names that are not UTF-8


@pytest.fixture
def repo(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit of `a.py` and `pkg/b.py`, which ignores `*.log`."""
    root = tmp_path / "repo"
    (root / "pkg").mkdir(parents=True)
    (root / "a.py").write_text("a = 1\n")
    (root / "pkg" / "b.py").write_text("b = 1\n")
    (root / ".gitignore").write_text("*.log\n")
    commit(git, root)
    return root


def commit(git: Git, root: Path) -> None:
    """Make a repository of a folder, where it is none, and commit all that is there."""
    git("init", "-q", cwd=root)
    git("add", "-A", cwd=root)
    git("commit", "-q", "--allow-empty", "-m", "change", cwd=root)


def names(source: SourceFiles) -> list[bytes]:
    """The listed files but the one that every test has."""
    return [file for file in source.files if file != b".gitignore"]


def test_clean_repository(repo: Path, git: Git) -> None:
    """The listing names commit, tree and files, sorted and without git's own."""
    source = list_source(repo)
    assert source == SourceFiles(
        root=repo,
        files=(b".gitignore", b"a.py", b"pkg/b.py"),
        commit=git("rev-parse", "HEAD", cwd=repo),
        tree=git("rev-parse", "HEAD^{tree}", cwd=repo),
        dirty=False,
        git=True,
    )


@pytest.mark.parametrize("change", ["edit", "stage", "untracked", "delete", "remove", "mode"])
def test_dirty(repo: Path, git: Git, change: str) -> None:
    """Whatever differs from the commit makes the source dirty; the files are those on disk."""
    match change:
        case "edit":
            (repo / "a.py").write_text("a = 2\n")
        case "stage":
            (repo / "a.py").write_text("a = 2\n")
            git("add", "a.py", cwd=repo)
        case "untracked":
            (repo / "new.py").touch()
        case "delete":
            (repo / "a.py").unlink()
        case "remove":
            git("rm", "-q", "a.py", cwd=repo)
        case _:
            (repo / "a.py").chmod(0o755)
    source = list_source(repo)
    assert source.dirty
    assert (b"new.py" in source.files) == (change == "untracked")
    assert (b"a.py" in source.files) == (change not in {"delete", "remove"})


def test_ignored_files_are_no_part(repo: Path) -> None:
    """A file that git ignores neither belongs to the source nor makes it dirty."""
    (repo / "x.log").touch()
    source = list_source(repo)
    assert not source.dirty
    assert b"x.log" not in source.files


def test_tracked_although_ignored(repo: Path, git: Git) -> None:
    """A file that git tracks belongs to the source even if a pattern ignores it."""
    (repo / "x.log").touch()
    git("add", "-f", "x.log", cwd=repo)
    assert b"x.log" in list_source(repo).files


@pytest.mark.parametrize("tracked", [True, False])
def test_odd_names(repo: Path, git: Git, *, tracked: bool) -> None:
    """Names with spaces, newlines, quotes and bytes that are no UTF-8 are listed as they are."""
    folder = os.fsencode(repo) + b"/odd\n "
    os.mkdir(folder)  # noqa: PTH102 - bytes
    for name in ODD:
        with open(folder + b"/" + name, "wb"):  # noqa: PTH123 - bytes
            pass
    if tracked:
        commit(git, repo)
    source = list_source(repo)
    assert {b"odd\n /" + name for name in ODD} <= set(source.files)
    assert source.dirty != tracked


def test_subfolder_of_a_repository(repo: Path, git: Git) -> None:
    """A source below a repository's root has its own files alone, relative to itself."""
    (repo / "a.py").write_text("changed\n")
    (repo / "pkg" / "new.py").touch()
    (repo / "pkg" / "x.log").touch()
    source = list_source(repo / "pkg")
    assert source.files == (b"b.py", b"new.py")
    assert source.commit == git("rev-parse", "HEAD", cwd=repo)
    assert source.dirty
    (repo / "pkg" / "new.py").unlink()
    assert not list_source(repo / "pkg").dirty


def test_subfolder_with_an_odd_name(repo: Path) -> None:
    """A newline in the source's own folder mixes nothing up."""
    folder = repo / "new\nline"
    folder.mkdir()
    (folder / "c.py").touch()
    source = list_source(folder)
    assert source.files == (b"c.py",)
    assert source.commit


def test_folder_that_an_outer_repository_ignores(repo: Path) -> None:
    """A folder that the repository around it ignores is a source without git, not an empty one."""
    inner = repo / "build.log"
    inner.mkdir()
    (inner / "c.py").touch()
    assert list_source(inner) == SourceFiles(inner, (b"c.py",))


def test_empty_repository(tmp_path: Path, git: Git) -> None:
    """A repository without a commit has files, but neither commit nor tree."""
    git("init", "-q")
    assert list_source(tmp_path) == SourceFiles(tmp_path, (), git=True)
    (tmp_path / "a.py").touch()
    git("add", "a.py")
    (tmp_path / "b.py").touch()
    assert list_source(tmp_path) == SourceFiles(tmp_path, (b"a.py", b"b.py"), dirty=True, git=True)


def test_bare_repository(tmp_path: Path, git: Git) -> None:
    """A repository without a working tree is refused."""
    git("init", "-q", "--bare", "bare")
    with pytest.raises(LookError, match="give the folder of its working tree"):
        list_source(tmp_path / "bare")


def test_worktree(repo: Path, tmp_path: Path, git: Git) -> None:
    """A worktree, where `.git` is a file, is listed like a clone."""
    git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"), cwd=repo)
    source = list_source(tmp_path / "tree")
    assert source.files == list_source(repo).files
    assert source.commit == list_source(repo).commit
    assert not source.dirty


def test_worktree_without_its_repository(repo: Path, tmp_path: Path, git: Git) -> None:
    """A worktree whose repository is gone is an error, and not a source without git."""
    git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"), cwd=repo)
    repo.rename(tmp_path / "moved")
    with pytest.raises(LookError, match="not a git repository"):
        list_source(tmp_path / "tree")


def test_damaged_repository(repo: Path) -> None:
    """A repository that git can't read is an error, and not a source without git."""
    (repo / ".git" / "HEAD").write_text("nonsense\n")
    with pytest.raises(LookError, match="git can't read the repository"):
        list_source(repo)


def test_commit_that_is_missing(repo: Path, git: Git) -> None:
    """A repository whose last commit is lost is an error that stays one line."""
    commit_id = git("rev-parse", "HEAD", cwd=repo)
    (repo / ".git" / "objects" / commit_id[:2] / commit_id[2:]).unlink()
    with pytest.raises(LookError, match="git can't read the repository") as caught:
        list_source(repo)
    assert "\n" not in str(caught.value)


def test_shallow_clone(repo: Path, tmp_path: Path, git: Git) -> None:
    """A shallow clone is listed like a full one."""
    commit(git, repo)
    git("clone", "-q", "--depth", "1", repo.as_uri(), "shallow")
    assert list_source(tmp_path / "shallow").files == list_source(repo).files


def test_sparse_checkout(repo: Path, git: Git) -> None:
    """Files that a sparse checkout leaves out are not listed, and that is not a change."""
    git("sparse-checkout", "set", "--no-cone", "/a.py", cwd=repo)
    source = list_source(repo)
    assert source.files == (b"a.py",)
    assert not source.dirty


def test_folder_replaced_by_a_link(repo: Path, tmp_path: Path) -> None:
    """Files behind a link that took the place of their folder are not listed; the link is."""
    (repo / "pkg").rename(tmp_path / "elsewhere")
    (repo / "pkg").symlink_to(tmp_path / "elsewhere")
    assert names(list_source(repo)) == [b"a.py", b"pkg"]


def test_conflict(repo: Path, git: Git) -> None:
    """A file in conflict is listed once."""
    git("checkout", "-q", "-b", "other", cwd=repo)
    (repo / "a.py").write_text("a = 2\n")
    commit(git, repo)
    git("checkout", "-q", "main", cwd=repo)
    (repo / "a.py").write_text("a = 3\n")
    commit(git, repo)
    with pytest.raises(subprocess.CalledProcessError):
        git("merge", "other", cwd=repo)
    source = list_source(repo)
    assert names(source) == [b"a.py", b"pkg/b.py"]
    assert source.dirty


@pytest.fixture
def outer(tmp_path: Path, repo: Path, git: Git) -> Path:
    """A repository that holds `repo` as the submodule `lib/sub`."""
    root = tmp_path / "outer"
    root.mkdir()
    (root / "main.py").touch()
    commit(git, root)
    allow = ("-c", "protocol.file.allow=always")
    git(*allow, "submodule", "add", "-q", str(repo), "lib/sub", cwd=root)
    commit(git, root)
    return root


def test_submodule(outer: Path) -> None:
    """The files of a submodule that is checked out are a part of the source, if it tracks them."""
    (outer / "lib" / "sub" / "untracked.py").touch()
    source = list_source(outer)
    assert source.files == (
        b".gitmodules",
        b"lib/sub/.gitignore",
        b"lib/sub/a.py",
        b"lib/sub/pkg/b.py",
        b"main.py",
    )
    assert source.notes == ()
    assert source.dirty


def test_submodule_not_checked_out(outer: Path, tmp_path: Path, git: Git) -> None:
    """A submodule that is not checked out is mentioned with the command that mends it."""
    git("clone", "-q", str(outer), "clone")
    source = list_source(tmp_path / "clone")
    assert source.files == (b".gitmodules", b"main.py")
    assert not source.dirty
    (note,) = source.notes
    assert note.startswith("submodule lib/sub is not checked out")
    assert note.endswith("git submodule update --init -- lib/sub")


def test_submodule_with_a_broken_link(outer: Path) -> None:
    """A submodule whose `.git` is no repository is an error, and never listed as the outer one."""
    (outer / "lib" / "sub" / ".git").unlink()
    (outer / "lib" / "sub" / ".git").mkdir()
    with pytest.raises(LookError, match="lib/sub"):
        list_source(outer)


@pytest.mark.parametrize("committed", [True, False])
def test_nested_repository(repo: Path, git: Git, *, committed: bool) -> None:
    """The files of an untracked repository inside the source are a part of it."""
    inner = repo / "vendor" / "inner"
    inner.mkdir(parents=True)
    (inner / "c.py").touch()
    git("init", "-q", cwd=inner)
    if committed:
        commit(git, inner)
    (inner / "d.py").touch()
    source = list_source(repo)
    assert names(source) == [b"a.py", b"pkg/b.py", b"vendor/inner/c.py", b"vendor/inner/d.py"]
    assert source.dirty


def test_without_git(tmp_path: Path) -> None:
    """Without git all files belong to the source, but those in caches and environments."""
    for folder in (".venv", "node_modules", "pkg/__pycache__", ".ruff_cache", "env", "cache", "p"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.py").touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "cache" / "CACHEDIR.TAG").touch()
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "link").symlink_to("p")
    (tmp_path / "dangling").symlink_to("nowhere")
    source = list_source(tmp_path)
    assert source == SourceFiles(tmp_path, (b"dangling", b"link", b"p/x.py", b"pyvenv.cfg"))


def test_not_a_folder(tmp_path: Path) -> None:
    """A source that is no folder is wrong use, and the message names it."""
    (tmp_path / "file").touch()
    for name in ("file", "missing"):
        with pytest.raises(UsageError, match=f"there is no folder .*{name}"):
            list_source(tmp_path / name)


def test_called_from_a_hook(repo: Path, tmp_path: Path, git: Git) -> None:
    """The variables that git sets for its hooks don't lead us to another repository."""
    (tmp_path / "other").mkdir()
    commit(git, tmp_path / "other")
    expected = list_source(repo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
        patch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
        patch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
        patch.setenv("GIT_PREFIX", "pkg/")
        assert list_source(repo) == expected
        assert not {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} & git_env().keys()


def test_users_git_settings_change_nothing(repo: Path, git: Git) -> None:
    """The settings of the user and the repository for `git status` don't change the listing."""
    (repo / "new dir").mkdir()
    (repo / "new dir" / "x.py").touch()
    # Where git tells of renames, this old name reads like "pkg/b.py was deleted".
    (repo / "xD pkg").mkdir()
    (repo / "xD pkg" / "b.py").write_text("long enough to be recognised\n")
    commit(git, repo)
    git("mv", "xD pkg/b.py", "renamed.py", cwd=repo)
    expected = list_source(repo)
    assert {b"new dir/x.py", b"pkg/b.py", b"renamed.py"} <= set(expected.files)
    for name, value in (
        ("status.showUntrackedFiles", "no"),
        ("status.renames", "copies"),
        ("status.short", "true"),
        ("status.branch", "true"),
        ("status.showStash", "true"),
        ("core.quotePath", "true"),
        ("color.ui", "always"),
        ("core.pager", "false"),
    ):
        git("config", name, value, cwd=repo)
    assert list_source(repo) == expected


def test_nothing_is_written(repo: Path) -> None:
    """Listing a source leaves git's own files as they are."""
    os.utime(repo / "a.py", (1, 1))

    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (repo / ".git").rglob("*")}

    before = state()
    assert not list_source(repo).dirty
    assert state() == before


def test_repository_of_another_user(repo: Path) -> None:
    """A repository of somebody else is refused with the command that allows it, which works."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another user")
    repo = repo.rename(repo.with_name("owner's repo"))
    for path in [repo, *repo.rglob("*")]:
        os.chown(path, 4242, 4242, follow_symlinks=False)
    with pytest.raises(LookError) as caught:
        list_source(repo)
    said, _, command = str(caught.value).partition("; run: ")
    assert "belongs to another user" in said
    assert command.startswith("git config --global --add safe.directory ")
    settings = repo.parent / "settings"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        subprocess.run(command, shell=True, check=True)  # noqa: S602 - as a person would
        assert list_source(repo).git


def test_git_is_missing(repo: Path, tmp_path: Path) -> None:
    """Without git the listing is an error that says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(LookError, match="install git"):
            list_source(repo)


AS_NOBODY = """
import os, sys
from pathlib import Path
from llm_pipeline.errors import PipelineError
from llm_pipeline.source import list_source
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
root = Path(sys.argv[1])
(root / "closed").mkdir()
(root / "closed" / "x.py").touch()
(root / "closed").chmod(0)
try:
    list_source(root)
except PipelineError as error:
    print(error)
(root / "closed").chmod(0o700)
"""


@pytest.mark.parametrize("with_git", [True, False])
def test_unreadable_folder(git: Git, *, with_git: bool) -> None:
    """A folder that can't be read is an error, and not passed over."""
    # A folder of its own: pytest's are closed to the user that root turns into.
    made = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True)
    root = Path(made.stdout.strip())
    try:
        if with_git:
            git("init", "-q", cwd=root)
        subprocess.run(["chmod", "-R", "a+rwX", root], check=True)
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "65534", root], check=True)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, root],
            env={**without_coverage(), "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert "closed" in done.stdout
        assert "Permission denied" in done.stdout
    finally:
        subprocess.run(["rm", "-rf", root], check=True)


def test_many_files(repo: Path, git: Git) -> None:
    """Thousands of files, tracked and untracked, are all listed."""
    for number in range(5000):
        folder = repo / f"d{number % 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.py").touch()
        if number == 2500:
            commit(git, repo)
    assert len(names(list_source(repo))) == 5002


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a/b c.py", "a/b c.py"),
        ("grün".encode(), "grün"),
        (b"new\nline", r"new\nline"),
        (b"\xff\x1b[0m", r"\xff\x1b[0m"),
    ],
)
def test_show(path: bytes, shown: str) -> None:
    """A path is shown as one line of text, whatever is in it."""
    assert show(path) == shown
