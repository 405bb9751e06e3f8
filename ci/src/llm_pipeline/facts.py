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
    "*.lock",
    "requirements*.txt",
    "requirements/**",
    "setup.py",
    "noxfile.py",
    "Makefile",
    "[Jj]ustfile",
    "Taskfile.y*ml",
    "scripts/**",
    ".pre-commit-config.yaml",
    ".github/**",
    ".gitleaks*",
    ".git",
    ".python-version",
    "**/conftest.py",
)
"""Globs, from the root of the source, of the files whose text is read for facts."""

_SCRIPTS = re.compile(
    r"^(noxfile\.py|tox\.ini|Makefile|[Jj]ustfile|Taskfile\.ya?ml|scripts/.*|"
    r"\.pre-commit-config\.yaml|\.github/workflows/.*\.ya?ml)$"
)
_REQUIREMENTS = re.compile(r"^(requirements[^/]*\.(txt|lock|in)|requirements/.*\.(txt|in))$")
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


def canonical(name: str) -> str:
    """Return a distribution's normalised name, after the packaging specification for names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Return the normalised name at the head of a requirement line, or an empty text."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return canonical(match[1].rstrip("._-")) if match else ""


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
            try:
                found = (self.root / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                found = ""
            self._texts[name] = found
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
        raw = self.pyproject.get("dependency-groups", {})

        def names(group: str, seen: frozenset[str]) -> frozenset[str]:
            found: set[str] = set()
            for entry in raw.get(group, []):
                if isinstance(entry, str):
                    found.add(requirement_name(entry))
                elif isinstance(entry, Mapping) and entry.get("include-group") not in seen:
                    included = str(entry.get("include-group"))
                    found |= names(included, seen | {included})
            return frozenset(found)

        return {group: names(group, frozenset({group})) for group in raw}

    @cached_property
    def extras(self) -> dict[str, frozenset[str]]:
        """Normalised requirement names by extra of the project."""
        project = self.pyproject.get("project", {})
        extras = project.get("optional-dependencies", {}) if isinstance(project, Mapping) else {}
        return {
            extra: frozenset(requirement_name(line) for line in lines)
            for extra, lines in extras.items()
        }

    @cached_property
    def requirements(self) -> frozenset[str]:
        """Normalised names of everything that the source's own files require or lock."""
        found: set[str] = set()
        for names in (*self.groups.values(), *self.extras.values()):
            found |= names
        project = self.pyproject.get("project", {})
        found |= {requirement_name(line) for line in project.get("dependencies", [])}
        poetry = self.table("tool.poetry") or {}
        tables = [poetry.get("dependencies"), poetry.get("dev-dependencies")]
        tables += [group.get("dependencies") for group in poetry.get("group", {}).values()]
        for table in tables:
            found |= {canonical(name) for name in table or {}}
        for name in self.files:
            if _REQUIREMENTS.match(name):
                found |= {requirement_name(line) for line in self.text(name).splitlines()}
        for lock in ("uv.lock", "poetry.lock"):
            found |= {
                canonical(name)
                for name in re.findall(r'^name = "([^"]+)"', self.text(lock), re.MULTILINE)
            }
        return frozenset(found)

    @cached_property
    def scripts(self) -> str:
        """The text of the files in which a source says how its tools are called."""
        return "\n".join(self.text(name) for name in self.files if _SCRIPTS.match(name))

    def hook_version(self, repository: str) -> str | None:
        """Return the version at which ``.pre-commit-config.yaml`` pins a hook's repository.

        A frozen revision is read from its comment; a commit without one tells no version.
        """
        pattern = (
            rf"repo:\s*\S*{re.escape(repository)}\s*\n"
            r"\s*rev:\s*(\S+)(?:\s*#\s*frozen:\s*(\S+))?"
        )
        match = re.search(pattern, self.text(".pre-commit-config.yaml"))
        if not match:
            return None
        version = (match[2] or match[1]).strip("\"'").removeprefix("v")
        return version if re.fullmatch(r"\d+(\.\d+)+", version) else None

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

        A package at the root or in a ``src`` folder (of the root or one level down) counts;
        tests, docs, examples and benchmarks don't.
        """
        aside = {"tests", "test", "docs", "doc", "examples", "example", "benchmarks", "bench"}
        found = []
        for name in self.python_files:
            path = PurePosixPath(name)
            folders = path.parts[:-1]
            if path.name not in {"__init__.py", "__init__.pyi"} or not folders:
                continue
            top = len(folders) == 1 and folders[0] not in aside
            in_src = len(folders) in {2, 3} and folders[-2] == "src" and folders[0] not in aside
            if top or in_src:
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
