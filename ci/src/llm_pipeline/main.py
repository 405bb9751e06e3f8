"""The Dagger module ``llm-pipeline``: one short function per capability.

``dagger call ci`` runs everything; each check is a function of its own, for ``dagger check``.
What a function needs is imported when it runs: the engine imports this file in every session.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NoReturn

import dagger
from dagger import DefaultPath, Doc, Ignore, check, function, object_type

if TYPE_CHECKING:
    from llm_pipeline.containers.pipeline import Pipeline

Source = Annotated[
    dagger.Directory,
    DefaultPath("/"),
    Ignore(
        [
            "**/.venv",
            "**/node_modules",
            "**/__pycache__",
            "**/.mypy_cache",
            "**/.ruff_cache",
            "**/.pytest_cache",
            "**/.tox",
            "**/.nox",
        ]
    ),
    Doc("The repository to look at, with its .git"),
]


@object_type
class LlmPipeline:
    """CI as code for a Python repository: leaks, lint, format, types, workflows, tests."""

    source: Source
    git: Annotated[
        dagger.Directory | None,
        Doc("The folder .git, where the source does not hold it, as in a worktree"),
    ] = None
    config: Annotated[
        dagger.File | None, Doc("A TOML file in place of [tool.llm-pipeline] in pyproject.toml")
    ] = None
    keep_going: Annotated[bool, Doc("Run the tests even where a static check fails")] = False
    red_controls: Annotated[
        bool, Doc("Whether a check that passes must also fail on a planted defect")
    ] = True
    python_image: Annotated[str, Doc("The image of Python, in place of the configured one")] = ""
    gitleaks_image: Annotated[str, Doc("The image of gitleaks, in place of the configured one")] = (
        ""
    )
    link: Annotated[
        str, Doc("Where the source's files are shown, for links: https://HOST/REPO/blob/COMMIT")
    ] = ""

    @function
    async def ci(self) -> str:
        """Run all checks that apply, static ones first."""
        return await self._verdict()

    @function
    async def reports(self) -> dagger.Directory:
        """Run all checks that apply and return the reports, whatever the verdict."""
        with _told():
            pipeline = await self._open()
            run = replace(await pipeline.run(), source=await pipeline.state())
            return await pipeline.reports(run).sync()

    @function
    async def fix(self) -> dagger.Changeset:
        """Return the fixes of the linter and the formatter, to look at or to apply."""
        with _told():
            return await (await (await self._open("lint", "format")).fixed()).sync()

    @function
    @check
    async def gitleaks(self) -> str:
        """Look for leaked secrets in the git history and in the files."""
        return await self._verdict("gitleaks")

    @function
    @check
    async def lint(self) -> str:
        """Run ruff check."""
        return await self._verdict("lint")

    @function
    @check
    async def format(self) -> str:
        """Run ruff format and show what it would change."""
        return await self._verdict("format")

    @function
    @check
    async def types(self) -> str:
        """Run mypy."""
        return await self._verdict("types")

    @function
    @check
    async def workflows(self) -> str:
        """Run zizmor and actionlint on the GitHub workflows."""
        return await self._verdict("workflows")

    @function
    @check
    async def test(self) -> str:
        """Run pytest, with coverage where the source configures it."""
        return await self._verdict("test")

    async def _open(self, *only: str) -> "Pipeline":
        from llm_pipeline.containers.opening import Settings, open_pipeline

        settings = Settings(
            self.source,
            self.git,
            self.config,
            self.keep_going,
            self.red_controls,
            self.python_image,
            self.gitleaks_image,
            self.link,
        )
        return await open_pipeline(settings, only)

    async def _verdict(self, *only: str) -> str:
        """Return the account of a run that passed; otherwise leave with the run's exit code."""
        with _told():
            run = await (await self._open(*only)).run()
        from llm_pipeline.containers.pipeline import account

        text = account(run)
        # A check that was asked for alone and does not apply fails no `dagger check`.
        skipped = only and all(result.verdict == "skipped" for result in run.checks)
        if run.exit_code and not skipped:
            _leave(text, run.exit_code)
        return text


@contextmanager
def _told() -> Iterator[None]:
    """Leave with one message and the right exit code, whatever went wrong."""
    from llm_pipeline.containers.opening import one_error
    from llm_pipeline.errors import PipelineError

    try:
        with one_error():
            yield
    except PipelineError as error:
        _leave(str(error), error.exit_code)


def _leave(text: str, code: int) -> NoReturn:
    # The message of SystemExit does not reach the user, and only its code becomes the command's.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    raise SystemExit(code)
