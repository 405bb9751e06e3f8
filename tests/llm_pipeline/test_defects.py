"""The planted defects: the real tools find them, or it is told why not."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import pytest

from llm_pipeline import defects, judges
from llm_pipeline.facts import Facts
from llm_pipeline.model import Verdict
from llm_pipeline.outcome import Judge
from tests.llm_pipeline.executed import (
    ACTIONLINT,
    MYPY,
    PYTEST,
    RUFF_CHECK,
    RUFF_FORMAT,
    ZIZMOR,
    execute,
    write,
)

DATA: Final = Path(defects.__file__).parent / "data"
GITLEAKS: Final = ("gitleaks", "dir", "--exit-code=9", "-l=error", "-f=json", "-r={out}/leaks.json")
JUDGES: Final[Mapping[str, Judge]] = {
    "lint": judges.lint,
    "format": judges.formatting,
    "types": judges.types,
    "workflows": judges.workflows,
    "test": judges.tests,
}
COMMANDS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "lint": (RUFF_CHECK,),
    "format": (RUFF_FORMAT,),
    "types": ((*MYPY, "pkg"),),
    "workflows": (ZIZMOR, ACTIONLINT),
    "test": (PYTEST,),
}
CODES: Final = ["assignment", "return-value", "call-arg", "arg-type", "attr-defined"]
KINDS: Final = ["github-pat", "aws-access-token", "slack-bot-token", "gitlab-pat"]
RULES: Final = [*KINDS, "generic-api-key"]
PACKAGE: Final = {"pkg/__init__.py": "", "tests/test_pkg.py": "def test_pkg() -> None: ...\n"}


class Leak(msgspec.Struct):
    """The part of gitleaks' report that is looked at here."""

    rule: str = msgspec.field(name="RuleID")
    line: int = msgspec.field(name="StartLine")


def facts_of(tree: Path, files: Mapping[str, str]) -> Facts:
    """Write a source and return its facts."""
    (tree / ".git").mkdir(parents=True)
    write(tree, files)
    return Facts(tree, tuple(files))


def seen(
    check: str, folder: Path, files: Mapping[str, str], *commands: tuple[str, ...]
) -> tuple[set[str], str]:
    """Plant a check's defects and look: which planted paths are found, and the likely cause."""
    facts = facts_of(folder / "tree", files)
    planted = defects.PLANTS[check](facts)
    write(facts.root, planted)
    commands = commands or COMMANDS[check]
    if check == "test":
        commands = tuple((*command, *planted) for command in commands)
    observed = execute(facts.root, folder / "out", *commands)
    judgement = JUDGES[check](observed)
    assert set(planted).isdisjoint(files)
    found = {finding.path for finding in judgement.findings} & set(planted)
    failed = judgement.verdict is Verdict.FAILED and all(observed.codes)
    return found if failed else set(), defects.likely_cause(check, facts, commands[0])


def test_planted_names() -> None:
    """Planted paths are told from all others."""
    for name in (f"a/{defects.STEM}.py", f"test_{defects.STEM}.py", f"{defects.STEM}_2.py"):
        assert defects.is_planted(name)
    assert defects.is_planted(defects.WORKFLOW)
    assert not defects.is_planted("tests/test_red_control.py")


class TestLint:
    """ruff check."""

    @pytest.mark.parametrize(
        "rules",
        [
            *("A", "ANN", "ARG", "B", "BLE", "C4", "D", "DTZ", "E", "EM", "ERA", "F", "FBT", "I"),
            *("ICN", "N", "PLR", "PTH", "Q", "RET", "RUF", "S", "SIM", "T20", "UP", "W"),
        ],
    )
    def test_every_family(self, rules: str, tmp_path: Path) -> None:
        """Whatever family of rules a source chooses finds something."""
        files = PACKAGE | {"ruff.toml": f'[lint]\nselect = ["{rules}"]\n'}
        assert seen("lint", tmp_path, files)[0] == {f"pkg/{defects.STEM}.py"}

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            (["src/a/__init__.py", "src/b/__init__.py"], {"src/a/{}.py", "src/b/{}_1.py"}),
            (["six.py", "setup.py", "tests/test_six.py"], {"{}.py"}),
            (["docs/conf.py", "app/web/a.py", "app/web/b.py"], {"app/web/{}.py"}),
            (["tests/test_a.py"], {"tests/{}.py"}),
        ],
    )
    def test_beside_the_sources(self, files: list[str], expected: set[str], tmp_path: Path) -> None:
        """A defect lies in each package, else beside the modules, else where most files are."""
        facts = facts_of(tmp_path, dict.fromkeys(files, ""))
        assert set(defects.undefined_name(facts)) == {
            path.format(defects.STEM) for path in expected
        }

    @pytest.mark.parametrize(
        ("files", "cause"),
        [
            ({"ruff.toml": "[lint]\nselect = []\n"}, "`lint.select = []` in ruff.toml"),
            ({"ruff.toml": "select = []\n"}, "`select = []` in ruff.toml"),
            ({".ruff.toml": "[lint]\nignore = ['ALL']\n"}, 'in .ruff.toml has "ALL"'),
            ({"ruff.toml": "[lint]\nextend-ignore = ['ALL']\n"}, "`lint.extend-ignore`"),
            (
                {"pyproject.toml": "[tool.ruff.lint.per-file-ignores]\n'*' = ['ALL']\n"},
                "`lint.per-file-ignores` in pyproject.toml ignores everything in *",
            ),
            (
                {"ruff.toml": "[lint.extend-per-file-ignores]\n'pkg/**' = ['ALL']\n"},
                "ignores everything in pkg/**",
            ),
            ({"ruff.toml": "exclude = ['pkg']\n"}, "`exclude` in ruff.toml hides the source: pkg"),
            ({"ruff.toml": "extend-exclude = ['*.py']\n"}, "`extend-exclude`"),
            ({"ruff.toml": "[lint]\nexclude = ['pkg/**']\n"}, "`lint.exclude`"),
            ({"ruff.toml": "include = ['tests/*.py']\n"}, "`include` in ruff.toml leaves"),
            (
                {"ruff.toml": "extend = 'base.toml'\n", "base.toml": "exclude = ['pkg/']\n"},
                "`exclude` in base.toml",
            ),
        ],
    )
    def test_blind(self, files: dict[str, str], cause: str, tmp_path: Path) -> None:
        """Settings that hide the source or choose no rule are named."""
        found, said = seen("lint", tmp_path, PACKAGE | files)
        assert not found
        assert cause in said

    @pytest.mark.parametrize(
        ("command", "cause"),
        [
            ((*RUFF_CHECK[:-1], "--exit-zero", "."), "`--exit-zero` makes findings count"),
            (("sh", "-c", "ruff check . || true"), "`|| true` turns its exit code into 0"),
            (("sh", "-c", "ruff check .; exit 0"), "`; exit 0` turns its exit code into 0"),
            (("sh", "-c", "ruff check --fix -q ."), "`--fix` corrects what it finds"),
            (("make", "lint"), "`|| true` turns"),
            (("make", "check"), "`continue-on-error: true`"),
        ],
    )
    def test_blind_command(self, command: tuple[str, ...], cause: str, tmp_path: Path) -> None:
        """What makes a command's exit code meaningless is named, in scripts that it calls too."""
        makefile = "lint:\n\truff check . || true\n"
        workflow = {".github/workflows/a.yml": "continue-on-error: true\n"}
        files = {"Makefile": makefile} if "lint" in command else workflow
        facts = facts_of(tmp_path, PACKAGE | files)
        assert cause in defects.likely_cause("lint", facts, command)

    def test_no_cause(self, tmp_path: Path) -> None:
        """Where nothing is recognised the command to run is told."""
        facts = facts_of(tmp_path, PACKAGE)
        said = defects.likely_cause("lint", facts, ("flake8", "."))
        assert (
            said == f"no cause recognised: run `flake8 .` on the planted file pkg/{defects.STEM}.py"
        )


class TestFormat:
    """ruff format."""

    @pytest.mark.parametrize(
        "settings",
        [
            "",
            "line-length = 320\nindent-width = 8\n",
            "[format]\nquote-style = 'single'\nindent-style = 'tab'\n",
            "[format]\nquote-style = 'preserve'\nskip-magic-trailing-comma = true\n",
            "[format]\nline-ending = 'cr-lf'\npreview = true\n",
        ],
    )
    def test_every_style(self, settings: str, tmp_path: Path) -> None:
        """No style of the formatter leaves the planted file as it is."""
        files = PACKAGE | {"ruff.toml": settings}
        assert seen("format", tmp_path, files)[0] == {f"pkg/{defects.STEM}.py"}

    @pytest.mark.parametrize(
        ("settings", "cause"),
        [
            ("[format]\nexclude = ['*.py']\n", "`format.exclude` in ruff.toml"),
            ("extend-exclude = ['pkg']\n", "`extend-exclude` in ruff.toml"),
        ],
    )
    def test_blind(self, settings: str, cause: str, tmp_path: Path) -> None:
        """Settings that hide the source are named."""
        found, said = seen("format", tmp_path, PACKAGE | {"ruff.toml": settings})
        assert not found
        assert cause in said

    def test_blind_command(self, tmp_path: Path) -> None:
        """A formatter that corrects in place of looking is told."""
        said = defects.likely_cause("format", facts_of(tmp_path, PACKAGE), ("ruff", "format"))
        assert said == "without `--check` or `--diff` it corrects files and exits with 0"


class TestTypes:
    """mypy."""

    @pytest.mark.parametrize(
        ("files", "targets", "expected"),
        [
            ({"pkg/__init__.py": ""}, ("pkg",), {"pkg/{}.py"}),
            (
                {
                    "pyproject.toml": "[tool.mypy]\nfiles = ['src', 'tests/typing']\n",
                    "src/click/__init__.py": "",
                    "tests/typing/a.py": "",
                    "tests/test_a.py": "",
                },
                (),
                {"src/click/{}.py", "tests/typing/{}_1.py"},
            ),
            (
                {
                    "mypy.ini": "[mypy]\nfiles = ./lib/*.py, tools/\n",
                    "lib/a.py": "",
                    "tools/b.py": "",
                },
                (),
                {"lib/{}.py", "tools/{}_1.py"},
            ),
            (
                {"setup.cfg": "[mypy]\npackages = rich\n", "rich/__init__.py": "", "a.py": ""},
                (),
                {"rich/{}.py"},
            ),
            (
                {
                    "pyproject.toml": "[tool.mypy]\ndisable_error_code = ['assignment', 'misc']\n",
                    "pkg/__init__.py": "",
                },
                ("pkg",),
                {"pkg/{}.py"},
            ),
        ],
    )
    def test_seen(
        self,
        files: dict[str, str],
        targets: tuple[str, ...],
        expected: set[str],
        tmp_path: Path,
    ) -> None:
        """The wrong types are seen wherever the source's settings make mypy look."""
        found, _ = seen("types", tmp_path, files, (*MYPY, *targets))
        assert found == {path.format(defects.STEM) for path in expected}
        assert not defects.unseen_by_mypy(Facts(tmp_path / "tree", tuple(files)))

    @pytest.mark.parametrize(
        ("files", "targets"),
        [
            ({"six.py": ""}, ("six.py",)),
            ({"pkg/__init__.py": "", "mypy.ini": "[mypy]\nmodules = pkg\n"}, ()),
            ({"a.py": "", "b.py": "", "mypy.ini": "[mypy]\nfiles = a.py, b.py\n"}, ()),
        ],
    )
    def test_single_files(
        self, files: dict[str, str], targets: tuple[str, ...], tmp_path: Path
    ) -> None:
        """Where mypy is given single files alone, the planted one has to be given too."""
        found, _ = seen("types", tmp_path, files, (*MYPY, *targets))
        assert not found
        assert defects.unseen_by_mypy(Facts(tmp_path / "tree", tuple(files)))

    @pytest.mark.parametrize(
        ("settings", "cause"),
        [
            ("[tool.mypy]\nignore_errors = true\n", "`ignore_errors` in pyproject.toml"),
            (
                "[[tool.mypy.overrides]]\nmodule = ['pkg', 'pkg.*']\nignore_errors = true\n",
                "`ignore_errors` for pkg, pkg.*",
            ),
            ("[tool.mypy]\nexclude = '.*'\n", "mypy's `exclude` hides the source: .*"),
            ("[tool.mypy]\nexclude = ['^pkg/zz']\n", "hides the source: ^pkg/zz"),
            (
                f"[tool.mypy]\ndisable_error_code = {CODES}\n",
                "`disable_error_code` in pyproject.toml: assignment, return-value",
            ),
        ],
    )
    def test_blind(self, settings: str, cause: str, tmp_path: Path) -> None:
        """Settings that ignore every error or hide the source are named."""
        found, said = seen("types", tmp_path, PACKAGE | {"pyproject.toml": settings})
        assert not found
        assert cause in said

    def test_blind_ini(self, tmp_path: Path) -> None:
        """Sections of an INI file for some modules are understood as well."""
        settings = "[mypy]\n[mypy-pkg,pkg.*]\nignore_errors = True\n"
        found, said = seen("types", tmp_path, PACKAGE | {"mypy.ini": settings})
        assert not found
        assert "`ignore_errors` for pkg, pkg.* in mypy.ini" in said


class TestWorkflows:
    """zizmor and actionlint."""

    @pytest.mark.parametrize("command", [ZIZMOR, ACTIONLINT])
    @pytest.mark.parametrize(
        "files",
        [
            {},
            {
                ".github/zizmor.yml": "rules:\n  template-injection:\n    disable: true\n",
                ".github/actionlint.yaml": "paths:\n  '**':\n    ignore: ['untrusted']\n",
            },
        ],
    )
    def test_each_tool(
        self, command: tuple[str, ...], files: dict[str, str], tmp_path: Path
    ) -> None:
        """Either tool finds the workflow, also without the rule for injections."""
        assert seen("workflows", tmp_path, files, command)[0] == {defects.WORKFLOW}

    @pytest.mark.parametrize(
        ("files", "command", "cause"),
        [
            ({}, (*ZIZMOR[:-1], "--no-exit-codes", "."), "`--no-exit-codes`"),
            ({}, (*ACTIONLINT, "-ignore=.*"), "`-ignore=.*` leaves too much out"),
            (
                {".github/actionlint.yaml": "paths:\n  '**/*':\n    ignore: ['.*']\n"},
                ACTIONLINT,
                "an `ignore` pattern in .github/actionlint.yaml",
            ),
            (
                {
                    ".github/zizmor.yml": "rules:\n"
                    + "".join(
                        f"  {rule}:\n    disable: true\n"
                        for rule in (
                            *("template-injection", "dangerous-triggers", "unpinned-uses"),
                            *("artipacked", "excessive-permissions"),
                        )
                    )
                },
                ZIZMOR,
                ".github/zizmor.yml switches audits off: template-injection, dangerous-triggers",
            ),
        ],
    )
    def test_blind(
        self, files: dict[str, str], command: tuple[str, ...], cause: str, tmp_path: Path
    ) -> None:
        """Audits and messages that are switched off are named."""
        found, said = seen("workflows", tmp_path, files, command)
        assert not found
        assert cause in said


class TestTest:
    """pytest."""

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"tests/test_a.py": "", "tests/test_b.py": "", "test_c.py": ""}, "tests/test_{}.py"),
            ({"tests/a_test.py": ""}, "tests/{}_test.py"),
            ({"pkg/__init__.py": ""}, "tests/test_{}.py"),
            (
                {
                    "pytest.ini": "[pytest]\npython_files = check_*.py\npython_classes = Check\n"
                    "python_functions = should_*\n",
                    "checks/check_a.py": "",
                },
                "checks/check_{}.py",
            ),
            (
                {
                    "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['./unit/']\n",
                    "other/test_a.py": "",
                    "other/test_b.py": "",
                    "unit/sub/test_c.py": "",
                },
                "unit/sub/test_{}.py",
            ),
            (
                {"setup.cfg": "[tool:pytest]\npython_files = tests.py\n", "app/tests.py": ""},
                "app/test_{}.py",
            ),
            (
                {
                    "tox.ini": "[pytest]\npython_functions = [tT]est*\n",
                    "t/test_a.py": "",
                },
                "t/test_{}.py",
            ),
        ],
    )
    def test_collected(self, files: dict[str, str], expected: str, tmp_path: Path) -> None:
        """The failing tests are collected where the source's own tests are, in all flavours."""
        path = expected.format(defects.STEM)
        assert seen("test", tmp_path, files)[0] == {path}
        report = (tmp_path / "out" / "junit.xml").read_text()
        assert re.search(r"<testsuite [^>]*errors=\"0\" failures=\"[23]\"", report)

    def test_below_each_conftest(self, tmp_path: Path) -> None:
        """Hooks of a folder reach no other one: each conftest.py has failing tests of its own."""
        names = ("a/test_1", "a/test_2", "b/conftest", "b/c/conftest", "b/c/test_3", "d/conftest")
        files = {f"tests/{name}.py": "" for name in names}
        assert seen("test", tmp_path, files)[0] == {
            f"tests/a/test_{defects.STEM}.py",
            f"tests/b/c/test_{defects.STEM}_1.py",
        }

    @pytest.mark.parametrize(
        ("files", "cause"),
        [
            ({"pytest.ini": "[pytest]\naddopts = --collect-only\n"}, "`--collect-only` in pytest"),
            ({"pytest.ini": "[pytest]\naddopts = -k 'not red'\n"}, "`-k not red` in pytest"),
            ({"pytest.ini": "[pytest]\naddopts = -m slow\n"}, "`-m slow` in pytest"),
            (
                {"pytest.toml": "[pytest]\naddopts = ['--deselect', 'tests']\n"},
                "`--deselect tests`",
            ),
            (
                {"conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"},
                "`exitstatus` in conftest.py sets the exit code",
            ),
            (
                {
                    "tests/conftest.py": "import pytest\n"
                    "def pytest_collection_modifyitems(items):\n"
                    "    for item in items:\n        item.add_marker(pytest.mark.xfail)\n"
                },
                "`pytest_collection_modifyitems` in tests/conftest.py changes what comes",
            ),
            (
                {
                    "conftest.py": "import pytest\n@pytest.hookimpl(hookwrapper=True)\n"
                    "def pytest_runtest_makereport():\n    report = (yield).get_result()\n"
                    "    report.outcome = 'passed'\n"
                },
                "the hook `pytest_runtest_makereport` in conftest.py",
            ),
            (
                {"conftest.py": "def pytest_pyfunc_call(): return True\n"},
                "the hook `pytest_pyfunc_call`",
            ),
        ],
    )
    def test_blind(self, files: dict[str, str], cause: str, tmp_path: Path) -> None:
        """Options and hooks that keep a failing test from counting are named."""
        found, said = seen("test", tmp_path, PACKAGE | files)
        # unittest's own tests don't go through every hook, so that some are found at times.
        assert not found or "pyfunc_call" in cause
        assert cause in said


class TestLeak:
    """gitleaks."""

    @pytest.mark.parametrize(
        ("rules", "number"), [((), 4), ((f"--config={DATA / 'gitleaks.toml'}",), 5)]
    )
    def test_every_key(self, rules: tuple[str, ...], number: int, tmp_path: Path) -> None:
        """Every key is found by our rules, and all but the database's by gitleaks' own."""
        facts = facts_of(tmp_path / "tree", PACKAGE)
        write(facts.root, defects.leak(facts))
        observed = execute(facts.root, tmp_path / "out", (*GITLEAKS, *rules, "."))
        assert observed.codes == (9,)
        leaks = msgspec.json.decode(observed.data("leaks.json") or b"", type=list[Leak])
        assert {leak.rule for leak in leaks} >= {*KINDS}
        assert {leak.line for leak in leaks} == set(range(1, number + 1))

    def test_same_every_time(self, tmp_path: Path) -> None:
        """The keys don't change from run to run, so that what a container did stays cached."""
        facts = facts_of(tmp_path, PACKAGE)
        assert defects.leak(facts) == defects.leak(facts)

    def test_no_leak_itself(self, tmp_path: Path) -> None:
        """The module that puts the keys together is clean to a scanner."""
        config = f"--config={DATA / 'gitleaks.toml'}"
        source = Path(defects.__file__).read_text()
        write(tmp_path / "tree", {"defects.py": source})
        observed = execute(tmp_path / "tree", tmp_path / "out", (*GITLEAKS, config, "."))
        assert observed.codes == (0,)

    @pytest.mark.parametrize(
        ("rules", "cause"),
        [
            ("title = 'no rules'\n", ".gitleaks.toml has no rules"),
            (
                "[extend]\nuseDefault = true\n[allowlist]\nregexes = ['']\n",
                "an empty pattern in the allow-list's `regexes` of .gitleaks.toml",
            ),
            (
                "[extend]\nuseDefault = true\n[[allowlists]]\npaths = ['''.*\\.py$''']\n",
                "`.*\\.py$` in the allow-list's `paths` of .gitleaks.toml matches everything",
            ),
            (
                f"[extend]\nuseDefault = true\ndisabledRules = {RULES}\n",
                "`disabledRules` in .gitleaks.toml switches rules off: github-pat",
            ),
            (
                "[extend]\nuseDefault = true\n[allowlist]\nstopwords = ['d']\n",
                "the stop word 'd' in the allow-list of .gitleaks.toml",
            ),
        ],
    )
    def test_blind(self, rules: str, cause: str, tmp_path: Path) -> None:
        """Rules that find nothing and allow-lists that allow everything are named."""
        facts = facts_of(tmp_path / "tree", PACKAGE | {".gitleaks.toml": rules})
        write(facts.root, defects.leak(facts))
        command = (*GITLEAKS, "--config=.gitleaks.toml", ".")
        observed = execute(facts.root, tmp_path / "out", command)
        assert observed.codes == (0,)
        assert cause in defects.likely_cause("gitleaks", facts, command)
