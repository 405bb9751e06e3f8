"""What the files of a source say about it: its tools, its packages, its tests.

Both executors decide from the same facts, so that they run the same graph. The host reads them
from its copy of the source, the Dagger module from an export of ``FACT_FILES`` and the list of
all paths.
"""

import re
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final

from llm_pipeline.errors import ConfigError

FACT_FILES: Final = (
    "pyproject.toml",
    "*.cfg",
    "*.ini",
    ".coveragerc",
    ".mypy.ini",
    "*ruff.toml",
    ".ruff.toml",
    "*pytest.toml",
    "*.lock",
    "**/*requirements*",
    "setup.py",
    "noxfile.py",
    "Makefile",
    "[Jj]ustfile",
    "Taskfile.y*ml",
    "scripts/**",
    ".pre-commit-config.yaml",
    ".github/**",
    "zizmor.y*ml",
    "*gitleaks.toml",
    ".gitignore",
    ".git",
    ".python-version",
    "**/conftest.py",
)
"""Globs, from the root of the source, of the files whose text is read for facts."""

_SCRIPTS = re.compile(
    r"^(noxfile\.py|tox\.ini|Makefile|[Jj]ustfile|Taskfile\.ya?ml|scripts/.*|"
    r"\.pre-commit-config\.yaml|\.github/workflows/.*\.ya?ml)$"
)
_REQUIREMENTS = re.compile(r"^([^/]*requirements[^/]*\.(txt|lock|in)|requirements/.*\.(txt|in))$")
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


def canonical(name: str) -> str:
    """Return a distribution's normalised name, after the packaging specification for names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Return the normalised name at the head of a requirement line, or an empty text."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return canonical(match[1].rstrip("._-")) if match else ""


def _names(lines: object) -> frozenset[str]:
    """Return the names in a list, or in the lines of a text; what is no text is passed over."""
    if isinstance(lines, str):
        lines = lines.splitlines()
    texts = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    return frozenset(filter(None, map(requirement_name, texts)))


def _table(value: object) -> Mapping[str, Any]:
    """Return a table as it is, and an empty one for anything else: other tools will complain."""
    return value if isinstance(value, Mapping) else {}


def _read(path: Path) -> str:
    try:
        # A named pipe would make us wait.
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True)
class Facts:
    """A source as far as its files tell.

    ``root`` holds at least the files of ``FACT_FILES``; ``files`` are all its paths, relative,
    with ``/``.
    """

    root: Path
    files: tuple[str, ...]
    _texts: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def has(self, *names: str) -> bool:
        """Tell whether any of these paths is in the source."""
        return any(name in self._names for name in names)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.files)

    def text(self, name: str) -> str:
        """Return a file's text, empty where it is missing; bytes that are no UTF-8 are replaced."""
        if name not in self._texts:
            self._texts[name] = _read(self.root / name)
        return self._texts[name]

    def toml(self, name: str) -> dict[str, Any]:
        """Return a TOML file's tables, empty where it is missing.

        Raises:
            ConfigError: The file is no TOML; the message says where.
        """
        try:
            return tomllib.loads(self.text(name))
        except tomllib.TOMLDecodeError as error:
            message = f"{name} is not valid TOML: {error}. Correct it and run again."
            raise ConfigError(message) from None

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        """The tables of ``pyproject.toml``."""
        return self.toml("pyproject.toml")

    def table(self, dotted: str) -> Mapping[str, Any] | None:
        """Return a table of ``pyproject.toml`` by its dotted name, or ``None``."""
        found: Any = self.pyproject
        for key in dotted.split("."):
            if not isinstance(found, Mapping) or key not in found:
                return None
            found = found[key]
        return found if isinstance(found, Mapping) else None

    def ini(self, name: str) -> dict[str, dict[str, str]]:
        """Return the sections of an INI file; one that can't be read has none."""
        parser = ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(self.text(name))
        except IniError:
            return {}
        return {section: dict(parser[section]) for section in parser.sections()}

    @cached_property
    def groups(self) -> dict[str, frozenset[str]]:
        """Normalised requirement names by dependency group (PEP 735), includes resolved."""
        raw = _table(self.pyproject.get("dependency-groups"))
        normal = {canonical(group): entries for group, entries in raw.items()}

        def names(group: str, seen: frozenset[str]) -> frozenset[str]:
            entries = normal.get(group)
            found = _names(entries)
            for entry in entries if isinstance(entries, list) else ():
                included = canonical(str(_table(entry).get("include-group", "")))
                if included not in seen:
                    found |= names(included, seen | {included})
            return found

        return {group: names(canonical(group), frozenset({canonical(group)})) for group in raw}

    @cached_property
    def extras(self) -> dict[str, frozenset[str]]:
        """Normalised requirement names by extra of the project."""
        project = _table((self.table("project") or {}).get("optional-dependencies"))
        setup = self.ini("setup.cfg").get("options.extras_require", {})
        return {extra: _names(lines) for extra, lines in {**setup, **project}.items()}

    @cached_property
    def asked_for(self) -> frozenset[str]:
        """Normalised names of everything that the source's own files ask for by name.

        What is in a lock alone came with something else, and says nothing of what is wanted.
        """
        found: set[str] = set()
        for names in (*self.groups.values(), *self.extras.values()):
            found |= names
        found |= _names((self.table("project") or {}).get("dependencies"))
        found |= _names(self.ini("setup.cfg").get("options", {}).get("install_requires"))
        poetry = self.table("tool.poetry") or {}
        for group in (poetry, *_table(poetry.get("group")).values()):
            for key in ("dependencies", "dev-dependencies"):
                found |= {canonical(name) for name in _table(_table(group).get(key))}
        for name in self.files:
            if _REQUIREMENTS.match(name):
                found |= _names(self.text(name))
        return frozenset(found)

    @cached_property
    def requirements(self) -> frozenset[str]:
        """Normalised names of everything that the source's own files require or lock."""
        found = set(self.asked_for)
        for lock in ("uv.lock", "poetry.lock"):
            found |= {
                canonical(name)
                for name in re.findall(r'^name = "([^"]+)"', self.text(lock), re.MULTILINE)
            }
        return frozenset(found)

    @cached_property
    def build_requirements(self) -> frozenset[str]:
        """Normalised names of what builds the project."""
        return _names((self.table("build-system") or {}).get("requires"))

    @cached_property
    def scripts(self) -> str:
        """The text of the files in which a source says how its tools are called."""
        return "\n".join(self.text(name) for name in self.files if _SCRIPTS.match(name))

    def hook_version(self, repository: str) -> str | None:
        """Return the version at which ``.pre-commit-config.yaml`` pins a hook's repository.

        A frozen revision is read from its comment; a commit without one tells no version.
        """
        pattern = (
            rf"\brepo:[ \t]*[\"']?\S*/{re.escape(repository)}(?:\.git)?/?[\"']?[ \t]*(?:#.*)?\n"
            r"(?:[ \t]*(?:#.*)?\n)*[ \t]*rev:[ \t]*[\"']?([^\s\"'#]+)[\"']?"
            r"(?:[ \t]*#[ \t]*frozen:[ \t]*(\S+))?"
        )
        match = re.search(pattern, self.text(".pre-commit-config.yaml"))
        if not match:
            return None
        version = (match[2] or match[1]).removeprefix("v")
        return version if re.fullmatch(r"\d+(\.\d+)+((a|b|rc)\d+)?", version) else None

    @cached_property
    def python_files(self) -> tuple[str, ...]:
        """Python sources, stubs included."""
        return tuple(name for name in self.files if name.endswith((".py", ".pyi")))

    @cached_property
    def workflows(self) -> tuple[str, ...]:
        """GitHub workflow files."""
        return tuple(
            name for name in self.files if re.match(r"\.github/workflows/[^/]+\.ya?ml$", name)
        )

    @cached_property
    def test_files(self) -> tuple[str, ...]:
        """Files that pytest collects by its default patterns, ``conftest.py`` left out."""
        return tuple(name for name in self.files if _TEST_FILE.search(name))

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """Folders of the import packages that the source is about, for example ``src/attr``.

        A package at the root or in a ``src`` folder anywhere counts; tests, docs, examples and
        benchmarks don't.
        """
        aside = {"tests", "test", "docs", "doc", "examples", "example", "benchmarks", "bench"}
        found = []
        for name in self.python_files:
            path = PurePosixPath(name)
            folders = path.parts[:-1]
            if path.name not in {"__init__.py", "__init__.pyi"} or not folders:
                continue
            if (len(folders) == 1 or folders[-2] == "src") and not aside.intersection(folders):
                found.append(str(path.parent))
        return tuple(sorted(set(found)))

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """Single-file modules at the root or in ``src``; configuration scripts left out."""
        aside = re.compile(r"^(setup|conftest|noxfile|fabfile|tasks)\.py$")
        return tuple(
            name
            for name in self.python_files
            if name.count("/") == name.startswith("src/")
            and not aside.match(name)
            and not _TEST_FILE.search(name)
        )
