"""What the containers would execute for a source, as data; and how a source is looked at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagger
import pytest
from dagger import dag
from dagger._exceptions import QueryErrorValue
from gql import GraphQLRequest

from llm_pipeline.config import from_pyproject
from llm_pipeline.containers.executor import ContainerExecutor, unanswered, unmade
from llm_pipeline.containers.layers import Layers
from llm_pipeline.containers.opening import one_error
from llm_pipeline.containers.tracked import tracked
from llm_pipeline.errors import InstallError, LookError, UsageError
from llm_pipeline.facts import Facts
from llm_pipeline.plan import Planned, make_plan
from tests.llm_pipeline.steps import commands, inside, steps

PYPROJECT = '[project]\nname = "app"\nversion = "1"\n[build-system]\nrequires = ["hatchling"]\n'
FILES = {
    "pyproject.toml": PYPROJECT,
    "requirements.lock": "pytest==8.4.2\n",
    "app/__init__.py": "VALUE = 1\n",
    "tests/test_app.py": "def test_app() -> None: pass\n",
    ".github/workflows/ci.yaml": "on: push\n",
}
ALL = ["gitleaks", "lint", "format", "types", "workflows", "test"]
TOOLS = [
    ["python", "-m", "venv", "/tools"],
    [
        *("sh", "/llm-pipeline/trust.sh", "/tools/bin/pip", "install", "--no-input"),
        *("--progress-bar=off", "--no-deps", "--require-hashes", "-r", "/locks/tools.lock"),
    ],
]
PIP = [
    *("sh", "/llm-pipeline/trust.sh", "pip", "--python", "/env/bin/python"),
    *("install", "--no-input", "--progress-bar=off"),
]


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., dict[str, tuple[Planned, dagger.Container]]]:
    """Every check with the container in which its script would have run."""

    def make(
        settings: dict[str, Any] | None = None, git: dagger.Directory | dagger.File | None = None
    ) -> dict[str, tuple[Planned, dagger.Container]]:
        for name, text in FILES.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        tables = {"tool": {"llm-pipeline": {"checks": ALL, **(settings or {})}}}
        plan = make_plan(Facts(tmp_path, tuple(FILES)), from_pyproject(tables))
        layers = Layers(plan, dag.directory(), git or dag.directory(), "python:x", "gitleaks:x")
        executor = ContainerExecutor(layers, tmp_path)
        return {check.name: (check, executor.container(check)) for check in plan.checks}

    return make


Containers = Callable[..., dict[str, tuple[Planned, dagger.Container]]]


def images(container: dagger.Container) -> list[str]:
    """The images that a container is made from."""
    return [arguments["address"] for name, arguments in steps(container) if name == "from"]


@pytest.mark.parametrize("name", ALL)
def test_script(name: str, planned: Containers) -> None:
    """A check is one command, within its time limit, on what it reads and nothing else."""
    check, container = planned()[name]
    last = commands(container)[-1]
    assert last == ["timeout", "-k", "5", "1800", "sh", f"/llm-pipeline/{name}.sh"]
    mounts = {
        arguments["path"]: arguments["source"]
        for step, arguments in steps(container)
        if step == "withMountedDirectory"
    }
    (step, arguments) = steps(mounts["/src"])[-1]
    assert step == "filter"
    assert arguments["include"] == list(check.reads)


@pytest.mark.parametrize("name", ["lint", "format", "workflows"])
def test_static(name: str, planned: Containers) -> None:
    """A static check needs our tools and nothing of the source below them."""
    _, container = planned()[name]
    assert images(container) == ["python:x"]
    assert commands(container)[:-1] == TOOLS


@pytest.mark.parametrize("name", ["types", "test"])
def test_environment(name: str, planned: Containers) -> None:
    """Types and tests need the source's environment: its lock first, the project last."""
    _, container = planned()[name]
    ran = commands(container)[:-1]
    assert ran[:2] == TOOLS
    assert ran[2] == ["python", "-m", "venv", "/env"]
    assert ran[3] == [*PIP, "-r", "requirements.lock"]
    assert ran[4][: len(PIP)] == PIP
    assert "-e" in ran[4]
    assert ran[5][:5] == ["sh", "/llm-pipeline/trust.sh", "sh", "/llm-pipeline/ensure.sh", "/env"]
    mounts = [
        list(steps(arguments["source"])[-1][1]["include"])
        for step, arguments in steps(container)
        if step == "withMountedDirectory"
    ]
    assert "**" not in mounts[0]
    assert "**/requirements/**" in mounts[0]
    assert "**" in mounts[1]


def test_project_files(planned: Containers) -> None:
    """The files that suffice to install the project can be named; then no other is in the key."""
    _, container = planned({"install": {"project": ["app/__init__.py"]}})["test"]
    mounts = [
        list(steps(arguments["source"])[-1][1]["include"])
        for step, arguments in steps(container)
        if step == "withMountedDirectory"
    ]
    assert "app/__init__.py" in mounts[1]
    assert "**" not in mounts[1]


def test_packages(planned: Containers) -> None:
    """Packages of the system are there for the environment and for the source's own commands."""
    made = planned(
        {"images": {"packages": ["git", "make"]}, "format": {"command": "make format-check"}}
    )
    wanted = ["sh", "/llm-pipeline/packages.sh", "git", "make"]
    assert commands(made["test"][1])[2] == wanted
    assert commands(made["format"][1])[2] == wanted
    assert wanted not in commands(made["lint"][1])


def test_leak_scan(planned: Containers) -> None:
    """The leak scan has its own image, the repository, and alone sees git."""
    git = dag.directory().with_new_file("HEAD", "")
    made = planned(git=git)
    _, container = made["gitleaks"]
    assert images(container) == ["gitleaks:x"]
    assert commands(container)[0] == ["sh", "-c", "gitleaks version >/gitleaks.version"]
    places = {
        name: [arguments["path"] for step, arguments in steps(container) if "Mounted" in step]
        for name, (_, container) in made.items()
    }
    assert "/repo/.git" in places.pop("gitleaks")
    assert not [name for name, paths in places.items() if "/repo/.git" in paths]


def test_worktree(planned: Containers) -> None:
    """Where .git is a file, the scan gets the file, and says itself what to do."""
    file = dag.directory().with_new_file(".git", "gitdir: elsewhere").file(".git")
    _, container = planned(git=file)["gitleaks"]
    mounted = [arguments["path"] for step, arguments in steps(container) if "MountedFile" in step]
    assert mounted == ["/repo/.git"]


def test_keys_are_stable(planned: Containers) -> None:
    """Made twice, every container has the same steps: only so can an engine know them again."""
    first, second = planned(), planned()
    for name in ALL:
        one = [step for step in inside(first[name][1]) if not _objects(step)]
        two = [step for step in inside(second[name][1]) if not _objects(step)]
        assert one == two


def _objects(step: tuple[str, dict[str, Any]]) -> bool:
    return any(
        isinstance(value, dagger.Directory | dagger.File | dagger.CacheVolume)
        for value in step[1].values()
    )


@pytest.mark.parametrize("name", ALL)
def test_no_copy_with_globs(name: str, planned: Containers) -> None:
    """No step copies with `include`: that would run again after any edit anywhere in the source."""
    for step, arguments in inside(planned()[name][1]):
        assert step == "filter" or not {"include", "exclude"} & set(arguments)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_tracked(version: str, tmp_path: Path, git: Callable[..., str]) -> None:
    """The names in an index of any version are those that git lists."""
    names = [
        "a",
        "a/b c",
        "dir/file.txt",
        "dir/file2.txt",
        "dir/ä",
        f"{'x' * 200}/{'y' * 200}",
        "new",
    ]
    git("init", "--quiet", "--object-format=sha1")
    for name in names[1:]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    git("add", "--all")
    if version == "3":
        (tmp_path / "intended").write_text("")
        git("add", "--intent-to-add", "intended")
    git("update-index", "--index-version", version)
    listed = git("ls-files", "-z").rstrip("\0").split("\0")
    index = (tmp_path / ".git/index").read_bytes()
    assert index[7] == int(version)
    assert tracked(index) == set(listed)


def test_tracked_sha256(tmp_path: Path, git: Callable[..., str]) -> None:
    """The longer hashes of a repository of the new format are read too."""
    git("init", "--quiet", "--object-format=sha256")
    for name in ("one", "two/three"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    git("add", "--all")
    assert tracked((tmp_path / ".git/index").read_bytes()) == {"one", "two/three"}


def test_tracked_without_submodules(tmp_path: Path, git: Callable[..., str]) -> None:
    """A submodule is no file."""
    git("init", "--quiet")
    (tmp_path / "file").write_text("")
    git("add", "file")
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    assert tracked((tmp_path / ".git/index").read_bytes()) == {"file"}


@pytest.mark.parametrize("index", [b"", b"DIRC", b"DIRC\0\0\0\2\0\0\0\5short", b"x" * 100])
def test_tracked_broken(index: bytes) -> None:
    """What is no index holds nothing."""
    assert tracked(index) == frozenset()


def test_one_error() -> None:
    """Of the errors in task groups the first reaches the caller, and no group."""
    group = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [UsageError("this")])])
    with pytest.raises(UsageError, match="this"), one_error():
        raise group


def refusal(message: str, **extensions: object) -> Any:  # noqa: ANN401 - told by `_type`
    """An answer of the engine, as its client makes it of one."""
    return dagger.QueryError(
        [QueryErrorValue(message, extensions=extensions)], GraphQLRequest("{a}")
    )


def test_unanswered() -> None:
    """An image that can't be pulled is told apart, with what helps behind a mirror."""
    told = unanswered(refusal("failed to resolve source metadata for docker.io/library/absent"))
    assert type(told) is LookError
    assert "[tool.llm-pipeline.images]" in str(told)
    assert str(unanswered(refusal("something else"))) == "something else"


def test_unmade() -> None:
    """An installation that failed names its command, its exit code and its last line."""
    told = unmade(
        refusal(
            "exit code: 1",
            _type="EXEC_ERROR",
            cmd=["sh", "/llm-pipeline/trust.sh", "pip", "install", "absent"],
            exitCode=1,
            stdout="looking",
            stderr="first\nno such package",
        )
    )
    assert isinstance(told, InstallError)
    assert "`sh pip install absent` ended with 1: no such package" in str(told)
    assert told.log == "looking\nfirst\nno such package"
