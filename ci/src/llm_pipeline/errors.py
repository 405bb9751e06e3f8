"""Errors whose text is meant for a person: one message that says what to do next.

PipelineError               exit code 3
├── UsageError              exit code 2: called or configured in a wrong way
│   └── ConfigError         exit code 2: a key or a value of [tool.llm-pipeline]
├── RefusedError            exit code 1: it may not be done, or another one was faster
│   └── TakenError          exit code 1: a tag names something else
└── LookError               exit code 3: something could not be looked at or run
    ├── InstallError        exit code 3: an environment could not be made
    └── RegistryError       exit code 3: a registry of images said no, or nothing
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


class RefusedError(PipelineError):
    """What was asked for may not be done; the state is as it was."""

    exit_code: ClassVar[int] = 1


class TakenError(RefusedError):
    """A tag that can't be moved names something else: ``digest``, where that is known."""

    def __init__(self, message: str, digest: str | None = None) -> None:
        """Keep what the tag names beside the message."""
        super().__init__(message)
        self.digest = digest


class LookError(PipelineError):
    """Something could not be looked at or run, so there is no verdict on it."""


class InstallError(LookError):
    """An environment could not be made; ``log`` is what the installer printed."""

    def __init__(self, message: str, log: str) -> None:
        """Keep the installer's output beside the message."""
        super().__init__(message)
        self.log = log


class RegistryError(LookError):
    """A registry did not do what it was asked; ``status`` is its HTTP status, 0 without any."""

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status
