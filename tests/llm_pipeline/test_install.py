"""How a source's environment will be made: the manager, the groups, the commands."""

from pathlib import Path
from typing import Final

import pytest

from llm_pipeline.config import Install
from llm_pipeline.errors import ConfigError
from llm_pipeline.install import InstallPlan, chosen, plan_install
from tests.llm_pipeline.sources import write

PIP: Final = "pip --python {env}/bin/python install --no-input --progress-bar=off"
ENSURE: Final = "sh {data}/ensure.sh {env} pytest"
PROJECT: Final = "[project]\nname = 'x'\nversion = '1'\n"
HASHED: Final = "ruff==0.1 \\\n    --hash=sha256:00\n"


def planned(root: Path, texts: dict[str, str], settings: Install | None = None) -> InstallPlan:
    """The plan for a source of these files, without coverage."""
    return plan_install(write(root, texts), settings or Install(), coverage=False)


def steps(plan: InstallPlan) -> tuple[list[str], list[str]]:
    """The commands for the dependencies and for the project, each as a line."""
    return list(map(" ".join, plan.dependencies)), list(map(" ".join, plan.project))


@pytest.mark.parametrize(
    ("files", "manager"),
    [
        (["uv.lock", "poetry.lock", "requirements.txt"], "uv"),
        (["poetry.lock", "requirements.txt"], "poetry"),
        (["requirements.txt"], "pip"),
        (["sub/uv.lock"], "pip"),
        ([], "pip"),
    ],
)
def test_manager_is_told_by_the_locks(tmp_path: Path, files: list[str], manager: str) -> None:
    """The lock at the root decides who installs; without one it is pip."""
    assert planned(tmp_path, dict.fromkeys(files, "")).manager == manager


def test_settings_name_another_manager(tmp_path: Path) -> None:
    """The settings win over the files."""
    assert planned(tmp_path, {"uv.lock": ""}, Install(manager="pip")).manager == "pip"


def test_uv(tmp_path: Path) -> None:
    """The lock is taken as it is, first without the project, with the groups that serve checks."""
    text = PROJECT + (
        "[project.optional-dependencies]\ncli = ['rich']\ntest = ['attrs']\n"
        "[dependency-groups]\ndev = ['ruff']\nqa = ['mypy']\ndocs = ['pytest']\n"
    )
    plan = planned(tmp_path, {"uv.lock": "", "pyproject.toml": text})
    sync = "uv sync --frozen --no-progress --extra test --group dev --group qa"
    without = "--no-install-project --no-install-workspace --no-install-local"
    assert steps(plan) == ([f"{sync} {without}"], [sync, ENSURE])


def test_uv_with_groups_of_the_settings(tmp_path: Path) -> None:
    """Extras and groups of the settings take the place of our choice, none at all too."""
    text = PROJECT + "[dependency-groups]\ndev = ['ruff']\ndocs = ['sphinx']\n"
    texts = {"uv.lock": "", "pyproject.toml": text}
    for groups, options in ((["docs"], " --group docs"), ([], "")):
        plan = planned(tmp_path, texts, Install(groups=groups))
        assert steps(plan)[1] == [f"uv sync --frozen --no-progress{options}", ENSURE]


def test_poetry(tmp_path: Path) -> None:
    """Poetry exports what its lock holds for the groups that it would install itself."""
    text = (
        "[tool.poetry]\nname = 'x'\n[tool.poetry.dev-dependencies]\npytest = '*'\n"
        "[tool.poetry.group.lint.dependencies]\nruff = '*'\n"
        "[tool.poetry.group.docs]\noptional = true\n"
        "[dependency-groups]\ntypes = ['mypy']\ndocs-x = ['sphinx']\n"
    )
    plan = planned(tmp_path, {"poetry.lock": "", "pyproject.toml": text})
    dependencies, project = steps(plan)
    export = "poetry export --no-interaction --no-ansi --format=requirements.txt"
    export += " --output={env}/requirements.txt"
    assert dependencies == [
        f"{export} --with lint --with dev --with types",
        f"{PIP} -r {{env}}/requirements.txt",
    ]
    assert project == [f"{PIP} --no-deps -e .", ENSURE]


def test_poetry_without_a_package(tmp_path: Path) -> None:
    """A poetry project that is no package is not installed itself."""
    texts = {"poetry.lock": "", "pyproject.toml": "[tool.poetry]\npackage-mode = false\n"}
    assert steps(planned(tmp_path, texts))[1] == [ENSURE]


def test_poetry_groups_of_the_settings(tmp_path: Path) -> None:
    """Groups and extras of a detected poetry project are poetry's own to check."""
    settings = Install(groups=["docs"], extras=["all"])
    plan = planned(tmp_path, {"poetry.lock": ""}, settings)
    assert steps(plan)[0][0].endswith("--with docs --extras all")


@pytest.mark.parametrize(
    "text",
    [
        "[tool]\npoetry = 3",
        "[tool.poetry]\ngroup = 3",
        "[tool.poetry.group]\nlint = 3",
        "[tool.poetry]\ngroup = ['a']",
    ],
)
def test_malformed_poetry(tmp_path: Path, text: str) -> None:
    """Pieces of a wrong type are left to poetry to complain about."""
    plan = planned(tmp_path, {"poetry.lock": "", "pyproject.toml": text})
    assert steps(plan)[0][0].startswith("poetry export")


def test_pip_with_a_project(tmp_path: Path) -> None:
    """Without requirement files pip installs the project with the extras and groups it chooses."""
    text = PROJECT + (
        "[project.optional-dependencies]\ntests = ['pytest']\nall = []\n"
        "[dependency-groups]\nlint = ['ruff']\n"
    )
    plan = planned(tmp_path, {"pyproject.toml": text})
    assert steps(plan) == ([], [f"{PIP} -e .[tests] --group lint", ENSURE])


def test_pip_with_requirement_files(tmp_path: Path) -> None:
    """Requirement files come first, so that they are a layer of their own."""
    texts = {"setup.py": "", "requirements.txt": "click\n", "requirements-dev.txt": "ruff\n"}
    dependencies, project = steps(planned(tmp_path, texts))
    assert dependencies == [f"{PIP} -r requirements.txt -r requirements-dev.txt"]
    assert project == [f"{PIP} -e .", ENSURE]


@pytest.mark.parametrize(
    "text",
    [
        "-e .\n",
        "-e .[cli]\nruff\n",
        "--editable=.\n",
        "--editable ./sub\n",
        "ruff\n.\n",
        ".[cli] ; python_version > '3'\n",
        "./libs/core\n",
        "../core\n",
        "-e git+https://example.org/x.git#egg=x\n",
    ],
)
def test_requirements_that_install_the_source(tmp_path: Path, text: str) -> None:
    """A file that asks for the source itself needs all of it, and installs it alone."""
    plan = planned(tmp_path, {"pyproject.toml": PROJECT, "requirements.txt": text})
    assert steps(plan) == ([], [f"{PIP} -r requirements.txt", ENSURE])


@pytest.mark.parametrize("text", ["-r base.txt", "--requirement=base.txt", "  -rbase.txt\n"])
def test_included_requirements_that_install_the_source(tmp_path: Path, text: str) -> None:
    """The same where an included file asks for it."""
    texts = {"requirements/dev.txt": text, "requirements/base.txt": "-r dev.txt\n-e .\n"}
    assert steps(planned(tmp_path, texts)) == ([], [f"{PIP} -r requirements/dev.txt", ENSURE])


@pytest.mark.parametrize("text", ["click\n", "# -e .\n", "x.y\n", "--extra-thing\n", "-r none.txt"])
def test_requirements_that_need_only_themselves(tmp_path: Path, text: str) -> None:
    """Anything else is installed without the source."""
    plan = planned(tmp_path, {"requirements.txt": text})
    assert steps(plan) == ([f"{PIP} -r requirements.txt"], [ENSURE])


def test_hashed_lock(tmp_path: Path) -> None:
    """Beside a lock with hashes the projects come without their dependencies."""
    texts = {"pyproject.toml": PROJECT, "requirements.lock": HASHED, "requirements.txt": "click"}
    dependencies, project = steps(planned(tmp_path, texts))
    assert dependencies == [f"{PIP} -r requirements.lock"]
    assert project == [f"{PIP} --no-deps -e .", ENSURE]


def test_lock_that_holds_everything(tmp_path: Path) -> None:
    """Where a lock leaves a dependency out on purpose, pip does not look for it."""
    texts = {"pyproject.toml": PROJECT, "requirements.lock": HASHED}
    dependencies, _ = steps(planned(tmp_path, texts, Install(no_deps=True)))
    assert dependencies == [f"{PIP} --no-deps -r requirements.lock"]


@pytest.mark.parametrize("key", ["groups", "extras"])
def test_hashed_lock_with_groups(tmp_path: Path, key: str) -> None:
    """A group or extra beside a lock with hashes is an error: nothing of it would be installed."""
    texts = {
        "pyproject.toml": '[project]\nname = "a"\noptional-dependencies = { b = ["c"] }\n'
        '[dependency-groups]\nb = ["c"]\n',
        "requirements.lock": HASHED,
    }
    settings = Install(groups=["b"]) if key == "groups" else Install(extras=["b"])
    with pytest.raises(ConfigError, match="say nothing beside requirements with hashes"):
        planned(tmp_path, texts, settings)


def test_hashed_lock_with_its_backend(tmp_path: Path) -> None:
    """Where the lock holds what builds the projects, nothing else is fetched for that."""
    system = "[build-system]\nrequires = ['Hatchling>=1']\n"
    texts = {
        "pyproject.toml": PROJECT + system,
        "ci/pyproject.toml": system,
        "requirements.lock": HASHED + "hatchling==1 \\\n    --hash=sha256:00\n",
    }
    plan = planned(tmp_path, texts, Install(projects=[".", "ci"]))
    assert steps(plan)[1] == [f"{PIP} --no-deps --no-build-isolation -e . -e ./ci", ENSURE]


def test_hashed_lock_without_a_project(tmp_path: Path) -> None:
    """A source that is no project installs its lock alone."""
    assert steps(planned(tmp_path, {"requirements.lock": HASHED}))[1] == [ENSURE]


def test_nothing_to_install(tmp_path: Path) -> None:
    """A folder of scripts gets the test tools and nothing else."""
    assert steps(planned(tmp_path, {"script.py": ""})) == ([], [ENSURE])


@pytest.mark.parametrize("requires", ["'hatchling'", "3", "[3]", "[]"])
def test_malformed_build_system(tmp_path: Path, requires: str) -> None:
    """A build system of a wrong type is left to the installer to complain about."""
    text = f"{PROJECT}[build-system]\nrequires = {requires}\n"
    plan = planned(tmp_path, {"pyproject.toml": text, "requirements.lock": HASHED})
    assert "--no-deps -e ." in steps(plan)[1][0]


def test_commands_of_the_settings(tmp_path: Path) -> None:
    """Commands take the place of everything, the test tools too."""
    settings = Install(commands=[["make", "env"], ["true"]], inputs=["native/**"], env={"A": "b"})
    plan = planned(tmp_path, {"uv.lock": ""}, settings)
    assert steps(plan) == ([], ["make env", "true"])
    assert plan.manager == "custom"
    assert plan.key == ("native/**",)
    assert plan.env == {"A": "b", "SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0"}


def test_no_manager(tmp_path: Path) -> None:
    """With the manager `none` nothing is installed."""
    assert steps(planned(tmp_path, {"uv.lock": ""}, Install(manager="none"))) == ([], [])


def test_coverage_needs_its_tool(tmp_path: Path) -> None:
    """Where coverage is measured its tool is there too."""
    plan = plan_install(write(tmp_path, {}), Install(), coverage=True)
    assert plan.project[-1][-2:] == ("pytest", "coverage")


def test_key_holds_the_files_that_are_installed(tmp_path: Path) -> None:
    """Requirement files count in the key whatever their names are, with those that they include."""
    texts = {"deps/[ci].pip": "-r more\n-c pins\nruff", "deps/more": "-r [ci].pip", "deps/pins": ""}
    plan = planned(tmp_path, texts, Install(requirements=["deps/[ci].pip"]))
    assert plan.key == (r"deps/\[ci].pip", "deps/more", "deps/pins")


def test_inputs_of_the_project(tmp_path: Path) -> None:
    """The project's own layer needs all files, or those that the settings name."""
    assert planned(tmp_path, {}).inputs == ("**",)
    assert planned(tmp_path, {}, Install(project=["src/**"])).inputs == ("src/**",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Install(requirements=["dev.txt"]),
            "`install.requirements` names dev.txt, which the source does not hold.",
        ),
        (
            Install(projects=[".", "lib"]),
            "`install.projects` names lib, which holds no pyproject.toml or setup.py.",
        ),
        (Install(groups=["tset"]), "`install.groups` names tset; the source has: lint, test."),
        (Install(extras=["cli"]), "`install.extras` names cli; the source has: none."),
        (
            Install(manager="uv", groups=["x"]),
            "`install.groups` names x; the source has: lint, test.",
        ),
    ],
)
def test_settings_that_name_what_is_missing(
    tmp_path: Path, settings: Install, message: str
) -> None:
    """Settings that name a file, a folder, a group or an extra that is not there are an error."""
    text = PROJECT + "[dependency-groups]\ntest = []\nlint = []\n"
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, {"pyproject.toml": text}, settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "holds", "is_chosen"),
    [
        ("dev", [], True),
        ("tests", [], True),
        ("typing", [], True),
        ("quality", ["ruff"], True),
        ("security", ["mypy"], True),
        ("extra", ["click"], False),
        ("devices", [], False),
        ("docs", ["pytest"], False),
        ("dev-docs", ["pytest"], False),
        ("tests-random", ["pytest", "pytest-randomly"], False),
        ("benchmarks", ["pytest"], False),
        ("ty", ["pytest"], False),
        ("pyright", ["pytest"], False),
    ],
)
def test_groups_that_serve_checks(name: str, holds: list[str], *, is_chosen: bool) -> None:
    """Groups are chosen by name or by the tools in them; those for other ends are not."""
    assert chosen({name: frozenset(holds)}) == ((name,) if is_chosen else ())
