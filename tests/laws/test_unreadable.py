"""Under the rule `skip` a model's own stray text can be no text of its alphabet: that rollout is cut, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadreckon.contracts import Event, OnError
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec


@pytest.mark.parametrize("engine", ["fp32", "torch"])
def test_a_rollout_whose_text_its_model_cannot_read_is_cut_alone(engine: str, tmp_path: Path):
    model = f"shipped:maps-clean,engine={engine}"
    spec = RollSpec("maps", 2, model, items=24, horizon=10, on_error=OnError.SKIP, temperature=2.5, law=False)
    table = roll(spec, tmp_path / "all")
    last = table.group_by("item", "rollout", maintain_order=True).last()
    cut = last.filter(last["fault_code"] == "unreadable")
    assert 0 < len(cut) < len(last)
    assert set(cut["stop"]) == {"cut"}
    assert cut["event"].null_count() == len(cut)
    rows = table.filter(table["item"].is_in(cut["item"]))
    assert Event.UNPARSED in set(rows["event"])
    assert roll(spec, tmp_path / "few", batch=5).equals(table)
