"""Ids as Opik wants them: UUIDs of version 7, which sort by the time at which they were made."""

import os
import time
import uuid
from typing import Final

VERSION: Final = 7


def new() -> str:
    """Make an id.

    Layout of RFC 9562, section 5.7, with method 3 of section 6.2: 48 bits of milliseconds, 12 of
    their fraction, 62 of chance.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    chance = int.from_bytes(os.urandom(8)) >> 2
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | chance))


def is_id(text: str) -> bool:
    """Whether a text is such an id, in the form that `new` gives."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return False
    return parsed.version == VERSION and str(parsed) == text


def made(identity: str) -> float:
    """The time that an id holds, in seconds since 1970."""
    return (uuid.UUID(identity).int >> 80) / 1000
