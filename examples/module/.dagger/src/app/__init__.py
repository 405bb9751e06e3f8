"""A module of one's own that runs the pipeline and then does something with its word."""

from typing import Annotated

import dagger
from dagger import DefaultPath, dag, function, object_type


@object_type
class App:
    """What this repository can do."""

    @function
    async def release(self, source: Annotated[dagger.Directory, DefaultPath("/")]) -> str:
        """Release what has passed; a check that did not pass ends it with its exit code."""
        await dag.llm_pipeline(source=source).ci()
        return "everything passed: here it would be released"
