"""Opik's SDK: imported through here alone, so that its telemetry is off before it is.

The import takes seconds, so nothing on the way of a request calls this.
"""

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

    from llm_twin.settings import Settings

QUIET: Final = {
    # Sentry would get the local variables of whatever raises below a span.
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    # Else a price map is fetched when a judge is first used.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
FLUSH_SECONDS: Final = 10
"""How long the SDK may hold up the end of a process whose server doesn't answer."""


def quiet() -> None:
    """Switch the telemetry off; right only before the first import."""
    os.environ.update(QUIET)


def load(settings: "Settings | None" = None) -> "ModuleType":
    """Import the SDK, for code that uses it as its documentation says: `@track`, metrics.

    Args:
        settings: The server, project and environment that it shall use, unless Opik's own
            variables name others; without a server it is switched off, as it would wait for one.
    """
    quiet()
    if settings is not None:
        for name, value in _variables(settings).items():
            os.environ.setdefault(name, value)
    import opik

    return opik


def _variables(settings: "Settings") -> dict[str, str]:
    opik = settings.opik
    variables = {
        "OPIK_PROJECT_NAME": opik.project,
        "OPIK_ENVIRONMENT": settings.tracing.environment,
        "OPIK_DEFAULT_FLUSH_TIMEOUT": str(FLUSH_SECONDS),
    }
    if opik.url is None:
        return {**variables, "OPIK_TRACK_DISABLE": "true"}
    variables["OPIK_URL_OVERRIDE"] = f"{opik.url.rstrip('/')}/"
    if opik.api_key is not None:
        variables["OPIK_API_KEY"] = opik.api_key.get_secret_value()
    if opik.workspace is not None:
        variables["OPIK_WORKSPACE"] = opik.workspace
    return variables
