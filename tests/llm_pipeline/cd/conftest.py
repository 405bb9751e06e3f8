"""Registries on this machine: in memory always, and Debian's where the tests marked so run."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from llm_pipeline.cd.registry import Login, Registry
from tests.llm_pipeline.cd.front import Forward, Front, serving
from tests.llm_pipeline.cd.memory import Memory

REPOSITORY = "team/twin"
NAME, PASSWORD = "someone", "pass-word"
# Of that name and password; bcrypt is the only kind that the registry takes.
HTPASSWD = f"{NAME}:$2b$05$abcdefghijklmnopqrstuulQElbHkP7vjLqXxb3Lzm18cJsfRyGH6\n"
CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""
AUTH = "auth:\n  htpasswd: {{realm: test, path: {folder}/htpasswd}}\n"

Serve = Callable[..., Front]


@contextmanager
def docker_registry(folder: Path, *, login: bool = False) -> Iterator[str]:
    """Run Debian's registry on a free port and yield its host."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed; apt-get install docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "htpasswd").write_text(HTPASSWD)
    text = (CONFIG + (AUTH if login else "")).format(folder=folder, port=port)
    (folder / "config.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(params=["memory", pytest.param("debian", marks=pytest.mark.registry)])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    """A registry whose tags can't be moved: in memory, and Debian's behind the same front."""
    with ExitStack() as stack:
        if request.param == "memory":
            yield stack.enter_context(serving(Front(Memory())))
        else:
            folder = tmp_path / "docker-registry"
            folder.mkdir()
            host = stack.enter_context(docker_registry(folder))
            yield stack.enter_context(serving(Front(Forward(host))))


@pytest.fixture
def memory() -> Iterator[Front]:
    """A registry in memory, for faults that don't depend on what is behind."""
    with serving(Front(Memory())) as front:
        yield front


@pytest.fixture
def opened() -> Iterator[Callable[..., Registry]]:
    """Open the repository of a front; closed when the test ends."""
    with ExitStack() as stack:

        def open_it(
            front: Front, login: tuple[str, str] | None = None, *, chunk: int = 8192
        ) -> Registry:
            return stack.enter_context(
                Registry(
                    front.host,
                    REPOSITORY,
                    lambda: Login(*login) if login else None,
                    pause=0.001,
                    chunk=chunk,
                )
            )

        yield open_it


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """AWS on this machine: moto's server, empty for each test; yields its address."""
    from moto.server import ThreadedMotoServer

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    httpx.post(f"{address}/moto-api/reset").raise_for_status()
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "made-up-id",
        "AWS_SECRET_ACCESS_KEY": "made-up-key",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    try:
        yield address
    finally:
        server.stop()
