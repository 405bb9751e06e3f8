"""Virtual environments of the host: our tools', and the source's own, kept in the cache."""

import fcntl
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio.to_thread

from llm_pipeline.errors import InstallError, LookError
from llm_pipeline.globs import matching
from llm_pipeline.install import MANIFESTS, InstallPlan, explain
from llm_pipeline.processes import install_env, run

DATA: Final = Path(__file__).parent / "data"
_MARK: Final = ".complete"
_TAIL: Final = 3


def _digest(parts: Iterable[bytes]) -> str:
    state = hashlib.sha256(f"{sys.version}|{platform.platform()}".encode())
    for part in parts:
        state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()[:16]


async def build(
    folder: Path,
    commands: Sequence[Sequence[str]],
    *,
    cwd: Path,
    extra: Mapping[str, str],
    log: Path,
) -> Path:
    """Run the commands that make a virtual environment, unless it is already there and whole.

    Raises:
        InstallError: A command failed; what it printed goes along.
    """
    if (folder / _MARK).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    env = install_env(extra)
    for number, command in enumerate(commands):
        finished = await run(command, cwd=cwd, env=env, log=log, append=number > 0)
        if finished.exit_code:
            raise _failed(command, finished.exit_code, log)
    (folder / _MARK).touch()
    return folder


def _venv(folder: Path, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "venv", *options, str(folder))


def _failed(command: Sequence[str], code: int, log: Path) -> InstallError:
    text = log.read_text(encoding="utf-8", errors="replace")
    shown = " ".join([Path(command[0]).name, *command[1:4]])
    said = explain(text, _TAIL)
    message = f"the environment could not be made: `{shown} ...` ended with {code}: {said}"
    return InstallError(message, text)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def tools(cache: Path, name: str, log: Path) -> Path:
    """Return the environment of one of our locks (``data/NAME.lock``), made where it is missing."""
    lock = DATA / f"{name}.lock"
    folder = cache / "tools" / f"{name}-{_digest([lock.read_bytes()])}"
    pip = (str(folder / "bin/python"), "-m", "pip", "install", "--no-input", "--progress-bar=off")
    # A lock is whole, and a pip before 23.3 that looks beyond it takes newer releases for extras.
    commands = (_venv(folder), (*pip, "--no-deps", "--require-hashes", "-r", str(lock)))
    return await _shared(folder, commands, log)


async def hooked_tool(cache: Path, tool: str, version: str, log: Path) -> Path:
    """Return the environment of a tool at the version that the source's pre-commit hooks pin."""
    folder = cache / "tools" / f"{tool}-{version}-{_digest([])}"
    pip = (str(folder / "bin/python"), "-m", "pip", "install", "--no-input", "--progress-bar=off")
    return await _shared(folder, (_venv(folder), (*pip, f"{tool}=={version}")), log)


async def _shared(folder: Path, commands: Sequence[Sequence[str]], log: Path) -> Path:
    if (folder / _MARK).exists():
        return folder
    lock = _locked(folder.with_suffix(".lock"))
    try:
        await anyio.to_thread.run_sync(lock.__enter__, abandon_on_cancel=True)
        try:
            return await build(folder, commands, cwd=folder.parent, extra={}, log=log)
        finally:
            lock.__exit__(None, None, None)
    except OSError as error:
        message = f"The cache {folder.parent} can't be written ({error}); set LLM_PIPELINE_CACHE."
        raise LookError(message) from None


def environment_key(plan: InstallPlan, root: Path, files: Sequence[str]) -> str:
    """Return the key of a source's environment: it changes with the plan, the locks, the Python."""
    parts = [repr(plan).encode(), *(path.read_bytes() for path in sorted(DATA.glob("*.lock")))]
    for name in sorted(matching(files, (*MANIFESTS, *plan.key))):
        # The copy lacks links that lead out of the source.
        with suppress(FileNotFoundError, IsADirectoryError):
            parts += [os.fsencode(name), (root / name).read_bytes()]
    return _digest(parts)


async def source_environment(
    plan: InstallPlan, slot: Path, files: Sequence[str], path: str
) -> Path:
    """Return the source's own environment, made in its slot where the key is new.

    Args:
        plan: How to make it.
        slot: The folder that keeps it, and the copy of the source, in which editable
            installations point.
        files: The paths of the source.
        path: PATH for the commands, our tools first.

    Raises:
        InstallError: A command failed; what it printed goes along.
    """
    tree = slot / "source"
    folder = slot / f"env-{environment_key(plan, tree, files)}"
    _forget_others(slot, folder)
    fill = {"{env}": str(folder), "{data}": str(DATA)}
    commands = [
        [_fill(word, fill) for word in command] for command in (*plan.dependencies, *plan.project)
    ]
    extra = {
        **plan.env,
        "PATH": path,
        "VIRTUAL_ENV": str(folder),
        "UV_PROJECT_ENVIRONMENT": str(folder),
        "UV_PYTHON": str(folder / "bin/python"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    log = slot / "environment.log"
    # uv and poetry need no pip in it, and putting it there takes longer than all the rest.
    venv = _venv(folder, *(("--without-pip",) if plan.manager in {"uv", "poetry"} else ()))
    return await build(folder, (venv, *commands), cwd=tree, extra=extra, log=log)


def _forget_others(slot: Path, folder: Path) -> None:
    for old in slot.glob("env-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _fill(word: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word
