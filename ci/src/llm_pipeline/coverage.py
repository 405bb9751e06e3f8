"""Reads coverage.py's XML report (Cobertura's format)."""

import re
import sqlite3
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

from llm_pipeline.judging import relative
from llm_pipeline.model import FileCoverage

_BRANCHES = re.compile(r"\((\d+)/(\d+)\)")


def parse(data: bytes, measured: frozenset[str], root: str) -> tuple[FileCoverage, ...] | None:
    """Return the coverage of each file, ``None`` where the report can't be read.

    Lines and branches count alike, as they do in coverage.py's own total. The report's paths are
    relative to one of its ``source`` folders and don't say to which; ``measured``, the paths in
    coverage.py's data file, tell. ``root`` is the folder that paths are made relative to.
    """
    try:
        # Expat limits the expansion of entities, and the file is our own coverage.py's.
        tree = ET.fromstring(data)  # noqa: S314 - our own coverage wrote it
    except (ET.ParseError, ValueError, LookupError):
        return None
    sources = [(source.text or "").rstrip("/") for source in tree.iter("source")] or [""]
    known = {relative(path, root) for path in measured}
    found: dict[str, FileCoverage] = {}
    for item in tree.iter("class"):
        name = item.get("filename", "")
        places = [relative(f"{source}/{name}" if source else name, root) for source in sources]
        free = [place for place in places if place not in found] or places
        path = next((place for place in free if place in known), free[0])
        total = covered = 0
        for line in item.iter("line"):
            branches = _BRANCHES.search(line.get("condition-coverage", ""))
            total += 1 + (int(branches[2]) if branches else 0)
            covered += (line.get("hits") != "0") + (int(branches[1]) if branches else 0)
        found[path] = FileCoverage(path, total, covered)
    return tuple(found[path] for path in sorted(found))


def measured_files(data: Path) -> frozenset[str]:
    """Return the paths in coverage.py's data file (an SQLite database), none if it has none."""
    try:
        with closing(sqlite3.connect(f"{data.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return frozenset(path for (path,) in database.execute("SELECT path FROM file"))
    except sqlite3.Error:
        return frozenset()


def percent(files: tuple[FileCoverage, ...]) -> Fraction:
    """Return the total in percent, exactly; 100 where there is nothing to cover."""
    total = sum(file.total for file in files)
    return Fraction(100 * sum(file.covered for file in files), total) if total else Fraction(100)


def floored(value: Fraction, digits: int) -> str:
    """Return a percentage rounded down, so that none looks better than it is."""
    scale = 10**digits
    return f"{value * scale // 1 / scale:.{digits}f}"
