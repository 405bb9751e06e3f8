"""Registers prompts in Opik's prompt library, so that the versions in traces can be read there."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_twin.tracing.server import Server
    from llm_twin.tracing.spool import Spool

STATE: Final = "prompts"


def register(
    server: "Server", prompts: Mapping[str, str], *, project: str, version: str | None = None
) -> list[str]:
    """Make a version of each prompt whose text the library doesn't have as its newest.

    Args:
        server: The server.
        prompts: Name to text.
        project: Opik's project.
        version: What `prompt_version` of the traces is, kept with each prompt.

    Returns:
        The names of those that got a new version.

    Raises:
        UnavailableError: The server takes nothing now.
        RejectedError: The server does not take a prompt.
    """
    from opik.api_objects.prompt.client import PromptClient

    library = PromptClient(server.api)
    made = []
    for name, text in prompts.items():
        metadata: dict[str, object] = {"sha256": sha256(text.encode()).hexdigest()}
        if version is not None:
            metadata["prompt_version"] = version
        with server.asking():
            before = library.get_prompt(name=name, project_name=project)
            after = library.create_prompt(
                name=name, prompt=text, metadata=metadata, project_name=project
            )
        if before is None or before.id != after.id:
            made.append(name)
    return made


def register_ours(spool: "Spool", server: "Server", project: str) -> None:
    """Register the twin's prompts, unless a forwarder of this spool did so before.

    Each file is a prompt named `llm-twin-` and the file's name without its ending. Its version
    carries the `prompt_version` that traces name.

    Raises:
        UnavailableError: The server takes nothing now.
        RejectedError: The server does not take a prompt.
    """
    from llm_twin.generation import prompts

    version = prompts.version()
    known = sha256(json.dumps([server.url, project, version]).encode()).hexdigest()
    if spool.state(STATE) != known:
        ours = {f"llm-twin-{name.partition('.')[0]}": prompts.text(name) for name in prompts.NAMES}
        register(server, ours, project=project, version=version)
        spool.set_state(STATE, known)
