"""Errors whose text is meant for a person: one message that says what to do next.

PipelineError               exit code 3
├── UsageError              exit code 2: called or configured in a wrong way
│   └── ConfigError         exit code 2: a key or a value of [tool.llm-pipeline]
└── LookError               exit code 3: something could not be looked at or run
    └── InstallError        exit code 3: an environment could not be made
"""

from typing import ClassVar


class PipelineError(Exception):
    """Base of every error that the pipeline raises on purpose."""

    exit_code: ClassVar[int] = 3


class UsageError(PipelineError):
    """The command was called in a way that can't work."""

    exit_code: ClassVar[int] = 2


class ConfigError(UsageError):
    """The configuration holds a wrong key or value."""


class LookError(PipelineError):
    """Something could not be looked at or run, so there is no verdict on it."""


class InstallError(LookError):
    """An environment could not be made; ``log`` is what the installer printed."""

    def __init__(self, message: str, log: str) -> None:
        """Keep the installer's output beside the message."""
        super().__init__(message)
        self.log = log
