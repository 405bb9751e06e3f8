"""Decisions on what is published: examples, and properties over made-up registries."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pipeline.cd.publication import (
    Build,
    Done,
    Inputs,
    Publication,
    Published,
    Tag,
    commit_tag,
    publish,
    tree_tag,
    version_problem,
)
from llm_pipeline.cd.release import Refuse

INPUTS = Inputs("a" * 40, (("requirements.lock", "b" * 64),), "python@sha256:1", "0.1.0")
TREE, COMMIT, VERSION = TAGS = (tree_tag("a" * 40), commit_tag("c" * 40), "v1.2.3")
OURS, THEIRS = Published("sha256:1", INPUTS.key), Published("sha256:2", "0" * 64)


@pytest.mark.parametrize(
    "other",
    [
        replace(INPUTS, tree="d" * 40),
        replace(INPUTS, locks=(("requirements.lock", "e" * 64),)),
        replace(INPUTS, base="python@sha256:2"),
        replace(INPUTS, pipeline="0.2.0"),
        replace(INPUTS, image="train"),
        replace(INPUTS, platforms=("linux/arm64",)),
    ],
)
def test_every_input_is_in_the_key(other: Inputs) -> None:
    """Whatever goes into an image changes the key; the same inputs have the same key."""
    assert other.key != INPUTS.key
    assert replace(INPUTS).key == INPUTS.key


@pytest.mark.parametrize(
    ("there", "decision"),
    [
        ({}, Build(TAGS)),
        ({TREE: OURS}, Tag("sha256:1", (COMMIT, VERSION))),
        ({COMMIT: OURS}, Tag("sha256:1", (TREE, VERSION))),
        (dict.fromkeys(TAGS, OURS), Done("sha256:1")),
    ],
)
def test_published_once(there: dict[str, Published], decision: Publication) -> None:
    """Nothing is built twice, and what was cut off is finished."""
    assert publish(TAGS, INPUTS.key, there) == decision


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({TREE: THEIRS}, f"The tag {TREE} names sha256:2, an image with other inputs"),
        ({TREE: OURS, VERSION: THEIRS}, "The tag v1.2.3 names sha256:2"),
        ({VERSION: Published("sha256:3", None)}, "does not tell what went into it"),
        ({TREE: OURS, COMMIT: Published("sha256:3", INPUTS.key)}, "another build of the same"),
    ],
)
def test_taken_tags_are_refused(there: dict[str, Published], says: str) -> None:
    """A tag that names something else is never moved."""
    decision = publish(TAGS, INPUTS.key, there)
    assert isinstance(decision, Refuse)
    assert says in decision.reason


@given(
    st.dictionaries(
        st.sampled_from(TAGS),
        st.builds(
            Published,
            st.sampled_from(["sha256:1", "sha256:2"]),
            st.sampled_from([None, INPUTS.key, "0" * 64]),
        ),
    )
)
def test_properties(there: dict[str, Published]) -> None:
    """Built only where nothing is there; no tag is moved; a second publication does nothing."""
    decision = publish(TAGS, INPUTS.key, there)
    if isinstance(decision, Build):
        assert not there
        after = {**there, **dict.fromkeys(decision.tags, OURS)}
    elif isinstance(decision, Tag):
        assert not set(decision.tags) & set(there)
        after = {**there, **dict.fromkeys(decision.tags, Published(decision.digest, INPUTS.key))}
    else:
        assert isinstance(decision, Refuse) or {each.digest for each in there.values()} == {
            decision.digest
        }
        return
    assert isinstance(publish(TAGS, INPUTS.key, after), Done)


@pytest.mark.parametrize("tag", ["v1.2.3", "1.2.3-rc.1", "2026.11", "latest", "1.0-1"])
def test_versions(tag: str) -> None:
    """Usual versions can be tags."""
    assert version_problem(tag) is None


@pytest.mark.parametrize(
    "tag",
    ["", "-1", ".1", "a b", "1+local", "x" * 129, TREE, COMMIT, "production-000001", "eu-1"],
)
def test_no_versions(tag: str) -> None:
    """What no registry takes, and what would be taken for a tag of ours, is no version."""
    assert version_problem(tag)
