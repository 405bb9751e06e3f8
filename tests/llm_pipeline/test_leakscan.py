"""Where a leak can hide: every place is scanned, and what is allowed is not reported."""

import os
from pathlib import Path

import pytest

from llm_pipeline.config import LeakSettings
from llm_pipeline.model import Verdict
from tests.llm_pipeline.scanning import (
    RULES,
    SHELLS,
    Git,
    Scan,
    assert_found,
    commit,
    made_up,
    repository,
    sarif_results,
)


@pytest.fixture
def source(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit and no leak."""
    return repository(git, tmp_path / "source")


@pytest.mark.parametrize("shell", SHELLS)
def test_clean_source_passes_in_every_shell(source: Path, tmp_path: Path, shell: str) -> None:
    """Without a leak the scan passes and says how much it read."""
    result = Scan(source, tmp_path, shell=shell).run()
    assert result.verdict is Verdict.PASSED, result.log
    assert result.summary == "no leaks in 1 commit and the working tree"
    assert result.findings == ()
    assert sarif_results(result) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_leak_in_a_deleted_file(source: Path, tmp_path: Path, git: Git, shell: str) -> None:
    """A file that is gone from the tree is still in the history, and is found in every shell."""
    secret = made_up()
    leaked = commit(git, source, {"old/key.py": f"\nKEY = '{secret}'\n"}, "leak")
    (source / "old" / "key.py").unlink()
    commit(git, source, {}, "hide it")
    result = Scan(source, tmp_path, shell=shell).run()
    assert_found(result, secret, "old/key.py")
    (finding,) = result.findings
    assert (finding.line, finding.rule) == (2, "made-up")
    assert leaked[:10] in finding.message
    assert f"{leaked}:old/key.py:made-up:2" in finding.message
    assert result.summary == "1 leak in 3 commits and the working tree"
    assert result.exit_code == 9


def test_leak_on_another_branch(source: Path, tmp_path: Path, git: Git) -> None:
    """All branches are scanned, not only the one that is checked out."""
    secret = made_up()
    git("switch", "--quiet", "--create", "side", cwd=source)
    commit(git, source, {"side.py": secret}, "leak")
    git("switch", "--quiet", "main", cwd=source)
    assert_found(Scan(source, tmp_path).run(), secret, "side.py")


def test_leak_on_a_branch_of_a_remote(source: Path, tmp_path: Path, git: Git) -> None:
    """What was fetched from others is scanned."""
    secret = made_up()
    git("switch", "--quiet", "--create", "theirs", cwd=source)
    commit(git, source, {"theirs.py": secret}, "leak")
    git("switch", "--quiet", "main", cwd=source)
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(source), str(clone))
    assert_found(Scan(clone, tmp_path).run(), secret, "theirs.py")


def test_leak_that_only_a_tag_reaches(source: Path, tmp_path: Path, git: Git) -> None:
    """A tagged commit that is on no branch is scanned."""
    secret = made_up()
    git("switch", "--quiet", "--detach", cwd=source)
    commit(git, source, {"release.py": secret}, "leak")
    git("tag", "v1", cwd=source)
    git("switch", "--quiet", "main", cwd=source)
    assert_found(Scan(source, tmp_path).run(), secret, "release.py")


def test_leak_on_a_detached_head(source: Path, tmp_path: Path, git: Git) -> None:
    """A commit that nothing but HEAD names is scanned, as in a job of GitHub Actions."""
    secret = made_up()
    git("switch", "--quiet", "--detach", cwd=source)
    commit(git, source, {"head.py": secret}, "leak")
    (source / "head.py").unlink()
    commit(git, source, {}, "hide it")
    assert_found(Scan(source, tmp_path).run(), secret, "head.py")


def test_leak_in_a_commit_message(source: Path, tmp_path: Path, git: Git) -> None:
    """Messages are read: gitleaks by itself looks at files only."""
    secret = made_up()
    leaked = commit(git, source, {}, f"Fix the deploy\n\nnow with {secret}")
    result = Scan(source, tmp_path).run()
    assert_found(result, secret, ".git/COMMIT_EDITMSG")
    assert result.findings[0].line == 3
    assert f"in the message of commit {leaked[:10]}" in result.findings[0].message


def test_leak_in_the_message_of_a_tag(source: Path, tmp_path: Path, git: Git) -> None:
    """An annotated tag has a message of its own."""
    secret = made_up()
    git("tag", "--annotate", "--message", f"Release\n\nkey {secret}", "v1", cwd=source)
    assert_found(Scan(source, tmp_path).run(), secret, ".git/COMMIT_EDITMSG")


def test_leak_that_is_not_committed(source: Path, tmp_path: Path) -> None:
    """Edits and untracked files are scanned; what git ignores is not."""
    edited, untracked, ignored = made_up(), made_up(), made_up()
    (source / "app.py").write_text(f"x = 1\nKEY = '{edited}'\n")
    (source / "new.py").write_text(f"KEY = '{untracked}'\n")
    (source / ".gitignore").write_text(".env\n")
    (source / ".env").write_text(f"KEY={ignored}\n")
    result = Scan(source, tmp_path).run()
    assert_found(result, edited, "app.py", "new.py")
    assert result.secrets == {edited, untracked}
    assert all("not committed yet" in finding.message for finding in result.findings)
    assert result.findings[0].line == 2


def test_leak_in_the_history_and_in_the_tree_is_one(source: Path, tmp_path: Path, git: Git) -> None:
    """Moving a leak to another line does not make two of it."""
    secret = made_up()
    leaked = commit(git, source, {"key.py": f"KEY = '{secret}'\n"}, "leak")
    commit(git, source, {"key.py": f"# moved\nKEY = '{secret}'  # here\n"}, "move")
    (source / "key.py").write_text(f"# moved\n# again\nKEY = '{secret}'  # there\n")
    result = Scan(source, tmp_path).run()
    assert_found(result, secret, "key.py")
    assert f"{leaked[:10]} of " in result.findings[0].message
    assert "and 2 more" in result.findings[0].message


def test_attributes_hide_nothing(source: Path, tmp_path: Path, git: Git) -> None:
    """`-diff` and `binary` in .gitattributes keep gitleaks by itself from seeing a file."""
    secret = made_up()
    attributes = "*.lock -diff\n*.cfg binary\n"
    commit(git, source, {".gitattributes": attributes, "a.lock": secret, "a.cfg": secret}, "leak")
    assert_found(Scan(source, tmp_path).run(), secret, "a.cfg", "a.lock")


def test_settings_of_the_repository_and_the_user_change_nothing(
    source: Path, tmp_path: Path, git: Git
) -> None:
    """Settings that change git's output would blind gitleaks, and a filter would be run."""
    secret = made_up()
    commit(git, source, {".gitattributes": "*.py diff=own\n", "deep/key.py": secret}, "leak")
    for name, value in {
        "color.ui": "always",
        "diff.noprefix": "true",
        "format.pretty": "oneline",
        "diff.external": f"touch {tmp_path}/ran",
        "diff.own.textconv": f"touch {tmp_path}/ran",
        "core.fsmonitor": f"touch {tmp_path}/ran",
        "log.showSignature": "true",
    }.items():
        git("config", name, value, cwd=source)
    settings = tmp_path / "gitconfig"
    settings.write_text("[format]\n\tpretty = %s\n[diff]\n\tnoprefix = true\n")
    scan = Scan(source, tmp_path, env={"GIT_CONFIG_GLOBAL": str(settings)})
    (tmp_path / "ran").unlink(missing_ok=True)
    copy_made = scan.run()
    assert_found(copy_made, secret, "deep/key.py")


def test_replaced_objects(source: Path, tmp_path: Path, git: Git) -> None:
    """`git replace` covers up what is still there and still pushed."""
    secret = made_up()
    commit(git, source, {"key.py": secret}, "leak")
    (source / "key.py").unlink()
    commit(git, source, {}, "hide it")
    git("replace", "HEAD~1:key.py", "HEAD:app.py", cwd=source)
    assert_found(Scan(source, tmp_path).run(), secret, "key.py")


def test_odd_names(source: Path, tmp_path: Path, git: Git) -> None:
    """Spaces, quotes, newlines, backslashes and bytes that are no UTF-8 hide no file."""
    secret = made_up()
    names = [b"a b.py", b'q"uote.py', b"new\nline.py", b"back\\", b'end"', b"latin\xe9.py"]
    for name in names:
        with open(os.fsencode(source) + b"/" + name, "w") as file:  # noqa: PTH123 - a name of bytes
            file.write(secret)
    git("add", "--all", cwd=source)
    git("commit", "--quiet", "--message", "leak", cwd=source)
    result = Scan(source, tmp_path).run()
    assert len(result.findings) == len(names)
    assert result.verdict is Verdict.FAILED


def test_link_that_became_a_file(source: Path, tmp_path: Path, git: Git) -> None:
    """A change of type is a change; gitleaks by itself leaves it out."""
    secret = made_up()
    (source / "link.py").symlink_to("app.py")
    commit(git, source, {}, "link")
    (source / "link.py").unlink()
    commit(git, source, {"link.py": secret}, "leak")
    assert_found(Scan(source, tmp_path).run(), secret, "link.py")


def test_file_that_left_an_allowed_path(source: Path, tmp_path: Path, git: Git) -> None:
    """Moving a file is no change of its content, but what was allowed there is not allowed here."""
    secret = made_up()
    commit(git, source, {"fixtures/key.py": secret}, "allowed")
    git("mv", "fixtures/key.py", "key.py", cwd=source)
    commit(git, source, {}, "leak")
    rules = RULES + "[[allowlists]]\npaths = ['''^fixtures/''']\n"
    assert_found(Scan(source, tmp_path, rules=rules).run(), secret, "key.py")


def test_source_below_the_root_of_its_repository(source: Path, tmp_path: Path, git: Git) -> None:
    """Of a folder, the whole history is scanned, and its own working tree; paths fit the folder."""
    committed, new = made_up(), made_up()
    commit(git, source, {"part/key.py": committed, "other/a.py": "x = 1\n"}, "leak")
    (source / "part" / "new.py").write_text(new)
    result = Scan(source / "part", tmp_path).run()
    assert_found(result, committed, "key.py", "new.py")
    assert result.secrets == {committed, new}


def test_worktree(source: Path, tmp_path: Path, git: Git) -> None:
    """In a worktree .git is a file; its own commits and the others' are scanned."""
    secret = made_up()
    tree = tmp_path / "tree"
    git("worktree", "add", "--quiet", "--detach", str(tree), cwd=source)
    commit(git, tree, {"key.py": secret}, "leak")
    (tree / "key.py").unlink()
    commit(git, tree, {}, "hide it")
    assert_found(Scan(tree, tmp_path).run(), secret, "key.py")
    assert_found(Scan(source, tmp_path).run(), secret, "key.py")


def test_range(source: Path, tmp_path: Path, git: Git) -> None:
    """A range leaves older commits out, but not what they left in the working tree."""
    gone, kept = made_up(), made_up()
    commit(git, source, {"gone.py": gone, "kept.py": kept}, "leak")
    (source / "gone.py").unlink()
    commit(git, source, {}, "hide one")
    settings = LeakSettings(range="HEAD~1..HEAD")
    result = Scan(source, tmp_path, settings=settings).run()
    assert_found(result, kept, "kept.py")
    assert result.secrets == {kept}
    assert "in 1 commit and the working tree" in result.summary


def test_called_from_a_git_hook(source: Path, tmp_path: Path, git: Git) -> None:
    """A hook's variables name another repository; they are not followed."""
    secret = made_up()
    commit(git, source, {"key.py": secret}, "leak")
    env = {"GIT_DIR": str(tmp_path / "none"), "GIT_INDEX_FILE": str(tmp_path / "index")}
    assert_found(Scan(source, tmp_path, env=env).run(), secret, "key.py")
