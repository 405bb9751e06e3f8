"""Configurations with which a check passes whatever it is given; the likely cause is named."""

from functools import partial
from typing import Final

from tests.e2e.cases import Case
from tests.e2e.repositories import clean

_ZIZMOR_OFF: Final = "".join(
    f"  {name}:\n    disable: true\n"
    for name in (
        *("artipacked", "bot-conditions", "concurrency-limits", "dangerous-triggers"),
        *("excessive-permissions", "template-injection", "undocumented-permissions"),
        *("unpinned-uses", "anonymous-definition", "ref-version-mismatch", "stale-action-refs"),
        *("ref-confusion", "impostor-commit", "misfeature", "superfluous-actions", "self-repo"),
    )
)


def _ruff(name: str, check: str, settings: str, cause: str) -> Case:
    return _files(name, check, {"ruff.toml": settings}, cause)


def _files(name: str, check: str, files: dict[str, str], cause: str, settings: str = "") -> Case:
    build = partial(clean, files=files)
    return Case(name, build, {check: "error"}, 3, cause, settings=settings)


def _conftest(name: str, text: str, cause: str) -> Case:
    return _files(name, "test", {"conftest.py": f"import pytest\n\n\n{text}"}, cause)


def _rules(name: str, text: str, cause: str) -> Case:
    return _files(name, "gitleaks", {".gitleaks.toml": text}, cause)


def _command(name: str, check: str, command: str, cause: str) -> Case:
    return Case(name, clean, {check: "error"}, 3, cause, settings=f"{check}.command = {command}\n")


_DEFAULTS = "[extend]\nuseDefault = true\n"

BLIND: Final = (
    _ruff("select-nothing", "lint", "lint.select = []\n", "`lint.select = []` in ruff.toml"),
    _ruff("ignore-all", "lint", 'lint.ignore = ["ALL"]\n', 'in ruff.toml has "ALL"'),
    _ruff(
        "ignore-all-per-file",
        *("lint", '[lint.per-file-ignores]\n"*" = ["ALL"]\n', "ignores everything in *"),
    ),
    _ruff("exclude", "lint", 'exclude = ["app"]\n', "`exclude` in ruff.toml hides the source"),
    _ruff("extend-exclude", "lint", 'extend-exclude = ["app/*.py"]\n', "`extend-exclude`"),
    _ruff("exclude-all", "lint", 'exclude = ["*.py"]\n', "hides the source: *.py"),
    _ruff("lint-exclude", "lint", 'lint.exclude = ["app/**"]\n', "`lint.exclude` in ruff.toml"),
    _ruff("include", "lint", 'include = ["tests/*.py"]\n', "`include` in ruff.toml leaves"),
    _files(
        "extended",
        *("lint", {"ruff.toml": 'extend = "base.toml"\n', "base.toml": 'exclude = ["app"]\n'}),
        *("`exclude` in base.toml", 'lint.reads = ["**"]\n'),
    ),
    _command("exit-zero", "lint", '["ruff", "check", "--exit-zero", "."]', "`--exit-zero`"),
    _command("or-true", "lint", '"ruff check . || true"', "`|| true`"),
    _command("then-exit-0", "lint", '"ruff check .; exit 0"', "`; exit 0`"),
    _command("fix", "lint", '"ruff check --fix-only ."', "`--fix` corrects"),
    _files(
        "make-ignores",
        *("lint", {"Makefile": "lint:\n\t-ruff check .\n"}),
        "a `-` before a recipe's line",
        'images.packages = ["make"]\nlint = { command = "make lint", reads = ["**"] }\n',
    ),
    _ruff("format-exclude", "format", 'format.exclude = ["app/*"]\n', "`format.exclude`"),
    _ruff("format-extend-exclude", "format", 'extend-exclude = ["app"]\n', "`extend-exclude`"),
    _command("format-corrects", "format", '"ruff format ."', "without `--check` or `--diff`"),
    _command("format-or-true", "format", '"ruff format --check . || true"', "`|| true`"),
    _files(
        "ignore-errors", "types", {"mypy.ini": "[mypy]\nignore_errors = True\n"}, "`ignore_errors`"
    ),
    _files(
        "ignore-errors-of-modules",
        *("types", {"mypy.ini": "[mypy]\n[mypy-app.*]\nignore_errors = True\n"}),
        "`ignore_errors` for app.* in mypy.ini",
    ),
    _files("mypy-exclude", "types", {"mypy.ini": "[mypy]\nexclude = ^app/zz\n"}, "`exclude`"),
    _files(
        "error-codes",
        *(
            "types",
            {
                "mypy.ini": (
                    "[mypy]\ndisable_error_code = assignment, return-value, arg-type, call-arg, "
                    "attr-defined\n"
                )
            },
        ),
        "`disable_error_code` in mypy.ini",
    ),
    _command("mypy-or-true", "types", '"mypy app || true"', "`|| true`"),
    _files(
        "deselected-by-name",
        *("test", {"pytest.ini": "[pytest]\npythonpath = .\naddopts = -k add\n"}, "`-k add`"),
    ),
    _files(
        "deselected-by-mark",
        "test",
        {
            "pytest.ini": "[pytest]\npythonpath = .\naddopts = -m quick\nmarkers = quick\n",
            "tests/test_quick.py": (
                "import pytest\n\n\n@pytest.mark.quick\ndef test_quick():\n    pass\n"
            ),
        },
        "`-m quick`",
    ),
    _conftest(
        "exit-status-reset",
        "@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n"
        "    session.exitstatus = 0\n",
        "`exitstatus` in conftest.py sets the exit code",
    ),
    _conftest(
        "everything-xfails",
        "def pytest_collection_modifyitems(items):\n    for item in items:\n"
        "        if 'add' not in item.name:\n            item.add_marker(pytest.mark.xfail)\n",
        "the hook `pytest_collection_modifyitems` in conftest.py",
    ),
    _conftest(
        "everything-deselected",
        "def pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if 'add' in item.name]\n",
        "the hook `pytest_collection_modifyitems` in conftest.py",
    ),
    _conftest(
        "failures-pass",
        "@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport(item):\n"
        "    report = yield\n    report.outcome = 'passed'\n    return report\n",
        "the hook `pytest_runtest_makereport` in conftest.py",
    ),
    _files(
        "failures-pass-in-one-folder",
        "test",
        {
            "tests/small/test_small.py": "def test_small():\n    assert 1 == 2\n",
            "tests/small/conftest.py": "import pytest\n\n\n@pytest.hookimpl(wrapper=True)\n"
            "def pytest_runtest_makereport(item):\n"
            "    report = yield\n    report.outcome = 'passed'\n    return report\n",
        },
        "the hook `pytest_runtest_makereport` in tests/small/conftest.py",
    ),
    _conftest(
        "functions-are-never-called",
        "def pytest_pyfunc_call(pyfuncitem):\n    return True\n",
        "the hook `pytest_pyfunc_call` in conftest.py",
    ),
    _conftest(
        "leaves-with-zero",
        "import os\n\n\ndef pytest_sessionfinish():\n    os._exit(0)\n",
        "`os._exit` in conftest.py sets the exit code",
    ),
    _conftest(
        "everything-is-not-run",
        "def pytest_collection_modifyitems(items):\n    for item in items:\n"
        "        item.add_marker(pytest.mark.xfail(run=False))\n",
        "the hook `pytest_collection_modifyitems` in conftest.py",
    ),
    _command("pytest-or-true", "test", '"pytest || true"', "`|| true`"),
    _rules("no-rules", 'title = "none"\n', ".gitleaks.toml has no rules"),
    _rules(
        "empty-pattern",
        f"{_DEFAULTS}[[allowlists]]\nregexes = ['']\n",
        "an empty pattern in the allow-list's `regexes`",
    ),
    _rules(
        "any-pattern",
        f"{_DEFAULTS}[[allowlists]]\nregexes = ['''.*''']\n",
        "`.*` in the allow-list's `regexes`",
    ),
    _rules(
        "any-path",
        f"{_DEFAULTS}[[allowlists]]\npaths = ['''.*\\.py''']\n",
        "in the allow-list's `paths`",
    ),
    _rules(
        "stop-words",
        f"{_DEFAULTS}[[allowlists]]\nstopwords = {[*'aeiou']}\n",
        "in the allow-list of .gitleaks.toml are in every key",
    ),
    _rules(
        "rules-switched-off",
        "[extend]\nuseDefault = true\ndisabledRules = ['github-pat', 'aws-access-token', "
        "'slack-bot-token', 'gitlab-pat', 'generic-api-key']\n",
        "`disabledRules` in .gitleaks.toml",
    ),
    _files(
        "zizmor-off",
        *("workflows", {".github/zizmor.yml": f"rules:\n{_ZIZMOR_OFF}"}),
        ".github/zizmor.yml switches audits off",
    ),
    _files(
        "actionlint-ignores",
        *("workflows", {".github/actionlint.yaml": 'paths:\n  "**":\n    ignore: [".*"]\n'}),
        "an `ignore` pattern in .github/actionlint.yaml",
    ),
    _command(
        "no-exit-codes",
        *("workflows", '"zizmor --offline --no-exit-codes ."', "`--no-exit-codes`"),
    ),
    _command(
        "severity",
        *("workflows", '"zizmor --offline --min-severity=high --persona=regular . || true"'),
        "`|| true`",
    ),
)

NOTHING_EXECUTED: Final = (
    _files(
        "control-hangs",
        "test",
        {
            "conftest.py": (
                "import time\n\n\ndef pytest_collection_finish(session):\n"
                "    time.sleep(60 if len(session.items) > 1 else 0)\n"
            )
        },
        *("the red control did not finish within the time limit of 4 s", "test.timeout = 4\n"),
    ),
    _files(
        "collect-only",
        *("test", {"pytest.ini": "[pytest]\npythonpath = .\naddopts = --collect-only\n"}),
        "no test was executed",
    ),
    _ruff("nothing-formatted", "format", 'exclude = ["*.py"]\n', "ruff looked at no file"),
    _files("mypy-excludes-all", "types", {"mypy.ini": "[mypy]\nexclude = .*\n"}, "There are no"),
)
"""Configurations with which a check sees nothing at all, so that it can't even pass."""
