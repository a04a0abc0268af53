"""The noisy oracle's planted rates come back through world, rollouts, step table and instruments together."""

import pytest

from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec
from deadreckon.validation.planted import CHECKPOINT, Cell
from deadreckon.validation.planted_core import CHAIN, at_step, case
from deadreckon.validation.tally import FAILURES, outcomes, rows

REPETITIONS = 200
ITEMS = 40
LINES = 12  # of the 24 of a level-1 ledger


@pytest.mark.parametrize(("h", "g"), [(0.05, 0.1), (0.2, 0.5)])
def test_planted_rates_are_held_at_the_nominal_rate(h: float, g: float) -> None:
    spec = RollSpec("sums:k=0", 1, f"noisy-oracle:slip={h},recover={g}", items=ITEMS * REPETITIONS, horizon=LINES)
    table = compute(Bench.load(spec), range(spec.items), batch=4096)
    assert int(table["t"].max()) + 1 == LINES  # type: ignore[arg-type]
    law = case("chain", Cell(h, g, items=ITEMS, horizon=LINES))
    taken = []
    for part in table.with_columns(place=table["item"] // ITEMS).partition_by("place"):
        arm = read(part.drop("place"))
        readings = {name: INSTRUMENTS[name](arm) for name in CHAIN}
        taken.append(readings | {f"survival@{CHECKPOINT}": at_step(readings["survival"], CHECKPOINT)})
    bad = [row for row in rows(law, outcomes(law, taken)) if row.verdict in FAILURES or row.verdict == "withheld"]
    assert not bad, bad
