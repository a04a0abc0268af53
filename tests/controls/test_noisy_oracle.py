"""The noisy oracle's planted rates come back through world, rollouts, step table and instruments together."""

import pytest

from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec
from deadreckon.validation import planted
from deadreckon.validation.coverage import CHAIN, CHECKPOINT, Coverage, at_step, row
from deadreckon.validation.planted import Cell

REPETITIONS = 200
ITEMS = 40
LINES = 12  # of the 24 of a level-1 ledger


@pytest.mark.parametrize(("h", "g"), [(0.05, 0.1), (0.2, 0.5)])
def test_planted_rates_are_held_at_the_nominal_rate(h: float, g: float) -> None:
    spec = RollSpec("sums:k=0", 1, f"noisy-oracle:slip={h},recover={g}", items=ITEMS * REPETITIONS, horizon=LINES)
    table = compute(Bench.load(spec), range(spec.items), batch=4096)
    assert int(table["t"].max()) + 1 == LINES  # type: ignore[arg-type]
    cell = Cell(h, g, items=ITEMS, horizon=LINES)
    truth = planted.chain_truth(cell)
    held = dict.fromkeys(truth, 0)
    missing = dict.fromkeys(truth, 0)
    for part in table.with_columns(place=table["item"] // ITEMS).partition_by("place"):
        arm = read(part.drop("place"))
        readings = {name: INSTRUMENTS[name](arm) for name in CHAIN}
        readings[f"survival@{CHECKPOINT}"] = at_step(readings["survival"], CHECKPOINT)
        for name, value in truth.items():
            held[name] += readings[name].low <= value <= readings[name].high
            missing[name] += readings[name].low != readings[name].low
    results = [Coverage("chain", cell, n, truth[n], REPETITIONS, held[n], missing[n], 0.0) for n in truth]
    low = [row(result) for result in results if result.verdict not in ("nominal", "conservative")]
    assert not low, "\n".join(low)
