"""Runs `llm-twin serve` as a process of its own, over a copy of a small corpus."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

COMMAND: Final = Path(sys.executable).with_name("llm-twin")
MODEL: Final = "llm-twin"
_STOPS: Final = 60.0  # seconds


@dataclass
class Service:
    """A service that runs.

    Attributes:
        url: Where it is.
        home: Its state folder.
        process: The process.
        log: What it wrote on the standard error.
    """

    url: str
    home: Path
    process: subprocess.Popen[str]
    log: Path

    def client(self, key: str | None = None) -> httpx.Client:
        """Return a client that sends a key."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60.0)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(_STOPS)

    def traces(self) -> list[dict[str, Any]]:
        """Return what the spool holds, as `llm-twin traces export` writes it."""
        done = llm_twin("traces", "export", home=self.home)
        return [json.loads(line) for line in done.stdout.split("\n") if line]


def llm_twin(
    *arguments: str | Path, home: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=home.parent,
        env=os.environ | {"LLM_TWIN_HOME": str(home)} | variables,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def running(home: Path, folder: Path, *arguments: str, **variables: str) -> Iterator[Service]:
    """Run the service as long as the `with` block.

    Args:
        home: A state folder, which is copied.
        folder: Where the copy and the log go.
        arguments: More of the command's.
        variables: More settings.
    """
    own = folder / "home"
    shutil.copytree(home, own)
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", *arguments],
            cwd=folder,
            env=os.environ
            | {"LLM_TWIN_HOME": str(own), "LLM_TWIN_SERVICE_RATE": "1000000/minute"}
            | variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Serving on "), log.read_text()
        yield Service(line.split()[-1], own, process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_STOPS)
        if process.stdout is not None:
            process.stdout.close()


def question(text: str = "At how many degrees is the kiln fired?", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of JSON
    """Return the body of a request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def events(response: httpx.Response) -> Iterator[dict[str, Any] | None]:
    """Read a stream; None is its proper end."""
    for line in response.iter_lines():
        if line == "data: [DONE]":
            yield None
        elif line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))
