"""Looks whether traces can be recorded and delivered, for `llm-twin doctor`."""

from typing import TYPE_CHECKING

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from llm_twin.home import Home
    from llm_twin.settings import Settings


def spool(home: "Home", settings: "Settings") -> str:
    """Look at the spool; return what it holds.

    Raises:
        TwinError: It is damaged, can't be written, or the server refused some of it.
    """
    from llm_twin.tracing.spool import Spool

    opened = Spool(home.spool_db)
    try:
        with opened.reading() as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise TwinError(
                f"{opened.path}: is damaged: {found}; `llm-twin restore` brings a backup back"
            )
        with opened.writing() as connection:
            connection.execute("DELETE FROM state WHERE key = 'doctor'")
        status = opened.status()
    finally:
        opened.close()
    told = f"{status.traces} traces, {status.scores} scores"
    if settings.opik.url is None:
        return told
    if status.refused:
        raise TwinError(
            f"{told}; {status.refused} were refused by the server; "
            "`llm-twin traces status` says why"
        )
    return f"{told}, {status.waiting} of them wait for the server"


def server(settings: "Settings") -> str:
    """Ask the server whether it is alive and takes our key; return its address.

    Raises:
        TwinError: It isn't, or doesn't.
    """
    if settings.opik.url is None:
        return "none is set: traces stay in the spool"
    from llm_twin.tracing.server import Server, UnavailableError

    with Server(settings.opik) as opik:
        try:
            opik.ping()
        except UnavailableError as error:
            raise TwinError(f"{error}; see opik.url; traces stay in the spool until then") from None
        with opik.asking():
            opik.api.projects.find_projects(size=1)
        return opik.url
