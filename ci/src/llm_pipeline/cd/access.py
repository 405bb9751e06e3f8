"""From the settings and the caller's variables to a registry that can be used, and who is trusted.

Secrets come from variables alone. In containers their values are handed in as secrets of Dagger.
"""

import getpass
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from llm_pipeline.cd import ecr, oidc, verification
from llm_pipeline.cd.aws_errors import AUDIENCE
from llm_pipeline.cd.registry import Login, Logins, Registry
from llm_pipeline.cd.releases import Verify
from llm_pipeline.cd.settings import Delivery
from llm_pipeline.cd.signing import (
    SIGSTORE,
    Identity,
    KeylessSigner,
    Signer,
    Trust,
    load_public,
    open_signer,
)
from llm_pipeline.errors import ConfigError, LookError, UsageError

EXTRA: Final = 'pip install "llm-pipeline[delivery]"'


def demand_packages() -> None:
    """Make sure that the packages are there that delivery needs.

    Raises:
        LookError: One is missing.
    """
    from importlib.util import find_spec

    for name in ("boto3", "httpx", "securesystemslib", "sigstore", "tenacity"):
        if find_spec(name) is None:
            raise LookError(f"The package {name} is not installed; run: {EXTRA}")


def open_registry(settings: Delivery, environ: Mapping[str, str]) -> Registry:
    """Return the repository that the settings name; the caller closes it.

    Args:
        settings: The settings.
        environ: The caller's variables.

    Raises:
        ConfigError: The settings do not name it, or a variable is named and the other one is not.
        UsageError: A variable that should hold the login is not set.
    """
    if settings.registry is None or settings.repository is None:
        raise ConfigError(
            "`cd.registry` and `cd.repository` of [tool.llm-pipeline] should say where the images "
            "are, such as ghcr.io and team/twin."
        )
    return Registry(
        settings.registry,
        settings.repository,
        _logins(settings, environ),
        insecure=settings.insecure,
        eager=ecr.place_of(settings.registry) is not None,  # it never answers without a login
    )


def _logins(settings: Delivery, environ: Mapping[str, str]) -> Logins:
    names = (settings.username, settings.password)
    if any(names):
        if settings.username is None or settings.password is None:
            raise ConfigError("`cd.username` and `cd.password` belong together; set both.")
        values = [environ.get(name or "", "") for name in names]
        missing = [name for name, value in zip(names, values, strict=True) if not value]
        if missing:
            raise UsageError(
                f"`cd.username` and `cd.password` name variables that are not set: "
                f"{', '.join(map(str, missing))}."
            )
        login = Login(*values)
        return lambda: login
    place = ecr.place_of(settings.registry or "")
    if place is None:
        return lambda: None
    return lambda: ecr.login(place, aws_keys(settings, environ, place.region))


def aws_keys(settings: Delivery, environ: Mapping[str, str], region: str) -> ecr.Keys | None:
    """Return keys of AWS for a workflow's role; None where AWS's own ways should find some.

    Args:
        settings: The settings, which may name a role.
        environ: The caller's variables, which in a workflow have GitHub's address for tokens.
        region: Where AWS is asked.

    Raises:
        LookError: GitHub gave no token, or AWS does not take it.
    """
    url, bearer = environ.get(oidc.URL), environ.get(oidc.TOKEN)
    if settings.role is None or not url or not bearer:
        return None
    return ecr.assume_role(settings.role, oidc.github_token(url, bearer, AUDIENCE), region)


def trust_of(settings: Delivery, source: Path) -> Trust:
    """Return whose signatures count, by the settings of a source.

    Args:
        settings: The settings.
        source: The folder that the paths of keys are relative to.

    Raises:
        ConfigError: A file can't be read, or holds no public key.
    """
    keys = []
    for name in settings.keys:
        try:
            keys.append((source / name).read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"The file {name} of `cd.keys` can't be read.") from None
        load_public(keys[-1])
    identities = tuple(Identity(each.subject, each.issuer) for each in settings.identities)
    return Trust(tuple(keys), identities)


def signer_of(settings: Delivery, environ: Mapping[str, str]) -> Signer:
    """Return what signs: the key in the variable that the settings name, or the workflow itself.

    Args:
        settings: The settings.
        environ: The caller's variables.

    Raises:
        UsageError: There is neither a key nor a workflow that may ask for a token.
        LookError: AWS KMS could not be asked for the key.
    """
    if settings.signing_key is not None:
        value = environ.get(settings.signing_key)
        if not value:
            name = settings.signing_key
            raise UsageError(f"`cd.signing-key` names a variable that is not set: {name}.")
        return open_signer(value)
    url, bearer = environ.get(oidc.URL), environ.get(oidc.TOKEN)
    if url and bearer:
        return KeylessSigner(partial(oidc.github_token, url, bearer, SIGSTORE))
    raise UsageError(
        "Nothing can sign: name the variable that holds a private key in `cd.signing-key`, or run "
        "in a workflow with `permissions: id-token: write`."
    )


def verifier(registry: Registry, settings: Delivery, trust: Trust) -> Verify:
    """Return what looks at a digest as the settings ask for."""
    return partial(verification.evidence, registry, trust=trust, required=settings.require)


def who_runs(environ: Mapping[str, str]) -> str:
    """Return who runs this, for records: a person and a machine, or a person and a workflow."""
    if environ.get("GITHUB_ACTIONS") == "true":
        place = "/".join(
            environ.get(name, "")
            for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY")
            if environ.get(name)
        )
        run = environ.get("GITHUB_RUN_ID")
        actor = environ.get("GITHUB_ACTOR", "someone")
        return f"{actor} in {place}/actions/runs/{run}" if place and run else actor
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for the number of this user
        user = "someone"
    return f"{user} on {socket.gethostname()}"
