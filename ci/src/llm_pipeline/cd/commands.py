"""The commands of delivery; what they need is imported when they run."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from llm_pipeline.cd.registry import Registry
    from llm_pipeline.cd.releases import Outcome, Releases
    from llm_pipeline.cd.settings import Delivery
    from llm_pipeline.masking import Mask

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SHOWN: Final = 10
_DIGEST: Final = 19  # of sha256:..., as much as tells images apart

_OPTIONS: Final = (
    click.option(
        "--source",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        help="The folder whose settings count; it is never written.  [default: this one]",
    ),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A TOML file in place of [tool.llm-pipeline] in pyproject.toml.",
    ),
)
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_WHY: Final = click.option("--why", default="", help="The reason, for the record.")
_BY: Final = click.option("--by", help="Who asks, for the record.  [default: you, or the workflow]")


def _options(command: _Command) -> _Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class _Opened:
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

    def releases(self) -> "Releases":
        """Return the environments."""
        from llm_pipeline.cd.access import trust_of, verifier
        from llm_pipeline.cd.releases import Releases

        trust = trust_of(self.settings, self.source)
        verify = verifier(self.registry, self.settings, trust)
        return Releases(self.registry, self.settings.environments, verify)


@contextmanager
def _opened(source: Path, config: Path | None) -> Iterator[_Opened]:
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
    named = {os.environ.get(name or "", "") for name in (settings.username, settings.password)}
    mask = Mask(environment_secrets(os.environ) | named)
    try:
        with access.open_registry(settings, os.environ) as registry:
            yield _Opened(registry, settings, source, mask)
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


@click.command()
@_options
@click.argument("environment", required=False)
@click.option("--all", "everything", is_flag=True, help=f"Show all, not the last {_SHOWN} only.")
@_JSON
def releases(
    *, source: Path, config: Path | None, environment: str | None, everything: bool, as_json: bool
) -> None:
    """List what was released, and what should run in each environment."""
    from dataclasses import asdict

    with _opened(source, config) as opened:
        wanted = None if environment is None else (environment,)
        histories = opened.releases().histories(wanted)
        if as_json:
            told = {
                name: {
                    "current": None if history.current is None else history.current.tag,
                    "releases": [{"tag": each.tag, **asdict(each)} for each in history.releases],
                }
                for name, history in histories.items()
            }
            opened.say_json(told)
            return
        for name, history in histories.items():
            now = history.current
            opened.say(f"{name}: {'nothing was released' if now is None else now.digest}")
            shown = history.releases if everything else history.releases[-_SHOWN:]
            for each in reversed(shown):
                what = "" if each.restores is None else f" to {name}-{each.restores:06d}"
                why = f": {each.why}" if each.why else ""
                opened.say(
                    f"{each.tag}  {each.digest[:_DIGEST]}  {each.at}  {each.kind}{what} "
                    f"by {each.by}{why}",
                    "  ",
                )


@click.command()
@_options
@click.argument("image", required=False)
@click.option("--from", "origin", metavar="ENVIRONMENT", help="Where it was tested.")
@click.option("--to", "target", metavar="ENVIRONMENT", required=True, help="Where it goes.")
@_WHY
@_BY
def promote(  # noqa: PLR0913 - an argument for each option
    *,
    source: Path,
    config: Path | None,
    image: str | None,
    origin: str | None,
    target: str,
    why: str,
    by: str | None,
) -> None:
    """Release to an environment what runs in the one before, or IMAGE: a tag or a digest."""
    from llm_pipeline.cd.access import who_runs
    from llm_pipeline.cd.releases import Who

    with _opened(source, config) as opened:
        who = Who(opened.clean(by or who_runs(os.environ)), opened.clean(why))
        _tell(opened, opened.releases().promote(origin, target, image, who))


@click.command()
@_options
@click.argument("environment")
@_WHY
@_BY
def rollback(
    *, source: Path, config: Path | None, environment: str, why: str, by: str | None
) -> None:
    """Release to an environment what ran there before."""
    from llm_pipeline.cd.access import who_runs
    from llm_pipeline.cd.releases import Who

    with _opened(source, config) as opened:
        who = Who(opened.clean(by or who_runs(os.environ)), opened.clean(why))
        _tell(opened, opened.releases().rollback(environment, who))


def _tell(opened: _Opened, outcome: "Outcome") -> None:
    opened.say(outcome.said)
    if outcome.made is not None:
        opened.say(f"{outcome.environment} should now run {opened.registry.name(outcome.digest)}")


@click.command()
@_options
@click.argument("image")
@_JSON
def verify(*, source: Path, config: Path | None, image: str, as_json: bool) -> None:
    """Check who signed what on IMAGE, a tag or a digest, and that what a release needs is there."""
    from dataclasses import asdict

    from llm_pipeline.cd import verification
    from llm_pipeline.cd.access import trust_of
    from llm_pipeline.errors import RefusedError

    with _opened(source, config) as opened:
        digest = opened.releases().resolve(image)
        trust = trust_of(opened.settings, opened.source)
        found = verification.verify(opened.registry, digest, trust, opened.settings.require)
        if found is None:
            raise RefusedError(f"There is no {opened.registry.name(digest)}; publish it first.")
        if as_json:
            opened.say_json({"verified": not found.problems, **asdict(found)})
        else:
            opened.say(opened.registry.name(digest))
            for each in found.attested:
                result = {True: ", passed", False: ", failed", None: ""}[each.passed]
                opened.say(f"{each.kind}{result}, signed by {each.signer}", "  ")
            for reason in found.ignored:
                opened.say(f"not counted: {reason}", "  ")
        if found.problems:
            raise RefusedError(f"{digest} is not verified. {' '.join(found.problems)}")


@click.command()
@_options
@click.option("--dry-run", is_flag=True, required=True, help="Only say what would be done.")
@click.option("--release-version", "named", metavar="TAG", help="A version, for a tag more.")
@_JSON
def publish(
    *, source: Path, config: Path | None, dry_run: bool, named: str | None, as_json: bool
) -> None:
    """Say what publishing the image of a source would do: build, add tags, or nothing."""
    from llm_pipeline.cd.preview import preview
    from llm_pipeline.cd.publication import Build, Done, Tag
    from llm_pipeline.errors import RefusedError, UsageError

    if not dry_run:
        raise UsageError("Building needs a container engine; on its own this only does --dry-run.")
    with _opened(source, config) as opened:
        found = preview(opened.registry, opened.settings, source, named)
        decision, digest = found.decision, None
        if isinstance(decision, Build):
            verdict, said = "build", f"would build the image and push it as {', '.join(found.tags)}"
        elif isinstance(decision, Tag):
            verdict, digest = "tag", decision.digest
            said = f"would add to {digest} the tags {', '.join(decision.tags)}"
        elif isinstance(decision, Done):
            verdict, digest = "nothing", decision.digest
            said = f"nothing to do: {digest} has all tags"
        else:
            raise RefusedError(decision.reason)
        if as_json:
            told = {"verdict": verdict, "digest": digest, "tags": found.tags}
            opened.say_json({**told, "inputs": found.inputs.key})
        else:
            opened.say(said)


COMMANDS: Final = (releases, promote, rollback, verify, publish)
