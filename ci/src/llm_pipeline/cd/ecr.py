"""Amazon ECR: from an identity to a login, and repositories."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from llm_pipeline.cd.aws_errors import aws_errors
from llm_pipeline.cd.release import format_tag
from llm_pipeline.cd.transport import Login
from llm_pipeline.errors import ConfigError, LookError, RefusedError

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import RepositoryTypeDef

KEPT_RELEASES: Final = 50
KEPT_DAYS: Final = 180
_HOST: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|on\.aws)"
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of AWS for some time; they are in no ``repr``."""

    access: str = field(repr=False)
    secret: str = field(repr=False)
    session: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Which registry of ECR: an account and a region."""

    account: str
    region: str


def place_of(host: str) -> Place | None:
    """Return whose registry a host is; None where it is not one of ECR."""
    match = _HOST.fullmatch(host)
    return Place(match["account"], match["region"]) if match else None


def assume_role(role: str, token: str, region: str) -> Keys:
    """Return keys for a role, for a workflow's token; good for 15 minutes.

    Args:
        role: The role's ARN.
        token: GitHub's token for the audience ``sts.amazonaws.com``.
        region: Where to ask.

    Raises:
        ConfigError: The role is no ARN of a role.
        LookError: AWS refuses: most often the role's trust policy names another subject.
    """
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    if not _ROLE.fullmatch(role):
        raise ConfigError(
            f"`cd.role` should be a role's ARN, such as arn:aws:iam::123456789012:role/publish, "
            f"not {role!r}."
        )
    config = Config(signature_version=UNSIGNED, region_name=region, retries=_RETRIES)
    with aws_errors(f"take the role {role}", token):
        client = boto3.client("sts", config=config)
        answer = client.assume_role_with_web_identity(
            RoleArn=role,
            RoleSessionName="llm-pipeline",
            WebIdentityToken=token,
            DurationSeconds=900,
        )
    keys = answer["Credentials"]
    return Keys(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def login(place: Place, keys: Keys | None = None) -> Login:
    """Return a login for a registry; it is good for 12 hours, or for the keys' time.

    Args:
        place: Which registry.
        keys: Keys of AWS; None for those that AWS's own tools would find.

    Raises:
        LookError: AWS could not be reached or refuses.
    """
    with aws_errors(f"log in to the registry of {place.account} in {place.region}"):
        answer = _client(place, keys).get_authorization_token()
    try:
        token = answer["authorizationData"][0]["authorizationToken"]
        name, _, password = base64.b64decode(token).decode().partition(":")
    except (KeyError, IndexError, ValueError):
        raise LookError("AWS gave a login that can't be read. Run it again.") from None
    return Login(name, password)


def ensure_repository(
    place: Place, name: str, environments: Sequence[str], keys: Keys | None = None
) -> bool:
    """Create a repository unless it is there, and return whether it was created.

    Its tags can't be moved, images are scanned when pushed, and rules remove what no rollback
    needs. A repository that is there is not changed.

    Args:
        place: Which registry.
        name: The repository's name.
        environments: Whose releases are kept.
        keys: Keys of AWS; None for those that AWS's own tools would find.

    Raises:
        RefusedError: It is there, and its tags can be moved.
        LookError: AWS could not be reached or refuses.
    """
    from botocore.exceptions import ClientError

    client = _client(place, keys)
    with aws_errors(f"look at the repository {name} in {place.region}"):
        try:
            found = client.describe_repositories(registryId=place.account, repositoryNames=[name])
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise
            found = None
    if found is not None:
        _demand_immutable(found["repositories"][0], environments)
        return False
    with aws_errors(f"create the repository {name} in {place.region}"):
        try:
            client.create_repository(
                registryId=place.account,
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
            )
        except ClientError as error:  # someone else was faster
            if error.response["Error"]["Code"] != "RepositoryAlreadyExistsException":
                raise
            return False
        client.put_lifecycle_policy(
            registryId=place.account,
            repositoryName=name,
            lifecyclePolicyText=json.dumps(lifecycle(environments)),
        )
    return True


def _demand_immutable(found: "RepositoryTypeDef", environments: Sequence[str]) -> None:
    name = found.get("repositoryName", "")
    mutability = found.get("imageTagMutability", "MUTABLE")
    filters = found.get("imageTagMutabilityExclusionFilters", [])
    # With the words "with exclusion" the filters tell of which tags the opposite is true.
    excluded = [
        any(fnmatchcase(format_tag(each, 1), one["filter"]) for one in filters)
        for each in environments
    ]
    fixed = not any(excluded) if mutability.startswith("IMMUTABLE") else all(excluded)
    if not fixed or mutability == "MUTABLE":
        raise RefusedError(
            f"The tags of the repository {name} can be moved, so releases could be overwritten. "
            f"Run: aws ecr put-image-tag-mutability --repository-name {name} "
            "--image-tag-mutability IMMUTABLE"
        )


def lifecycle(environments: Sequence[str]) -> dict[str, Any]:
    """Return rules for what ECR removes by itself.

    Of each environment's releases the newest stay. What they name stays, too: ECR does not remove
    an image that an index names, and a release is an index. Other images go after half a year, and
    what is attached to an image goes with it. No rule is for what has no tag: signatures have none.
    """
    rules = [
        _rule(
            f"Keep the newest releases of {name}",
            {
                "tagStatus": "tagged",
                "tagPrefixList": [f"{name}-"],
                "countType": "imageCountMoreThan",
                "countNumber": KEPT_RELEASES,
            },
        )
        for name in environments
    ]
    rules.append(
        _rule(
            "Remove images that were not released",
            {
                "tagStatus": "tagged",
                "tagPrefixList": ["commit-"],
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": KEPT_DAYS,
            },
        )
    )
    return {"rules": [{"rulePriority": at, **rule} for at, rule in enumerate(rules, 1)]}


def _rule(description: str, selection: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "selection": selection, "action": {"type": "expire"}}


_RETRIES: Final[Any] = {"mode": "standard", "total_max_attempts": 5}


def _client(place: Place, keys: Keys | None) -> "ECRClient":
    import boto3
    from botocore.config import Config

    config = Config(region_name=place.region, retries=_RETRIES)
    with aws_errors("use AWS"):
        session = boto3.session.Session(
            aws_access_key_id=keys.access if keys else None,
            aws_secret_access_key=keys.secret if keys else None,
            aws_session_token=keys.session if keys else None,
            region_name=place.region,
        )
        # Named, since two packages of stubs may be installed, and one of them knows no ECR.
        client: ECRClient = session.client("ecr", config=config)
        return client
