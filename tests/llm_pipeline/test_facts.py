"""What the files of a source say about it, also where they are broken."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from llm_pipeline.errors import ConfigError
from llm_pipeline.facts import Facts, canonical, requirement_name
from tests.llm_pipeline.sources import write

Write = Callable[..., Facts]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Write files and return the facts about them: `written({"a.py": "text"}, "empty.py")`."""

    def facts(texts: Mapping[str, str | bytes] | None = None, *empty: str) -> Facts:
        return write(tmp_path, texts or {}, *empty)

    return facts


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Ruff", "ruff"),
        ("types_PyYAML>=6", "types-pyyaml"),
        ("zope.interface ; python_version < '4'", "zope-interface"),
        ("coverage[toml]==7.1 \\", "coverage"),
        ("  pytest>9", "pytest"),
        ("pkg @ https://example.org/pkg.whl", "pkg"),
        ("# comment", ""),
        ("-r base.txt", ""),
        ("    --hash=sha256:00", ""),
        (".[dev]", ""),
        ("", ""),
    ],
)
def test_requirement_name(line: str, name: str) -> None:
    """The name at the head of a requirement is normalised; other lines have none."""
    assert requirement_name(line) == name


def test_canonical_name() -> None:
    """Runs of separators become one dash."""
    assert canonical("A.b__C-.d") == "a-b-c-d"


def test_requirements_of_a_project(written: Write) -> None:
    """Dependencies, extras and groups of pyproject.toml count, with what groups include."""
    facts = written(
        {
            "pyproject.toml": """
            [project]
            name = "x"
            dependencies = ["click>=8", "Anyio"]
            [project.optional-dependencies]
            cli = ["rich"]
            [dependency-groups]
            test = ["pytest", { include-group = "Co_V" }]
            co-v = ["coverage", { include-group = "test" }]
            alone = [{ include-group = "alone" }]
            lost = [{ include-group = "nowhere" }, "ruff"]
            """
        }
    )
    assert facts.groups == {
        "test": {"pytest", "coverage"},
        "co-v": {"pytest", "coverage"},
        "alone": frozenset(),
        "lost": {"ruff"},
    }
    assert facts.extras == {"cli": {"rich"}}
    assert facts.requirements == {"click", "anyio", "rich", "pytest", "coverage", "ruff"}


def test_requirements_of_poetry(written: Write) -> None:
    """The tables of poetry count, the old one for development too."""
    facts = written(
        {
            "pyproject.toml": """
            [tool.poetry.dependencies]
            python = "^3.11"
            Click = "^8"
            [tool.poetry.dev-dependencies]
            pytest = "^7"
            [tool.poetry.group.lint.dependencies]
            ruff = { version = "*", optional = true }
            """
        }
    )
    assert facts.requirements == {"python", "click", "pytest", "ruff"}


def test_requirements_of_setup_cfg(written: Write) -> None:
    """A project that is described in setup.cfg has requirements and extras too."""
    facts = written(
        {
            "setup.cfg": "[options]\ninstall_requires =\n  click\n  anyio>=4\n"
            "[options.extras_require]\ntest =\n  pytest\n"
        }
    )
    assert facts.extras == {"test": {"pytest"}}
    assert facts.requirements == {"click", "anyio", "pytest"}


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-dev.in",
        "requirements.lock",
        "dev-requirements.txt",
        "requirements/tests.txt",
    ],
)
def test_requirements_of_files(written: Write, name: str) -> None:
    """Requirement files at the root and in their folder count, options and comments don't."""
    text = "# tools\n-r other.txt\nruff==0.1 \\\n    --hash=sha256:00\n\n-e .\nmypy # why\n"
    assert written({name: text}).requirements == {"ruff", "mypy"}


def test_requirements_elsewhere_do_not_count(written: Write) -> None:
    """A text that only looks like one, or lies in another project, says nothing."""
    facts = written({"docs/requirements.txt": "sphinx", "requirements.md": "ruff", "a.txt": "mypy"})
    assert facts.requirements == frozenset()


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock"])
def test_requirements_of_locks(written: Write, lock: str) -> None:
    """Each package of a lock counts, once for the line of its name."""
    text = 'version = 1\n[[package]]\nname = "Typing_Extensions"\nversion = "4"\n'
    text += '[[package]]\nname = "ruff"\ndependencies = [{ name = "other" }]\n'
    assert written({lock: text}).requirements == {"typing-extensions", "ruff"}


@pytest.mark.parametrize(
    ("hook", "version"),
    [
        ("repo: https://github.com/astral-sh/ruff-pre-commit\n  rev: v0.15.9\n", "0.15.9"),
        ("repo: https://github.com/astral-sh/ruff-pre-commit\n  rev: 'v0.15.9'\n", "0.15.9"),
        ('repo: "https://github.com/astral-sh/ruff-pre-commit"\n  rev: "v0.15.9"\n', "0.15.9"),
        ("repo: https://github.com/astral-sh/ruff-pre-commit.git\n  rev: 0.15.9\n", "0.15.9"),
        ("repo: git@x:y/astral-sh/ruff-pre-commit # ours\n\n  # why\n  rev: v1.0\n", "1.0"),
        (
            "repo: https://x/astral-sh/ruff-pre-commit\n  rev: c60c980e  # frozen: v0.15.9\n",
            "0.15.9",
        ),
        ("repo: https://x/astral-sh/ruff-pre-commit\n  rev: v1.0.0rc1\n", "1.0.0rc1"),
        ("repo: https://x/astral-sh/ruff-pre-commit\n  rev: c60c980e561ed3e73101\n", None),
        ("repo: https://x/astral-sh/ruff-pre-commit\n  rev: main\n", None),
        ("repo: https://x/astral-sh/ruff-pre-commit\n", None),
        ("repo: https://x/astral-sh/ruff-pre-commit-x\n  rev: v1.0\n", None),
        ("repo: https://x/y\n  rev: v1.0\n", None),
        ("# repo https://x/astral-sh/ruff-pre-commit\n", None),
    ],
)
def test_hook_version(written: Write, hook: str, version: str | None) -> None:
    """The version of a hook is its tag, or the comment that tells which tag was frozen."""
    before = "repos:\n- repo: https://x/z\n  rev: v9.9\n  hooks: [{ id: z }]\n- "
    facts = written({".pre-commit-config.yaml": f"{before}{hook}  hooks:\n  - id: ruff\n"})
    assert facts.hook_version("astral-sh/ruff-pre-commit") == version


def test_hook_without_a_file(written: Write) -> None:
    """Without pre-commit's file there is no version."""
    assert written().hook_version("astral-sh/ruff-pre-commit") is None


@pytest.mark.parametrize(
    ("files", "packages", "modules"),
    [
        (["app/__init__.py", "app/sub/__init__.py", "tests/__init__.py"], ["app"], []),
        (["app/__init__.pyi", "setup.py", "noxfile.py", "conftest.py"], ["app"], []),
        (["src/a/__init__.py", "src/b/__init__.py", "src/a/c/__init__.py"], ["src/a", "src/b"], []),
        (
            [
                "api/src/api/__init__.py",
                "libs/core/src/core/__init__.py",
                "tests/src/x/__init__.py",
            ],
            ["api/src/api", "libs/core/src/core"],
            [],
        ),
        (
            ["tool.py", "src/other.py", "test_tool.py", "lib/third.py"],
            [],
            ["tool.py", "src/other.py"],
        ),
        (["docs/conf.py", "examples/x/__init__.py", "benchmarks/__init__.py"], [], []),
        (["__init__.py"], [], ["__init__.py"]),
        ([], [], []),
    ],
)
def test_layouts(written: Write, files: list[str], packages: list[str], modules: list[str]) -> None:
    """Packages and modules are found in flat, src and monorepo layouts."""
    facts = written(None, *files)
    assert list(facts.packages) == packages
    assert list(facts.modules) == modules


def test_kinds_of_files(written: Write) -> None:
    """Tests, workflows and Python files are told by their paths."""
    facts = written(
        None,
        "test_a.py",
        "tests/deep/b_test.py",
        "tests/conftest.py",
        "tests/testing.py",
        "stub.pyi",
        "test_data.txt",
        ".github/workflows/ci.yml",
        ".github/workflows/cd.yaml",
        ".github/workflows/nested/x.yml",
        ".github/dependabot.yml",
    )
    assert facts.test_files == ("test_a.py", "tests/deep/b_test.py")
    assert facts.workflows == (".github/workflows/ci.yml", ".github/workflows/cd.yaml")
    assert "stub.pyi" in facts.python_files
    assert "test_data.txt" not in facts.python_files


def test_odd_names_and_bytes(written: Write) -> None:
    """Names and contents that are no UTF-8, with newlines and spaces, are read like others."""
    odd = os.fsdecode(b"t\xe9st_\n x.py")
    facts = written(
        {odd: b"\xff\xfe", "Makefile": b"caf\xe9:\n\tpytest\n", "setup.cfg": b"[a]\nb=\xff"}
    )
    assert facts.python_files == (odd,)
    assert "\tpytest" in facts.scripts
    assert facts.text(odd) == "\ufffd\ufffd"
    assert facts.ini("setup.cfg") == {"a": {"b": "\ufffd"}}
    assert facts.text("nul\0name") == ""


def test_what_is_no_file_has_no_text(written: Write, tmp_path: Path) -> None:
    """A folder, a link to nowhere and a named pipe are empty texts; nobody waits for the pipe."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "Makefile")
    facts = written()
    for name in ("folder", "link", "Makefile", "missing"):
        assert facts.text(name) == ""


@pytest.mark.parametrize(
    "text", ["[section", "[a]\nb", "no section = 1", "[a]\n[b\n", "\ufeff[a]\nb=1"]
)
def test_broken_ini(written: Write, text: str) -> None:
    """An INI file that can't be read has no sections."""
    assert written({"tox.ini": text}).ini("tox.ini") == {}


def test_ini_as_it_is(written: Write) -> None:
    """Repeated sections and per cent signs are no error."""
    facts = written({"tox.ini": "[a]\nb = %x\n[a]\nc = ${d}\n"})
    assert facts.ini("tox.ini") == {"a": {"b": "%x", "c": "${d}"}}


def test_broken_toml(written: Write) -> None:
    """A pyproject.toml that is no TOML is an error that says where and what to do."""
    with pytest.raises(ConfigError) as caught:
        _ = written({"pyproject.toml": "[project]\nname = \n"}).requirements
    message = str(caught.value)
    assert message.startswith("pyproject.toml is not valid TOML: ")
    assert message.endswith("(at line 2, column 8). Correct it and run again.")


@pytest.mark.parametrize(
    "text",
    [
        "project = 3",
        "tool = 3",
        "dependency-groups = ['a']",
        "dependency-groups = { a = 'pytest' }",
        "dependency-groups = { a = [3, {}, { include-group = 3 }, { include-group = ['a'] }] }",
        "dependency-groups = { a = 3 }",
        "build-system = 'hatchling'",
        "[project]\ndependencies = 'click'",
        "[project]\ndependencies = 3",
        "[project]\ndependencies = [3, ['a'], { a = 1 }]",
        "[project]\noptional-dependencies = ['a']",
        "[project]\noptional-dependencies = { a = 3 }",
        "[tool]\npoetry = 3",
        "[tool.poetry]\ndependencies = ['a']",
        "[tool.poetry]\ngroup = 3",
        "[tool.poetry]\ngroup = { a = 3 }",
        "[tool.poetry]\ngroup = { a = { dependencies = 3 } }",
        "[tool]\nruff = 3",
    ],
)
def test_malformed_pyproject(written: Write, text: str) -> None:
    """Pieces of a wrong type are passed over: it is for other tools to complain."""
    facts = written({"pyproject.toml": text})
    assert facts.requirements <= {"click", "pytest"}
    assert set(facts.groups) <= {"a"}
    assert set(facts.extras) <= {"a"}
    assert facts.table("tool.ruff") is None
    assert facts.table("project.name.x") is None
