"""Which files git tracks, read from its index: the module's own container has no git."""

import hashlib
import struct
from typing import Final

_HEAD: Final = 12
_STAT: Final = 40
_MODE: Final = 24
_EXTENDED: Final = 0x4000
_FOLDERS: Final = (0o040000, 0o160000)


def tracked(index: bytes) -> frozenset[str]:
    """Return the paths in a git index, without those of submodules; names that are no UTF-8 too.

    The format is that of git's documentation, gitformat-index, versions 2 to 4. What is no index
    holds nothing.
    """
    try:
        return _paths(index)
    except (struct.error, ValueError, IndexError):
        return frozenset()


def _paths(index: bytes) -> frozenset[str]:
    signature, version, count = struct.unpack_from(">4sII", index)
    if signature != b"DIRC":
        return frozenset()
    wide = hashlib.sha256(index[:-32]).digest() == index[-32:]
    fixed = _STAT + (32 if wide else 20)
    found = set()
    at, name = _HEAD, b""
    for _ in range(count):
        start = at
        (mode,) = struct.unpack_from(">I", index, start + _MODE)
        (flags,) = struct.unpack_from(">H", index, start + fixed)
        at = start + fixed + (4 if flags & _EXTENDED else 2)
        kept = b""
        if version == 4:  # noqa: PLR2004 - the one in which names are cut
            cut, at = _number(index, at)
            kept = name[: len(name) - cut]
        end = index.index(b"\0", at)
        name = kept + index[at:end]
        at = end + 1 if version == 4 else start + ((end - start) // 8 + 1) * 8  # noqa: PLR2004 - see above
        if mode not in _FOLDERS:
            found.add(name.decode("utf-8", "surrogateescape"))
    return frozenset(found)


def _number(index: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length, as the offsets in packs are; and where it ends."""
    value = index[at] & 0x7F
    while index[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (index[at] & 0x7F)
    return value, at + 1
