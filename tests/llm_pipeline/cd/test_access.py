"""From settings and variables to a registry: who runs, which packages, whose keys."""

import getpass
import socket
from pathlib import Path

import pytest

from llm_pipeline.cd.access import demand_packages, signer_of, trust_of, who_runs
from llm_pipeline.cd.oidc import claims
from llm_pipeline.cd.settings import Delivery, Identity
from llm_pipeline.cd.signing import GITHUB_ISSUER, KeylessSigner, KeySigner
from llm_pipeline.errors import ConfigError, LookError, UsageError
from tests.llm_pipeline.cd.aws_server import GitHub, answering
from tests.llm_pipeline.cd.images import new_key, private_key

ACTIONS = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_SERVER_URL": "https://github.example.com",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_RUN_ID": "42",
}


def test_who_runs() -> None:
    """A person on a machine, or a person and the run of a workflow."""
    assert who_runs({}) == f"{getpass.getuser()} on {socket.gethostname()}"
    assert who_runs(ACTIONS) == "octocat in https://github.example.com/o/r/actions/runs/42"
    assert who_runs({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat"}) == "octocat"
    assert who_runs({"GITHUB_ACTIONS": "true"}) == "someone"


def test_packages_are_there() -> None:
    """The extra is installed where these tests run."""
    demand_packages()


def test_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra one line says how to install it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LookError, match=r'run: pip install "llm-pipeline\[delivery\]"'):
        demand_packages()


def test_trust(tmp_path: Path) -> None:
    """Keys are files of the source, identities have GitHub for their issuer."""
    key = new_key("ed25519")
    (tmp_path / "key.pem").write_text(key.public)
    settings = Delivery(keys=["key.pem"], identities=[Identity("subject")])
    trust = trust_of(settings, tmp_path)
    assert trust.keys == (key.public,)
    assert [(each.subject, each.issuer) for each in trust.identities] == [
        ("subject", GITHUB_ISSUER)
    ]
    assert not trust_of(Delivery(), tmp_path)
    (tmp_path / "key.pem").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"key.pem of `cd.keys` can't be read"):
        trust_of(settings, tmp_path)


def test_who_signs() -> None:
    """A key that the settings name, else the workflow; without either nothing can sign."""
    settings = Delivery(signing_key="KEY")
    assert isinstance(signer_of(settings, {"KEY": private_key()}), KeySigner)
    with pytest.raises(UsageError, match=r"`cd.signing-key` names a variable that is not set"):
        signer_of(settings, {})
    with pytest.raises(UsageError, match="Nothing can sign"):
        signer_of(Delivery(), {})
    with answering(GitHub([])) as server:
        environ = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{server.address}/t?v=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer",
        }
        signer = signer_of(Delivery(), environ)
        assert isinstance(signer, KeylessSigner)
        assert claims(signer.token())["sub"] == "repo:o/r:ref:refs/heads/main"
    assert server.seen[0][0].endswith("audience=sigstore")
    assert "bearer" not in repr(signer)
