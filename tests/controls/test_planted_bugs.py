"""Who tests the tests: every statistical bug that is planted turns a fast check red; without one all are green."""

import sys

import pytest

from deadreckon.errors import BadOption
from deadreckon.validation import checks
from deadreckon.validation.bugs import BUGS, Bug
from deadreckon.validation.planting import caught_by, fresh_checks, patched_source


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_check_is_green(check: object) -> None:
    assert callable(check)
    assert check()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_bug_turns_a_check_red(bug: Bug) -> None:
    assert caught_by(bug), f"no check sees {bug.name!r} in {bug.module}"


def test_there_are_enough_bugs_and_none_is_planted_twice() -> None:
    assert len(BUGS) >= 30
    assert len({bug.name for bug in BUGS}) == len({(bug.module, bug.old, bug.new) for bug in BUGS}) == len(BUGS)


def test_a_harmless_change_turns_nothing_red_and_nothing_stays_behind() -> None:
    before = dict(sys.modules)
    harmless = Bug(
        "harmless", "instruments.stats", "half = t_value(clusters, level) *", "half = 1.0 * t_value(clusters, level) *"
    )
    assert caught_by(harmless) == ""
    after = {name: module for name, module in sys.modules.items() if name.startswith("deadreckon.instruments")}
    assert all(before[name] is module for name, module in after.items())
    with fresh_checks(harmless) as fresh:
        assert fresh is not checks


def test_a_bug_that_does_not_apply_is_refused() -> None:
    with pytest.raises(BadOption, match="stands 0 times"):
        patched_source(Bug("gone", "instruments.stats", "no such text", ""))
