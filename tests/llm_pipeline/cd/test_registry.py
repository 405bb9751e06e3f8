"""The client of registries: against memory and Debian's registry, with logins and faults."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_pipeline.cd import oci
from llm_pipeline.cd.oci import Manifest, Stored
from llm_pipeline.cd.referrers import attach, referrers
from llm_pipeline.cd.registry import Login, Registry
from llm_pipeline.errors import LookError, RegistryError, TakenError
from tests.llm_pipeline.cd.conftest import NAME, PASSWORD, REPOSITORY, docker_registry
from tests.llm_pipeline.cd.front import CUT, LOST, Fault, Front, error
from tests.llm_pipeline.cd.memory import Memory

Open = Callable[..., Registry]
LOGIN = (NAME, PASSWORD)


def image(registry: Registry, text: str = "one", tag: str | None = None) -> Stored:
    """Push a small image and return its manifest."""
    manifest = Manifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        config=registry.put_blob(b"{}", "application/vnd.oci.image.config.v1+json"),
        layers=[registry.put_blob(text.encode(), "application/vnd.oci.image.layer.v1.tar")],
        annotations={"text": text},
    )
    registry.put(manifest)
    data = oci.encode(manifest)
    if tag:
        registry.create_tag(tag, data, oci.MANIFEST)
    return registry.read(oci.digest_of(data))


def test_there_and_back(front: Front, opened: Open) -> None:
    """What is pushed is found by tag and digest, and is what was pushed."""
    registry = opened(front)
    registry.ping()
    pushed = image(registry, tag="v1")
    assert registry.head("v1") == registry.head(pushed.digest) == pushed.digest
    found = registry.read("v1")
    assert found == pushed
    assert found.annotations == {"text": "one"}
    assert not found.is_index
    assert registry.blob((found.manifest.layers or [])[0]) == b"one"
    assert registry.tags() == ["v1"]
    assert registry.name("v1") == f"{front.host}/team/twin:v1"
    assert registry.name(pushed.digest) == f"{front.host}/team/twin@{pushed.digest}"


def test_what_is_not_there(front: Front, opened: Open) -> None:
    """Nothing is found where nothing is, and an unknown repository is told."""
    registry = opened(front)
    assert registry.head("v1") is None
    assert registry.find("v1") is None
    with pytest.raises(LookError, match=r"There is no 127.0.0.1:\d+/team/twin:v1"):
        registry.read("v1")
    with pytest.raises(RegistryError, match=r"has no repository team/twin .*create it"):
        registry.tags()
    with pytest.raises(LookError, match="does not have it"):
        registry.blob(oci.descriptor(b"gone", oci.EMPTY))


def test_tags_are_not_moved(front: Front, opened: Open) -> None:
    """A tag is created once; the same bytes again are no error."""
    registry = opened(front)
    one, two = image(registry, tag="v1"), image(registry, "two")
    assert registry.create_tag("v1", one.data, oci.MANIFEST) == one.digest
    with pytest.raises(TakenError, match="is not moved") as caught:
        registry.create_tag("v1", two.data, oci.MANIFEST)
    assert caught.value.digest == one.digest
    assert registry.head("v1") == one.digest


def test_one_of_eight_wins(front: Front, opened: Open) -> None:
    """Eight that create one tag at once have one winner, and seven are told who it is."""
    images = [image(opened(front), str(number)) for number in range(8)]
    start, outcomes = threading.Barrier(8), list[str]()

    def create(number: int) -> None:
        with Registry(front.host, REPOSITORY, pause=0.001) as registry:
            start.wait()
            try:
                registry.create_tag("v1", images[number].data, oci.MANIFEST)
                outcomes.append(f"won {images[number].digest}")
            except TakenError as taken:
                outcomes.append(f"lost to {taken.digest}")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = opened(front).head("v1")
    assert sorted(outcomes) == [f"lost to {there}"] * 7 + [f"won {there}"]


@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 100_000])
def test_blobs_of_any_size(front: Front, opened: Open, size: int) -> None:
    """Small ones go whole, large ones in chunks; a second time nothing is sent."""
    registry, data = opened(front), os.urandom(size)
    pushed = registry.put_blob(data, "application/octet-stream")
    assert registry.blob(pushed) == data
    front.seen.clear()
    registry.put_blob(data, "application/octet-stream")
    assert [ask.method for ask in front.seen] == ["HEAD"]


@pytest.mark.parametrize("how", [CUT, LOST, 503])
def test_a_layer_that_is_cut_off_goes_on(front: Front, opened: Open, how: int) -> None:
    """Where the connection breaks in a blob, or the answer is lost, it goes on and is whole."""
    registry, data = opened(front), os.urandom(50_000)
    late = Fault(
        lambda ask: ask.method == "PATCH" and not ask.headers["content-range"].startswith("0-"),
        [(how, {}, b"")] * 3,
    )
    front.faults.append(late)
    pushed = registry.put_blob(data, "application/octet-stream")
    assert late.replies == []
    assert registry.blob(pushed) == data


def test_a_push_that_was_given_up_is_finished_by_the_next(front: Front, opened: Open) -> None:
    """After a cut for good nothing is half there, and the next run does the whole."""
    registry, data = opened(front), os.urandom(50_000)
    front.fail("PATCH", "/uploads/", *[(CUT, {}, b"")] * 60)
    with pytest.raises(RegistryError, match="can't be reached"):
        registry.put_blob(data, "application/octet-stream")
    front.faults.clear()
    with pytest.raises(LookError, match="does not have it"):
        registry.blob(oci.descriptor(data, "application/octet-stream"))
    assert registry.blob(registry.put_blob(data, "application/octet-stream")) == data


def test_a_lost_answer_to_a_tag(front: Front, opened: Open) -> None:
    """Where the answer is lost the second attempt finds its own tag and is content."""
    registry = opened(front)
    one = image(registry)
    front.fail("PUT", "/manifests/v1", (LOST, {}, b""))
    assert registry.create_tag("v1", one.data, oci.MANIFEST) == one.digest
    assert len([ask for ask in front.seen if ask.tag == "v1"]) == 2


@pytest.mark.parametrize("lists", [True, False])
def test_referrers(memory: Front, opened: Open, *, lists: bool) -> None:
    """What is attached is listed, once, with or without the registry's own list."""
    memory.backend = Memory(lists_referrers=lists)
    refer(opened(memory))
    tags = opened(memory).tags()
    assert sorted(tag[:6] for tag in tags) == (["v1"] if lists else ["sha256", "v1"])


def test_referrers_of_any_registry(front: Front, opened: Open) -> None:
    """Debian's registry has no list, so a tag stands in for it."""
    refer(opened(front))


def refer(registry: Registry) -> None:
    """Attach two artifacts to an image, one of them twice."""
    subject = image(registry, tag="v1").descriptor
    assert referrers(registry, subject.digest) == []
    first = attach(registry, subject, b"first", "text/plain", {"kind": "a"})
    assert attach(registry, subject, b"first", "text/plain", {"kind": "a"}) == first
    second = attach(registry, subject, b"second", "text/plain")
    found = {each.digest: each for each in referrers(registry, subject.digest)}
    assert set(found) == {first, second}
    assert found[first].artifact_type == "text/plain"
    assert (found[first].annotations or {})["kind"] == "a"
    (layer,) = registry.read(first).manifest.layers or []
    assert registry.blob(layer) == b"first"


def test_many_tags_come_in_pages(memory: Front, opened: Open) -> None:
    """All pages are read, and a list without end is an error."""
    memory.backend = Memory(page=3)
    registry = opened(memory)
    one = image(registry)
    for number in range(10):
        registry.create_tag(f"v{number}", one.data, oci.MANIFEST)
    assert registry.tags() == [f"v{number}" for number in range(10)]
    endless = {"Link": '</v2/team/twin/tags/list?last=v>; rel="next"'}
    memory.fail("GET", "/tags/list", *[(200, endless, b'{"tags": ["v"]}')] * 2000)
    with pytest.raises(LookError, match="on and on"):
        registry.tags()


@pytest.mark.parametrize("bearer", [True, False])
def test_logins(memory: Front, opened: Open, *, bearer: bool) -> None:
    """A login is sent when the registry asks for it, in the way that it asks for."""
    memory.login, memory.bearer = LOGIN, bearer
    registry = opened(memory, LOGIN)
    assert image(registry, tag="v1").digest == registry.head("v1")
    assert "authorization" not in memory.seen[0].headers
    with pytest.raises(RegistryError, match=r"asks for a login and there is none.*cd.username"):
        opened(memory).head("v1")
    with pytest.raises(RegistryError, match="does not take the login") as caught:
        opened(memory, (NAME, "wrong-word")).head("v1")
    assert "wrong-word" not in str(caught.value)


@pytest.mark.registry
def test_logins_of_a_real_registry(tmp_path: Path) -> None:
    """Debian's registry with a file of passwords takes the right one."""
    with docker_registry(tmp_path, login=True) as host:
        with Registry(host, REPOSITORY, lambda: Login(*LOGIN)) as registry:
            registry.ping()
            assert image(registry, tag="v1").digest == registry.head("v1")
        with (
            Registry(host, REPOSITORY, lambda: Login(NAME, "wrong")) as registry,
            pytest.raises(RegistryError, match="does not take the login"),
        ):
            registry.ping()
        with (
            Registry(host, REPOSITORY) as registry,
            pytest.raises(RegistryError, match="there is none"),
        ):
            registry.ping()


def test_a_login_that_expired_is_fetched_anew(memory: Front) -> None:
    """ECR says with 400 or 403 that a token expired: a new one is fetched, once."""
    memory.login = LOGIN
    fetched = list[Login]()

    def login() -> Login:
        fetched.append(Login(*LOGIN))
        return fetched[-1]

    said = "Your authorization token has expired. Reauthenticate and try again."
    with Registry(memory.host, REPOSITORY, login, pause=0.001) as registry:
        image(registry, tag="v1")
        memory.fail("HEAD", "/manifests/v1", error(403, "DENIED", said))
        assert registry.head("v1")
        assert len(fetched) == 2
        memory.fail("GET", "/manifests/v1", *[error(400, "DENIED", said)] * 2)
        with pytest.raises(RegistryError, match="does not take the login, or it has expired"):
            registry.read("v1")
        assert registry.read("v1").digest == registry.head("v1")


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (error(429, "TOOMANYREQUESTS", "slow down"), "is too busy .slow down.*Wait some minutes"),
        (error(503, "UNAVAILABLE"), "fails with HTTP status 503"),
        ((502, {}, b"<html>\x1b[31mbad</html>"), "fails with HTTP status 502. Run it again later"),
        ((CUT, {}, b""), "can't be reached .*Check the address"),
    ],
)
def test_what_may_pass_is_tried_again(
    memory: Front, opened: Open, reply: tuple[int, dict[str, str], bytes], says: str
) -> None:
    """Busy and broken registries are asked five times, then told of in a sentence."""
    registry = opened(memory)
    one = image(registry, tag="v1")
    memory.fail("HEAD", "/manifests/v1", *[reply] * 4)
    assert registry.head("v1") == one.digest
    memory.fail("HEAD", "/manifests/v1", *[reply] * 5)
    memory.fail("GET", "/manifests/v1", *[reply] * 5)
    with pytest.raises(RegistryError, match=says):
        registry.read("v1")
    assert registry.read("v1") == one


def test_a_wish_to_wait_is_heard(memory: Front, opened: Open) -> None:
    """`Retry-After` is kept to."""
    registry = opened(memory)
    image(registry, tag="v1")
    memory.fail("GET", "/manifests/v1", error(429, "TOOMANYREQUESTS", **{"Retry-After": "0"}))
    assert registry.read("v1").digest


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (error(403, "DENIED", "not allowed"), r"denies it \(not allowed\).*right on team/twin"),
        (error(404, "NAME_UNKNOWN", "no such"), "has no repository team/twin"),
        (error(418, "ODD", "tea\x1b[31m\npot"), r"HTTP status 418 \(tea"),
    ],
)
def test_refusals(
    memory: Front, opened: Open, reply: tuple[int, dict[str, str], bytes], says: str
) -> None:
    """What a registry refuses is told in one line, and tried once."""
    registry = opened(memory)
    memory.fail("GET", "/tags/list", reply)
    with pytest.raises(RegistryError, match=says) as caught:
        registry.tags()
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(memory.seen) == 1


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((200, {}, b"no json"), "no manifest that can be read"),
        ((200, {}, b'{"schemaVersion": 1}'), "schema version 1, not 2"),
        ((200, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}, b"{}"), "with the digest"),
        ((200, {}, b"x" * (4 * 1024 * 1024 + 1)), "more than 4194304 bytes"),
    ],
)
def test_manifests_that_can_not_be(
    memory: Front, opened: Open, reply: tuple[int, dict[str, str], bytes], says: str
) -> None:
    """A manifest is believed only as far as its digest goes."""
    memory.fail("GET", "/manifests/v1", reply)
    with pytest.raises(LookError, match=says):
        opened(memory).find("v1")


def test_a_blob_that_was_changed(memory: Front, opened: Open) -> None:
    """Other bytes under a digest are noticed."""
    registry = opened(memory)
    blob = registry.put_blob(b"true", "text/plain")
    memory.fail("GET", "/blobs/", (200, {}, b"fals"))
    with pytest.raises(LookError, match="sent other bytes"):
        registry.blob(blob)


def test_a_login_goes_nowhere_else(memory: Front, opened: Open) -> None:
    """A challenge that names a place where passwords would not be safe gets none."""
    challenge = {"WWW-Authenticate": 'Bearer realm="ftp://elsewhere.example.com/token"'}
    memory.fail("GET", "/v2/", error(401, "UNAUTHORIZED", **challenge))
    with pytest.raises(RegistryError, match="nothing was sent"):
        opened(memory, LOGIN).ping()


def test_nobody_there() -> None:
    """A registry that is not there is told of with its address."""
    with (
        Registry("127.0.0.1:1", REPOSITORY, attempts=2, pause=0.001) as registry,
        pytest.raises(RegistryError, match=r"127.0.0.1:1 can't be reached \(.*refused"),
    ):
        registry.ping()


def test_encoded_manifests_are_stable() -> None:
    """The same manifest gives the same bytes, which readers understand."""
    manifest = Manifest(schema_version=2, media_type=oci.INDEX, annotations={"b": "1", "a": "2"})
    assert oci.encode(manifest) == oci.encode(
        Manifest(2, oci.INDEX, annotations={"a": "2", "b": "1"})
    )
    assert json.loads(oci.encode(manifest)) == {
        "schemaVersion": 2,
        "mediaType": oci.INDEX,
        "annotations": {"a": "2", "b": "1"},
    }
