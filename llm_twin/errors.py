"""Errors whose text is meant for a person: one message that says what to do next.

TwinError           exit code 3: something could not be looked at or run
├── UsageError      exit code 2: called or configured in a wrong way
└── RefusedError    exit code 1: the answer is no
"""

from typing import ClassVar, Final

DEBUG_VARIABLE: Final = "LLM_TWIN_DEBUG"
"""Where it is set, an error that nobody foresaw shows its traceback."""


class TwinError(Exception):
    """Base of every error that the application raises on purpose."""

    exit_code: ClassVar[int] = 3


class UsageError(TwinError):
    """The command was called, or the settings are, in a way that can't work."""

    exit_code: ClassVar[int] = 2


class RefusedError(TwinError):
    """What was asked for could be looked at, and is refused."""

    exit_code: ClassVar[int] = 1
