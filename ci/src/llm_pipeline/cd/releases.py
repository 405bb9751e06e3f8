"""Promotions and rollbacks as they happen: decisions of `release`, carried out on a registry.

All state is in the registry. Nothing is changed but by creating one tag, which comes last; so what
is cut off before has done nothing, and what is cut off after has done all.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from llm_pipeline.cd import oci, records, release
from llm_pipeline.cd.registry import Registry
from llm_pipeline.cd.release import Create, Decision, Evidence, History, Nothing, Refuse, Release
from llm_pipeline.errors import RefusedError, TakenError, UsageError

_AT_ONCE: Final = 8

Verify = Callable[[str], Evidence]
"""Returns what is known of a digest; `verification.evidence` with its other arguments given."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks, and why; it stands in the record for people to read."""

    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: the release that was made, or the reason why none was needed."""

    environment: str
    digest: str
    made: Release | None
    said: str


class Releases:
    """The environments of one repository of images.

    Args:
        registry: The repository.
        order: The environments, from the first to the last.
        verify: Tells what speaks against a digest.
    """

    def __init__(self, registry: Registry, order: Sequence[str], verify: Verify) -> None:
        self._registry, self._order, self._verify = registry, tuple(order), verify

    def histories(self, environments: Iterable[str] | None = None) -> dict[str, History]:
        """Return the releases of environments, all of them by default, as they are now.

        Raises:
            UsageError: There is no such environment.
            LookError: The registry can't be read, or a tag holds no record.
        """
        wanted = tuple(environments if environments is not None else self._order)
        for name in wanted:
            self._known(name)
        tags = self._registry.tags()
        return {name: self._history(name, tags) for name in wanted}

    def promote(self, source: str | None, target: str, image: str | None, who: Who) -> Outcome:
        """Release an image to an environment.

        Args:
            source: The environment where it was tested; None for the first environment.
            target: The environment.
            image: A tag or a digest; None for what runs in `source`.
            who: Who asks.

        Raises:
            RefusedError: It may not be released, or someone else was faster.
            LookError: The registry can't be read or written.
        """
        histories = self.histories({target} if source is None else {source, target})
        before = histories.get(source) if source is not None else None
        digest = release.candidate(before, self._resolve(image) if image is not None else None)
        if isinstance(digest, Refuse):
            raise _refused(digest)
        # What stands in the way for sure is told before signatures are looked at.
        assumed = Evidence(digest, published=True)
        first = release.promote(self._order, before, histories[target], assumed)
        if isinstance(first, Create):
            evidence = self._verify(digest)
            first = release.promote(self._order, before, histories[target], evidence)
        return self._carry_out(target, first, who)

    def rollback(self, environment: str, who: Who) -> Outcome:
        """Release what ran in an environment before what should run now.

        Raises:
            RefusedError: Nothing did, it is not verified, or someone else was faster.
            LookError: The registry can't be read or written.
        """
        history = self.histories({environment})[environment]
        target = release.rollback_target(history)
        if isinstance(target, Refuse):
            raise _refused(target)
        decision = release.rollback(history, self._verify(target.digest))
        return self._carry_out(environment, decision, who)

    def _carry_out(self, environment: str, decision: Decision, who: Who) -> Outcome:
        if isinstance(decision, Refuse):
            raise _refused(decision)
        if isinstance(decision, Nothing):
            return Outcome(environment, decision.digest, None, decision.reason)
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        made = replace(decision.release, by=who.by, why=who.why, at=now)
        image = self._registry.read(made.digest)
        data = records.encode(made, records.described(self._registry, image))
        try:
            self._registry.create_tag(made.tag, data, oci.INDEX)
        except TakenError:
            raise RefusedError(self._lost(made)) from None
        return Outcome(environment, made.digest, made, f"{made.tag} is {made.digest}.")

    def _lost(self, mine: Release) -> str:
        """Say who was faster."""
        stored = self._registry.find(mine.tag)
        winner = "something else"
        if stored is not None and records.is_record(stored):
            theirs = records.decode(mine.environment, mine.tag, stored)
            winner = f"{theirs.digest}, released by {theirs.by or 'someone'}"
        return (
            f"Someone else was faster: {mine.tag} is {winner}. Nothing was changed; look at "
            "`llm-pipeline releases`, and run it again if it is still wanted."
        )

    def resolve(self, name: str) -> str:
        """Return the digest of the image that a tag, a release's tag or a digest names.

        Raises:
            RefusedError: There is none.
            LookError: The registry can't be read.
        """
        digest = self._resolve(name)
        if self._registry.head(digest) is None:
            raise RefusedError(f"There is no {self._registry.name(name)}; publish it first.")
        return digest

    def _resolve(self, name: str) -> str:
        if oci.is_digest(name):
            return name
        stored = self._registry.find(name)
        if stored is None:
            raise RefusedError(f"There is no {self._registry.name(name)}; publish it first.")
        images = stored.manifest.manifests or []
        return images[0].digest if records.is_record(stored) and images else stored.digest

    def _history(self, environment: str, tags: Iterable[str]) -> History:
        mine = [tag for tag in tags if release.parse_tag(environment, tag) is not None]

        def read(tag: str) -> Release:
            return records.decode(environment, tag, self._registry.read(tag))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return History.of(environment, pool.map(read, mine))

    def _known(self, environment: str) -> None:
        if environment not in self._order:
            path = ", ".join(self._order)
            raise UsageError(f"There is no environment named {environment!r}; there are: {path}.")


def _refused(refuse: Refuse) -> RefusedError:
    return RefusedError(" ".join((refuse.reason, *refuse.problems)))
