"""What `doctor` says of traces and their server."""

from typing import TYPE_CHECKING

import pytest

from llm_twin.errors import TwinError
from llm_twin.home import Home
from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing import check
from llm_twin.tracing.forward import Forwarder
from llm_twin.tracing.server import Server
from llm_twin.tracing.tracer import Tracer
from tests.llm_twin.tracing.conftest import Ask
from tests.opik_server import OpikServer

if TYPE_CHECKING:
    from tests.opik_server import Mode


def test_spool_is_told(home: Home, settings: Settings, served: Settings, ask: Ask) -> None:
    """What it holds, and what waits where there is a server."""
    assert check.spool(home, settings) == "0 traces, 0 scores"
    ask("1")
    assert check.spool(home, settings) == "1 traces, 0 scores"
    assert check.spool(home, served) == "1 traces, 0 scores, 1 of them wait for the server"


def test_refused_records_are_a_finding(
    home: Home, served: Settings, opik: OpikServer, tracer: Tracer, ask: Ask
) -> None:
    """What the server refused has to be looked at."""
    opik.api.poison = "poison"
    ask("1", "poison")
    with Server(served.opik) as server:
        Forwarder(tracer.spool, server).drain()
    with pytest.raises(TwinError, match="1 were refused by the server"):
        check.spool(home, served)


def test_damaged_spool_is_a_finding(home: Home, settings: Settings, ask: Ask) -> None:
    """A file whose pages are broken in the middle is found, though it opens."""
    for n in range(200):
        ask(str(n))
    tracer = Tracer.open(home, settings)
    with tracer.spool.reading() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with home.spool_db.open("r+b") as file:
        file.seek(50 * 4096)
        file.write(b"\xff" * 20 * 4096)
    with pytest.raises(TwinError, match="is damaged"):
        check.spool(home, settings)


def test_server_is_asked_with_the_key(
    settings: Settings, served: Settings, opik: OpikServer, canary: str
) -> None:
    """A server that is alive and takes the key is fine; a wrong key is told and not shown."""
    assert check.server(settings) == "none is set: traces stay in the spool"
    assert check.server(served) == opik.url
    opik.key = canary
    with pytest.raises(TwinError, match=r"answers 401.*LLM_TWIN_OPIK_API_KEY"):
        check.server(served)
    right = OpikSettings.model_validate({"url": opik.url, "api_key": canary})
    assert check.server(Settings(opik=right)) == opik.url
    modes: list[Mode] = [503, "hang", "page", "garbage", "cut"]
    for mode in modes:
        with opik.failing(mode), pytest.raises(TwinError):
            check.server(served)
