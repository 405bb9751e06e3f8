"""``dagger call ci`` against an empty module, and against a bare one with the same execs."""

import itertools
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.timing import Contestant
from llm_pipeline.containers.layers import DATA, ENV, OUT, REPO, TOOLS
from llm_pipeline.environments import DATA as DATA_FOLDER
from llm_pipeline.host import Options, read_plan
from llm_pipeline.plan import Plan
from llm_pipeline.script import Places, script
from llm_pipeline.source import list_source

ROOT: Final = Path(__file__).resolve().parent.parent
_PYPROJECT: Final = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["anyio", "dagger-io"]

[project.entry-points."dagger.mod"]
main_object = "{name}:{title}"

[tool.uv.sources]
dagger-io = {{ path = "sdk", editable = true }}
"""
_EMPTY: Final = '''\
from dagger import function, object_type


@object_type
class Empty:
    """Does nothing."""

    @function
    def nothing(self) -> str:
        return "nothing"
'''
_BARE: Final = '''\
import anyio
import dagger
from dagger import dag, function, object_type

CHECKS = {checks!r}
LIMIT = ["timeout", "-k", "5", "1800"]
PIP = ["install", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]


@object_type
class Bare:
    """Runs the execs that the pipeline would run, and nothing else."""

    @function
    async def execs(self, source: dagger.Directory, at_once: bool = False) -> str:
        data = dag.current_module().source().directory("data")
        python = dag.container().from_({python!r}).with_directory({data!r}, data)
        tools = python.with_exec(["python", "-m", "venv", {tools!r}]).with_exec(
            [{tools!r} + "/bin/pip", *PIP, "--no-deps", "-r", {data!r} + "/tools.lock"]
        )
        manifests = source.filter(include=["pyproject.toml", "requirements.txt"])
        environment = (
            tools.with_exec(["python", "-m", "venv", {env!r}])
            .with_mounted_directory("/src", manifests)
            .with_exec([{env!r} + "/bin/pip", *PIP, "-r", "/src/requirements.txt"])
        )
        leaks = dag.container().from_({gitleaks!r}).with_user("root").with_directory({data!r}, data)
        leaks = leaks.with_mounted_directory({repo!r} + "/.git", source.directory(".git"))
        bases = {{"gitleaks": leaks, "types": environment, "test": environment}}
        path = {env!r} + "/bin:" + {tools!r} + "/bin:/usr/local/bin:/usr/bin:/bin"

        async def run(name: str, reads: list[str], ignores: list[str], text: str) -> None:
            tree = source.filter(exclude=["**/.git"]).filter(include=reads, exclude=ignores)
            base = bases.get(name, tools)
            if name != "gitleaks":
                base = base.with_env_variable("PATH", path)
            await (
                base.with_mounted_directory("/src", tree)
                .with_workdir("/src")
                .with_new_file("/script.sh", text)
                .with_exec([*LIMIT, "sh", "/script.sh"], expect=dagger.ReturnType.ANY)
                .directory({out!r})
                .export(f"/tmp/{{name}}")
            )

        for stage in [[*CHECKS]] if at_once else [[n for n in CHECKS if n != "test"], ["test"]]:
            async with anyio.create_task_group() as group:
                for name in stage:
                    group.start_soon(run, name, *CHECKS[name])
        return "done"
'''


def empty_module(folder: Path) -> None:
    """Write a module with one function that does nothing, in a repository of its own."""
    _module(folder, "empty", "Empty", _EMPTY)


def bare_module(folder: Path, source: Path) -> None:
    """Write a module that runs the execs of the pipeline on a source, red controls and all."""
    plan, _ = read_plan(list_source(source), Options())
    images = plan.config.images
    text = _BARE.format(
        checks=_checks(plan),
        python=images.python.replace("{version}", plan.python),
        gitleaks=images.gitleaks,
        data=DATA,
        env=ENV,
        tools=TOOLS,
        repo=REPO,
        out=OUT,
    )
    _module(folder, "bare", "Bare", text)
    shutil.copytree(DATA_FOLDER, folder / "data")


def _checks(plan: Plan) -> dict[str, tuple[list[str], list[str], str]]:
    places = Places(OUT, ENV, TOOLS, REPO, "/tmp/llm-pipeline", DATA)  # noqa: S108 - in a container
    return {
        planned.name: (list(planned.reads), list(planned.ignores), script(planned, places))
        for planned in plan.checks
        if planned.skip is None
    }


def _module(folder: Path, name: str, title: str, text: str) -> None:
    package = folder / "src" / name
    package.mkdir(parents=True)
    described = json.loads((ROOT / "dagger.json").read_text())
    described |= {"name": name, "source": "."}
    (folder / "dagger.json").write_text(json.dumps(described))
    (folder / "pyproject.toml").write_text(_PYPROJECT.format(name=name, title=title))
    shutil.copy(ROOT / "ci/requirements.lock", folder)
    (folder / ".python-version").write_text((ROOT / ".python-version").read_text())
    (package / "__init__.py").write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # noqa: S607 - from the path


def warm(work: Path, source: Path) -> list[Contestant]:
    """Return calls that have nothing to do: of an empty module and of ``ci``."""
    empty_module(work / "empty")
    return [
        _call("empty module", work / "empty", source, "nothing"),
        _ours(source),
    ]


def edited(work: Path, source: Path) -> list[Contestant]:
    """Return calls after an edit that every check reads: bare modules and ``ci``."""
    bare = work / "bare"
    bare_module(bare, source)
    edited_file = source / "sample/part1.py"
    text = edited_file.read_text()
    numbers = itertools.count()

    def edit() -> None:
        edited_file.write_text(f"{text}\n\nEDIT = {next(numbers)}\n")

    contestants = [
        _call("bare module, in stages", bare, source, "execs", "--source=."),
        _call("bare module, all at once", bare, source, "execs", "--source=.", "--at-once"),
        _ours(source),
    ]
    return [replace(contestant, before=edit) for contestant in contestants]


def _ours(source: Path) -> Contestant:
    argv = ["dagger", "--silent", "-m", str(ROOT), "call", "--source=.", "ci"]
    return Contestant("dagger call ci", argv, source, dict(os.environ))


def _call(name: str, module: Path, source: Path, *words: str) -> Contestant:
    argv = ["dagger", "--silent", "-m", str(module), "call", *words]
    return Contestant(name, argv, source, dict(os.environ))
