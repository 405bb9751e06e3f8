"""The interface of the Dagger module: what others call, as it is registered with an engine."""

import dataclasses
import inspect
import json
import subprocess
import sys
import tomllib
from typing import Annotated, get_args, get_origin, get_type_hints

import dagger
import pytest
from dagger import DefaultPath, Doc, Ignore
from dagger.mod import default_module

from llm_pipeline.checks import CHECKS
from llm_pipeline.main import LlmPipeline
from tests.repository import ROOT

OPTIONS = {
    "source": (dagger.Directory, dataclasses.MISSING),
    "git": (dagger.Directory | None, None),
    "config": (dagger.File | None, None),
    "keep_going": (bool, False),
    "red_controls": (bool, True),
    "python_image": (str, ""),
    "gitleaks_image": (str, ""),
    "link": (str, ""),
}
RETURNS = {
    "ci": str,
    "reports": dagger.Directory,
    "fix": dagger.Changeset,
    "gitleaks": str,
    "lint": str,
    "format": str,
    "types": str,
    "workflows": str,
    "test": str,
}


def registered() -> dict[str, object]:
    """The functions of the module by name, as its decorators registered them."""
    objects = default_module()._objects  # noqa: SLF001 - what the runtime sends to the engine
    return dict(objects["LlmPipeline"].functions)


def test_functions() -> None:
    """The module has these functions and no others."""
    assert set(registered()) - {""} == set(RETURNS)


@pytest.mark.parametrize("name", RETURNS)
def test_function(name: str) -> None:
    """Each function takes no argument, returns what it should, and says what it does."""
    function = getattr(LlmPipeline, name)
    assert list(inspect.signature(function).parameters) == ["self"]
    assert get_type_hints(function)["return"] is RETURNS[name]
    assert inspect.getdoc(function)


def test_checks() -> None:
    """Every check of the graph is one of Dagger's under its own name, and nothing else is."""
    marked = {name for name in RETURNS if getattr(LlmPipeline, name).__dagger_function__.check}
    assert marked == {check.name for check in CHECKS}


def test_options() -> None:
    """The constructor takes these options, with these types and defaults, each explained."""
    made = dataclasses.fields(LlmPipeline)  # type: ignore[arg-type] # by object_type
    fields = {field.name: field for field in made}
    hints = get_type_hints(LlmPipeline, include_extras=True)
    assert list(fields) == list(OPTIONS)
    for name, (kind, default) in OPTIONS.items():
        assert get_origin(hints[name]) is Annotated, name
        plain, *about = get_args(hints[name])
        assert plain == kind, name
        assert fields[name].default == default, name
        assert any(isinstance(each, Doc) for each in about), name


def test_source() -> None:
    """The source is the whole repository with its history, without what is never a part of it."""
    about = get_args(get_type_hints(LlmPipeline, include_extras=True)["source"])[1:]
    (path,) = [each for each in about if isinstance(each, DefaultPath)]
    assert path.from_context == "/"
    (ignore,) = [each for each in about if isinstance(each, Ignore)]
    assert "**/.venv" in ignore.patterns
    assert not any(".git" in pattern for pattern in ignore.patterns)


def test_import_is_light() -> None:
    """What the engine imports in every session loads nothing of ours but the interface."""
    code = "import sys, dagger, llm_pipeline.main; print([m for m in sys.modules if 'llm_' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == ["llm_pipeline", "llm_pipeline.main"]


def test_module() -> None:
    """The files that Dagger reads name the module, its folder, its engine and its main object."""
    module = json.loads((ROOT / "dagger.json").read_text())
    assert module["name"] == "llm-pipeline"
    assert module["source"] == "ci"
    assert module["sdk"] == {"source": "python"}
    project = tomllib.loads((ROOT / "ci/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["dagger.mod"] == {"main_object": "llm_pipeline.main:LlmPipeline"}
