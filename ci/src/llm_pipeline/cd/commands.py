"""The commands of delivery; what they need is imported when they run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from llm_pipeline.cd.opened import Opened, opened

if TYPE_CHECKING:
    from llm_pipeline.cd.releases import Outcome

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

    with opened(source, config) as at:
        wanted = None if environment is None else (environment,)
        histories = at.releases().histories(wanted)
        if as_json:
            told = {
                name: {
                    "current": None if history.current is None else history.current.tag,
                    "releases": [{"tag": each.tag, **asdict(each)} for each in history.releases],
                }
                for name, history in histories.items()
            }
            at.say_json(told)
            return
        for name, history in histories.items():
            now = history.current
            at.say(f"{name}: {'nothing was released' if now is None else now.digest}")
            shown = history.releases if everything else history.releases[-_SHOWN:]
            for each in reversed(shown):
                what = "" if each.restores is None else f" to {name}-{each.restores:06d}"
                why = f": {each.why}" if each.why else ""
                at.say(
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

    with opened(source, config) as at:
        who = Who(at.clean(by or who_runs(os.environ)), at.clean(why))
        _tell(at, at.releases().promote(origin, target, image, who))


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

    with opened(source, config) as at:
        who = Who(at.clean(by or who_runs(os.environ)), at.clean(why))
        _tell(at, at.releases().rollback(environment, who))


def _tell(at: Opened, outcome: "Outcome") -> None:
    at.say(outcome.said)
    if outcome.made is not None:
        at.say(f"{outcome.environment} should now run {at.registry.name(outcome.digest)}")


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

    with opened(source, config) as at:
        digest = at.releases().resolve(image)
        trust = trust_of(at.settings, at.source)
        found = verification.verify(at.registry, digest, trust, at.settings.require)
        if found is None:
            raise RefusedError(f"There is no {at.registry.name(digest)}; publish it first.")
        if as_json:
            at.say_json({"verified": not found.problems, **asdict(found)})
        else:
            at.say(at.registry.name(digest))
            for each in found.attested:
                result = {True: ", passed", False: ", failed", None: ""}[each.passed]
                at.say(f"{each.kind}{result}, signed by {each.signer}", "  ")
            for reason in found.ignored:
                at.say(f"not counted: {reason}", "  ")
        if found.problems:
            raise RefusedError(f"{digest} is not verified. {' '.join(found.problems)}")


@click.command()
@_options
@click.argument("image")
@click.option("--check", "name", required=True, help="The check's name, such as evaluation.")
@click.option("--passed/--failed", default=None, help="What it said; one of both is needed.")
@click.option(
    "--details",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with more for people to read; it is stored beside the image.",
)
def attest(  # noqa: PLR0913 - an argument for each option
    *,
    source: Path,
    config: Path | None,
    image: str,
    name: str,
    passed: bool | None,
    details: Path | None,
) -> None:
    """Sign what a check said of IMAGE, a tag or a digest, and attach it there."""
    from llm_pipeline.cd.access import signer_of
    from llm_pipeline.cd.attest import RESULT, result, statement
    from llm_pipeline.cd.verification import attach_statement

    if passed is None:
        raise click.UsageError("Say what the check said: --passed or --failed.")
    more = None if details is None else _details(details)
    with opened(source, config) as at:
        registry = at.registry
        digest = at.releases().resolve(image)
        said = at.masked(result(at.clean(name), passed=passed, details=more))
        signer = signer_of(at.settings, os.environ)
        subject = registry.read(digest).descriptor
        payload = statement(f"{registry.host}/{registry.repository}", digest, RESULT, said)
        artifact = attach_statement(registry, subject, payload, signer)
        word = "passed" if passed else "failed"
        at.say(f"{name}, {word}, is attached to {digest} as {artifact}")


def _details(file: Path) -> dict[str, Any]:
    import json

    from llm_pipeline.errors import UsageError

    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} can't be read as JSON: {error}.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{file} should hold a JSON object.")
    return content


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
    with opened(source, config) as at:
        found = preview(at.registry, at.settings, source, named)
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
            at.say_json({**told, "inputs": found.inputs.key})
        else:
            at.say(said)


COMMANDS: Final = (releases, promote, rollback, verify, attest, publish)
