"""Promotions and rollbacks on registries: what is there afterwards, and what is refused."""

import threading
from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from llm_pipeline.cd import oci, records
from llm_pipeline.cd.oci import Manifest, Stored
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.releases import Outcome, Releases, Who
from llm_pipeline.cd.signing import KeySigner, Trust
from llm_pipeline.cd.verification import evidence
from llm_pipeline.errors import LookError, RefusedError, RegistryError, UsageError
from tests.llm_pipeline.cd.conftest import REPOSITORY
from tests.llm_pipeline.cd.front import CUT, LOST, Front
from tests.llm_pipeline.cd.images import new_key, push, sign

ORDER = ("staging", "production")
WHO = Who("someone on a machine", "a reason")
KEY = new_key()
Open = Callable[..., Registry]


def environments(registry: Registry, signer: KeySigner = KEY) -> Releases:
    """The environments of a repository, with one trusted key."""
    trust = Trust(keys=(signer.public,))
    verify = partial(evidence, registry, trust=trust, required=("provenance", "scan"))
    return Releases(registry, ORDER, verify)


def good(registry: Registry, text: str = "one", *tags: str) -> Stored:
    """Push an image that has all that it needs."""
    image = push(registry, text, *tags)
    sign(registry, image, KEY)
    return image


def running(registry: Registry, environment: str) -> str | None:
    """The digest that should run in an environment."""
    current = environments(registry).histories([environment])[environment].current
    return None if current is None else current.digest


def tagged(registry: Registry, environment: str) -> list[str]:
    """The tags of an environment's releases."""
    return sorted(tag for tag in registry.tags() if tag.startswith(f"{environment}-"))


def test_the_way_of_an_image(front: Front, opened: Open) -> None:
    """From the registry to staging, to production, and back; the digest is always the same."""
    registry = opened(front)
    one, two = good(registry, "one", "v1"), good(registry, "two", "v2")
    releases = environments(registry)
    for image in (one, two):
        releases.promote(None, "staging", image.digest, WHO)
        outcome = releases.promote("staging", "production", None, WHO)
        assert outcome.digest == image.digest
    assert tagged(registry, "production") == ["production-000001", "production-000002"]
    outcome = releases.rollback("production", WHO)
    assert outcome.made is not None
    assert (outcome.made.tag, outcome.digest) == ("production-000003", one.digest)
    assert (running(registry, "production"), running(registry, "staging")) == (
        one.digest,
        two.digest,
    )
    made = releases.histories()["production"].releases
    assert [(each.kind, each.before, each.restores) for each in made] == [
        ("promote", None, None),
        ("promote", 1, None),
        ("rollback", 2, 1),
    ]
    assert all((each.by, each.why) == (WHO.by, WHO.why) and each.at for each in made)


def test_a_record_names_its_image(memory: Front, opened: Open) -> None:
    """The release's tag is an index of the image, with its platform, so that tools can start it."""
    registry = opened(memory)
    image = good(registry, "one", "v1")
    environments(registry).promote(None, "staging", "v1", WHO)
    record = registry.read("staging-000001")
    assert record.is_index
    (named,) = record.manifest.manifests or []
    assert named.digest == image.digest
    assert named.platform == {"architecture": "amd64", "os": "linux"}
    assert environments(registry).resolve("staging-000001") == image.digest


def test_an_index_is_released_as_it_is(memory: Front, opened: Open) -> None:
    """An image for several platforms is one digest; its parts are named for tools to choose."""
    registry = opened(memory)
    parts = [
        replace(push(registry, name).descriptor, platform={"os": "linux", "architecture": name})
        for name in ("amd64", "arm64")
    ]
    index = Manifest(schema_version=2, media_type=oci.INDEX, manifests=parts)
    registry.put(index, "v1")
    image = registry.read("v1")
    sign(registry, image, KEY)
    outcome = environments(registry).promote(None, "staging", "v1", WHO)
    assert outcome.digest == running(registry, "staging") == image.digest
    named = registry.read("staging-000001").manifest.manifests or []
    assert [each.digest for each in named] == [image.digest, *(part.digest for part in parts)]
    assert [each.platform for each in named[1:]] == [part.platform for part in parts]


def test_an_image_that_tells_no_platform(memory: Front, opened: Open) -> None:
    """An image whose configuration is none that is known is released all the same."""
    registry = opened(memory)
    for kind in ("application/vnd.oci.image.config.v1+json", "text/plain"):
        config = registry.put_blob(f"no json for {kind}".encode(), kind)
        manifest = Manifest(schema_version=2, media_type=oci.MANIFEST, config=config)
        registry.put(manifest)
        image = registry.read(oci.digest_of(oci.encode(manifest)))
        sign(registry, image, KEY)
        outcome = environments(registry).promote(None, "staging", image.digest, WHO)
        assert outcome.digest == running(registry, "staging") == image.digest


def test_a_tag_is_looked_up_anew(memory: Front, opened: Open) -> None:
    """What another one released meanwhile is seen: nothing of the world is remembered."""
    registry = opened(memory)
    one, two = good(registry), good(registry, "two")
    mine, theirs = environments(registry), environments(opened(memory))
    mine.promote(None, "staging", one.digest, WHO)
    assert mine.histories()["staging"].next_number == 2
    theirs.promote(None, "staging", two.digest, WHO)
    current = mine.histories()["staging"].current
    assert current is not None
    assert (current.number, current.digest) == (2, two.digest)


def test_again_is_nothing(memory: Front, opened: Open) -> None:
    """What is there already is not released once more, and nothing is written."""
    registry = opened(memory)
    image = good(registry)
    releases = environments(registry)
    releases.promote(None, "staging", image.digest, WHO)
    memory.seen.clear()
    outcome = releases.promote(None, "staging", image.digest, WHO)
    assert outcome == Outcome(
        "staging", image.digest, None, "staging-000001 is this image already."
    )
    assert {ask.method for ask in memory.seen} == {"GET"}


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("unknown digest", "is not in the registry; publish it first"),
        ("unknown tag", "There is no .*:v9; publish it first"),
        ("unsigned", "It has no provenance that is signed"),
        ("wrongly signed", r"no key of `cd.keys` has signed it"),
        ("unscanned", "It has no scan that is signed"),
        ("scan says no", "Its scan says no"),
        ("never in staging", "was never in staging"),
    ],
)
def test_refused(memory: Front, opened: Open, case: str, says: str) -> None:
    """What may not be released is refused with exit code 1, and the state is as it was."""
    registry = opened(memory)
    releases = environments(registry)
    releases.promote(None, "staging", good(registry).digest, WHO)
    image = push(registry, "two")
    wanted, source, target = image.digest, None, "staging"
    if case == "unknown digest":
        wanted = f"sha256:{'0' * 64}"
    elif case == "unknown tag":
        wanted = "v9"
    elif case == "wrongly signed":
        sign(registry, image, new_key())
    elif case == "unscanned":
        sign(registry, image, KEY, ["provenance"])
    elif case == "scan says no":
        sign(registry, image, KEY, scan=False)
    elif case == "never in staging":
        sign(registry, image, KEY)
        source, target = "staging", "production"
    before = registry.tags()
    with pytest.raises(RefusedError, match=says) as caught:
        releases.promote(source, target, wanted, WHO)
    assert caught.value.exit_code == 1
    assert registry.tags() == before


def test_a_rollback_to_what_lost_its_signature(memory: Front, opened: Open) -> None:
    """A rollback verifies, too: with another trusted key the old image does not count."""
    registry = opened(memory)
    for text in ("one", "two"):
        environments(registry).promote(None, "staging", good(registry, text).digest, WHO)
    other = environments(registry, new_key())
    with pytest.raises(RefusedError, match="does not pass verification"):
        other.rollback("staging", WHO)
    assert tagged(registry, "staging") == ["staging-000001", "staging-000002"]


def test_nothing_to_go_back_to(memory: Front, opened: Open) -> None:
    """The first release has none before it."""
    registry = opened(memory)
    image = good(registry, "one", "v1")
    with pytest.raises(RefusedError, match="Nothing was released to staging yet"):
        environments(registry).rollback("staging", WHO)
    environments(registry).promote(None, "staging", image.digest, WHO)
    with pytest.raises(RefusedError, match="Nothing else ran in staging before staging-000001"):
        environments(registry).rollback("staging", WHO)


def test_unknown_environments(memory: Front, opened: Open) -> None:
    """A name that is none is wrong use."""
    registry = opened(memory)
    push(registry, "one", "v1")
    with pytest.raises(UsageError, match="no environment named 'live'; there are: staging, prod"):
        environments(registry).histories(["live"])
    with pytest.raises(UsageError):
        environments(registry).promote("staging", "live", None, WHO)


def test_no_repository(front: Front, opened: Open) -> None:
    """Where there is no repository yet nothing can be looked at."""
    with pytest.raises(RegistryError, match="has no repository team/twin"):
        environments(opened(front)).promote("staging", "production", None, WHO)


def test_a_tag_that_is_no_record(memory: Front, opened: Open) -> None:
    """An image that somebody pushed under a release's tag is not taken for a release."""
    registry = opened(memory)
    push(registry, "one", "staging-000001")
    with pytest.raises(LookError, match=r"staging-000001 is no record of a release.*remove it"):
        environments(registry).histories()


def test_a_record_of_another_release(memory: Front, opened: Open) -> None:
    """A record that was copied to another number or environment is none."""
    registry = opened(memory)
    image = good(registry)
    environments(registry).promote(None, "staging", image.digest, WHO)
    record = registry.read("staging-000001")
    registry.create_tag("production-000001", record.data, oci.INDEX)
    with pytest.raises(LookError, match="production-000001 is no record"):
        environments(registry).histories()


def test_eight_at_once(front: Front, opened: Open) -> None:
    """Of eight promotions at once one is made, and seven are told by whom (exit code 1)."""
    images = [good(opened(front), str(number)) for number in range(8)]
    said, ready = list[str](), threading.Barrier(8)

    def promote(number: int) -> None:
        with Registry(front.host, REPOSITORY, pause=0.001) as registry:
            releases = environments(registry)
            ready.wait()
            try:
                who = Who(f"racer {number}")
                releases.promote(None, "staging", images[number].digest, who)
                said.append("won")
            except RefusedError as error:
                said.append(str(error))

    front.gate = threading.Barrier(8)
    threads = [threading.Thread(target=promote, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("won") == 1
    lost = [text for text in said if text != "won"]
    (current,) = environments(opened(front)).histories(["staging"])["staging"].releases
    assert len(lost) == 7
    for text in lost:
        assert f"staging-000001 is {current.digest}, released by {current.by}" in text
        assert "Nothing was changed" in text


@pytest.mark.parametrize("how", [CUT, LOST, 500])
def test_cut_off_while_promoting(front: Front, opened: Open, how: int) -> None:
    """Where the connection breaks at the tag, the next attempt finishes what was begun."""
    registry = opened(front)
    image = good(registry)
    front.fail("PUT", "/manifests/staging-", (how, {}, b""))
    outcome = environments(registry).promote(None, "staging", image.digest, WHO)
    assert outcome.made is not None
    assert tagged(registry, "staging") == ["staging-000001"]


def test_cut_off_for_good(memory: Front, opened: Open) -> None:
    """Where the registry goes away before the tag nothing has happened, and later it works."""
    registry = opened(memory)
    image = good(registry)
    memory.fail("PUT", "/manifests/staging-", *[(CUT, {}, b"")] * 5)
    with pytest.raises(RegistryError, match="can't be reached") as caught:
        environments(registry).promote(None, "staging", image.digest, WHO)
    assert caught.value.exit_code == 3
    assert running(registry, "staging") is None
    outcome = environments(registry).promote(None, "staging", image.digest, WHO)
    assert outcome.made is not None
    assert outcome.made.tag == "staging-000001"


def test_no_two_records_are_equal(memory: Front, opened: Open) -> None:
    """Two promotions of one image by one person at one moment differ, so one can win."""
    registry = opened(memory)
    image = good(registry)
    outcome = environments(registry).promote(None, "staging", image.digest, WHO)
    assert outcome.made is not None
    made = {records.encode(outcome.made, [image.descriptor]) for _ in range(10)}
    assert len(made) == 10


def test_a_registry_that_moves_tags(memory: Front, opened: Open) -> None:
    """Without immutable tags a later writer is told as long as it looks first."""
    memory.immutable = False
    registry = opened(memory)
    one, two = good(registry, "one", "v1"), good(registry, "two")
    with pytest.raises(RefusedError, match="is not moved"):
        registry.create_tag("v1", two.data, oci.MANIFEST)
    assert registry.head("v1") == one.digest
