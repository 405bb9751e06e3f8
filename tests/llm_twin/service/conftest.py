"""A small corpus, and a service over it whose language model does as it is told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.llm_server import LlmServer, llm_server
from tests.llm_twin.service.running import Service, llm_twin, running

KILN: Final = """# The kiln

The kiln in the shed is fired at 1240 degrees. It takes nine hours to reach that.
<script>document.title = "a script of a source ran"</script>

## Glazes

The blue glaze holds two percent of cobalt. It runs where it is thicker than a coin.
"""
BEES: Final = """# Bees

The hives stand below the lime trees. A colony needs twelve kilograms of honey for the winter.
"""
ANSWER: Final = "The kiln is fired at 1240 degrees [1]."


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a small corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "writing").mkdir()
    (folder / "writing" / "kiln.md").write_text(KILN)
    (folder / "writing" / "bees.md").write_text(BEES)
    llm_twin("ingest", "writing", home=folder / "home")
    return folder / "home"


@pytest.fixture(scope="session")
def _llm() -> Iterator[LlmServer]:
    with llm_server() as server:
        yield server


@pytest.fixture
def llm(_llm: LlmServer) -> Iterator[LlmServer]:
    """The language model behind `service`; it begins each test anew."""
    _llm.reset(ANSWER)
    yield _llm
    _llm.reset(ANSWER)


@pytest.fixture(scope="session")
def _service(
    corpus: Path, _llm: LlmServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    variables = {"LLM_TWIN_MODEL_URL": _llm.url, "LLM_TWIN_ANSWERS_TOKEN_TIMEOUT": "3"}
    with running(corpus, folder, **variables) as service:
        yield service


@pytest.fixture
def service(_service: Service, llm: LlmServer) -> Service:
    """A service on the loopback that asks for no key."""
    assert llm.url
    return _service
