"""Green has a red control: what can't fail does not pass."""

from tests.e2e.blind import BLIND, NOTHING_EXECUTED
from tests.e2e.cases import Case, each
from tests.e2e.host import Host


@each(BLIND)
def test_blind(case: Case, host: Host) -> None:
    """A check that would not see a defect is blind, and the likely cause is told."""
    ran = host.check(case)
    (name,) = case.expected
    assert ran.of(name)["summary"].startswith("error: blind")
    assert ran.of(name)["control"] == "blind"
    assert case.says in ran.out


@each(NOTHING_EXECUTED)
def test_nothing_executed(case: Case, host: Host) -> None:
    """A check that looks at nothing does not pass either."""
    host.check(case)
