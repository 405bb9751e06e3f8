"""What the spool holds and how the forwarder is, in words for programs."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from llm_twin.tracing.forward import State
from llm_twin.tracing.outbox import Outbox

if TYPE_CHECKING:
    from llm_twin.settings import Settings
    from llm_twin.tracing.spool import Spool

SHOWN: Final = 5
"""Refused records that are told of."""


def told(spool: "Spool", settings: "Settings") -> dict[str, Any]:
    """Return the report of `llm-twin traces status`."""
    status = spool.status()
    state = State.kept(spool)
    return {
        "spool": {
            "path": str(spool.path),
            "traces": status.traces,
            "scores": status.scores,
            "bytes": status.bytes,
            "max_megabytes": settings.tracing.max_megabytes,
            "max_days": settings.tracing.max_days,
            "when_full": settings.tracing.when_full,
        },
        "server": {
            "url": settings.opik.url,
            "project": settings.opik.project,
            "environment": settings.tracing.environment,
            "waiting": status.waiting,
            "oldest_waiting": _when(status.oldest_waiting),
            "refused": status.refused,
            "last_delivery": _when(state.last_delivery) if state else None,
            "problem": state.problem if state else None,
            "next_try": _when(state.retry) if state else None,
        },
        "refusals": [
            {"trace": trace, "times": times, "problem": problem}
            for trace, times, problem in Outbox(spool).problems(SHOWN)
        ],
        "removed": [
            asdict(removal)
            | {name: _when(getattr(removal, name)) for name in ("day", "oldest", "newest")}
            for removal in spool.removals()
        ],
    }


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
