"""The defects of the red controls: what a check that passed must find in a copy of the source.

Each function returns content by path. The files lie beside the source's own ones, under a name
that no exclude has in mind, so that an exclude that hides them hides the source as well.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Final

from llm_pipeline import tool_settings
from llm_pipeline.facts import Facts

STEM: Final = "zz_llm_pipeline_red_control"
WORKFLOW: Final = ".github/workflows/zz-llm-pipeline-red-control.yml"

_PLANTED = re.compile(r"zz[-_]llm[-_]pipeline[-_]red[-_]control")
_ASIDE = re.compile(r"(^|/)(tests?|docs?|examples?|benchmarks?)(/|$)")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def is_planted(path: str) -> bool:
    """Tell whether a path is that of a planted defect."""
    return _PLANTED.search(path) is not None


def likely_cause(check: str, facts: Facts, command: Sequence[str]) -> str:
    """Return why a check probably did not find its planted defect, as one sentence."""
    from llm_pipeline import causes  # many patterns, for a check that is blind alone

    return causes.likely_cause(check, facts, command, PLANTS[check](facts))


def undefined_name(facts: Facts) -> Mapping[str, str]:
    """Plant what any sensible choice of ruff's rules finds: an undefined name, and much else."""
    return _in_each(_source_folders(facts), _UNDEFINED_NAME)


def bad_format(facts: Facts) -> Mapping[str, str]:
    """Plant a file that no style of ruff's formatter leaves as it is."""
    return _in_each(_source_folders(facts), "value  =  [ 1,2 ]\ndef  f( ) :\n      return  value\n")


def wrong_type(facts: Facts) -> Mapping[str, str]:
    """Plant type errors of several codes where mypy's settings, or else our own call, look."""
    return _in_each(_typed_folders(facts), _WRONG_TYPE)


def unseen_by_mypy(facts: Facts) -> bool:
    """Tell whether mypy is given nothing but single files: it sees a planted one only by path."""
    settings = tool_settings.mypy(facts)
    if settings.words("packages"):
        return False
    if settings.words("files") or settings.words("modules"):
        entries = [entry.removeprefix("./").rstrip("/") for entry in settings.words("files")]
        return not any(
            _is_under(path, entry or ".") or fnmatch(path, entry)
            for path in wrong_type(facts)
            for entry in entries
        )
    return not facts.packages and bool(facts.modules)


def injection(facts: Facts) -> Mapping[str, str]:  # noqa: ARG001 - the same for every source
    """Plant a workflow with an injection, which both zizmor and actionlint report."""
    return {WORKFLOW: _INJECTION}


def failing_test(facts: Facts) -> Mapping[str, str]:
    """Plant tests that fail, named as the source names its own.

    They go into the folder with most tests, and below each further ``conftest.py``, whose hooks
    reach no other folder.
    """
    settings = tool_settings.pytest(facts)
    patterns = settings.words("python_files") or ["test_*.py", "*_test.py"]
    roots = [path.removeprefix("./").rstrip("/") for path in settings.words("testpaths")]
    paths = [PurePosixPath(path) for path in facts.python_files]
    matched = [
        (str(path.parent), pattern)
        for path in paths
        for pattern in patterns
        if fnmatch(path.name, pattern) and path.name != "conftest.py"
    ]
    inside = [place for place in matched if any(_is_under(place[0], root) for root in roots)]
    counted = Counter(inside or matched)
    places = [counted.most_common(1)[0][0]] if counted else [("tests", patterns[0])]
    hooked = [str(path.parent) for path in paths if path.name == "conftest.py"]
    for holder in sorted(hooked, key=lambda folder: (-folder.count("/"), folder)):
        below = Counter({place: n for place, n in counted.items() if _is_under(place[0], holder)})
        if below and not any(_is_under(folder, holder) for folder, _ in places):
            places.append(below.most_common(1)[0][0])
    content = _FAILING_TEST.format(
        function=_named(settings.words("python_functions"), "test", "_red_control"),
        group=_named(settings.words("python_classes"), "Test", "RedControl"),
    )
    return {
        str(PurePosixPath(folder, _test_name(pattern, number))): content
        for number, (folder, pattern) in enumerate(places)
    }


def _test_name(pattern: str, number: int) -> str:
    """Return a name that pytest collects by a pattern; without packages no two may be the same."""
    stem = f"{STEM}_{number}" if number else STEM
    name = pattern.replace("*", stem)
    fits = fnmatch(name, pattern) and is_planted(name) and name.endswith(".py")
    return name if fits else f"test_{stem}.py"


def leak(facts: Facts) -> Mapping[str, str]:
    """Plant made-up keys of several kinds; they are put together here, so that none stands here."""
    keys = (
        "gh" + "p_" + _made_up("github", _LETTERS, 36),
        "AK" + "IA" + _made_up("aws", _BASE32, 16),
        "-".join(
            ("xo" + "xb", _digits("slack 1"), _digits("slack 2"), _made_up("s", _LETTERS, 24))
        ),
        "gl" + "pat-" + _made_up("gitlab", _LETTERS, 20),
        f"postgresql://app:{_made_up('database', _LETTERS, 24)}@db.corp.net:5432/app",
    )
    content = "".join(f'KEY_{number} = "{key}"\n' for number, key in enumerate(keys))
    return _in_each(_source_folders(facts), content)


PLANTS: Final[Mapping[str, Callable[[Facts], Mapping[str, str]]]] = {
    "gitleaks": leak,
    "lint": undefined_name,
    "format": bad_format,
    "types": wrong_type,
    "workflows": injection,
    "test": failing_test,
}


def _in_each(folders: Iterable[str], content: str) -> dict[str, str]:
    """One file in each folder; mypy wants two modules of one name in no two of them."""
    return {
        str(PurePosixPath(folder, f"{STEM}_{number}.py" if number else f"{STEM}.py")): content
        for number, folder in enumerate(folders)
    }


def _source_folders(facts: Facts) -> tuple[str, ...]:
    """The packages, else the folders of the modules, else the one with most Python files."""
    if facts.packages or facts.modules:
        modules = (str(PurePosixPath(name).parent) for name in facts.modules)
        return facts.packages or tuple(dict.fromkeys(modules))
    folders = [str(PurePosixPath(name).parent) for name in facts.python_files]
    sources = [folder for folder in folders if not _ASIDE.search(folder)]
    return tuple(folder for folder, _ in Counter(sources or folders).most_common(1)) or (".",)


def _typed_folders(facts: Facts) -> tuple[str, ...]:
    settings = tool_settings.mypy(facts)
    found: list[str] = []
    for entry in settings.words("files"):
        found += _folders_of(entry.removeprefix("./").rstrip("/") or ".", facts)
    for module in (*settings.words("packages"), *settings.words("modules")):
        path = module.replace(".", "/")
        found += [
            str(PurePosixPath(name).parent)
            for name in facts.python_files
            if re.search(rf"(^|/){re.escape(path)}/__init__\.pyi?$", name)
        ]
    return tuple(dict.fromkeys(found)) or _source_folders(facts)


def _folders_of(entry: str, facts: Facts) -> list[str]:
    """The packages in a folder that mypy is given, else its first folder with Python files."""
    packages = [folder for folder in facts.packages if _is_under(folder, entry)]
    if packages:
        return packages
    files = [name for name in facts.python_files if _is_under(name, entry) or fnmatch(name, entry)]
    return [str(PurePosixPath(name).parent) for name in files[:1]]


def _is_under(path: str, folder: str) -> bool:
    return folder in {".", path} or path.startswith(f"{folder}/")


def _named(patterns: Sequence[str], usual: str, ending: str) -> str:
    """Return a name that fits pytest's patterns, each a glob or a prefix."""
    names = (
        pattern.replace("*", ending) if "*" in pattern else pattern + ending for pattern in patterns
    )
    return next((name for name in names if name.isidentifier()), usual + ending)


def _made_up(seed: str, letters: Collection[str], length: int) -> str:
    """Return letters that look random and are the same in every run."""
    alphabet = "".join(letters)
    digest = hashlib.sha512(f"made up for the red control: {seed}".encode()).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:length])


def _digits(seed: str) -> str:
    return "3" + _made_up(seed, "0123456789", 11)


_FLAWS: Final = """\
import sys, os
import json
import datetime
import numpy
import numpy as np
import time
from django.db import models
from typing import List, Optional
from .. import other
def RedControl(type, values = [], Flag = True, *args) :
    l = lambda: undefined_name_of_the_red_control
    path = os.path.join("%s" % type, 'a\\d')\x20
    try:
        unused = values == None
    except:
        pass
    try:
        values.append(42 if len(values) > 42 else Flag)
    except Exception:
        raise ValueError("wrong")
    print(datetime.datetime.now(), eval("1"), list([value for value in values]))
    if type == True:
        return undefined_name_of_the_red_control
    else:
        raise ValueError("%s is wrong" % path)
    # print(path)
def many(a, b, c, d, e, f, g, h):
    if a: return 1
    if b: return 2
    if c: return 3
    if d: return 4
    if e: return 5
    if f: return 6
    if g: return 7
    if h: return 8
    for a in b:
        while c:
            if a: return 9
            if b: return 10
    np.random.seed(1)
async def waits():
    time.sleep(1)
class Planted(models.Model):
    name = models.CharField(null=True)
class lower_case(object):
    items : List[int] = []
    def method(this) -> Optional[int]:
        assert (this, "always true")
        return dict(a = 1).keys()
"""
_UNDEFINED_NAME: Final = f"{_FLAWS}# {'longer than any line may be, ' * 9}\n"

_WRONG_TYPE: Final = '''\
value: int = "text"


def number(size: int) -> int:
    """Return what its annotation denies."""
    return "text"


number("text", "text")
value.missing
'''

_INJECTION: Final = """\
name: red control
on:
  issues:
  pull_request_target:
jobs:
  red-control:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@main
        with:
          ref: ${{ github.event.pull_request.head.sha }}
      - run: echo "${{ github.event.issue.title }} ${{ github.event.pull_request.title }}"
      - run: echo "${{ undefined.value }}"
"""

_FAILING_TEST: Final = """\
import unittest


def {function}():
    assert 1 == 2


class {group}:
    def {function}(self):
        assert 1 == 2


class RedControlCase(unittest.TestCase):
    def test_red_control(self):
        self.assertEqual(1, 2)
"""
