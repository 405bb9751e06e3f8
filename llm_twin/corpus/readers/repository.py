"""Reads git repositories: what the author's commits say, and the documents of a bare one.

The documents of a work tree are files and are read as such. Git itself is not run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from llm_twin.corpus.cleaning import title_of
from llm_twin.corpus.document import Item, NotTakenError, Skip
from llm_twin.corpus.readers import reader_of
from llm_twin.corpus.rules import CorpusSettings

if TYPE_CHECKING:
    from dulwich.objects import Commit
    from dulwich.repo import Repo

_MEGABYTE: Final = 1 << 20
_TRAILER: Final = re.compile(r"[A-Z][\w-]*(?:-[Bb]y|-[Ii]d|[Ff]ixes|[Cc]loses|[Rr]efs?): \S.*")
_SIGNED: Final = re.compile(r"(?P<name>[^<>]*?)\s*<(?P<mail>[^<>]*)>")


@dataclass(frozen=True)
class _Said:
    """A commit: its first line, the rest, who and when."""

    id: str
    subject: str
    body: str
    name: str
    mail: str
    at: datetime


def is_repository(folder: Path) -> bool:
    """Tell whether a folder is the root of a git repository, with or without a work tree."""
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return (folder / ".git").exists() or (bare and (folder / "refs").is_dir())


def is_bare(folder: Path) -> bool:
    """Tell whether a repository has no work tree."""
    return not (folder / ".git").exists()


def stamp_of(folder: Path, rules: CorpusSettings) -> str:
    """Return what changes when the repository has other commits, or other authors count.

    Raises:
        NotTakenError: It can't be read.
    """
    with _opened(folder) as repository:
        try:
            head = repository.head().decode("ascii")
        except KeyError:
            head = "none"
        return f"{head} {' '.join(sorted(_authors(repository, rules)))}"


def read_repository(folder: Path, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read a repository's commits from its HEAD on, and its files where it has no work tree.

    A commit that says more than its first line is a document; the others of a month are one
    together. Merges and commits of bots are left out.

    Raises:
        NotTakenError: It can't be read.
    """
    with _opened(folder) as repository:
        name = _name(repository, folder)
        try:
            repository.head()
        except KeyError:
            yield Skip("", "is a repository without commits")
            return
        try:
            yield from _commits(repository, name, rules)
            if is_bare(folder):
                yield from _files(repository, name, rules)
        except _broken() as error:
            raise NotTakenError(f"is a broken repository: {type(error).__name__}") from None


def _broken() -> tuple[type[Exception], ...]:
    """Return what dulwich raises where objects are missing or damaged."""
    from dulwich import errors

    return (
        errors.ApplyDeltaError,
        errors.ChecksumMismatch,
        errors.FileFormatException,
        errors.MissingCommitError,
        errors.ObjectMissing,
        errors.WrongObjectException,
        AssertionError,
        KeyError,
        OSError,
        ValueError,
    )


def _opened(folder: Path) -> "Repo":
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        return Repo(str(folder))
    except (NotGitRepository, KeyError, ValueError, OSError, NotImplementedError):
        raise NotTakenError("is not a git repository that can be read") from None


def _name(repository: "Repo", folder: Path) -> str:
    try:
        url = repository.get_config().get((b"remote", b"origin"), b"url").decode("utf-8", "replace")
    except KeyError:
        url = ""
    last = re.split(r"[/:]", url.rstrip("/"))[-1] or folder.resolve().name
    return last.removesuffix(".git") or "repository"


def _authors(repository: "Repo", rules: CorpusSettings) -> set[str]:
    """Return whose commits count, as names and addresses in small letters; empty for everyone's."""
    if rules.authors:
        return {author.casefold() for author in rules.authors}
    try:
        mail = repository.get_config_stack().get((b"user",), b"email")
    except KeyError:
        return set()
    return {mail.decode("utf-8", "replace").casefold()}


def _commits(repository: "Repo", name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    authors = _authors(repository, rules)
    months: dict[str, list[_Said]] = {}
    others = 0
    for entry in repository.get_walker():
        said = _said(entry.commit)
        if len(entry.commit.parents) > 1 or "[bot]" in said.name or not said.subject:
            continue
        if authors and not authors & {said.name.casefold(), said.mail.casefold()}:
            others += 1
        elif len(said.body.split()) > 2:  # noqa: PLR2004 - less says nothing
            yield _document(said, name)
        else:
            months.setdefault(said.at.strftime("%Y-%m"), []).append(said)
    for month, commits in sorted(months.items()):
        yield _together(month, commits, name)
    if others:
        yield Skip("#others", f"holds {others} commits by others (corpus.authors)")


def _document(said: _Said, name: str) -> Item:
    return Item(
        name=f"#{said.id}",
        text=said.body,
        kind="commit",
        title=said.subject,
        author=said.name or None,
        e_mail=said.mail,
        date=said.at.isoformat(),
        source=f"git:{name}@{said.id}",
    )


def _together(month: str, commits: list[_Said], name: str) -> Item:
    lines = [f"- {said.at.date()}: {said.subject}" for said in reversed(commits)]
    one = len({said.name for said in commits}) == 1
    return Item(
        name=f"#{month}",
        text="\n".join(lines),
        kind="commit",
        title=f"Commits to {name} in {month}",
        author=commits[0].name if one else None,
        e_mail=commits[0].mail if one else None,
        date=f"{month}-01",
        source=f"git:{name}@{month}",
    )


def _said(commit: "Commit") -> _Said:
    text = commit.message.decode(
        (commit.encoding or b"utf-8").decode("ascii", "replace"), "replace"
    )
    subject, _, body = text.strip().partition("\n")
    lines = body.strip().splitlines()
    while lines and (_TRAILER.fullmatch(lines[-1]) or not lines[-1].strip()):
        lines.pop()
    signed = _SIGNED.match(commit.author.decode("utf-8", "replace"))
    return _Said(
        id=commit.id.decode("ascii"),
        subject=subject.strip(),
        body="\n".join(lines),
        name=signed["name"] if signed else "",
        mail=signed["mail"] if signed else "",
        at=datetime.fromtimestamp(commit.author_time, UTC),
    )


def _files(repository: "Repo", name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Yield the documents of HEAD's tree."""
    from dulwich.object_store import iter_tree_contents
    from dulwich.objects import Blob
    from dulwich.objects import Commit as CommitObject

    head = repository[repository.head()]
    if not isinstance(head, CommitObject):
        return
    for entry in iter_tree_contents(repository.object_store, head.tree):
        path = (entry.path or b"").decode("utf-8", "replace")
        read = reader_of(path)
        hidden = any(part.startswith(".") for part in PurePosixPath(path).parts)
        if read is None or hidden or entry.sha is None:
            continue
        blob = repository.object_store[entry.sha]
        if not isinstance(blob, Blob):
            continue
        if blob.raw_length() > rules.max_file_mb * _MEGABYTE:
            yield Skip(f"/{path}", f"is larger than {rules.max_file_mb} MB (corpus.max_file_mb)")
            continue
        try:
            for item in read(blob.data, path, rules):
                named = replace(item, name=f"/{path}{item.name}")
                if isinstance(named, Item):
                    source = f"git:{name}/{path}{item.name}"
                    named = replace(named, title=named.title or title_of(path), source=source)
                yield named
        except NotTakenError as error:
            yield Skip(f"/{path}", str(error))
