"""Defects that the static checks find, each by the right one alone."""

from functools import partial
from typing import Final

from tests.e2e.cases import Case
from tests.e2e.repositories import APP, WORKFLOW, clean

LINT: Final = {"lint": "failed", "format": "passed", "types": "passed", "test": "skipped"}
FORMAT: Final = {"lint": "passed", "format": "failed"}
TYPES: Final = {"lint": "passed", "format": "passed", "types": "failed", "test": "skipped"}
WORKFLOWS: Final = {"workflows": "failed"}

_INJECTION = "      - run: echo ${{ github.event.issue.title }}\n"

CODE: Final = (
    Case(
        "lint-unused-import",
        partial(clean, files={"app/more.py": "import os\n"}),
        *(LINT, 1, "1 finding in 1 file", ("app/more.py",)),
    ),
    Case(
        "lint-undefined-name",
        partial(clean, files={"tests/more.py": "print(missing)\n"}),
        *({"lint": "failed", "format": "passed"}, 1, "1 finding in 1 file", ("tests/more.py",)),
    ),
    Case(
        "lint-syntax-error",
        partial(clean, files={"app/more.py": "def broken(:\n"}),
        expected={"lint": "failed", "format": "failed", "types": "failed"},
        exit_code=1,
        found=("app/more.py",),
    ),
    Case(
        "lint-keep-going",
        partial(clean, files={"app/more.py": "import os\n"}),
        *({"lint": "failed", "test": "passed"}, 1, "1 finding", ("app/more.py",)),
        settings="keep-going = true\n",
    ),
    Case(
        "format",
        partial(clean, files={"app/more.py": "value  =  [1,2]\n"}),
        *(FORMAT, 1, "1 file would be reformatted", ("app/more.py",)),
    ),
    Case(
        "format-in-tests",
        partial(clean, files={"tests/test_app.py": "def test_app():\n   assert 1\n"}),
        *(FORMAT, 1, "1 file would be reformatted", ("tests/test_app.py",)),
    ),
    Case(
        "types-returned",
        partial(clean, files={"app/__init__.py": APP.replace("first + second", "str(first)")}),
        *(TYPES, 1, "1 finding in 1 file", ("app/__init__.py",)),
    ),
    Case(
        "types-argument",
        partial(clean, files={"app/more.py": 'from app import add\n\nTHREE = add(1, "2")\n'}),
        *(TYPES, 1, "1 finding in 1 file", ("app/more.py",)),
    ),
    Case(
        "types-missing-module",
        partial(clean, files={"app/more.py": "import absent_module\n\nabsent_module.call()\n"}),
        *(TYPES, 1, "1 finding in 1 file", ("app/more.py",)),
    ),
    Case(
        "workflow-injection",
        partial(
            clean,
            files={
                ".github/workflows/ci.yaml": WORKFLOW.replace("on: push", "on: issues") + _INJECTION
            },
        ),
        *(WORKFLOWS, 1, "finding", (".github/workflows/ci.yaml",)),
    ),
    Case(
        "workflow-unpinned-action",
        partial(
            clean,
            files={".github/workflows/ci.yaml": f"{WORKFLOW}      - uses: someone/action@main\n"},
        ),
        *(WORKFLOWS, 1, "zizmor: 1 finding", (".github/workflows/ci.yaml",)),
    ),
    Case(
        "workflow-unknown-key",
        partial(
            clean,
            files={".github/workflows/ci.yaml": WORKFLOW.replace("runs-on:", "run-on:")},
        ),
        *(WORKFLOWS, 1, "actionlint: ", (".github/workflows/ci.yaml",)),
    ),
    Case(
        "workflow-no-yaml",
        partial(clean, files={".github/workflows/ci.yaml": "on: [push\njobs: {\n"}),
        *(WORKFLOWS, 1, "actionlint: ", (".github/workflows/ci.yaml",)),
    ),
)
