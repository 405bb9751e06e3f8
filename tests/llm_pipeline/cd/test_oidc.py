"""GitHub's token: who asks how, and what an endpoint that errs is told of."""

import pytest

from llm_pipeline.cd.oidc import claims, github_token
from llm_pipeline.errors import LookError
from tests.llm_pipeline.cd.aws_server import GitHub, answering, jwt


def test_a_token() -> None:
    """The bearer and the audience are sent, and what is in the address is kept."""
    with answering(GitHub([])) as server:
        url = f"{server.address}/token?api-version=2.0"
        token = github_token(url, "bearer", "sts.amazonaws.com")
    assert claims(token) == {"sub": "repo:o/r:ref:refs/heads/main"}
    assert server.seen[0][0] == "/token?api-version=2.0&audience=sts.amazonaws.com"


@pytest.mark.parametrize(
    ("replies", "says", "requests"),
    [
        ([(401, b"{}")], "answers with HTTP status 401", 1),
        ([(500, b"oops")], "answers with HTTP status 500", 4),
        ([(200, b"no json")], "its answer holds none", 1),
        ([(200, b'{"other": 1}')], "its answer holds none", 1),
    ],
)
def test_an_endpoint_that_errs(replies: list[tuple[int, bytes]], says: str, requests: int) -> None:
    """What may pass is tried again; then a sentence says what the job needs (exit code 3)."""
    with (
        answering(GitHub(replies)) as server,
        pytest.raises(LookError, match=f"{says}.*id-token: write") as caught,
    ):
        github_token(f"{server.address}/t", "secret-bearer", "sts.amazonaws.com", pause=0.001)
    assert len(server.seen) == requests
    assert "secret-bearer" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_endpoint_that_recovers() -> None:
    """A short failure is not noticed."""
    with answering(GitHub([(503, b""), (200, b'{"value": "a.b.c"}')])) as server:
        assert github_token(f"{server.address}/t", "bearer", "a", pause=0.001) == "a.b.c"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/t", "nonsense", "http://[bad"])
def test_no_endpoint(url: str) -> None:
    """An address where nobody is, or that is none, is told."""
    with pytest.raises(LookError, match="GitHub gave no token for sigstore"):
        github_token(url, "bearer", "sigstore", pause=0.001)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.W10.c", jwt("x")[:20]])
def test_claims_of_what_is_no_token(token: str) -> None:
    """What can't be read claims nothing."""
    assert claims(token) == {}
