"""Reads zip archives: the exports of Medium and Substack, and any other with documents in it.

Nothing is unpacked on disk. A member is read as far as the limits allow, whatever its header says.
"""

import csv
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from llm_twin.corpus.cleaning import title_of
from llm_twin.corpus.document import Item, NotTakenError, Skip
from llm_twin.corpus.readers import ARCHIVE, reader_of
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.text import decode

_MOST_MEMBERS: Final = 50_000
_TIMES: Final = 10  # an archive may hold this many times the limit of one file
_MEGABYTE: Final = 1 << 20
_ENCRYPTED: Final = 0x1
_SUBSTACK_LIST: Final = "posts.csv"


@dataclass
class _Budget:
    """How many bytes may still be unpacked."""

    file: int
    archive: int = field(init=False)

    def __post_init__(self) -> None:
        self.archive = self.file * _TIMES


def read_archive(path: Path, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read the documents of an archive.

    Raises:
        NotTakenError: It is no archive, or holds more than the limits allow.
    """
    budget = _Budget(rules.max_file_mb * _MEGABYTE)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > _MOST_MEMBERS:
                raise NotTakenError(f"holds more than {_MOST_MEMBERS} files; split it")
            yield from _documents(archive, members, budget, rules)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, UnicodeDecodeError, struct.error):
        raise NotTakenError("is a broken archive") from None


def _documents(
    archive: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    budget: _Budget,
    rules: CorpusSettings,
) -> Iterator[Item | Skip]:
    names = {member.filename for member in members}
    posts = _substack_posts(archive, names, budget)
    medium = _is_medium(names)
    for member in sorted(members, key=lambda member: member.filename):
        name = member.filename
        if reason := _refused(member):
            yield Skip(f"/{name}", reason)
        elif posts is not None:
            if name.startswith("posts/") and name.endswith(".html"):
                yield from _substack(archive, member, posts, budget, rules)
        elif medium and not name.startswith("posts/"):
            continue  # what others wrote, lists of readers, the profile
        elif medium and PurePosixPath(name).name.startswith("draft_") and not rules.drafts:
            yield Skip(f"/{name}", "is a draft (corpus.drafts)")
        elif PurePosixPath(name).suffix.lower() == ARCHIVE:
            yield Skip(f"/{name}", "is an archive in an archive; unpack it")
        elif not _is_hidden(name):
            yield from _read(archive, member, budget, rules)


def _refused(member: zipfile.ZipInfo) -> str | None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or ":" in name[:2]:
        return "has a name that leads out of the archive"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted; save it without a password"
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        return "is not a regular file"
    return None


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _is_medium(names: set[str]) -> bool:
    return "README.html" in names and any(name.startswith(("posts/", "profile/")) for name in names)


def _read(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget, rules: CorpusSettings
) -> Iterator[Item | Skip]:
    """Yield the documents of a member; one that can't be read is told, and the rest goes on."""
    name = member.filename
    read = reader_of(name)
    if read is None:
        return
    try:
        for item in read(_unpacked(archive, member, budget), name, rules):
            if isinstance(item, Item) and item.title is None:
                item = replace(item, title=title_of(name))  # noqa: PLW2901 - the same item, named
            yield replace(item, name=f"/{name}{item.name}")
    except NotTakenError as error:
        yield Skip(f"/{name}", str(error))


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget) -> bytes:
    if budget.archive <= 0:
        raise NotTakenError("is not read: the archive unpacks to more than is allowed")
    try:
        with archive.open(member) as stream:
            data = stream.read(min(budget.file, budget.archive) + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        raise NotTakenError("is broken, or packed in a way that is not known") from None
    budget.archive -= len(data)
    if len(data) > budget.file:
        raise NotTakenError(
            f"unpacks to more than {budget.file // _MEGABYTE} MB (corpus.max_file_mb)"
        )
    if budget.archive < 0:
        raise NotTakenError("is not read: the archive unpacks to more than is allowed")
    return data


def _substack_posts(
    archive: zipfile.ZipFile, names: set[str], budget: _Budget
) -> dict[str, dict[str, str]] | None:
    """Return the list of posts of a Substack export by their ids; None where it is none."""
    if _SUBSTACK_LIST not in names or not any(name.startswith("posts/") for name in names):
        return None
    rows = csv.DictReader(
        io.StringIO(decode(_unpacked(archive, archive.getinfo(_SUBSTACK_LIST), budget)))
    )
    try:
        if "post_id" not in (rows.fieldnames or ()):
            return None
        return {row["post_id"]: row for row in rows if row["post_id"]}
    except csv.Error:
        raise NotTakenError(f"has a {_SUBSTACK_LIST} that can't be read") from None


def _substack(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    posts: dict[str, dict[str, str]],
    budget: _Budget,
    rules: CorpusSettings,
) -> Iterator[Item | Skip]:
    """Yield a post, with what the list says of it."""
    name = PurePosixPath(member.filename).stem  # post_id.slug
    about = posts.get(name) or posts.get(name.partition(".")[0]) or {}
    if not rules.drafts and about.get("is_published", "true").lower() != "true":
        yield Skip(f"/{member.filename}", "is a draft (corpus.drafts)")
        return
    for item in _read(archive, member, budget, rules):
        if isinstance(item, Skip):
            yield item
            continue
        subtitle = about.get("subtitle") or ""
        yield replace(
            item,
            title=about.get("title") or title_of(name.partition(".")[2] or name),
            text=f"{subtitle}\n\n{item.text}".lstrip(),
            date=about.get("post_date") or item.date,
        )
