"""What a command of delivery works on: settings, a registry, and a way to say things of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from llm_pipeline.cd.registry import Registry
    from llm_pipeline.cd.releases import Releases
    from llm_pipeline.cd.settings import Delivery
    from llm_pipeline.masking import Mask


class Opened:
    """A registry, the settings it is of, and how to say something of it without a secret."""

    def __init__(
        self, registry: "Registry", settings: "Delivery", source: Path, mask: "Mask"
    ) -> None:
        self.registry, self.settings, self.source, self._mask = registry, settings, source, mask

    def clean(self, text: str) -> str:
        """Return one line without secrets and without what would act on a terminal."""
        from llm_pipeline.display import one_line

        return self._mask.text(one_line(self._mask.text(text)))

    def say(self, text: str, indent: str = "") -> None:
        """Print a line."""
        click.echo(indent + self.clean(text))

    def say_json(self, value: object) -> None:
        """Print a value as JSON."""
        import json

        click.echo(self._mask.text(json.dumps(value, indent=2)))

    def masked(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return a value as JSON would hold it, without secrets."""
        import json

        content = json.loads(self._mask.text(json.dumps(value)))
        return content if isinstance(content, dict) else {}

    def releases(self) -> "Releases":
        """Return the environments."""
        from llm_pipeline.cd.access import trust_of, verifier
        from llm_pipeline.cd.releases import Releases

        trust = trust_of(self.settings, self.source)
        verify = verifier(self.registry, self.settings, trust)
        return Releases(self.registry, self.settings.environments, verify)


@contextmanager
def opened(source: Path, config: Path | None) -> Iterator[Opened]:
    """Open the registry that the settings of a source name, for as long as the block runs.

    Args:
        source: The folder whose ``pyproject.toml`` counts.
        config: A TOML file in its place.

    Raises:
        ConfigError: The settings are wrong, or name no registry.
        LookError: A package that delivery needs is not installed.
    """
    from llm_pipeline.cd import access
    from llm_pipeline.config import from_file, from_text
    from llm_pipeline.errors import PipelineError
    from llm_pipeline.masking import Mask, environment_secrets

    access.demand_packages()
    file = source / "pyproject.toml"
    if config is not None:
        settings = from_file(config).cd
    elif file.is_file():
        settings = _of_pyproject(file)
    else:
        settings = from_text("", "no pyproject.toml").cd
    names = (settings.username, settings.password, settings.signing_key)
    named = {os.environ.get(name or "", "") for name in names}
    mask = Mask(environment_secrets(os.environ) | named)
    try:
        with access.open_registry(settings, os.environ) as registry:
            yield Opened(registry, settings, source, mask)
    except PipelineError as error:
        # A registry or AWS may repeat in its message what it was sent.
        error.args = (mask.text(str(error)),)
        raise


def _of_pyproject(file: Path) -> "Delivery":
    import tomllib

    from llm_pipeline.config import from_pyproject
    from llm_pipeline.errors import ConfigError

    try:
        return from_pyproject(tomllib.loads(file.read_text(encoding="utf-8"))).cd
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} can't be read as TOML: {error}.") from None
