"""The policies in the documentation: exact, least, and what AWS (moto) makes of them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from llm_pipeline.cd import ecr
from llm_pipeline.cd.aws_errors import AUDIENCE
from llm_pipeline.errors import LookError
from tests.repository import ROOT

FILES = sorted((ROOT / "docs/aws").glob("*.json"))
TRUST = [file for file in FILES if file.name.startswith("trust-")]
PERMISSIONS = [file for file in FILES if file.name.startswith("permissions-")]
ISSUER = "token.actions.githubusercontent.com"
PLACE = ecr.Place("123456789012", "eu-central-1")
ORDER = ("staging", "production")
WORDS = {
    "ORGID": "1",
    "REPOID": "2",
    "ORG": "o",
    "REPO": "r",
    "BRANCH": "staging",
    "ENVIRONMENT": "production",
    "REGION": "eu-central-1",
    "NAME": "team/twin",
    "KEYID": "00000000-0000-0000-0000-000000000000",
}


def read(file: Path) -> dict[str, Any]:
    """A file as a reader of the documentation would fill it in."""
    text = re.sub(rf"\b({'|'.join(WORDS)})\b", lambda match: WORDS[match[0]], file.read_text())
    content = json.loads(text)
    assert isinstance(content, dict)
    return content


def actions(name: str) -> set[str]:
    """The actions that a file of permissions allows."""
    content = read(ROOT / f"docs/aws/{name}.json")
    return {action for statement in content["Statement"] for action in statement["Action"]}


def test_all_are_there() -> None:
    """Both forms of subject, for branches and environments; permissions for each use."""
    assert {file.stem for file in TRUST} == {
        "trust-branch",
        "trust-branch-ids",
        "trust-environment",
        "trust-environment-ids",
    }
    assert {file.stem for file in PERMISSIONS} == {
        f"permissions-{use}" for use in ("create", "promote", "publish", "read", "sign")
    }
    text = (ROOT / "docs/aws.md").read_text()
    assert not [file.name for file in FILES if f"](aws/{file.name})" not in text]


@pytest.mark.parametrize("file", TRUST, ids=lambda file: file.stem)
def test_trust_is_exact(file: Path) -> None:
    """A policy names one subject and the audience, with no wildcard, of GitHub alone."""
    (statement,) = read(file)["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {
        "Federated": f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
    }
    names = "repo:o@1/r@2" if file.stem.endswith("-ids") else "repo:o/r"
    end = "ref:refs/heads/staging" if "branch" in file.stem else "environment:production"
    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": f"{names}:{end}"}
    }


@pytest.mark.parametrize("file", PERMISSIONS, ids=lambda file: file.stem)
def test_permissions_are_few(file: Path) -> None:
    """Each action is named, on one resource; the login alone can't be bound to one."""
    for statement in read(file)["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Action"] == ["ecr:GetAuthorizationToken"]:
            assert statement["Resource"] == "*"
        else:
            assert re.fullmatch(
                r"arn:aws:(ecr|kms):eu-central-1:123456789012:[\w/-]+", statement["Resource"]
            )


def test_permissions_build_on_each_other() -> None:
    """Promoting adds one action to reading; publishing adds layers; nothing can be deleted."""
    read_only, promoting = actions("permissions-read"), actions("permissions-promote")
    assert promoting - read_only == {"ecr:PutImage"}
    publishing = actions("permissions-publish")
    assert promoting < publishing
    assert not [action for action in publishing if "Delete" in action or "Policy" in action]


def test_lifecycle_is_what_the_code_sets() -> None:
    """The file and the repository that the pipeline creates have the same rules."""
    assert read(ROOT / "docs/aws/lifecycle.json") == ecr.lifecycle(["staging", "production"])


@pytest.mark.parametrize("file", [*TRUST, *PERMISSIONS], ids=lambda file: file.stem)
def test_aws_takes_them(aws: str, file: Path) -> None:
    """Each can be applied."""
    assert aws
    client = boto3.client("iam", region_name=PLACE.region)
    document = json.dumps(read(file))
    trust = document if file in TRUST else json.dumps(read(TRUST[0]))
    client.create_role(RoleName="role", AssumeRolePolicyDocument=trust)
    if file in PERMISSIONS:
        client.put_role_policy(RoleName="role", PolicyName="policy", PolicyDocument=document)
    client.close()


@contextmanager
def enforced(address: str) -> Iterator[None]:
    """Let moto hold everybody to their policies."""
    httpx.post(f"{address}/moto-api/reset-auth", content="0").raise_for_status()
    try:
        yield
    finally:
        httpx.post(f"{address}/moto-api/reset-auth", content="inf").raise_for_status()


@pytest.mark.parametrize(
    ("name", "may_login", "may_create"),
    [
        ("permissions-read", True, False),
        ("permissions-promote", True, False),
        ("permissions-publish", True, False),
        ("permissions-create", False, True),
        ("permissions-sign", False, False),
    ],
)
def test_what_they_allow(aws: str, name: str, *, may_login: bool, may_create: bool) -> None:
    """Enforced, each policy is enough for its own use and for no other one.

    Moto can't tell what resource a request is about, so here each is for all.
    """
    client = boto3.client("iam", region_name=PLACE.region)
    client.create_user(UserName="user")
    policy = read(ROOT / f"docs/aws/{name}.json")
    document = json.dumps(
        {**policy, "Statement": [{**each, "Resource": "*"} for each in policy["Statement"]]}
    )
    client.put_user_policy(UserName="user", PolicyName="policy", PolicyDocument=document)
    made = client.create_access_key(UserName="user")["AccessKey"]
    client.close()
    keys = ecr.Keys(made["AccessKeyId"], made["SecretAccessKey"])
    said = {}
    with enforced(aws):
        for action, act in (
            ("login", lambda: ecr.login(PLACE, keys)),
            ("create", lambda: ecr.ensure_repository(PLACE, "team/twin", ORDER, keys)),
        ):
            try:
                said[action] = str(bool(act()))
            except LookError as error:
                said[action] = str(error)
    for action, may in (("login", may_login), ("create", may_create)):
        assert said[action] == "True" if may else "AWS denies ecr:" in said[action]
