"""What goes wrong, as a user sees it: for each fault the exit code, one line, and a whole state."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from llm_pipeline.cd.registry import Registry
from tests.e2e.repositories import write
from tests.llm_pipeline.cd import aws_server
from tests.llm_pipeline.cd.aws_server import Answers, GitHub, answering
from tests.llm_pipeline.cd.conftest import REPOSITORY
from tests.llm_pipeline.cd.front import CUT, Front, Reply, error
from tests.llm_pipeline.cd.images import new_key, push, sign
from tests.llm_pipeline.cd.test_commands import KEY, Shell, good, settings

Open = Callable[..., Registry]
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/publish"


@pytest.fixture
def shell(memory: Front, opened: Open, tmp_path: Path) -> Shell:
    """A source whose staging runs the image v1; v2 is good, too."""
    write(tmp_path, {"pyproject.toml": settings(memory), "keys/release.pem": KEY.public})
    for number in (1, 2):
        good(opened(memory), str(number), f"v{number}")
    run = Shell(tmp_path, {"USER": "tester"})
    assert run("promote", "v1", "--to=staging").code == 0
    return run


@pytest.mark.parametrize(
    ("method", "path", "reply", "says"),
    [
        ("GET", "/tags/list", error(403, "DENIED", "no"), "denies it (no). The login needs"),
        ("GET", "/tags/list", error(404, "NAME_UNKNOWN"), "has no repository team/twin"),
        ("GET", "/tags/list", error(418, "ODD", "odd"), "answers with HTTP status 418 (odd)"),
        ("GET", "/referrers/", (200, {}, b"no json"), "answers what can't be read"),
        ("GET", "/manifests/v2", (200, {}, b"no json"), "is no manifest that can be read"),
        ("PUT", "/manifests/staging-", error(403, "DENIED"), "Can't create the tag staging-000002"),
        ("PUT", "/manifests/staging-", error(400, "MANIFEST_INVALID", "bad"), "status 400 (bad)"),
    ],
)
def test_a_registry_that_refuses(  # noqa: PLR0913, PLR0917 - three fixtures and four columns
    memory: Front, opened: Open, shell: Shell, method: str, path: str, reply: Reply, says: str
) -> None:
    """Exit code 3, a sentence, and nothing was released; the next attempt does it."""
    tags = opened(memory).tags()
    memory.fail(method, path, reply)
    ran = shell("promote", "v2", "--to=staging")
    assert (ran.code, ran.out) == (3, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert opened(memory).tags() == tags
    assert shell("promote", "v2", "--to=staging").out.startswith("staging-000002 is sha256:")


@pytest.mark.parametrize("reply", [error(429, "TOOMANYREQUESTS"), (CUT, {}, b""), (502, {}, b"")])
def test_a_registry_that_recovers(memory: Front, shell: Shell, reply: Reply) -> None:
    """A short failure, at the worst moment, is not noticed."""
    memory.fail("PUT", "/manifests/staging-", reply)
    assert shell("promote", "v2", "--to=staging").code == 0


@pytest.mark.parametrize("case", ["unknown", "unsigned", "wrongly signed", "unscanned", "taken"])
def test_images_that_may_not_go(memory: Front, opened: Open, shell: Shell, case: str) -> None:
    """Exit code 1, a sentence, and nothing was released."""
    registry = opened(memory)
    image = push(registry, "three")
    if case == "wrongly signed":
        sign(registry, image, new_key())
    elif case == "unscanned":
        sign(registry, image, KEY, ["provenance"])
    elif case == "taken":
        sign(registry, image, KEY)
        memory.fail("HEAD", "/manifests/staging-", error(404, "MANIFEST_UNKNOWN"))
        push(registry, "four", "staging-000002")
        memory.fail("GET", "/tags/list", (200, {}, b'{"tags": ["staging-000001", "v1"]}'))
    tags = registry.tags() if case != "taken" else ["staging-000001", "staging-000002", "v1", "v2"]
    digest = f"sha256:{'0' * 64}" if case == "unknown" else image.digest
    ran = shell("promote", digest, "--to=staging")
    says = {
        "unknown": "is not in the registry; publish it first",
        "unsigned": "It has no provenance that is signed by someone trusted",
        "wrongly signed": "no key of `cd.keys` has signed it",
        "unscanned": "It has no scan that is signed",
        "taken": "Someone else was faster: staging-000002 is something else",
    }
    assert (ran.code, ran.out) == (1, "")
    assert says[case] in ran.err
    assert ran.err.count("\n") == 1
    memory.faults.clear()
    assert registry.tags() == tags


@pytest.fixture
def aws_shell(tmp_path: Path) -> Iterator[Callable[..., Shell]]:
    """A source whose images are in ECR, with an AWS, and a GitHub, that answer what they are told.

    ECR's own address is never asked: the login comes first.
    """
    with ExitStack() as stack:

        def make(aws: aws_server.Reply, github: GitHub | None = None) -> Shell:
            text = (
                f'[tool.llm-pipeline.cd]\nregistry = "{ECR}"\nrepository = "{REPOSITORY}"\n'
                f'keys = ["key.pem"]\nrole = "{ROLE}"\n'
            )
            write(tmp_path, {"pyproject.toml": text, "key.pem": KEY.public})
            server = stack.enter_context(answering(Answers([aws])))
            env = {
                "AWS_ENDPOINT_URL": server.address,
                "AWS_ACCESS_KEY_ID": "made-up-id",
                "AWS_SECRET_ACCESS_KEY": "made-up-key",
            }
            if github is not None:
                other = stack.enter_context(answering(github))
                env["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{other.address}/token?v=1"
                env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "bearer"
            return Shell(tmp_path, env)

        yield make


NOT_AUTHORIZED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/publish/llm-pipeline is not authorized to "
    "perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows it"
)


@pytest.mark.parametrize(
    ("aws", "github", "says"),
    [
        (aws_server.ecr("ExpiredTokenException", "expired"), None, "have expired; get new ones"),
        (aws_server.ecr("AccessDeniedException", DENIED), None, "denies ecr:GetAuthorizationToken"),
        (
            aws_server.ecr("InvalidSignatureException", "Signature expired: 1 is earlier than 2"),
            None,
            "this machine's clock is wrong; set it",
        ),
        (
            aws_server.sts("AccessDenied", NOT_AUTHORIZED, 403),
            GitHub([]),
            "the subject of this workflow, which is 'repo:o/r:ref:refs/heads/main'",
        ),
        (
            aws_server.sts("AccessDenied", NOT_AUTHORIZED, 403),
            GitHub([], subject="repo:o@1/r@2:environment:production"),
            "which is 'repo:o@1/r@2:environment:production'",
        ),
        (
            aws_server.sts("InvalidIdentityToken", "No OpenIDConnect provider found"),
            GitHub([]),
            "needs GitHub as a provider of identities",
        ),
        ((200, b"{}"), GitHub([(400, b"{}")]), "GitHub gave no token for sts.amazonaws.com"),
        ((200, b"{}"), GitHub([], bearer="other"), "it answers with HTTP status 401"),
    ],
)
def test_identities_that_are_refused(
    aws_shell: Callable[..., Shell], aws: aws_server.Reply, github: GitHub | None, says: str
) -> None:
    """Exit code 3, a sentence that says what to do, and no key and no token in it."""
    ran = aws_shell(aws, github)("promote", "v1", "--to=staging")
    assert (ran.code, ran.out) == (3, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert "made-up-key" not in ran.err
    if github is not None:
        for _, headers in github.seen:
            assert headers["authorization"] not in ran.err
        assert aws_server.jwt(github.subject) not in ran.err


def test_the_same_promotion_twice(memory: Front, opened: Open, shell: Shell) -> None:
    """The second time nothing is written, and the history is as it was."""
    tags = opened(memory).tags()
    before = shell("releases", "--json").out
    assert shell("promote", "v1", "--to=staging").code == 0
    assert shell("releases", "--json").out == before
    assert opened(memory).tags() == tags


def test_clocks_do_not_decide(memory: Front, opened: Open, shell: Shell) -> None:
    """A release of somebody whose clock is years ahead is before the one that follows it."""
    name = "staging-000001"
    registry = opened(memory)
    record = registry.read(name)
    ahead = record.data.replace(b'created":"20', b'created":"29')
    assert ahead != record.data
    memory.immutable = False
    memory.backend.tags.pop(name)  # type: ignore[attr-defined] # it is in memory
    registry.create_tag(name, ahead, record.descriptor.media_type)
    assert shell("promote", "v2", "--to=staging").code == 0
    told = json.loads(shell("releases", "staging", "--json").out)["staging"]
    assert told["current"] == "staging-000002"
    assert told["releases"][0]["at"] > told["releases"][1]["at"]
