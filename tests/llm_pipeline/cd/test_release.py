"""Decisions on promotions and rollbacks: examples, and properties over made-up histories."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llm_pipeline.cd.release import (
    Create,
    Evidence,
    History,
    Nothing,
    Refuse,
    Release,
    candidate,
    format_tag,
    is_environment,
    parse_tag,
    promote,
    rollback,
    rollback_target,
)

ORDER = ("staging", "production")
DIGESTS = tuple(f"sha256:{number:064x}" for number in range(6))
A, B, C = DIGESTS[:3]


def good(digest: str) -> Evidence:
    """Evidence of a digest with nothing against it."""
    return Evidence(digest, published=True)


def created(decision: object) -> Release:
    """The release of a decision that creates one."""
    assert isinstance(decision, Create), decision
    return decision.release


def extended(history: History, release: Release) -> History:
    """A history with one more release."""
    return History.of(history.environment, [*history.releases, release])


def promoted(environment: str, *digests: str) -> History:
    """A history of promotions alone."""
    history = History(environment)
    for number, digest in enumerate(digests, 1):
        before = number - 1 or None
        release = Release(environment, number, digest, "promote", before)
        history = extended(history, release)
    return history


def rolled(history: History) -> History:
    """A history after a rollback that is good."""
    target = rollback_target(history)
    assert isinstance(target, Release), target
    return extended(history, created(rollback(history, good(target.digest))))


@given(st.sampled_from(ORDER), st.integers(1, 10**9))
def test_tags_go_there_and_back(environment: str, number: int) -> None:
    """A tag names one number, whose tag it is."""
    tag = format_tag(environment, number)
    assert parse_tag(environment, tag) == number
    assert len(tag) >= len(environment) + 7


@given(st.text(max_size=30) | st.from_regex(r"production-[0-9]{0,9}", fullmatch=True))
def test_only_our_own_tags_are_read(tag: str) -> None:
    """Whatever is no tag of ours names no release."""
    number = parse_tag("production", tag)
    assert number is None or format_tag("production", number) == tag


@pytest.mark.parametrize(
    "tag",
    ["production-42", "production-0000042", "production-000000", "staging-000042", "production"],
)
def test_other_tags_name_no_release(tag: str) -> None:
    """A number has one tag, and zero is none."""
    assert parse_tag("production", tag) is None


def test_counted_from_one() -> None:
    """There is no release 0."""
    with pytest.raises(ValueError, match="counted from 1"):
        format_tag("production", 0)


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("production", True),
        ("eu-west", True),
        ("production-000001", False),
        ("Production", False),
        ("commit", False),
        ("tree", False),
        ("sha256", False),
        ("", False),
        ("a" * 65, False),
    ],
)
def test_names_of_environments(name: str, *, may: bool) -> None:
    """An environment's name can't be taken for another kind of tag."""
    assert is_environment(name) == may


def test_a_promotion() -> None:
    """What was tested and verified goes on, under the next number, and knows what was before."""
    staging, production = promoted("staging", A, B), promoted("production", A)
    assert candidate(staging, None) == B
    release = created(promote(ORDER, staging, production, good(B)))
    assert release == Release("production", 2, B, "promote", 1)
    assert release.tag == "production-000002"


def test_the_first_promotions() -> None:
    """Into the first environment goes what is named; the first release has none before it."""
    assert candidate(None, A) == A
    release = created(promote(ORDER, None, History("staging"), good(A)))
    assert release == Release("staging", 1, A, "promote")


def test_nothing_to_promote() -> None:
    """Where nothing runs nothing can be promoted, and the message says what to do."""
    assert candidate(History("staging"), None) == Refuse(
        "Nothing was released to staging yet; promote to it first."
    )
    assert isinstance(candidate(None, None), Refuse)


def test_an_older_one_of_the_source_may_go() -> None:
    """Staging may be ahead of what goes to production."""
    release = created(promote(ORDER, promoted("staging", A, B), History("production"), good(A)))
    assert release.digest == A


@pytest.mark.parametrize(
    ("source", "target", "evidence", "says"),
    [
        (promoted("staging", A), "production", good(B), "was never in staging"),
        (rolled(promoted("staging", A, B)), "production", good(B), "rolled back in staging"),
        (None, "production", good(A), "takes what staging has tested"),
        (promoted("production", A), "staging", good(A), "does not come right before"),
        (promoted("staging", A), "staging", good(A), "does not come right before"),
        (promoted("staging", A), "live", good(A), "none of the environments: staging -> prod"),
        (promoted("staging", A), "production", Evidence(A, published=False), "publish it first"),
    ],
)
def test_refused_promotions(
    source: History | None, target: str, evidence: Evidence, says: str
) -> None:
    """What was not tested, is not there, or is on the wrong way is refused."""
    decision = promote(ORDER, source, History(target), evidence)
    assert isinstance(decision, Refuse)
    assert says in decision.reason


def test_unverified_is_refused_with_its_problems() -> None:
    """What speaks against a digest is told whole."""
    evidence = Evidence(A, published=True, problems=("It is not signed.", "It was not scanned."))
    decision = promote(ORDER, promoted("staging", A), History("production"), evidence)
    assert isinstance(decision, Refuse)
    assert decision.problems == evidence.problems


def test_again_is_nothing() -> None:
    """What runs already is not released once more."""
    decision = promote(ORDER, promoted("staging", A), promoted("production", A), good(A))
    assert decision == Nothing("production-000001 is this image already.", A)


def test_promoted_again_after_a_rollback() -> None:
    """What staging takes back and then releases again may go on."""
    staging = rolled(promoted("staging", A, B))
    assert staging.taken_back() == {B}
    staging = extended(staging, created(promote(ORDER, None, staging, good(B))))
    assert staging.taken_back() == frozenset()
    assert created(promote(ORDER, staging, History("production"), good(B))).digest == B


def test_two_rollbacks_undo_two_promotions() -> None:
    """The second one does not bring back what the first one took away."""
    history = rolled(promoted("production", A, B, C))
    assert history.current == Release("production", 4, B, "rollback", 3, 2)
    history = rolled(history)
    assert history.current == Release("production", 5, A, "rollback", 4, 1)
    assert rollback_target(history) == Refuse(
        "Nothing else ran in production before production-000005."
    )


def test_a_rollback_of_nothing() -> None:
    """Where nothing ran there is nothing to go back to."""
    assert rollback_target(History("production")) == Refuse(
        "Nothing was released to production yet."
    )
    assert isinstance(rollback(History("production"), good(A)), Refuse)
    assert isinstance(rollback_target(promoted("production", A)), Refuse)


@pytest.mark.parametrize("gone", [1, 2])
def test_records_that_are_gone(gone: int) -> None:
    """Where a record was removed a rollback is refused rather than guessed."""
    history = promoted("production", A, B) if gone == 1 else rolled(promoted("production", A, B, C))
    history = History.of("production", [each for each in history.releases if each.number != gone])
    decision = rollback_target(history)
    assert isinstance(decision, Refuse)
    assert f"production-00000{gone} is gone" in decision.reason


@pytest.mark.parametrize(
    "evidence",
    [Evidence(A, published=False), Evidence(A, published=True, problems=("It is not signed.",))],
)
def test_a_rollback_to_what_is_unfit(evidence: Evidence) -> None:
    """A rollback, too, goes only to what is there and verified."""
    assert isinstance(rollback(promoted("production", A, B), evidence), Refuse)


def test_evidence_of_something_else() -> None:
    """A decision on other evidence is a mistake of the program."""
    with pytest.raises(ValueError, match="evidence of"):
        rollback(promoted("production", A, B), good(C))


def test_histories_that_can_not_be() -> None:
    """Two releases of one number, or of two environments, are no history."""
    with pytest.raises(ValueError, match="one number"):
        History.of("production", [Release("production", 1, A, "promote")] * 2)
    with pytest.raises(ValueError, match="not all are releases of production"):
        History.of("production", [Release("staging", 1, A, "promote")])


def test_order_is_by_number_and_not_by_clock() -> None:
    """A record from a clock that is ahead changes nothing."""
    late = Release("production", 1, A, "promote", at="2099-01-01T00:00:00Z")
    soon = Release("production", 2, B, "promote", 1, at="2001-01-01T00:00:00Z")
    assert History.of("production", [soon, late]).current == soon


class Releases(RuleBasedStateMachine):
    """Any order of promotions and rollbacks, against a plain stack for each environment."""

    def __init__(self) -> None:
        super().__init__()
        self.histories = {name: History(name) for name in ORDER}
        self.stacks: dict[str, list[str]] = {name: [] for name in ORDER}
        self.published: set[str] = set()
        self.bad: set[str] = set()

    def evidence(self, digest: str) -> Evidence:
        """What is known of a digest in this world."""
        problems = ("bad",) if digest in self.bad else ()
        return Evidence(digest, digest in self.published, problems)

    @rule(digest=st.sampled_from(DIGESTS))
    def publish(self, digest: str) -> None:
        """An image comes into the registry."""
        self.published.add(digest)

    @rule(digest=st.sampled_from(DIGESTS))
    def turn_bad(self, digest: str) -> None:
        """A digest loses its verification, as when a key is no longer trusted."""
        self.bad.add(digest)

    @rule(digest=st.sampled_from(DIGESTS))
    def turn_good(self, digest: str) -> None:
        """A digest is verified again."""
        self.bad.discard(digest)

    @rule(digests=st.lists(st.sampled_from(DIGESTS), min_size=1, max_size=4))
    def to_staging(self, digests: list[str]) -> None:
        """Several promote at once into the first environment; the first tag that is made wins."""
        history, tags = self.histories["staging"], dict[str, Release]()
        for digest in digests:
            decision = promote(ORDER, None, history, self.evidence(digest))
            if isinstance(decision, Create):
                tags.setdefault(decision.release.tag, decision.release)
        assert len(tags) <= 1
        for release in tags.values():
            self.append(release)
            self.stacks["staging"].append(release.digest)

    @rule(digest=st.sampled_from(DIGESTS) | st.none())
    def to_production(self, digest: str | None) -> None:
        """What staging has, or a digest of its history, is promoted."""
        staging, production = self.histories["staging"], self.histories["production"]
        wanted = candidate(staging, digest)
        if isinstance(wanted, Refuse):
            assert staging.current is None
            return
        decision = promote(ORDER, staging, production, self.evidence(wanted))
        if isinstance(decision, Create):
            assert wanted in {release.digest for release in staging.releases}
            self.append(decision.release)
            self.stacks["production"].append(wanted)

    @rule(environment=st.sampled_from(ORDER))
    def take_back(self, environment: str) -> None:
        """A rollback gives what ran before, or is refused with nothing changed."""
        history, stack = self.histories[environment], self.stacks[environment]
        target = rollback_target(history)
        if isinstance(target, Refuse):
            assert len(stack) < 2
            return
        assert target.digest == stack[-2]
        decision = rollback(history, self.evidence(target.digest))
        if isinstance(decision, Create):
            self.append(decision.release)
            stack.pop()

    def append(self, release: Release) -> None:
        """Grow the row by one; never an unpublished or an unverified digest."""
        history = self.histories[release.environment]
        assert release.digest in self.published
        assert release.digest not in self.bad
        assert release.number == history.next_number
        self.histories[release.environment] = extended(history, release)

    @invariant()
    def stacks_agree(self) -> None:
        """What should run is what the plain model says."""
        for name, stack in self.stacks.items():
            current = self.histories[name].current
            assert (current.digest if current else None) == (stack[-1] if stack else None)

    @invariant()
    def numbers_have_no_gap(self) -> None:
        """Rows only grow, by one."""
        for history in self.histories.values():
            numbers = [release.number for release in history.releases]
            assert numbers == list(range(1, len(numbers) + 1))


TestReleases: Any = Releases.TestCase


@given(st.lists(st.sampled_from(DIGESTS), max_size=8), st.sampled_from(DIGESTS))
def test_a_rollback_undoes_a_promotion(ran: list[str], digest: str) -> None:
    """After any history that had something running, promote and rollback leave that running."""
    steps = [each for number, each in enumerate(ran) if number == 0 or ran[number - 1] != each]
    history = promoted("production", *steps)
    decision = promote(ORDER, promoted("staging", digest), history, good(digest))
    if isinstance(decision, Nothing) or history.current is None:
        return
    after = rolled(extended(history, created(decision)))
    assert after.current is not None
    assert after.current.digest == history.current.digest


@given(st.lists(st.sampled_from(DIGESTS), min_size=1, max_size=8), st.integers(0, 8))
def test_a_race_has_one_winner(wanted: list[str], ran: int) -> None:
    """Whoever decides on the same history wants the same tag, and a tag can be made once."""
    history = promoted("production", *(DIGESTS[number % 2] for number in range(ran)))
    tags: dict[str, tuple[int, str]] = {}
    winners = 0
    for racer, digest in enumerate(wanted):
        decision = promote(ORDER, promoted("staging", *DIGESTS), history, good(digest))
        if isinstance(decision, Create):
            mine = (racer, digest)
            winners += tags.setdefault(decision.release.tag, mine) == mine
    assert len(tags) <= 1
    assert winners == len(tags)
