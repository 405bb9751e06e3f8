"""Globs over paths of a source, read as Dagger's ``include`` and ``exclude`` read them.

That is how ``.dockerignore`` is read, which https://docs.docker.com/reference/dockerfile describes,
with the engine's own quirks: ``tests/llm_pipeline/test_globs.py`` holds what one answered.
"""

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from llm_pipeline.errors import ConfigError

_PARTS: Final = re.compile(
    r"""
      (?P<folders>\*\*/?(?=.))         # any folders, none too
    | (?P<rest>\*\*/?)                 # at the end: all that follows
    | (?P<name>\*)
    | (?P<letter>\?)
    | (?P<choice>\[\^?(?:\\.|[^]\\])+])
    | \\(?P<escaped>.)
    | (?P<plain>[^\\[])
    """,
    re.VERBOSE | re.DOTALL,
)
_SPECIAL: Final = re.compile(r"[*?\[\\]")


def matching(
    files: Iterable[str], include: Sequence[str], exclude: Sequence[str] = ()
) -> list[str]:
    """Return the files that match the globs of ``include`` and not those of ``exclude``.

    A glob is anchored at the root; ``*`` stands for any part of a name, of a hidden one too, and
    ``**`` for any folders. One that matches a folder matches everything in it. Of a list the last
    glob that matches decides, and one that starts with ``!`` takes away. No ``include``: all files.

    Raises:
        ConfigError: A glob can't be read.
    """
    wanted, unwanted = _rules(tuple(include or ("**",))), _rules(tuple(exclude))
    return [name for name in files if _chosen(name, wanted) and not _chosen(name, unwanted)]


_Rules = tuple[tuple[bool, re.Pattern[str]], ...]


def _chosen(name: str, rules: _Rules) -> bool:
    chosen = False
    for adds, pattern in rules:
        if adds is not chosen and pattern.fullmatch(name):
            chosen = adds
    return chosen


@lru_cache
def _rules(globs: tuple[str, ...]) -> _Rules:
    rules = []
    for glob in globs:
        text = glob.strip()
        if text:
            text = posixpath.normpath(text)
            adds = not text.startswith("!")
            rules.append((adds, _pattern(text if adds else text[1:], glob)))
    return tuple(rules)


def _pattern(glob: str, shown: str) -> re.Pattern[str]:
    if glob.startswith("**") and not _SPECIAL.search(glob, 2):
        # Alone among the places of `**`, this one may end in the middle of a name.
        tail = glob[2:]
        text = f"(.*/)?{re.escape(tail[1:])}" if tail.startswith("/") else f".*{re.escape(tail)}"
        return _below(text)
    text, end = "", 0
    for part in _PARTS.finditer(glob):
        if part.start() != end:
            break
        text += _translated(part)
        end = part.end()
    if end != len(glob) or not glob:
        raise ConfigError(
            f"{shown!r} is no glob: close its `[`; where `[`, `!` or `\\` stands for itself, put a "
            "`\\` before it."
        )
    try:
        return _below(text)
    except re.error:
        raise ConfigError(f"{shown!r} is no glob: what stands in `[...]` is no range.") from None


def _below(text: str) -> re.Pattern[str]:
    return re.compile(f"(?s:{text}(/.*)?)")


def _translated(part: re.Match[str]) -> str:
    match part.lastgroup:
        case "folders":
            return "(.*/)?"
        case "rest":
            return ".*"
        case "name":
            return "[^/]*"
        case "letter":
            return "[^/]"
        case "choice":
            # Python would read a second bracket, or a doubled sign, as an operator on sets.
            return "[" + re.sub(r"(?<!\\)([\[&~|])", r"\\\1", part[0][1:])
        case _:
            return re.escape(part["escaped"] or part["plain"])
