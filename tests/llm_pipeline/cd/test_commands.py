"""The commands of delivery as processes: output, exit codes, settings, secrets."""

import io
import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

from llm_pipeline.cd.oci import Stored
from llm_pipeline.cd.publication import Inputs, commit_tag, tree_tag
from llm_pipeline.cd.referrers import referrers
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.signing import KeySigner, open_signer
from llm_pipeline.cli import main
from tests.e2e.host import COMMAND
from tests.e2e.repositories import commit, git, write
from tests.llm_pipeline.cd.conftest import NAME, REPOSITORY
from tests.llm_pipeline.cd.front import Front, error
from tests.llm_pipeline.cd.images import new_key, private_key, push, sign
from tests.llm_pipeline.cd.memory import Memory

Open = Callable[..., Registry]
KEY = new_key()
BASE = f"python:3.13-slim@sha256:{'b' * 64}"
LOCK = "click==8.1.8\n"
DETAILS = '{"score": 0.93}'


@dataclass
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass
class Shell:
    """Runs the command in a source's folder: in this process, or in one of its own."""

    folder: Path
    env: dict[str, str]
    process: bool = False

    def __call__(self, *arguments: str) -> Ran:
        """Run a subcommand."""
        env = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        ran = (self.outside if self.process else self.inside)(arguments, {**env, **self.env})
        assert "Traceback" not in ran.err
        return ran

    def outside(self, arguments: Sequence[str], env: dict[str, str]) -> Ran:
        """Run it as a user does."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def inside(self, arguments: Sequence[str], env: dict[str, str]) -> Ran:
        """Run what the command runs, without the time that a new process takes."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, chdir(self.folder):
            for name in set(os.environ) - set(env):
                patch.delenv(name)
            for name, text in env.items():
                patch.setenv(name, text)
            patch.setattr(sys, "argv", ["llm-pipeline", *arguments])
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    main()
                except SystemExit as ended:
                    code = ended.code if isinstance(ended.code, int) else 0
        return Ran(code, out.getvalue(), err.getvalue())


def settings(front: Front, *more: str) -> str:
    """The settings of a source whose images are in a front."""
    lines = [
        "[tool.llm-pipeline.cd]",
        f'registry = "{front.host}"',
        f'repository = "{REPOSITORY}"',
        f'base = "{BASE}"',
        'keys = ["keys/release.pem"]',
        *more,
    ]
    return "\n".join([*lines, ""])


@pytest.fixture
def shell(front: Front, tmp_path: Path) -> Shell:
    """A committed source that trusts the key of these tests."""
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "--quiet")
    files = {
        "pyproject.toml": settings(front),
        "keys/release.pem": KEY.public,
        "requirements.lock": LOCK,
    }
    commit(folder, files)
    return Shell(folder, {"USER": "tester"})


def good(registry: Registry, text: str, *tags: str, inputs: str | None = None) -> Stored:
    """Push an image that has all that it needs."""
    image = push(registry, text, *tags, inputs=inputs)
    sign(registry, image, KEY)
    return image


def test_the_way_of_an_image(front: Front, opened: Open, shell: Shell) -> None:
    """Promote, list, roll back: what is said, and that the digest is the same everywhere."""
    registry = opened(front)
    shell.process = True
    one, two = good(registry, "one", "v1"), good(registry, "two", "v2")
    for tag, image in (("v1", one), ("v2", two)):
        ran = shell("promote", tag, "--to", "staging", "--why", "a try")
        assert (ran.code, ran.err) == (0, "")
        assert f"should now run {front.host}/{REPOSITORY}@{image.digest}" in ran.out
        ran = shell("promote", "--from=staging", "--to=production", "--by", "the owner")
        assert ran.out.startswith(f"production-00000{tag[1]} is {image.digest}.\n")
    ran = shell("rollback", "production", "--why", "it is slow")
    assert ran.out.startswith(f"production-000003 is {one.digest}.\n")
    ran = shell("releases")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"staging: {two.digest}"
    assert lines[3] == f"production: {one.digest}"
    assert lines[4].endswith(
        "rollback to production-000001 by tester on " + os.uname().nodename + ": it is slow"
    )
    assert lines[5].endswith("promote by the owner")
    told = json.loads(shell("releases", "production", "--json").out)
    assert list(told) == ["production"]
    assert told["production"]["current"] == "production-000003"
    assert [each["digest"] for each in told["production"]["releases"]] == [
        one.digest,
        two.digest,
        one.digest,
    ]


def test_moved_between_two_looks(memory: Front, opened: Open, tmp_path: Path) -> None:
    """What another one releases between two `releases` is seen by the second."""
    registry = opened(memory)
    good(registry, "one", "v1"), good(registry, "two", "v2")
    write(tmp_path, {"pyproject.toml": settings(memory), "keys/release.pem": KEY.public})
    run = Shell(tmp_path, {})
    run("promote", "v1", "--to=staging")
    before = run("releases", "staging").out
    run("promote", "v2", "--to=staging")
    assert run("releases", "staging").out != before


def test_nothing_is_said_once(front: Front, opened: Open, shell: Shell) -> None:
    """A promotion of what runs is no error, and says so."""
    image = good(opened(front), "one", "v1")
    shell("promote", "v1", "--to=staging")
    ran = shell("promote", image.digest, "--to=staging")
    assert (ran.code, ran.out) == (0, "staging-000001 is this image already.\n")


def test_verify(front: Front, opened: Open, shell: Shell) -> None:
    """What is signed is listed, what is missing is refused."""
    registry = opened(front)
    image = good(registry, "one", "v1")
    ran = shell("verify", "v1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{front.host}/{REPOSITORY}@{image.digest}\n")
    assert "  provenance, signed by key " in ran.out
    assert "  scan, passed, signed by key " in ran.out
    other = push(registry, "two", "v2")
    sign(registry, other, new_key())
    ran = shell("verify", "v2")
    assert ran.code == 1
    assert "not counted: https://slsa.dev/provenance/v1 in sha256:" in ran.out
    assert "has no provenance that is signed by someone trusted" in ran.err
    told = json.loads(shell("verify", "v2", "--json").out)
    assert (told["verified"], told["digest"]) == (False, other.digest)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["promote", "--to=production"], 1, "Into the first environment an image is promoted"),
        (["promote", "v1", "--to=production"], 1, "production takes what staging has tested"),
        (["promote", "v9", "--to=staging"], 1, "There is no 127.0.0.1"),
        (["promote", "v1", "--to=live"], 2, "no environment named 'live'; there are: staging, pr"),
        (["promote", "--from=staging", "--to=production"], 1, "Nothing was released to staging"),
        (["promote", "v1"], 2, "Missing option '--to'"),
        (["rollback", "production"], 1, "Nothing was released to production yet"),
        (["rollback"], 2, "Missing argument 'ENVIRONMENT'"),
        (["releases", "live"], 2, "no environment named 'live'"),
        (["verify", "v9"], 1, "There is no 127.0.0.1"),
        (["verify", "v1"], 1, "is not verified. It has no provenance"),
        (["publish"], 2, "Missing option '--dry-run'"),
        (["publish", "--dry-run", "--release-version=tree-0"], 2, "can't be a tag: tags of this"),
    ],
)
def test_what_is_refused(  # noqa: PLR0913, PLR0917 - three fixtures and three columns
    memory: Front, opened: Open, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    """One line says what to do next, and the exit code tells of which kind it is."""
    push(opened(memory), "one", "v1")
    write(tmp_path, {"pyproject.toml": settings(memory), "keys/release.pem": KEY.public})
    tags = opened(memory).tags()
    ran = Shell(tmp_path, {})(*arguments)
    assert ran.code == code
    assert says in ran.err
    assert opened(memory).tags() == tags


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", 2, "`cd.registry` and `cd.repository`"),
        ("registry = 'https://ghcr.io'", 2, "`cd.registry`: should be a host"),
        ("registry = 'ghcr.io'\nrepository = 'Team'", 2, "`cd.repository`: should be a name"),
        ("environments = ['commit']", 2, "`cd.environments`: should be small letters"),
        ("environments = ['a', 'a']", 2, "names one twice"),
        ("environments = []", 2, "`cd.environments`: should be a list that is not empty"),
        ("password = 'pass word!'", 2, "`cd.password`: should be the name of a variable"),
        ("base = 'python:3.13'", 2, "`cd.base`: should be an image with its digest"),
        ("identities = [{}]", 2, "lacks `subject`"),
        ("registri = 'ghcr.io'", 2, "Did you mean `registry`?"),
        ("{SETTINGS}username = 'A'", 2, "belong together"),
        ("{SETTINGS}username = 'A'\npassword = 'B'", 2, "variables that are not set: A, B"),
        ("{SETTINGS}keys = ['none.pem']", 2, "The file none.pem of `cd.keys` can't be read"),
        ("{SETTINGS}keys = ['pyproject.toml']", 2, "is no public key as PEM"),
    ],
)
def test_settings(tmp_path: Path, text: str, code: int, says: str) -> None:
    """A wrong key or value is named, and nothing is asked of any registry."""
    text = text.replace("{SETTINGS}", "registry = '127.0.0.1:1'\nrepository = 'a'\n")
    write(tmp_path, {"pyproject.toml": f"[tool.llm-pipeline.cd]\n{text}\n"})
    ran = Shell(tmp_path, {})("releases")
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert "pass word!" not in ran.err


def test_settings_elsewhere(memory: Front, opened: Open, tmp_path: Path) -> None:
    """`--config` and `--source` name other places; a source needs no pyproject.toml."""
    push(opened(memory), "one", "v1")
    write(tmp_path, {"cd.toml": settings(memory), "source/keys/release.pem": KEY.public})
    ran = Shell(tmp_path, {})("releases", "--config=cd.toml", "--source=source")
    assert ran.out == "staging: nothing was released\nproduction: nothing was released\n"
    assert Shell(tmp_path, {})("releases").code == 2
    (tmp_path / "pyproject.toml").write_text("[broken")
    assert "can't be read as TOML" in Shell(tmp_path, {})("releases").err


def key_of(folder: Path) -> str:
    """The key of the inputs of the test's source."""
    tree = git(folder, "rev-parse", "HEAD^{tree}")
    locks = (("requirements.lock", sha256(LOCK.encode()).hexdigest()),)
    return Inputs(tree, locks, BASE, version("llm-pipeline")).key


def test_publish_says_what_it_would_do(front: Front, opened: Open, shell: Shell) -> None:
    """Build, add tags, nothing, or refused; nothing is ever written."""
    registry, folder = opened(front), shell.folder
    tree = tree_tag(git(folder, "rev-parse", "HEAD^{tree}"))
    mine = commit_tag(git(folder, "rev-parse", "HEAD"))
    ran = shell("publish", "--dry-run", "--release-version=v1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"would build the image and push it as {tree}, {mine}, v1\n"
    image = good(registry, "one", tree, inputs=key_of(folder))
    ran = shell("publish", "--dry-run")
    assert ran.out == f"would add to {image.digest} the tags {mine}\n"
    registry.create_tag(mine, image.data, image.descriptor.media_type)
    ran = shell("publish", "--dry-run", "--json")
    assert json.loads(ran.out) == {
        "verdict": "nothing",
        "digest": image.digest,
        "tags": [tree, mine],
        "inputs": key_of(folder),
    }
    other = push(registry, "two", "v1")
    ran = shell("publish", "--dry-run", "--release-version=v1")
    assert (ran.code, ran.out) == (1, "")
    assert f"The tag v1 names {other.digest}" in ran.err
    assert "Tags are never moved" in ran.err
    front.seen.clear()
    shell("publish", "--dry-run")
    assert [ask.method for ask in front.seen] == ["GET", "GET"]


def test_a_merge_finds_what_was_built(memory: Front, opened: Open, tmp_path: Path) -> None:
    """Another commit with the same tree is the same image, which gets one tag more."""
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, {"pyproject.toml": settings(memory), "requirements.lock": LOCK})
    tree = tree_tag(git(folder, "rev-parse", "HEAD^{tree}"))
    image = push(opened(memory), "one", tree, label=key_of(folder))
    commit(folder, message="as a merge")
    mine = commit_tag(git(folder, "rev-parse", "HEAD"))
    ran = Shell(folder, {})("publish", "--dry-run")
    assert ran.out == f"would add to {image.digest} the tags {mine}\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("dirty", "changes that are in no commit"),
        ("no git", "has no commit"),
        ("no base", "`cd.base` should name the base image"),
        ("no lock", "`cd.locks` should name the files"),
        ("lock gone", "`cd.locks`: gone.lock can't be read"),
    ],
)
def test_publish_needs(memory: Front, tmp_path: Path, change: str, says: str) -> None:
    """An image is that of a commit, a base and locks; without one of them it is wrong use."""
    folder = tmp_path / "source"
    text = settings(memory, *(['locks = ["gone.lock"]'] if change == "lock gone" else []))
    if change == "no base":
        text = text.replace(f'base = "{BASE}"\n', "")
    write(folder, {"pyproject.toml": text})
    if change != "no lock":
        write(folder, {"requirements.lock": LOCK})
    if change != "no git":
        git(folder, "init", "--quiet")
        commit(folder)
    if change == "dirty":
        write(folder, {"app.py": ""})
    ran = Shell(folder, {})("publish", "--dry-run")
    assert ran.code == 2
    assert says in ran.err


def test_attest(front: Front, opened: Open, shell: Shell) -> None:
    """What a check said is signed and attached; a no refuses the image from then on."""
    registry, key = opened(front), private_key("ed25519")
    shell.env |= {"RELEASE_SIGNING": key}
    public = open_signer(key)
    assert isinstance(public, KeySigner)
    text = settings(front, 'signing-key = "RELEASE_SIGNING"').replace("release.pem", "new.pem")
    write(shell.folder, {"cd.toml": text, "keys/new.pem": public.public, "details.json": DETAILS})
    image = push(registry, "one", "v1")
    sign(registry, image, public)
    arguments = ("attest", "v1", "--config=cd.toml", "--check=evaluation")
    ran = shell(*arguments, "--passed", "--details=details.json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"evaluation, passed, is attached to {image.digest} as sha256:")
    ran = shell("verify", "v1", "--config=cd.toml")
    assert (ran.code, "  evaluation, passed, signed by key " in ran.out) == (0, True)
    assert shell(*arguments, "--failed").code == 0
    ran = shell("promote", "v1", "--to=staging", "--config=cd.toml")
    assert ran.code == 1
    assert "Its evaluation says no." in ran.err
    stored = registry.read(referrers(registry, image.digest)[2].digest)
    envelope = json.loads(registry.blob((stored.manifest.layers or [])[0]))
    assert b'"score": 0.93' in b64decode(envelope["payload"]).replace(b'":', b'": ')


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--check=evaluation"], "Say what the check said: --passed or --failed"),
        (["--passed"], "Missing option '--check'"),
        (["--check=a", "--passed"], "Nothing can sign: name the variable"),
        (["--check=a", "--passed", "--details=requirements.lock"], "can't be read as JSON"),
        (["--check=a", "--passed", "--details=list.json"], "should hold a JSON object"),
        (["--check=a", "--passed", "--config=cd.toml"], "a variable that is not set: ABSENT"),
    ],
)
def test_attest_needs(
    memory: Front, opened: Open, tmp_path: Path, arguments: list[str], says: str
) -> None:
    """Without a check, what it said, or a key nothing is signed (exit code 2)."""
    push(opened(memory), "one", "v1")
    files = {"pyproject.toml": settings(memory), "keys/release.pem": KEY.public}
    files |= {"cd.toml": settings(memory, 'signing-key = "ABSENT"')}
    write(tmp_path, {**files, "list.json": "[]", "requirements.lock": LOCK})
    ran = Shell(tmp_path, {})("attest", "v1", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_help_needs_no_packages() -> None:
    """The help of each command imports nothing of what delivery needs."""
    code = (
        "import sys; from llm_pipeline.cli import cli\n"
        "for name in ('releases', 'promote', 'rollback', 'verify', 'attest', 'publish'):\n"
        "    cli([name, '--help'], standalone_mode=False)\n"
        "heavy = {'boto3', 'httpx', 'msgspec', 'securesystemslib', 'sigstore', 'tenacity'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [str(Path(COMMAND).with_name("python")), "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


SECRETS = (
    *("REGISTRY_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SIGNING_KEY", "GITHUB_TOKEN"),
)


@pytest.fixture
def locked(canary: str) -> Iterator[tuple[Front, str]]:
    """A registry that asks for a login, whose password is the canary."""
    from tests.llm_pipeline.cd.front import serving

    with ExitStack() as stack:
        front = Front(Memory(), login=(NAME, canary))
        yield stack.enter_context(serving(front)), canary


def test_canary(locked: tuple[Front, str], opened: Open, tmp_path: Path) -> None:
    """No secret is in what is printed, in the records, or in anything that the registry has."""
    front, canary = locked
    login = (NAME, canary)
    good(opened(front, login), "one", "v1")
    good(opened(front, login), "two", "v2")
    text = settings(front, 'username = "REGISTRY_USER"', 'password = "REGISTRY_PASSWORD"')
    text += 'signing-key = "RELEASE_SIGNING"\n'
    details = json.dumps({"note": canary})
    files = {"pyproject.toml": text, "keys/release.pem": KEY.public, "details.json": details}
    write(tmp_path, files)
    key = private_key()
    secrets = {**dict.fromkeys(SECRETS, canary), "RELEASE_SIGNING": key}
    run = Shell(tmp_path, {"REGISTRY_USER": NAME, **secrets}, process=True)
    said = []
    for arguments in (
        ("promote", "v1", "--to=staging", "--why", f"with {canary}", "--by", f"me {canary}"),
        ("promote", "v2", "--to=staging"),
        ("promote", "--from=staging", "--to=production"),
        ("rollback", "staging", "--why", canary),
        ("releases",),
        ("releases", "--json"),
        ("verify", "v1"),
        ("verify", "v1", "--json"),
        ("attest", "v1", "--check", f"evaluation {canary}", "--passed", "--details=details.json"),
    ):
        ran = run(*arguments)
        assert ran.code == 0, ran.err
        said.append(ran)
    assert "with ***" in said[4].out
    for method, path in (("GET", "/tags/list"), ("PUT", "/manifests/production-")):
        front.fail(method, path, error(403, "DENIED", f"you sent {canary}, which is not enough"))
    front.login = (NAME, "another")
    said += [run("releases"), run("promote", canary, "--to=staging")]
    front.login = login
    said.append(run("rollback", "production"))
    assert [ran.code for ran in said[-3:]] == [3, 3, 1]
    assert "you sent ***, which is not enough" in said[-3].err
    for ran in said:
        assert canary not in ran.out + ran.err
        assert not [line for line in key.splitlines()[1:-1] if line in ran.out + ran.err]
    memory = front.backend
    assert isinstance(memory, Memory)
    for data in (*memory.blobs.values(), *(data for _, data in memory.manifests.values())):
        assert canary.encode() not in data
    for ask in front.seen:
        assert canary not in ask.path


def test_no_secret_is_an_argument() -> None:
    """No option takes a secret, so none can be in the list of processes."""
    from llm_pipeline.cd.commands import COMMANDS

    named = {parameter.name for command in COMMANDS for parameter in command.params}
    assert not [
        name
        for name in named
        if name and any(word in name for word in ("password", "token", "key"))
    ]
