"""Tests that fail in every way there is, and tests that are none."""

from functools import partial
from typing import Final

from tests.e2e.cases import Case
from tests.e2e.repositories import APP, clean

FAILED: Final = {"test": "failed"}
ERROR: Final = {"test": "error"}

_PATH = "tests/test_more.py"
_MORE = "    number += 1\n" * 30
_THIN = f"{APP}\n\ndef rest(number: int) -> int:\n{_MORE}    return number\n"


def _case(  # noqa: PLR0913, PLR0917 - a row of the table
    name: str,
    text: str,
    expected: dict[str, str],
    says: str,
    found: tuple[str, ...] = (_PATH,),
    settings: str = "",
) -> Case:
    code = 1 if expected is FAILED else 3
    build = partial(clean, files={_PATH: text})
    return Case(name, build, expected, code, says, found, settings)


TESTS: Final = (
    _case("test-fails", "def test_it():\n    assert 1 == 2\n", FAILED, "1 failed, 1 passed"),
    _case("test-import-error", "import absent_module\n", FAILED, "1 error"),
    _case("test-syntax-error", "def test_it(:\n", FAILED, "1 error"),
    _case(
        "test-fixture-error",
        "import pytest\n\n\n@pytest.fixture\ndef broken():\n    raise OSError('no')\n\n\n"
        "def test_it(broken):\n    pass\n",
        *(FAILED, "1 error"),
    ),
    _case(
        "test-teardown-error",
        "import pytest\n\n\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError('no')\n"
        "\n\ndef test_it(broken):\n    pass\n",
        *(FAILED, "1 error"),
    ),
    _case(
        "test-unittest",
        "import unittest\n\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n"
        "        self.assertEqual(1, 2)\n",
        *(FAILED, "1 failed"),
    ),
    _case(
        "test-strict-xfail",
        "import pytest\n\n\n@pytest.mark.xfail(strict=True)\ndef test_it():\n    pass\n",
        *(FAILED, "1 failed"),
    ),
    _case(
        "test-hangs",
        "import time\n\n\ndef test_it():\n    time.sleep(60)\n",
        *(FAILED, "time limit of 4 s reached", (_PATH,), "test.timeout = 4\n"),
    ),
    _case(
        "test-crashes",
        "import os\nimport signal\n\n\ndef test_it():\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
        *(FAILED, "(SIGSEGV)"),
    ),
    _case(
        "test-leaves-with-zero",
        "import os\n\n\ndef test_it():\n    os._exit(0)\n",
        *(ERROR, "left no readable report", ()),
    ),
    Case(
        "test-conftest-broken",
        partial(clean, files={"tests/conftest.py": "import absent_module\n"}),
        *(FAILED, 1, "tests/conftest.py can't be imported", ("tests/conftest.py",)),
    ),
    Case(
        "test-none-collected",
        partial(clean, files={"tests/test_app.py": "def check_add():\n    assert True\n"}),
        *(ERROR, 3, "no tests were collected"),
    ),
    Case(
        "test-none-named-as-test",
        lambda folder: clean(folder, {"tests/app.py": "def test_it(): ..."}, "tests/test_app.py"),
        *(ERROR, 3, "no tests were collected"),
    ),
    Case(
        "test-all-skipped",
        partial(
            clean,
            files={
                "tests/test_app.py": (
                    'import pytest\n\npytestmark = pytest.mark.skip(reason="later")\n\n\n'
                    "def test_it():\n    assert False\n"
                )
            },
        ),
        *(ERROR, 3, "no test was executed: 1 skipped"),
    ),
    Case(
        "coverage-under-the-floor",
        partial(clean, files={"app/__init__.py": _THIN}),
        *(FAILED, 1, "is under the floor of 80 %", ("app/__init__.py",)),
        settings="test.coverage-floor = 80\n",
        place="covered",
    ),
    Case(
        "coverage-under-the-source's-own-floor",
        partial(
            clean,
            files={
                "app/__init__.py": _THIN,
                ".coveragerc": "[run]\nsource = app\n[report]\nfail_under = 90\n",
            },
        ),
        *(FAILED, 1, "under the source's own floor", ("app/__init__.py",)),
        place="covered",
    ),
    Case(
        "coverage-of-nothing",
        partial(clean, files={".coveragerc": "[run]\nsource = absent_module\n"}),
        *(ERROR, 3, "coverage"),
        settings="test.coverage-floor = 80\n",
        place="covered",
    ),
)
