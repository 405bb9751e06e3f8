"""How ``test`` measures coverage: with the source's own plugin, or with coverage itself."""

from collections.abc import Iterable, Mapping
from typing import Final

from llm_pipeline import tool_settings
from llm_pipeline.config import TestSettings
from llm_pipeline.facts import Facts

_TRUE: Final = frozenset({"1", "on", "true", "yes"})


def measures_coverage(facts: Facts, settings: TestSettings) -> bool:
    """Tell whether ``test`` measures coverage: as set, else where the source configures it."""
    if settings.coverage is not None:
        return settings.coverage
    return (
        settings.coverage_floor is not None
        or _coverage_run(facts) is not None
        or _measures(tool_settings.pytest(facts).arguments("addopts"))
    )


def covered(pytest: tuple[str, ...], facts: Facts) -> tuple[tuple[str, ...], ...]:
    """Return the commands that run pytest, called by ``python -m``, and report its coverage.

    pytest-cov measures where the source requires or calls it, else coverage.py does.
    """
    measures = _measures((*tool_settings.pytest(facts).arguments("addopts"), *pytest))
    if measures or "pytest-cov" in facts.requirements:
        measure = () if measures else ("--cov",)
        return ((*pytest, *measure, "--cov-report=xml:{out}/coverage.xml"),)
    run = _coverage_run(facts) or {}
    scope = (
        () if {"source", "source_pkgs", "source_dirs", "include"} & set(run) else ("--source=.",)
    )
    # The patch makes coverage write a file for each process, whatever `parallel` says.
    parallel = str(run.get("parallel")).lower() in _TRUE or "subprocess" in str(run.get("patch"))
    combine = (("python", "-m", "coverage", "combine", "--quiet"),) if parallel else ()
    return (
        ("python", "-m", "coverage", "run", *scope, *pytest[1:]),
        *combine,
        ("python", "-m", "coverage", "xml", "--quiet", "-o", "{out}/coverage.xml"),
    )


def _measures(words: Iterable[str]) -> bool:
    """Tell whether options of pytest make pytest-cov measure; most of its others do not."""
    return any(word == "--cov" or word.startswith("--cov=") for word in words)


def _coverage_run(facts: Facts) -> Mapping[str, object] | None:
    """Return what coverage.py is told about its runs: by the first file that tells it anything."""
    if facts.has(".coveragerc"):
        sections = facts.ini(".coveragerc")
        return sections.get("run") or sections.get("coverage:run") or {}
    for name in ("setup.cfg", "tox.ini"):
        sections = facts.ini(name)
        if any(section.startswith("coverage:") for section in sections):
            return sections.get("coverage:run", {})
    if facts.table("tool.coverage") is None:
        return None
    return facts.table("tool.coverage.run") or {}
