"""Environments on the host: built once, whole or not at all, anew when what decides changes."""

import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import pytest

from llm_pipeline.environments import environment_key, source_environment
from llm_pipeline.errors import InstallError
from llm_pipeline.install import InstallPlan
from tests.llm_pipeline.sources import write

BIN: Final = str(Path(sys.executable).parent)
QUICK: Final = InstallPlan("uv", (("sh", "-c", "echo made >> {env}/made"),))
"""Of uv only the name: an environment without pip, which takes less long to make."""

Build = Callable[[InstallPlan], Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Make the environment of the source in the test's folder."""
    (tmp_path / "source").mkdir(exist_ok=True)

    def make(plan: InstallPlan) -> Path:
        async def main() -> Path:
            files = [path.name for path in (tmp_path / "source").iterdir()]
            return await source_environment(plan, tmp_path, files, f"{BIN}:/usr/bin:/bin")

        return anyio.run(main)

    return make


def wheel(folder: Path) -> None:
    """Write a wheel that holds one module and one command."""
    info = "made_up-1.0.dist-info"
    texts = {
        "made_up.py": "def main() -> None:\n    print('it runs')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nmade-up = made_up:main\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*texts, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / "made_up-1.0-py3-none-any.whl", "w") as file:
        for name, text in texts.items():
            file.writestr(name, text)


def test_environment_from_a_lock(tmp_path: Path, build: Build) -> None:
    """A lock is installed into a fresh environment, which then runs what it holds."""
    wheel(tmp_path)
    write(tmp_path / "source", {"requirements.txt": "made-up==1.0\n"})
    pip = ("pip", "--python", "{env}/bin/python", "install", "--no-index", "--find-links")
    folder = build(InstallPlan("uv", ((*pip, str(tmp_path), "-r", "requirements.txt"),)))
    done = subprocess.run([folder / "bin/made-up"], capture_output=True, text=True, check=True)
    assert done.stdout == "it runs\n"


def test_whole_environment_is_kept(tmp_path: Path, build: Build) -> None:
    """The second time nothing runs; with another key the old environment goes."""
    first = build(QUICK)
    assert build(QUICK) == first
    assert (first / "made").read_text() == "made\n"
    write(tmp_path / "source", {"uv.lock": "new"})
    second = build(QUICK)
    assert second != first
    assert not first.exists()
    assert (second / "made").read_text() == "made\n"


def test_interrupted_environment_is_made_anew(tmp_path: Path, build: Build) -> None:
    """Whatever ended the first attempt, nothing of it is in the environment of the second."""
    halfway = tmp_path / "halfway"
    slow = replace(
        QUICK,
        dependencies=(
            (
                *("sh", "-c"),
                f"echo x > {{env}}/left; touch {halfway}; [ -e {tmp_path}/go ] || sleep 60",
            ),
        ),
    )

    async def interrupted() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(source_environment, slow, tmp_path, [], f"{BIN}:/usr/bin:/bin")
            with anyio.fail_after(30):
                while not halfway.exists():  # noqa: ASYNC110 - a process tells it
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()

    anyio.run(interrupted)
    (begun,) = tmp_path.glob("env-*")
    (begun / "junk").touch()
    (tmp_path / "go").touch()
    assert build(slow) == begun
    assert not (begun / "junk").exists()
    (begun / "kept").touch()
    assert build(slow) == begun
    assert (begun / "kept").exists()


def test_failing_installation(tmp_path: Path, build: Build) -> None:
    """The error has the command, its exit code and the installer's words; the next run retries."""
    said = (
        "echo 'Collecting x'; echo; echo 'ERROR: no such thing as x' >&2; touch {env}/tried; exit 4"
    )
    plan = replace(QUICK, dependencies=(("sh", "-c", said), ("sh", "-c", "exit 5")))
    for _ in range(2):
        with pytest.raises(InstallError) as caught:
            build(plan)
        message = str(caught.value)
        assert message.startswith("the environment could not be made: `sh -c ")
        assert message.endswith(" ended with 4: Collecting x / ERROR: no such thing as x")
        assert caught.value.log == "Collecting x\n\nERROR: no such thing as x\n"
    (tmp_path / "source/fixed.lock").touch()
    assert build(QUICK).is_dir()


def test_what_an_installer_sees(build: Build) -> None:
    """An installer runs in the copy, finds our tools first and is told the environment."""
    show = 'printf "%s\\n" "$PWD" "$PATH" "$VIRTUAL_ENV" "$UV_PROJECT_ENVIRONMENT" "$A" > {env}/saw'
    folder = build(replace(QUICK, dependencies=(("sh", "-c", show),), env={"A": "b"}))
    where, path, *rest = (folder / "saw").read_text().splitlines()
    assert where == str(folder.parent / "source")
    assert path.split(":")[0] == BIN
    assert rest == [str(folder), str(folder), "b"]


def test_key(tmp_path: Path) -> None:
    """The key changes with the plan, the files that decide and their names, and with no other."""
    texts: dict[str, str | bytes] = {
        "pyproject.toml": "[project]",
        "sub/requirements/dev.txt": "x",
        "native/a.c": "1",
        "app.py": "1",
    }
    plan = InstallPlan("pip", key=("native/**",))

    def key(changed: dict[str, str | bytes], plan: InstallPlan = plan) -> str:
        facts = write(tmp_path, {**texts, **changed})
        return environment_key(plan, tmp_path, facts.files)

    same = key({})
    assert key({"app.py": "2", "README.md": "new"}) == same
    assert environment_key(plan, tmp_path, [*reversed(texts)]) == same
    others = [
        key({"pyproject.toml": "[tool]"}),
        key({"sub/requirements/dev.txt": "y"}),
        key({"native/a.c": "2"}),
        key({"uv.lock": ""}),
        key({"sub/pyproject.toml": ""}),
        key({}, replace(plan, project=(("true",),))),
        key({}, replace(plan, env={"A": "b"})),
        key({}, replace(plan, key=("app.py", "native/**"))),
    ]
    assert len({same, *others}) == len(others) + 1


def test_key_without_a_file_that_was_left_out(tmp_path: Path) -> None:
    """A link that leads out of the source is not in its copy; a folder's name is no file."""
    (tmp_path / "folder.lock").mkdir()
    plan = InstallPlan("pip")
    files = ["folder.lock", "out/pyproject.toml", "\udcff.lock"]
    assert environment_key(plan, tmp_path, files) == environment_key(plan, tmp_path, [])


def test_key_of_another_python(tmp_path: Path) -> None:
    """Another version of Python makes another environment."""
    code = (
        "import sys; from pathlib import Path; from llm_pipeline.environments import *;"
        "sys.version = 'another'; print(environment_key(InstallPlan('pip'), Path(), []))"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() != environment_key(InstallPlan("pip"), tmp_path, [])


@pytest.mark.parametrize(
    "command",
    [
        ("pip", "install", "--retries=1", "--index-url", "{index}", "made-up"),
        ("uv", "pip", "install", "--index-url", "{index}", "made-up"),
    ],
)
def test_index_out_of_reach(build: Build, command: tuple[str, ...]) -> None:
    """Where no index answers, that is what is said, and not that a package does not exist."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening, so nobody answers there
        index = f"http://127.0.0.1:{taken.getsockname()[1]}/simple"
        words = tuple(word.replace("{index}", index) for word in command)
        with pytest.raises(InstallError, match="no package index could be reached; check the"):
            build(InstallPlan("uv", (words,)))
