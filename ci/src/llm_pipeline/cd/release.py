"""What may be promoted and rolled back: decisions alone; nothing is read or written here.

An environment is a row of releases, each under a tag of its own such as ``production-000042``. Rows
only grow, and the highest number is what should run. A rollback is a release too: it restores an
earlier one. Order is by number alone, so no clock decides anything.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

DIGITS: Final = 6
# No part begins with a digit: so no environment is named like another one's release.
_ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")
_LONGEST: Final = 64  # a tag has 128 characters at most
_RESERVED: Final = frozenset({"commit", "tree", "sha256"})
Kind = Literal["promote", "rollback"]


def is_environment(name: str) -> bool:
    """Tell whether an environment may have this name, which its tags begin with."""
    return bool(_ENVIRONMENT.fullmatch(name)) and name not in _RESERVED and len(name) <= _LONGEST


def format_tag(environment: str, number: int) -> str:
    """Return the tag of a release: the environment and at least six digits.

    Raises:
        ValueError: The number is below 1.
    """
    if number < 1:
        raise ValueError(f"releases are counted from 1, not {number}")
    return f"{environment}-{number:0{DIGITS}d}"


def parse_tag(environment: str, tag: str) -> int | None:
    """Return the number of an environment's release, or None where a tag names none.

    Only what `format_tag` writes is a release's tag, so that no number has two tags.
    """
    prefix, _, digits = tag.rpartition("-")
    if prefix != environment or not re.fullmatch("[0-9]+", digits) or int(digits) < 1:
        return None
    return int(digits) if format_tag(environment, int(digits)) == tag else None


@dataclass(frozen=True, slots=True)
class Release:
    """One release of an environment, as its record tells it.

    ``before`` is the number of the release that ran until then; ``restores`` that of the promotion
    which a rollback brings back. ``by``, ``at`` (ISO 8601) and ``why`` are for people alone.
    """

    environment: str
    number: int
    digest: str
    kind: Kind
    before: int | None = None
    restores: int | None = None
    by: str = ""
    at: str = ""
    why: str = ""

    @property
    def tag(self) -> str:
        """The tag that names the record of this release."""
        return format_tag(self.environment, self.number)


@dataclass(frozen=True, slots=True)
class History:
    """The releases of one environment, in the order of their numbers."""

    environment: str
    releases: tuple[Release, ...] = ()

    @classmethod
    def of(cls, environment: str, releases: Iterable[Release]) -> "History":
        """Return a history of releases in any order.

        Raises:
            ValueError: Two have one number, or one is of another environment.
        """
        ordered = tuple(sorted(releases, key=lambda release: release.number))
        numbers = [release.number for release in ordered]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"two releases of {environment} have one number: {numbers}")
        if any(release.environment != environment for release in ordered):
            raise ValueError(f"not all are releases of {environment}")
        return cls(environment, ordered)

    @property
    def current(self) -> Release | None:
        """What should run: the release with the highest number."""
        return self.releases[-1] if self.releases else None

    @property
    def next_number(self) -> int:
        """The number of the release that would come next."""
        return self.releases[-1].number + 1 if self.releases else 1

    def find(self, number: int) -> Release | None:
        """Return the release of a number; none where its record was removed."""
        return next((each for each in self.releases if each.number == number), None)

    def taken_back(self) -> frozenset[str]:
        """Return the digests that a rollback took out of this environment for good so far."""
        taken: set[str] = set()
        running: str | None = None
        for release in self.releases:
            if release.kind == "rollback" and running is not None:
                taken.add(running)
            taken.discard(release.digest)
            running = release.digest
        return frozenset(taken)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a digest: whether the registry has it, and what speaks against it."""

    digest: str
    published: bool
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Create:
    """Create this release; whether its tag can be created decides a race."""

    release: Release


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do, and why."""

    reason: str
    digest: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not be done, and why; each reason is a sentence that says what to do next."""

    reason: str
    problems: tuple[str, ...] = field(default=())


Decision: TypeAlias = Create | Nothing | Refuse


def candidate(source: History | None, digest: str | None) -> str | Refuse:
    """Return the digest that a promotion is about, for which evidence is to be had next.

    Args:
        source: The environment to promote from; None where it is the first environment's turn.
        digest: What the caller asked for; None for what runs in `source`.
    """
    if digest is not None:
        return digest
    if source is None:
        return Refuse("Into the first environment an image is promoted by its name: give one.")
    if source.current is None:
        return Refuse(f"Nothing was released to {source.environment} yet; promote to it first.")
    return source.current.digest


def promote(
    order: Sequence[str], source: History | None, target: History, evidence: Evidence
) -> Decision:
    """Decide on a promotion.

    Args:
        order: The environments, from the first to the last.
        source: Where the digest was tested; None for a promotion into the first environment.
        target: Where it should go.
        evidence: What is known of the digest.
    """
    if wrong := _misplaced(order, source, target):
        return Refuse(wrong)
    digest = evidence.digest
    if source is not None:
        if digest not in {release.digest for release in source.releases}:
            return Refuse(
                f"{digest} was never in {source.environment}; promote it to {source.environment} "
                "first, and test it there."
            )
        if digest in source.taken_back():
            return Refuse(
                f"{digest} was rolled back in {source.environment}; promote it there again first, "
                "if it is good after all."
            )
    if refused := _unfit(evidence):
        return refused
    now = target.current
    if now is not None and now.digest == digest:
        return Nothing(f"{now.tag} is this image already.", digest)
    before = None if now is None else now.number
    return Create(Release(target.environment, target.next_number, digest, "promote", before))


def _misplaced(order: Sequence[str], source: History | None, target: History) -> str | None:
    """Say why an image may not go from one environment to the other; None where it may."""
    path = " -> ".join(order)
    if target.environment not in order:
        return f"{target.environment} is none of the environments: {path}."
    place = list(order).index(target.environment)
    if source is None:
        if place:
            return (
                f"{target.environment} takes what {order[place - 1]} has tested: name it (--from)."
            )
        return None
    if not place or order[place - 1] != source.environment:
        return f"{source.environment} does not come right before {target.environment}: {path}."
    return None


def _unfit(evidence: Evidence) -> Refuse | None:
    if not evidence.published:
        return Refuse(f"{evidence.digest} is not in the registry; publish it first.")
    if evidence.problems:
        return Refuse(f"{evidence.digest} does not pass verification.", evidence.problems)
    return None


def rollback_target(history: History) -> Release | Refuse:
    """Return the promotion that a rollback would restore, for whose digest evidence is to be had.

    It is what ran before the promotion that now runs. After a rollback that is what ran before the
    restored one, so that two rollbacks undo two promotions.
    """
    now = history.current
    if now is None:
        return Refuse(f"Nothing was released to {history.environment} yet.")
    origin = _origin(history, now)
    while not isinstance(origin, Refuse) and origin.before is not None:
        earlier = history.find(origin.before)
        if earlier is None:
            return _removed(history, origin.before)
        origin = _origin(history, earlier)
        if not isinstance(origin, Refuse) and origin.digest != now.digest:
            return origin
    if isinstance(origin, Refuse):
        return origin
    return Refuse(f"Nothing else ran in {history.environment} before {now.tag}.")


def rollback(history: History, evidence: Evidence) -> Decision:
    """Decide on a rollback to what `rollback_target` returned.

    Raises:
        ValueError: The evidence is of another digest.
    """
    target = rollback_target(history)
    if isinstance(target, Refuse):
        return target
    if evidence.digest != target.digest:
        raise ValueError(f"evidence of {evidence.digest}, but the rollback is to {target.digest}")
    if refused := _unfit(evidence):
        return refused
    return Create(
        Release(
            history.environment,
            history.next_number,
            target.digest,
            "rollback",
            None if history.current is None else history.current.number,
            target.number,
        )
    )


def _origin(history: History, release: Release) -> Release | Refuse:
    """Return the promotion that a release is, or restores."""
    if release.restores is None:
        return release
    origin = history.find(release.restores)
    return _removed(history, release.restores) if origin is None else origin


def _removed(history: History, number: int) -> Refuse:
    tag = format_tag(history.environment, number)
    return Refuse(
        f"The record {tag} is gone from the registry, so what ran then is not known; promote the "
        "image that should run."
    )
