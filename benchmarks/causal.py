"""Does a model take doing for seeing? Its divergence from the law of each question, beside what confusions would cost.

A question is see(x) or do(x) about a named system; a row of the table is a set of systems: those whose do() follows
from what is seen and the graph, and those for which it does not; of each the ones whose hinge drives and the ones whose
hinge only shows. Nats a question, mean over `ITEMS` items of the model's own rollouts; beside them the same for an
actor that answers by the seen law given the value, by the seen law with the value written over it, or by the law of
the twin (`Causal.confusion`).

    python benchmarks/causal.py MODEL [part=all|exam] [graph=hidden|told]
"""

from __future__ import annotations

import sys

import numpy as np

import deadreckon
from deadreckon.worlds.causal import Causal

ITEMS, LEVEL = 400, 2


def main(model: str, options: dict[str, str]) -> None:
    """Print a line per question and set of systems."""
    names = ("see", "base", "twin")
    print(f"{'asks':5} {'systems':13} {'hinge':7} {'items':>6} {'model':>7} " + " ".join(f"{n:>7}" for n in names))
    for asks in ("see", "do"):
        for kind in ("identified", "unidentified"):
            given = {"asks": asks, "kind": kind, **options}
            spec = "causal:" + ",".join(f"{key}={value}" for key, value in given.items())
            table = deadreckon.roll(deadreckon.RollSpec(spec, LEVEL, model, items=ITEMS))
            world = Causal(asks, options.get("graph", "hidden"), kind, options.get("part", "all"))
            states = [world.restore(text) for text in table["state"].to_list()]
            drives = np.array([world.system(state).scm.gauge < 0 for state in states])
            costs = np.array([[world.confusion(state)[name] for name in names] for state in states])
            found = table["kl_pq"].to_numpy()
            for hinge, rows in (("drives", drives), ("shows", ~drives)):
                items = table["item"].to_numpy()[rows]
                line = " ".join(f"{cost:7.4f}" for cost in (found[rows].mean(), *costs[rows].mean(axis=0)))
                print(f"{asks:5} {kind:13} {hinge:7} {len(np.unique(items)):6} {line}")


if __name__ == "__main__":
    main(sys.argv[1], dict(part.split("=") for part in sys.argv[2:]))
