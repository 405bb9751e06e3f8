"""The settings of delivery: the table ``[tool.llm-pipeline.cd]``."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from llm_pipeline.cd.oci import is_digest, is_host, is_repository
from llm_pipeline.cd.release import is_environment


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table in which an unknown key is an error."""


class Identity(_Table, frozen=True):
    """Who may sign without a key.

    ``subject``: a workflow's address with its ref, as in its certificate; ``issuer``: who vouches.
    """

    subject: str
    issuer: str = "https://token.actions.githubusercontent.com"


class Delivery(_Table, frozen=True):
    """Where images are published, and what has to be true of one that is released.

    ``registry``: the host; ``repository``: the name there; ``insecure``: talk without TLS.
    ``username`` and ``password``: names of variables that hold a login. ``role``: ARN of the role
    of AWS that a workflow takes. ``environments``: from the first to the last. ``keys``: files of
    public keys; ``identities``: workflows; their signatures count. ``signing_key``: name of the
    variable that holds the private key. ``require``: statements that a release needs. ``base``: the
    base image with its digest; ``locks``: files that pin what is installed.
    """

    registry: str | None = None
    repository: str | None = None
    insecure: bool = False
    username: str | None = None
    password: str | None = None
    role: str | None = None
    environments: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["staging", "production"]
    )
    keys: list[str] = []
    identities: list[Identity] = []
    signing_key: str | None = None
    require: list[str] = msgspec.field(default_factory=lambda: ["provenance", "scan"])
    base: str | None = None
    locks: list[str] | None = None


def undeliverable(cd: Delivery) -> Iterator[tuple[str, str]]:
    """Yield the keys whose values are wrong although their types are right, and why."""
    if cd.registry is not None and not is_host(cd.registry):
        yield "registry", f": should be a host, with a port if need be, not {cd.registry!r}."
    if cd.repository is not None and not is_repository(cd.repository):
        wanted = "a name such as team/twin, of small letters and digits"
        yield "repository", f": should be {wanted}, not {cd.repository!r}."
    named = {"username": cd.username, "password": cd.password, "signing-key": cd.signing_key}
    for key, name in named.items():
        if name is not None and not (name.isascii() and name.isidentifier()):
            # Somebody may have written the password itself.
            yield key, ": should be the name of a variable, which holds it."
    for name in cd.environments:
        if not is_environment(name):
            wanted = "small letters, with - between words, and not commit or tree"
            yield "environments", f": should be {wanted}, not {name!r}."
    if len(set(cd.environments)) < len(cd.environments):
        yield "environments", ": names one twice."
    if cd.base is not None and not is_digest(cd.base.partition("@")[2]):
        yield "base", f": should be an image with its digest (IMAGE@sha256:...), not {cd.base!r}."
