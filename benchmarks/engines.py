"""Does bf16 change a figure? Each shipped model over many rollouts, on every engine, against the fp32 kernel.

    python benchmarks/engines.py [--rollouts 50000] [--model sums-clean ...]

For each model, in the world and at the level its card names, with the scaffold its text was written for: errors per
step, share of rollouts without an error in the first ten steps, and share on the true track at step ten. One item is
one rollout, and both engines see the same items and draws; the difference is printed in standard errors of two
independent runs. What was found: docs/fast-lane.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import polars as pl

from deadreckon.models.cards import read_card, shipped_files
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec

MODELS = ("sums-clean", "maps-clean", "othello-clean")
STEPS = 10
WRONG = ~pl.col("event").is_in(["right", "mend"])
MEASURES = {
    "errors per step": WRONG.mean(),
    f"no error in {STEPS} steps": (~WRONG.filter(pl.col("t") < STEPS).any()).cast(pl.Float64),
    f"on track at step {STEPS}": pl.col("true_state").filter(pl.col("t") == STEPS - 1).cast(pl.Float64).first(),
}


def spec_of(name: str, rollouts: int) -> RollSpec:
    told = read_card(shipped_files()[name].with_suffix(".json")).model_extra or {}
    world, level = told["worlds"][0], told["level"]
    scaffold = "monologue" if told["regime"] == "stated" else "plain"
    return RollSpec(world, level, f"shipped:{name}", scaffold, items=rollouts, horizon=60, law=False)


def by_item(spec: RollSpec, engine: str) -> Iterator[pl.DataFrame]:
    """Each item's own measures, part by part."""
    bench = Bench.load(RollSpec(**{**spec.json(), "model": f"{spec.model},engine={engine}"}))
    for items in bench.parts():
        table = compute(bench, items, bench.model.capacity)
        yield table.group_by("item").agg(**MEASURES).sort("item")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rollouts", type=int, default=50_000)
    options.add_argument("--model", choices=sorted(shipped_files()), nargs="+", default=MODELS)
    options.add_argument("--engines", nargs="+", default=["bf16", "torch"], help="compared with fp32")
    args = options.parse_args()
    for name in args.model:
        spec, found = spec_of(name, args.rollouts), {}
        for engine in ("fp32", *args.engines):
            began = time.process_time()
            found[engine] = pl.concat(by_item(spec, engine))
            print(f"{name} {engine}: {args.rollouts} rollouts in {time.process_time() - began:.0f} CPU-s", flush=True)
        for engine in args.engines:
            for measure in MEASURES:
                a, b = (found[e][measure].drop_nulls().to_numpy() for e in ("fp32", engine))
                if not len(a):
                    continue
                error = np.sqrt(a.var() / len(a) + b.var() / len(b))
                print(f"  {measure:24s} fp32 {a.mean():.5f}, {engine} {b.mean():.5f}:", end=" ")
                print(f"{(b.mean() - a.mean()) / error:+.2f} standard errors" if error else "the same", flush=True)


if __name__ == "__main__":
    main()
