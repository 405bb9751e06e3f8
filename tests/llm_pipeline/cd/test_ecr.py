"""ECR: identities, logins, repositories and the errors of AWS, on moto and on servers that err."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import boto3
import httpx
import pytest

from llm_pipeline.cd import ecr
from llm_pipeline.cd.access import aws_keys, open_registry
from llm_pipeline.cd.settings import Delivery
from llm_pipeline.errors import ConfigError, LookError, RefusedError
from tests.llm_pipeline.cd import aws_server
from tests.llm_pipeline.cd.aws_server import Answers, GitHub, answering, jwt

ACCOUNT, REGION = "123456789012", "eu-central-1"
PLACE = ecr.Place(ACCOUNT, REGION)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/publish"
BACKOFF = "botocore.retries.standard.ExponentialBackoff.delay_amount"
ORDER = ("staging", "production")


@pytest.mark.parametrize(
    ("host", "place"),
    [
        (f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com", PLACE),
        (f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com", ecr.Place(ACCOUNT, "us-east-1")),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", ecr.Place(ACCOUNT, "cn-north-1")),
        (f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws", PLACE),
        ("ghcr.io", None),
        (f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com.evil.example", None),
    ],
)
def test_hosts(host: str, place: ecr.Place | None) -> None:
    """Account and region are in the host's name."""
    assert ecr.place_of(host) == place


def test_a_login(aws: str) -> None:
    """AWS gives a name and a password, which is in no `repr`."""
    assert aws
    login = ecr.login(PLACE)
    assert login.username == "AWS"
    assert login.password
    assert login.password not in repr(login)


def test_a_role(aws: str) -> None:
    """A workflow's token gives keys for the role, and they give a login."""
    assert aws
    keys = ecr.assume_role(ROLE, jwt("repo:o/r:ref:refs/heads/main"), REGION)
    assert keys.secret not in repr(keys)
    assert ecr.login(PLACE, keys).username == "AWS"


def test_a_role_from_github(aws: str) -> None:
    """In a workflow the settings' role is taken; elsewhere AWS's own ways are."""
    assert aws
    settings = Delivery(role=ROLE)
    with answering(GitHub([])) as server:
        environ = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{server.address}/t?v=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer",
        }
        assert aws_keys(settings, environ, REGION) is not None
        assert aws_keys(Delivery(), environ, REGION) is None
    assert aws_keys(settings, {}, REGION) is None


def test_a_login_is_fetched_when_it_is_needed(aws: str) -> None:
    """Opening a registry asks AWS for nothing."""
    assert aws
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    settings = Delivery(registry=host, repository="team/twin", role="nonsense")
    with open_registry(settings, {}) as registry:
        assert registry.host == host


@pytest.mark.parametrize("role", ["publish", "arn:aws:iam::1:role/x", f"{ROLE} "])
def test_roles_that_are_none(role: str) -> None:
    """A role is an ARN."""
    with pytest.raises(ConfigError, match=r"`cd.role` should be a role's ARN"):
        ecr.assume_role(role, "token", REGION)


def test_a_repository_is_created_once(aws: str) -> None:
    """Tags can't be moved, images are scanned, rules spare releases; a second time is nothing."""
    assert aws
    assert ecr.ensure_repository(PLACE, "team/twin", ORDER)
    assert not ecr.ensure_repository(PLACE, "team/twin", ORDER)
    client = boto3.client("ecr", region_name=REGION)
    (made,) = client.describe_repositories()["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"]["scanOnPush"]
    policy = client.get_lifecycle_policy(repositoryName="team/twin")["lifecyclePolicyText"]
    assert json.loads(policy) == ecr.lifecycle(ORDER)
    client.close()


def test_a_repository_whose_tags_move(aws: str) -> None:
    """It is refused, with the command that changes it; it is not changed unasked."""
    assert aws
    client = boto3.client("ecr", region_name=REGION)
    client.create_repository(repositoryName="team/twin")
    with pytest.raises(RefusedError, match="aws ecr put-image-tag-mutability --repository-name"):
        ecr.ensure_repository(PLACE, "team/twin", ORDER)
    (found,) = client.describe_repositories()["repositories"]
    assert found["imageTagMutability"] == "MUTABLE"
    client.close()


def test_rules_of_removal() -> None:
    """Each environment keeps its newest releases; priorities differ; nothing else has a prefix."""
    rules = ecr.lifecycle(ORDER)["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2, 3]
    prefixes = [rule["selection"].get("tagPrefixList") for rule in rules]
    # No rule may take what has no tag: that is how signatures are attached.
    assert prefixes == [["staging-"], ["production-"], ["commit-"]]
    for rule in rules[:2]:
        assert rule["selection"]["countType"] == "imageCountMoreThan"
        assert rule["selection"]["countNumber"] >= 2


def test_denied_by_a_policy(aws: str) -> None:
    """A user whose policy lacks an action is told which one (moto enforces the policy)."""
    iam = boto3.client("iam", region_name=REGION)
    iam.create_user(UserName="publisher")
    allow = {"Effect": "Allow", "Action": "ecr:DescribeRepositories", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="publisher", PolicyName="few", PolicyDocument=document)
    made = iam.create_access_key(UserName="publisher")["AccessKey"]
    iam.close()
    keys = ecr.Keys(made["AccessKeyId"], made["SecretAccessKey"])
    httpx.post(f"{aws}/moto-api/reset-auth", content="0").raise_for_status()
    try:
        with pytest.raises(LookError, match=r"AWS denies ecr:GetAuthorizationToken.*docs/aws.md"):
            ecr.login(PLACE, keys)
        with pytest.raises(LookError, match="AWS denies ecr:CreateRepository"):
            ecr.ensure_repository(PLACE, "team/twin", ORDER, keys)
    finally:
        httpx.post(f"{aws}/moto-api/reset-auth", content="inf").raise_for_status()


Err = Callable[[aws_server.Reply], AbstractContextManager[Answers]]


@pytest.fixture
def err(monkeypatch: pytest.MonkeyPatch) -> Err:
    """Serve an AWS that answers one thing alone."""

    @contextmanager
    def serve(*replies: aws_server.Reply) -> Iterator[Answers]:
        with answering(Answers(list(replies))) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
            yield server

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up-key")
    return serve


DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            aws_server.sts("AccessDenied", DENIED, 403),
            r"its trust policy does not name.*'repo:o@1/r@2:environment:production'.*docs/aws.md",
        ),
        (
            aws_server.sts("InvalidIdentityToken", "No OpenIDConnect provider found"),
            "needs GitHub as a provider of identities, for the audience sts.amazonaws.com",
        ),
        (aws_server.sts("ExpiredTokenException", "Token expired"), "have expired; get new ones"),
        (aws_server.sts("IDPCommunicationError", "no answer"), "can't reach GitHub"),
        (aws_server.sts("ValidationError", "odd"), "AWS answers ValidationError: odd"),
    ],
)
def test_roles_that_are_refused(err: Err, reply: aws_server.Reply, says: str) -> None:
    """What STS says becomes what to do; the subject of either form is named, never the token."""
    token = jwt("repo:o@1/r@2:environment:production")
    with err(reply), pytest.raises(LookError, match=says) as caught:
        ecr.assume_role(ROLE, token, REGION)
    assert token not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (aws_server.ecr("ExpiredTokenException", "The token is expired"), "have expired"),
        (aws_server.ecr("UnrecognizedClientException", "invalid"), "does not know these"),
        (
            aws_server.ecr("InvalidSignatureException", "Signature expired: 2001 is now earlier"),
            "this machine's clock is wrong",
        ),
        (aws_server.ecr("InvalidSignatureException", "does not match"), "check the credentials"),
        (
            aws_server.ecr(
                "AccessDeniedException",
                "User: u is not authorized to perform: ecr:GetAuthorizationToken on resource: * "
                "because no policy allows it",
            ),
            r"AWS denies ecr:GetAuthorizationToken on \*; allow it in the role's policy",
        ),
        (aws_server.ecr("AccessDeniedException", "no"), "lists the permissions"),
        ((200, b"{}"), "a login that can't be read"),
    ],
)
def test_logins_that_are_refused(err: Err, reply: aws_server.Reply, says: str) -> None:
    """Expired, unknown, denied, and a wrong clock each have their sentence."""
    with err(reply), pytest.raises(LookError, match=says):
        ecr.login(PLACE)


def test_throttled(err: Err, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS that is too busy is asked again, and then a sentence says to wait."""
    monkeypatch.setattr(BACKOFF, lambda *_: 0)
    with (
        err(aws_server.ecr("ThrottlingException", "Rate exceeded")) as server,
        pytest.raises(LookError, match="asked too often; wait some minutes"),
    ):
        ecr.login(PLACE)
    assert len(server.seen) == 5


def test_wrong_region(err: Err) -> None:
    """A repository that is in another region is told with the settings that name it."""
    missing = "The repository with name 'team/twin' does not exist"
    with (
        err(aws_server.ecr("RepositoryNotFoundException", missing)),
        pytest.raises(LookError, match=r"the region in `cd.registry`"),
    ):
        ecr.ensure_repository(PLACE, "team/twin", ORDER)


@pytest.mark.parametrize(
    ("mutability", "filters", "good"),
    [
        ("IMMUTABLE", [], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["sha256-*", "cache-*"], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["production-*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["production-*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["production-*", "staging-*"], True),
        ("MUTABLE", [], False),
    ],
)
def test_tags_that_may_move(err: Err, mutability: str, filters: list[str], *, good: bool) -> None:
    """What counts is whether a release's tag can be moved (moto knows no exclusions)."""
    told = {
        "repositoryName": "team/twin",
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": [
            {"filterType": "WILDCARD", "filter": text} for text in filters
        ],
    }
    with err((200, json.dumps({"repositories": [told]}).encode())):
        if good:
            assert not ecr.ensure_repository(PLACE, "team/twin", ORDER)
            return
        with pytest.raises(RefusedError, match="The tags of the repository team/twin can be moved"):
            ecr.ensure_repository(PLACE, "team/twin", ORDER)


def test_no_credentials(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials the ways to give some are listed."""
    assert aws
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(LookError, match=r"no credentials of AWS; set AWS_PROFILE, or.*`cd.role`"):
        ecr.login(PLACE)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, err: Err) -> None:
    """An AWS that can't be reached is told."""
    with err((200, b"{}")):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        monkeypatch.setattr(BACKOFF, lambda *_: 0)
        with pytest.raises(LookError, match="Check the network and run it again"):
            ecr.login(PLACE)
