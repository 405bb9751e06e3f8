"""Planted defects in real repositories: the right check says so, with the right exit code."""

from tests.e2e.cases import Case, each
from tests.e2e.host import Host
from tests.e2e.planted_code import CODE
from tests.e2e.planted_leaks import LEAKS
from tests.e2e.planted_settings import SETTINGS
from tests.e2e.planted_tests import TESTS


@each(LEAKS, CODE, TESTS, SETTINGS)
def test_defect(case: Case, host: Host) -> None:
    """A run finds what was planted, and leaves the source alone."""
    host.check(case)
