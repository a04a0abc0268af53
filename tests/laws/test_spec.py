"""Laws of the run's specification."""

import pytest

from deadreckon.contracts import OnError
from deadreckon.errors import BadOption
from deadreckon.rollouts.spec import RollSpec


def test_a_rule_may_be_given_by_its_name():
    named = RollSpec("sums", 1, "oracle", on_error="repair", teach=True)  # type: ignore[arg-type]
    assert named == RollSpec("sums", 1, "oracle", on_error=OnError.REPAIR, teach=True)
    assert named.on_error is OnError.REPAIR
    assert named.json()["on_error"] == "repair"
    with pytest.raises(BadOption, match=r"on_error='forgive': choose from stop, skip, repair, accept"):
        RollSpec("sums", 1, "oracle", on_error="forgive")  # type: ignore[arg-type]
