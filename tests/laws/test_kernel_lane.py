"""The runner on the kernel: one table whatever the lane, chunk, threads, workers or resume; readings of any engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from deadreckon.contracts import BatchWorld, Model
from deadreckon.models import load_model
from deadreckon.models.engines import load_stored
from deadreckon.models.kernel.build import BUILDS, CannotBuild
from deadreckon.models.kernel.library import load
from deadreckon.models.kernel.works import Layout
from deadreckon.models.stored import shipped_path
from deadreckon.rollouts.run import Bench, compute, roll, takes_lane
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_run, run_hash
from deadreckon.worlds import load_world


def runs(build: int) -> bool:
    try:
        load(BUILDS[build])
    except CannotBuild:
        return False
    return True


ENGINES = [name for name, some in (("bf16", (0,)), ("fp32", (1, 2, 3))) if any(map(runs, some))]
pytestmark = pytest.mark.skipif(not ENGINES, reason="no build of the kernel runs here: deadreckon list engines")
ENGINE = ENGINES[0] if ENGINES else "fp32"

SPECS = {
    "sums": RollSpec("sums", 1, "shipped:sums-clean", items=6, repeats=3, horizon=24),
    "audits": RollSpec("sums:k=4", 1, "shipped:sums-clean", items=6, repeats=2, horizon=24),
    "taught": RollSpec("sums", 1, "shipped:sums-clean", items=6, on_error="repair", teach=True),
    "repaired": RollSpec("maps", 1, "shipped:maps-repaired", items=12, on_error="repair"),
    "injected": RollSpec("sums", 1, "shipped:sums-repaired", items=8, heal=6, inject=5),
    "another level": RollSpec("sums", 2, "shipped:sums-clean", items=5, on_error="skip"),
    "hot": RollSpec("sums", 1, "shipped:sums-clean", items=5, on_error="skip", temperature=3.0),
    "greedy": RollSpec("sums", 1, "shipped:sums-clean", items=5, temperature=0.0),
    "without law": RollSpec("maps", 2, "shipped:maps-clean", items=12, law=False),
    "maps": RollSpec("maps", 2, "shipped:maps-clean", items=24, repeats=2, horizon=30),
    "lost": RollSpec("maps", 2, "shipped:maps-clean", items=20, heal=3, inject=2),
    "othello": RollSpec("othello", 1, "shipped:othello-clean", items=10, repeats=2, horizon=40),
    "othello, hot": RollSpec("othello", 1, "shipped:othello-clean", items=10, on_error="repair", temperature=2.0),
    "context full": RollSpec("sums", 2, "shipped:sums-clean", items=4, on_error="skip", horizon=120),
}


def bench(spec: RollSpec, layout: Layout | None = None) -> Bench:
    """The spec on the kernel, in any layout."""
    loaded = Bench.load(replace(spec, model=f"{spec.model},engine={ENGINE}"))
    if layout is None:
        return loaded
    path, name = shipped_path(spec.model.removeprefix("shipped:"))
    model: Model = load_stored(path, f"{name},engine={ENGINE}", ENGINE, layout)
    return Bench(loaded.spec, loaded.world, model)


@pytest.mark.parametrize("name", SPECS)
def test_the_lane_s_table_is_the_plain_loop_s(name: str) -> None:
    one = bench(SPECS[name])
    assert takes_lane(one)
    items = range(one.spec.items)
    plain = compute(one, items, 64, lane=False)
    assert_frame_equal(compute(one, items, 64), plain)
    small = bench(SPECS[name], Layout(rows=max(4, one.spec.repeats)))
    assert_frame_equal(compute(small, items, 64), plain)
    assert plain["event"].n_unique() > 1 or name == "greedy"


def test_the_specs_above_meet_every_end_and_event() -> None:
    tables = [compute(bench(spec), range(spec.items), 64) for spec in SPECS.values()]
    events = {event for table in tables for event in table["event"].unique()}
    stops = {stop for table in tables for stop in table["stop"].unique()}
    assert events == {None, "right", "mend", "slip", "illegal", "unparsed"}
    assert stops == {None, "done", "lost", "broken", "horizon", "cut"}


@pytest.mark.parametrize("name", ["sums", "maps"])
def test_chunk_and_threads_change_no_byte(name: str) -> None:
    spec = SPECS[name]
    whole = compute(bench(spec), range(spec.items), 64)
    for chunk, threads in product((1, 7, 48), (1, 2)):
        one = bench(spec, Layout(0, chunk, threads))
        assert_frame_equal(compute(one, range(spec.items), 64), whole)
        assert_frame_equal(compute(one, range(spec.items), 7, lane=False), whole)


@pytest.mark.parametrize("scaffold", ["monologue", "filler", "vote:k=3"])
def test_every_scaffold_runs_and_batches_change_no_byte(scaffold: str) -> None:
    spec = RollSpec("sums", 1, "shipped:sums-stated", scaffold, items=7, repeats=2, horizon=6, heal=3, inject=2)
    one = bench(spec)
    assert not takes_lane(one)
    tables = [compute(one, range(7), batch) for batch in (1, 3, 64)]
    assert_frame_equal(tables[0], tables[2])
    assert_frame_equal(tables[1], tables[2])
    assert tables[2].filter(pl.col("forced").is_null() | (pl.col("forced") == ""))["tokens"].min() > 0


def test_workers_and_resume_change_no_byte(tmp_path: Path) -> None:
    spec = replace(SPECS["sums"], model=f"shipped:sums-clean,engine={ENGINE}", items=8, part_items=1)
    hashes = set()
    for workers in (1, 2, 4):
        table = roll(spec, tmp_path / str(workers), workers=workers)
        hashes.add(run_hash(tmp_path / str(workers)))
    for stop in range(1, 8):

        def interrupt(done: int, _: int, after: int = stop * spec.repeats) -> None:
            if done >= after:
                raise KeyboardInterrupt

        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(KeyboardInterrupt):
            roll(spec, out, progress=interrupt)
        assert 0 < read_run(out)[1].height < table.height
        assert_frame_equal(roll(spec, out), table)
        hashes.add(run_hash(out))
    assert len(hashes) == 1


def test_another_engine_is_another_identity() -> None:
    found = [load_model(f"shipped:sums-clean,engine={name}").identity for name in (*ENGINES, "torch")]
    assert len({one["engine"] for one in found}) == len(found)
    assert {one["weights"] for one in found} == {found[0]["weights"]}
    assert all({"engine", "dtype", "cpu", "numpy"} <= one.keys() for one in found)


def shares(spec: RollSpec, engine: str, column: pl.Expr) -> np.ndarray:
    """Of each item, the mean of a column over its steps."""
    loaded = Bench.load(replace(spec, model=f"{spec.model},engine={engine}"))
    table = compute(loaded, range(spec.items), 64)
    return table.group_by("item").agg(column.mean().alias("x")).sort("item")["x"].to_numpy()


@pytest.mark.parametrize("name", ["sums-clean", "maps-clean"])
def test_readings_agree_over_engines_within_two_standard_errors(name: str) -> None:
    """Paired by item: engines share their draws, so they differ where rounding alone decides."""
    spec = RollSpec(name.partition("-")[0], 1, f"shipped:{name}", items=400, horizon=24)
    for column in (pl.col("event") != "right", pl.col("entropy")):
        found = {engine: shares(spec, engine, column) for engine in ENGINES}
        first = found[ENGINES[-1]]
        assert first.mean() > 0.0
        for other in found.values():
            error = np.sqrt((first.var() + other.var()) / len(first))
            assert abs(other.mean() - first.mean()) < 2 * error


def test_the_lane_needs_a_batched_world_and_a_model_that_is_asked_for_actions_alone() -> None:
    assert isinstance(load_world("sums"), BatchWorld)
    assert not takes_lane(Bench.load(replace(SPECS["sums"], model="shipped:sums-clean,engine=torch")))
