"""Why a check did not find the defect that was planted for it, told from the configuration.

A cause is only a guess that saves a search: the verdict ``blind`` does not depend on it.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any, Final

from llm_pipeline import tool_settings
from llm_pipeline.facts import Facts
from llm_pipeline.tool_settings import Settings

_SWALLOWED: Final = {
    r"\|\|\s*(true|:|exit 0|echo)": "`{}` turns its exit code into 0",
    r";\s*(true|:|exit 0)\s*($|[\"'])": "`{}` turns its exit code into 0",
    r"--exit-zero\b": "`{}` makes findings count for nothing",
    r"--exit-code[= ]0\b": "`{}` makes findings count for nothing",
    r"--no-exit-codes\b": "`{}` makes findings count for nothing",
    r"--suppress-tests-failed-exit-code\b": "`{}` makes failures count for nothing",
    r"continue-on-error:\s*true": "`{}` makes failures count for nothing",
    r"ignore_(?:outcome|errors)\s*=\s*true": "`{}` makes failures count for nothing",
    r"success_codes\s*=": "`{}` accepts more exit codes than 0",
    r"(?m)^\t-\s*\w": "a `-` before a recipe's line makes its failure count for nothing",
}
_CALLERS: Final = re.compile(r"^(make|just|task|tox|nox|hatch|poe|invoke|pre-commit|prek)$")
_LEAVES_OUT: Final = re.compile(r"--(?:min-severity|min-confidence|collect)[= ]\S+|-ignore[= ]\S+")
_ZIZMOR: Final = re.compile(r"(^|/)zizmor\.ya?ml$")
_ACTIONLINT: Final = re.compile(r"(^|/)actionlint\.ya?ml$")
_HOOKS: Final = (
    "pytest_sessionfinish",
    "pytest_runtest_makereport",
    "pytest_collection_modifyitems",
    "pytest_pyfunc_call",
    "pytest_runtest_protocol",
    "pytest_runtest_call",
    "pytest_report_teststatus",
    "pytest_ignore_collect",
    "pytest_pycollect_makeitem",
    "pytest_cmdline_main",
)


def likely_cause(
    check: str, facts: Facts, command: Sequence[str], planted: Mapping[str, str]
) -> str:
    """Return the most likely reason as one sentence.

    Args:
        check: The check's name.
        facts: What the source's files say.
        command: What the red control ran.
        planted: What it planted, content by path.
    """
    called = facts.scripts if _calls_scripts(facts, command) else ""
    causes = (
        *_swallowed(" ".join(command)),
        *_CAUSES[check](facts, command, planted),
        *_swallowed(called),
    )
    where = "the planted file" if len(planted) == 1 else "the planted files"
    text = " ".join(command) if len(command) < _LONG else shlex.join(command[:_LONG]) + " ..."
    return next(iter(causes), f"no cause recognised: run `{text}` on {where} {', '.join(planted)}")


_LONG = 12


def _swallowed(text: str) -> Iterator[str]:
    """Yield where an exit code gets lost in a command or in a script."""
    for pattern, message in _SWALLOWED.items():
        if match := re.search(pattern, text):
            yield message.format(match[0].strip())


def _calls_scripts(facts: Facts, command: Sequence[str]) -> bool:
    words = {word for part in command for word in part.split()}
    return any(
        _CALLERS.match(PurePosixPath(word).name)
        or (facts.has(word.removeprefix("./")) and not word.endswith(".py"))
        for word in words
    )


def _covered(pattern: str, path: str) -> bool:
    """Tell whether a glob of ruff's excludes covers a path: a part, a folder or all of it."""
    pattern = pattern.removeprefix("./").rstrip("/")
    parts = PurePosixPath(path)
    if any(fnmatch(part, pattern) for part in parts.parts):
        return True
    paths = [str(parts), *map(str, parts.parents)][:-1]
    return any(
        fnmatch(tail, pattern) or fnmatch(tail, pattern.replace("**/", "")) for tail in paths
    )


def _all(patterns: Sequence[str], planted: Mapping[str, str]) -> str | None:
    """Return the pattern, or else the patterns together, that cover everything planted."""
    for pattern in patterns:
        if all(_covered(pattern, path) for path in planted):
            return pattern
    hidden = all(any(_covered(pattern, path) for pattern in patterns) for path in planted)
    return ", ".join(patterns) if patterns and hidden else None


def _ruff_excludes(settings: Settings, planted: Mapping[str, str], *tables: str) -> Iterator[str]:
    for table in ("", *tables):
        inner = Settings(settings.where, settings.table.get(table, {}) if table else settings.table)
        for key in ("exclude", "extend-exclude"):
            if pattern := _all(inner.words(key), planted):
                name = f"{table}.{key}" if table else key
                yield f"`{name}` in {settings.where} hides the source: {pattern}"
    include = settings.words("include")
    if "include" in settings.table and not any(
        _covered(pattern, path) for pattern in include for path in planted
    ):
        yield f"`include` in {settings.where} leaves the source out: {', '.join(include) or '[]'}"


def _lint(facts: Facts, command: Sequence[str], planted: Mapping[str, str]) -> Iterator[str]:
    yield from _fixing(command, "ruff check")
    for settings in tool_settings.ruff(facts):
        yield from _ruff_excludes(settings, planted, "lint")
        nested = settings.table.get("lint", {})
        for prefix, table in (("lint.", nested), ("", settings.table)):
            rules = Settings(settings.where, table)
            if table.get("select") == []:
                yield f"`{prefix}select = []` in {settings.where} chooses no rule"
            for key in ("ignore", "extend-ignore"):
                if "ALL" in rules.words(key):
                    yield f'`{prefix}{key}` in {settings.where} has "ALL", which ignores every rule'
            for key in ("per-file-ignores", "extend-per-file-ignores"):
                ignored = [
                    pattern
                    for pattern, codes in (table.get(key) or {}).items()
                    if not pattern.startswith("!") and "ALL" in codes
                ]
                if pattern := _all(ignored, planted):
                    yield f"`{prefix}{key}` in {settings.where} ignores everything in {pattern}"


def _format(facts: Facts, command: Sequence[str], planted: Mapping[str, str]) -> Iterator[str]:
    yield from _fixing(command, "ruff format")
    for settings in tool_settings.ruff(facts):
        yield from _ruff_excludes(settings, planted, "format")


def _fixing(command: Sequence[str], tool: str) -> Iterator[str]:
    text = " ".join(command)
    if tool == "ruff format" and tool in text and not re.search(r"--(check|diff)\b", text):
        yield "without `--check` or `--diff` it corrects files and exits with 0"
    if tool == "ruff check" and re.search(r"--fix\b(?!-only)|--fix-only\b", text):
        yield "`--fix` corrects what it finds, and exits with 0 where nothing is left"


def _types(facts: Facts, command: Sequence[str], planted: Mapping[str, str]) -> Iterator[str]:
    settings = tool_settings.mypy(facts)
    if _true(settings.table.get("ignore_errors")):
        yield f"`ignore_errors` in {settings.where} ignores every error"
    for modules, table in _mypy_overrides(facts, settings.where):
        hidden = all(any(fnmatch(_module(path), name) for name in modules) for path in planted)
        skipped = table.get("follow_imports") == "skip"
        if hidden and (_true(table.get("ignore_errors")) or skipped):
            key = "follow_imports = skip" if skipped else "ignore_errors"
            yield f"`{key}` for {', '.join(modules)} in {settings.where} covers the source"
    excludes = settings.table.get("exclude", [])
    excludes = [excludes] if isinstance(excludes, str) else list(excludes)
    excludes += re.findall(r"--exclude[= ](\S+)", " ".join(command))
    for pattern in excludes:
        if all(_matches(pattern, path) for path in planted):
            yield f"mypy's `exclude` hides the source: {pattern}"
    if settings.table.get("follow_imports") in {"skip", "silent"}:
        yield f"`follow_imports` in {settings.where} keeps mypy from reporting what is imported"
    for key in ("files", "modules", "packages"):
        if named := settings.words(key):
            yield f"`{key}` in {settings.where} names single files or nothing: {', '.join(named)}"
    if codes := settings.words("disable_error_code"):
        yield f"`disable_error_code` in {settings.where}: {', '.join(codes)}"


def _mypy_overrides(facts: Facts, where: str) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    table = facts.table("tool.mypy") or {}
    for override in table.get("overrides", []) if where == "pyproject.toml" else ():
        yield Settings(where, override).words("module"), override
    for section, values in facts.ini(where).items() if where != "pyproject.toml" else ():
        if section.startswith("mypy-"):
            yield section.removeprefix("mypy-").split(","), values


def _module(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def _true(value: object) -> bool:
    return str(value).lower() in {"true", "1", "yes", "on"}


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _workflows(
    facts: Facts,
    command: Sequence[str],
    planted: Mapping[str, str],  # noqa: ARG001 - all of these are called alike
) -> Iterator[str]:
    if option := _LEAVES_OUT.search(" ".join(command)):
        yield f"`{option[0]}` leaves too much out"
    for name in facts.files:
        disabled = _disabled_audits(facts.text(name)) if _ZIZMOR.search(name) else []
        if disabled:
            yield f"{name} switches audits off: {', '.join(disabled)}"
        if _ACTIONLINT.search(name) and "ignore" in facts.text(name):
            yield f"an `ignore` pattern in {name} matches every message"


def _disabled_audits(text: str) -> list[str]:
    """Return the rules of a zizmor configuration that have `disable: true`."""
    found, rule = [], ""
    for key, value in re.findall(r"^[ \t]+([\w-]+):[ \t]*(.*)$", text, re.MULTILINE):
        if key == "disable" and value.startswith("true"):
            found.append(rule)
        elif not value and key not in {"config", "ignore"}:
            rule = key
    return found


def _test(facts: Facts, command: Sequence[str], planted: Mapping[str, str]) -> Iterator[str]:
    yield from _pytest_options([*tool_settings.pytest(facts).arguments("addopts"), *command])
    for name in facts.files:
        folder = str(PurePosixPath(name).parent)
        near = folder == "." or any(path.startswith(f"{folder}/") for path in planted)
        if PurePosixPath(name).name == "conftest.py" and near:
            yield from _conftest(name, facts.text(name))


def _pytest_options(options: Sequence[str]) -> Iterator[str]:
    for option, value in zip(options, (*options[1:], ""), strict=True):
        shown = option if "=" in option else f"{option} {value}"
        if option in {"--collect-only", "--co", "--setup-plan", "--setup-only", "--fixtures"}:
            yield f"`{option}` in pytest's options executes no test"
        chosen = re.match(r"(-k|-m|--deselect)(=|$)", option)
        if chosen and shown not in {"-m pytest", "-m coverage"}:
            yield f"`{shown}` in pytest's options leaves tests out"
        if option == "-p" and value in {"no:python", "no:unittest", "no:runner", "no:junitxml"}:
            yield f"`{shown}` in pytest's options switches off what runs tests"


def _conftest(name: str, text: str) -> Iterator[str]:
    if exits := re.search(r"\bos\._exit\(|\bexitstatus\s*=|\bpytest\.exit\(", text):
        yield f"`{exits[0].strip('(= ')}` in {name} sets the exit code"
    marks = re.search(r"xfail|skip|deselect", text)
    for hook in _HOOKS:
        if f"def {hook}" in text:
            what = f" ({marks[0]})" if marks else ""
            yield f"the hook `{hook}` in {name} changes what comes of tests{what}"
    if ignored := re.search(r"^collect_ignore(_glob)?\b.*", text, re.MULTILINE):
        yield f"`{ignored[0]}` in {name} hides tests"


def _gitleaks(facts: Facts, command: Sequence[str], planted: Mapping[str, str]) -> Iterator[str]:
    keys = re.findall(r'"(\S+)"', "".join(planted.values()))
    called = [PurePosixPath(word.partition("=")[2] or word).name for word in command]
    for name in facts.files:
        own = name in {".gitleaks.toml", "gitleaks.toml", ".github/gitleaks.toml"}
        if not (own or (name.endswith(".toml") and PurePosixPath(name).name in called)):
            continue
        table = facts.toml(name)
        extend = table.get("extend") or {}
        if not table.get("rules") and not (extend.get("useDefault") or extend.get("path")):
            yield f"{name} has no rules: write `[extend]` with `useDefault = true`"
        if off := extend.get("disabledRules"):
            yield f"`disabledRules` in {name} switches rules off: {', '.join(map(str, off))}"
        for allowed in (table.get("allowlist"), *(table.get("allowlists") or [])):
            yield from _allowed(name, allowed or {}, keys, planted)
    for word in command:
        if word.startswith(("--baseline-path", "--max-target-megabytes", "--enable-rule")):
            yield f"`{word}` leaves too much out"


def _allowed(
    name: str, allowed: Mapping[str, Any], keys: list[str], planted: Mapping[str, str]
) -> Iterator[str]:
    for key, texts in (("regexes", keys), ("paths", list(planted))):
        for pattern in allowed.get(key, []):
            if texts and all(_matches(pattern, text) for text in texts):
                what = "an empty pattern" if not pattern else f"`{pattern}`"
                yield f"{what} in the allow-list's `{key}` of {name} matches everything"
    words = [str(word) for word in allowed.get("stopwords", [])]
    one = [word for word in words if all(word.lower() in text.lower() for text in keys)][:1]
    if words and all(any(word.lower() in text.lower() for word in words) for text in keys):
        shown = f"word {one[0]!r}" if one else f"words {', '.join(map(repr, words))}"
        yield f"the stop {shown} in the allow-list of {name} {'is' if one else 'are'} in every key"


_CAUSES: Final[Mapping[str, Callable[[Facts, Sequence[str], Mapping[str, str]], Iterator[str]]]] = {
    "gitleaks": _gitleaks,
    "lint": _lint,
    "format": _format,
    "types": _types,
    "workflows": _workflows,
    "test": _test,
}
