"""The containers of the checks, layer by layer: what changes seldom lies below.

A layer's key is its content: the source goes in through ``Directory.filter``, since a copy with
``include`` runs again after any edit anywhere in the source.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import dagger
from dagger import dag

from llm_pipeline.install import MANIFESTS
from llm_pipeline.plan import Plan, Planned

DATA: Final = "/llm-pipeline"
ENV: Final = "/env"
OUT: Final = "/out"
REPO: Final = "/repo"
SOURCE: Final = "/src"
TOOLS: Final = "/tools"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOCKED: Final = ("--no-deps", "--require-hashes", "-r")
_PIP: Final = ("install", "--no-input", "--progress-bar=off")
_TRUST: Final = f"{DATA}/trust.sh"
_ENSURE: Final = "{data}/ensure.sh"
_INSTALLING: Final = ("ensure.sh", "trust.sh", "pytest.lock", "coverage.lock")
_SCANNING: Final = ("leakscan.sh", "leakscan.awk", "gitleaks.toml")
_CACHES: Final = ("/root/.cache/pip", "/root/.cache/uv")
VERSION: Final = "/gitleaks.version"
"""Where the leak scan's container keeps what its gitleaks calls itself."""


def _trusting(*command: str) -> list[str]:
    return ["sh", _TRUST, *command]


@dataclass
class Layers:
    """Makes the container in which a check runs.

    ``source``: the files of the source without ``.git``; ``git``: its ``.git``, if any, which is a
    file in a worktree.
    """

    plan: Plan
    source: dagger.Directory
    git: dagger.Directory | dagger.File | None
    python_image: str
    gitleaks_image: str

    def container(self, planned: Planned) -> dagger.Container:
        """Return the container of a check, with the files that it reads in ``/src``."""
        tree = self.source.filter(include=list(planned.reads), exclude=list(planned.ignores))
        if planned.check.git:
            base = self._leaks
        elif planned.environment:
            base = self._environment
        else:
            base = self._packaged(self._tools) if planned.custom else self._tools
        for tool, version in self.plan.hooked:
            if tool in planned.check.tools:
                base = self._hooked(base, tool, version)
        for folder in () if planned.check.git else _CACHES:
            base = base.without_mount(folder)
        return base.with_mounted_directory(SOURCE, tree).with_workdir(SOURCE)

    def state(self) -> dagger.Container:
        """Return a container with git, the repository and all files of the source."""
        return self._leaks.with_mounted_directory(SOURCE, self.source).with_workdir(SOURCE)

    @cached_property
    def _data(self) -> dagger.Directory:
        # Not from this side: their text would be a part of every question to the engine.
        return dag.current_module().source().directory("src/llm_pipeline/data")

    @cached_property
    def _python(self) -> dagger.Container:
        pip, uv = _CACHES
        return (
            dag.container()
            .from_(self.python_image)
            .with_user("root")
            .with_mounted_cache(pip, dag.cache_volume("llm-pipeline-pip"))
            .with_mounted_cache(uv, dag.cache_volume("llm-pipeline-uv"))
            .with_env_variable("UV_LINK_MODE", "copy")
            .with_env_variable("UV_SYSTEM_CERTS", "1")
            .with_env_variable("UV_NATIVE_TLS", "1")
            .with_env_variable("UV_PYTHON_DOWNLOADS", "never")
            .with_env_variable("PIP_ROOT_USER_ACTION", "ignore")
            .with_env_variable("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .with_file(_TRUST, self._data.file("trust.sh"))
        )

    @cached_property
    def _tools(self) -> dagger.Container:
        return self._venv(self._python, TOOLS, "tools").with_env_variable(
            "PATH", f"{TOOLS}/bin:{_PATH}"
        )

    def _venv(self, base: dagger.Container, folder: str, lock: str) -> dagger.Container:
        name = f"{lock}.lock"
        return (
            base.with_mounted_file(f"/locks/{name}", self._data.file(name))
            .with_exec(["python", "-m", "venv", folder])
            # A lock is whole, and a pip before 23.3 that looks beyond it takes newer releases.
            .with_exec(_trusting(f"{folder}/bin/pip", *_PIP, *_LOCKED, f"/locks/{name}"))
            .without_mount(f"/locks/{name}")
        )

    def _hooked(self, base: dagger.Container, tool: str, version: str) -> dagger.Container:
        folder = f"/hooked/{tool}"
        return (
            base.with_exec(["python", "-m", "venv", folder])
            .with_exec(_trusting(f"{folder}/bin/pip", *_PIP, f"{tool}=={version}"))
            .with_env_variable("PATH", f"{folder}/bin:${{PATH}}", expand=True)
        )

    def _packaged(self, base: dagger.Container) -> dagger.Container:
        """Add the system's packages that the settings name, where there are any."""
        packages = self.plan.config.images.packages
        if not packages:
            return base
        path = f"{DATA}/packages.sh"
        return base.with_file(path, self._data.file("packages.sh")).with_exec(
            ["sh", path, *packages]
        )

    @cached_property
    def _environment(self) -> dagger.Container:
        """The source's own environment: its dependencies, and above them the project itself."""
        install = self.plan.install
        base = self._tools
        if install.manager == "poetry":
            base = self._venv(base, "/poetry", "poetry").with_env_variable(
                "PATH", f"{TOOLS}/bin:/poetry/bin:{_PATH}"
            )
        base = (
            self._packaged(base)
            .with_exec(["python", "-m", "venv", ENV])
            .with_directory(DATA, self._data.filter(include=list(_INSTALLING)))
        )
        for name, value in {
            **install.env,
            "VIRTUAL_ENV": ENV,
            "UV_PROJECT_ENVIRONMENT": ENV,
            "UV_PYTHON": f"{ENV}/bin/python",
        }.items():
            base = base.with_env_variable(name, value)
        manifests = self.source.filter(include=[*MANIFESTS, *install.key])
        base = self._install(base, manifests, install.dependencies)
        inputs = self.source.filter(include=[*MANIFESTS, *install.inputs])
        # What only completes the environment reads nothing of the source: not even in its key.
        completing = tuple(words for words in install.project if _ENSURE in words)
        project = tuple(words for words in install.project if _ENSURE not in words)
        base = self._install(base, inputs, project)
        base = self._install(base, None, completing)
        return base.with_env_variable("PATH", f"{ENV}/bin:{TOOLS}/bin:{_PATH}")

    def _install(
        self,
        base: dagger.Container,
        tree: dagger.Directory | None,
        commands: tuple[tuple[str, ...], ...],
    ) -> dagger.Container:
        if not commands:
            return base
        if tree is None:
            base = base.with_workdir("/")
        else:
            base = base.with_mounted_directory(SOURCE, tree).with_workdir(SOURCE)
        for command in commands:
            words = [word.replace("{env}", ENV).replace("{data}", DATA) for word in command]
            base = base.with_exec(_trusting(*words))
        return base if tree is None else base.without_mount(SOURCE)

    @cached_property
    def _leaks(self) -> dagger.Container:
        base = (
            dag.container()
            .from_(self.gitleaks_image)
            .with_user("root")
            # The image may be another's, so it says itself which version it is.
            .with_exec(["sh", "-c", f"gitleaks version >{VERSION}"])
            .with_directory(DATA, self._data.filter(include=list(_SCANNING)))
        )
        if isinstance(self.git, dagger.File):
            return base.with_mounted_file(f"{REPO}/.git", self.git)
        if self.git is not None:
            return base.with_mounted_directory(f"{REPO}/.git", self.git)
        return base.with_directory(REPO, dag.directory())
