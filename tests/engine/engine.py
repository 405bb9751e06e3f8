"""Talks to a real Dagger engine: by its command, or in one session for many cases."""

import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.repository import ROOT

RUNNER: Final = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Called:
    """A command of dagger that has ended; ``log`` is what the engine told of its work."""

    code: int
    out: str
    log: str

    @property
    def execs(self) -> dict[str, str]:
        """What each command in a container came to, ``CACHED`` or ``DONE``, by the command."""
        words: dict[str, str] = {}
        state: dict[str, str] = {}
        for line in self.log.splitlines():
            if found := re.match(r"(\d+) *: [┆ ]*withExec (.*)", line):
                words[found[1]] = found[2]
            elif found := re.match(r"(\d+) *: [┆ ]*Container\.withExec (CACHED|DONE|ERROR)", line):
                state[found[1]] = found[2]
        return {words[number]: state.get(number, "") for number in words}


def dagger(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Called:
    """Run dagger in a folder."""
    done = subprocess.run(
        ["dagger", "--progress=plain", *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return Called(done.returncode, done.stdout, _COLOURS.sub("", done.stderr))


def call(source: Path, *arguments: str) -> Called:
    """Run ``dagger -m THIS call --source=. ...`` in a source, as another repository does."""
    return dagger("-m", str(ROOT), "call", "--source=.", *arguments, cwd=source)


class QueryError(Exception):
    """The engine answered with errors."""


@dataclass
class Session:
    """One session of the engine, in which this module is served."""

    url: str
    token: str

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator["Session"]:
        """Open a session that ends with the block; ``folder`` is its working directory."""
        # It ends when its input does, whatever becomes of us.
        with subprocess.Popen(
            ["dagger", "session"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            session = cls(f"http://127.0.0.1:{said['port']}/query", said["session_token"])
            session.query(
                "query($ref: String!) { moduleSource(refString: $ref) { asModule { serve } } }",
                ref=str(ROOT),
            )
            yield session
            assert process.stdin is not None
            process.stdin.close()

    def query(self, text: str, **variables: object) -> dict[str, Any]:
        """Ask the engine.

        Raises:
            QueryError: It answered with errors.
        """
        secret = base64.b64encode(f"{self.token}:".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - our own session on this machine
            self.url,
            data=json.dumps({"query": text, "variables": variables}).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Basic {secret}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - see above
                document = json.load(answer)
        except urllib.error.HTTPError as refused:
            raise QueryError(refused.read().decode()) from None
        if document.get("errors"):
            raise QueryError(json.dumps(document["errors"]))
        data: dict[str, Any] = document["data"]
        return data

    def reports(self, source: Path, folder: Path, config: str | None = None) -> None:
        """Run the pipeline on a source and bring its reports to a folder.

        Raises:
            QueryError: There are no reports, since the run did not begin.
        """
        host = self.query(
            "query($path: String!) { host { directory(path: $path, noCache: true) { id } } }",
            path=str(source),
        )
        variables = {"source": host["host"]["directory"]["id"], "path": str(folder)}
        names, values = "$source: ID!, $path: String!", "source: $source"
        if config is not None:
            file = self.query(
                "query($name: String!, $content: String!) "
                "{ file(name: $name, contents: $content) { id } }",
                name="settings.toml",
                content=config,
            )
            variables["config"] = file["file"]["id"]
            names, values = f"{names}, $config: ID!", f"{values}, config: $config"
        self.query(
            f"query({names}) {{ llmPipeline({values}) {{ reports {{ export(path: $path) }} }} }}",
            **variables,
        )
