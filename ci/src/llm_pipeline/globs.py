"""Globs over paths of a source, read as Dagger's ``include`` and ``exclude`` read them."""

from collections.abc import Iterable, Sequence

from wcmatch import glob

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB


def matching(
    files: Iterable[str], include: Sequence[str], exclude: Sequence[str] = ()
) -> list[str]:
    """Return the files that match any glob of ``include`` and none of ``exclude``.

    A glob is anchored at the root; ``**`` stands for any folders, hidden ones too.
    """
    if tuple(include) == ("**",) and not exclude:
        return list(files)
    matches = glob.compile(list(include), flags=_FLAGS, exclude=list(exclude) or None).match
    return [name for name in files if matches(name)]
