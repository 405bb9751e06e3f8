"""The documentation says what is true of the code: keys, fields, modules, commands and links."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest

from llm_pipeline.checks import CHECKS
from llm_pipeline.cli import cli
from llm_pipeline.config import CheckName, Config, Job, from_text
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, RunResult, SourceState, Stage, Verdict
from llm_pipeline.report import write_reports
from tests.repository import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))
# The copy that the pipeline tests has no README.md, so that an edit of it runs no test again.
READMES = [ROOT / name for name in ("README.md", "ci/README.md", "examples/ci-systems/README.md")]
PAGES = [*DOCS, *(page for page in READMES if page.exists())]
PACKAGE = ROOT / "ci/src/llm_pipeline"
OUTER = {"report", "summary", "masking", "display", "console", "console_github", "console_live"}
HOST = {"__main__", "host", "environments", "processes", "descendants", "run", "job", "cli"}
CONTAINERS = {"main", "containers"}
DELIVERY = "cd"


def table_rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of all tables of a page whose first column has this heading."""
    rows: list[list[str]] = []
    inside = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == heading:
            inside = True
        elif inside and not cells[0].startswith("---"):
            rows.append(cells)
    return rows


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of a language, with the line in which each starts."""
    text = page.read_text()
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match[1]


def config_keys(kind: type[msgspec.Struct] = Config, prefix: str = "") -> dict[str, Any]:
    """Every key below a table with its default, `NODEFAULT` where there is none."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        key = f"{prefix}{field.encode_name}"
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if key == "jobs":
            found |= config_keys(Job, "jobs.NAME.")
        elif isinstance(default, msgspec.Struct):
            found |= config_keys(type(default), f"{key}.")
        else:
            found[key] = default
    return found


def documented_keys() -> dict[str, str]:
    """Every key of the page's tables with the cell of its default; `CHECK` stands for each."""
    found: dict[str, str] = {}
    for cells in table_rows(ROOT / "docs/configuration.md", "Key"):
        for key in re.findall(r"`([^`]+)`", cells[0]):
            names = get_args(CheckName) if key.startswith("CHECK.") else ("",)
            found |= {key.replace("CHECK", name, 1): cells[2] for name in names}
    return found


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    """The tables of the configuration's page hold the keys of `config.py`, no more, no less."""
    assert set(documented_keys()) == set(config_keys())


@pytest.mark.parametrize("key", sorted(config_keys()))
def test_documented_default_is_the_default(key: str) -> None:
    """Each key's default in the page is what the code takes without it."""
    words = {"none": None, "needed": msgspec.NODEFAULT}
    cell = documented_keys()[key]
    told = words[cell] if cell in words else tomllib.loads(f"value = {cell.strip('`')}")["value"]
    assert told == config_keys()[key]


@pytest.mark.parametrize(
    ("page", "line", "text"),
    [
        pytest.param(page, line, text, id=f"{page.name}:{line}")
        for page in PAGES
        for line, text in blocks(page, "toml")
    ],
)
def test_settings_in_the_text_are_accepted(page: Path, line: int, text: str) -> None:
    """Each block of TOML is a configuration that works."""
    assert from_text(text, f"{page.name}:{line}") != Config()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file of the repository, and a heading of it after `#`."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_page_is_listed() -> None:
    """The list of pages is complete."""
    listed = re.findall(r"\]\((\w[^)/]*\.md)\)", (ROOT / "docs/README.md").read_text())
    assert sorted([*listed, "README.md"]) == [page.name for page in DOCS]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_pages_are_short(page: Path) -> None:
    """A page is read in one sitting, and its text fits a terminal."""
    lines = page.read_text().splitlines()
    assert len(lines) <= 250
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 110] == []


def test_every_check_has_its_section() -> None:
    """The page of the checks has a heading for each of the graph."""
    assert {check.name for check in CHECKS} <= anchors(ROOT / "docs/checks.md")


def test_verdict_file_is_documented(tmp_path: Path) -> None:
    """The fields in the table are those that are written, in their order."""
    check = CheckResult("lint", Stage.STATIC, Verdict.PASSED, "no findings")
    run = RunResult((check,), SourceState(), "host", "3.13.1", 1.0)
    write_reports(run, tmp_path, mask=Mask(()), link=None)
    fields = []
    for key, value in json.loads((tmp_path / "verdict.json").read_text()).items():
        if key == "source":
            fields += [f"source.{inner}" for inner in value]
            continue
        fields.append(key)
        fields += [f"checks[].{inner}" for inner in value[0]] if key == "checks" else []
    told = [cells[0].strip("`") for cells in table_rows(ROOT / "docs/reports.md", "Field")]
    assert told == fields


def test_reports_are_documented(tmp_path: Path) -> None:
    """Each file that a run writes is in the table, and no other."""
    run = RunResult(
        (CheckResult("lint", Stage.STATIC, Verdict.PASSED, ""),), SourceState(), "", "", 0
    )
    written = {
        str(path.relative_to(tmp_path)).replace("lint", "NAME")
        for path in write_reports(run, tmp_path, mask=Mask(()), link=None)
    }
    rows = table_rows(ROOT / "docs/reports.md", "File")
    assert {name for cells in rows for name in re.findall(r"`([^`]+)`", cells[0])} == written


def modules() -> dict[str, Path]:
    """The modules of the package, such as `containers/layers`."""
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]
    return {str(file.relative_to(PACKAGE).with_suffix("")): file for file in files}


def test_every_module_has_its_place_in_the_design() -> None:
    """The table of modules is complete, and names none that is gone."""
    rows = table_rows(ROOT / "docs/design.md", "Group")
    told = [name for cells in rows for name in re.findall(r"`([^`]+)`", cells[1])]
    assert sorted(told) == sorted(modules())


def imported(file: Path) -> set[str]:
    """What a module imports: our own modules by name, other packages as they are called."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            package, _, inner = node.module.partition(".")
            names = {inner.partition(".")[0]} if inner else {alias.name for alias in node.names}
            found |= names if package == "llm_pipeline" else {package}
    return found


@pytest.mark.parametrize("name", sorted(modules()))
def test_modules_import_what_the_design_allows(name: str) -> None:
    """The rules of the design's page on imports hold for each module."""
    group, found = name.partition("/")[0], imported(modules()[name])
    assert "llm_twin" not in found
    if group in CONTAINERS:
        assert not found & HOST
        return
    assert not found & {"dagger", *CONTAINERS}
    if group == DELIVERY:
        assert not found & ((OUTER | HOST) - {"masking", "display"})
        return
    if group not in HOST | OUTER:
        assert not found & (OUTER | (HOST - ({"processes"} if group == "source" else set())))


@pytest.mark.parametrize("name", ["release", "publication"])
def test_decisions_import_nothing_that_reads_or_writes(name: str) -> None:
    """The two modules that decide are pure: the standard library and each other."""
    tree = ast.parse((PACKAGE / f"cd/{name}.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {
        each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names
    }
    pure = {"collections.abc", "dataclasses", "hashlib", "json", "re", "typing"}
    assert modules <= {*pure, "llm_pipeline.cd.release"}


def shell_lines() -> Iterator[tuple[str, list[str]]]:
    """The command lines of our programs in blocks of shell, with their place."""
    for page in PAGES:
        for number, text in blocks(page, "sh"):
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(re.sub(r"\$\([^)]*\)", "X", line), comments=True)
                if words:
                    yield f"{page.name}:{number}", words


def after(words: list[str], name: str) -> list[str]:
    """The words after the last one that is `name`, none where there is no such word."""
    return words[len(words) - words[::-1].index(name) :] if name in words else []


def test_commands_in_the_text_exist() -> None:
    """Subcommands and options of `llm-pipeline` in the examples are those that it has."""
    seen = 0
    for place, words in shell_lines():
        called = after(words, "llm-pipeline")
        if not called or called[0] == "--version" or "dagger" in words:
            continue
        command = cli.commands[called[0]]
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in called if word.startswith("--")} <= options, place
        seen += 1
    assert seen


def test_calls_of_the_module_in_the_text_exist() -> None:
    """Functions and arguments after `dagger call` are those of the module."""
    tree = ast.parse((PACKAGE / "main.py").read_text())
    module = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    functions = {node.name for node in module.body if isinstance(node, ast.AsyncFunctionDef)}
    arguments = {
        f"--{node.target.id.replace('_', '-')}"
        for node in module.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert {cells[0].strip("`") for cells in table_rows(ROOT / "docs/reuse.md", "Argument")} == (
        arguments
    )
    seen = 0
    for place, words in shell_lines():
        called = [word for word in after(words, "call") if word != "llm-pipeline"]
        if "dagger" not in words or not called:
            continue
        function = next(word for word in called if not word.startswith("--"))
        assert function in functions, place
        options = {word.partition("=")[0] for word in called[: called.index(function)]}
        assert options <= arguments, place
        seen += 1
    assert seen
