"""What `fit` says of tables whose law is known: planted error processes, and an outcome table worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq

from deadreckon.contracts import Reading
from deadreckon.instruments import measure
from deadreckon.logs.record import Options
from deadreckon.rollouts.export import export_run
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.studies.describe import measure_run
from deadreckon.studies.fit import Fit, FitSpec, fit

COLUMNS = {"item": "task", "rollout": "run", "step": "n", "ok": "good"}
Hazard = Callable[[int, int], float]


def weibull(shape: float, scale: float) -> Hazard:
    return lambda item, t: 1 - math.exp((t / scale) ** shape - ((t + 1) / scale) ** shape)


def planted(path: Path, hazard: Hazard, back: float = math.nan, repeats: int = 3) -> Path:
    """150 items, 30 steps; a run ends at its first error, or goes on and finds back with chance `back` a step."""
    rng, rows = np.random.default_rng(1), ["task,run,n,good"]
    for item in range(150):
        for run in range(repeats):
            ok = True
            for t in range(30):
                ok = bool(rng.random() >= hazard(item, t) if ok else rng.random() < back)
                rows.append(f"t{item},{run},{t},{'yes' if ok else 'no'}")
                if not ok and math.isnan(back):
                    break
    path.write_text("\n".join(rows))
    return path


def found_in(path: Path, **columns: str) -> Fit:
    return fit(FitSpec((path,), Options(columns=columns or COLUMNS)))


def named(found: Fit, by: str = "") -> dict[str, Reading]:
    return {reading.quantity: reading for reading in found.readings if reading.by == by}


def words(found: Fit) -> str:
    return " ".join(said.text for said in found.summary)


def test_a_planted_constant_hazard_is_named(tmp_path: Path) -> None:
    found = found_in(planted(tmp_path / "a.csv", lambda item, t: 0.06))
    of = named(found)
    assert of["hazard"].low < 0.06 < of["hazard"].high
    assert of["weibull_shape"].low < 1 < of["weibull_shape"].high
    assert of["half_life"].low < math.log(2) / -math.log(1 - 0.06) < of["half_life"].high
    assert "A constant hazard is not ruled out" in words(found)
    assert "no recovery" in found.allows


@pytest.mark.parametrize(("shape", "scale", "way"), [(0.5, 20.0, "falls"), (2.0, 12.0, "rises")])
def test_a_planted_weibull_hazard_is_named_and_has_no_half_life(
    tmp_path: Path, shape: float, scale: float, way: str
) -> None:
    found = found_in(planted(tmp_path / "a.csv", weibull(shape, scale)))
    of = named(found)
    assert of["weibull_shape"].low < shape < of["weibull_shape"].high
    assert math.isnan(of["half_life"].value)
    assert f"The pooled hazard {way} along a run" in words(found)
    assert f"within an item the hazard {way}".capitalize() in words(found)


def test_planted_unequal_items_are_named_as_what_makes_the_hazard_fall(tmp_path: Path) -> None:
    found = found_in(planted(tmp_path / "a.csv", lambda item, t: 0.02 if item % 2 else 0.2))
    of = named(found)
    assert of["weibull_shape"].high < 1
    assert of["decline_within_items"].low < 0 < of["decline_within_items"].high
    assert of["unequal_items"].value < 1e-6
    assert "That comes from unequal items" in words(found)


def test_one_run_an_item_refuses_to_tell_unequal_items_from_a_falling_hazard(tmp_path: Path) -> None:
    hazard: Hazard = lambda item, t: 0.02 if item % 2 else 0.2  # noqa: E731
    found = found_in(planted(tmp_path / "a.csv", hazard, repeats=1))
    assert math.isnan(named(found)["hazard_decline"].value)
    assert "cannot be told: one rollout per item" in words(found)
    assert any("repeats would tell" in line for line in found.more)


def test_planted_recovery_is_named(tmp_path: Path) -> None:
    h, g = 0.05, 0.2
    found = found_in(planted(tmp_path / "a.csv", lambda item, t: h, back=g))
    of = named(found)
    assert of["error_rate"].low < h < of["error_rate"].high
    assert of["recovery_rate"].low < g < of["recovery_rate"].high
    assert of["occupancy_law"].low < g / (g + h) < of["occupancy_law"].high
    assert "judged right" in of["recovery_rate"].reason
    assert "Off track, a step leads back" in words(found)
    assert "recovery" in found.allows
    assert "no recovery" not in found.allows


def test_where_the_log_knows_the_state_a_right_step_is_no_recovery(tmp_path: Path) -> None:
    """Every step after the first error is right and carries the wrong state on: recovery 0, not 1."""
    rows = ["item,rollout,step,ok,on_track"]
    rows += [f"{i},0,{t},{int(t != 3)},{int(t < 3)}" for i in range(30) for t in range(8)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    of = named(fit(FitSpec((tmp_path / "a.csv",))))
    assert of["recovery_rate"].value == 0
    assert "judged right" not in of["recovery_rate"].reason


def test_a_run_that_was_cut_is_bounded_and_never_failed(tmp_path: Path) -> None:
    rows = ["item,rollout,step,ok,censored"]
    for i in range(40):
        length, cut = (4, 1) if i < 10 else (8, 0)
        rows += [f"{i},0,{t},{int(not (i >= 30 and t == 5))},{cut}" for t in range(length)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    found = fit(FitSpec((tmp_path / "a.csv",)))
    of = named(found)
    assert of["survival_if_cut_failed"].value == pytest.approx(20 / 40)
    assert of["survival_if_cut_survived"].value == pytest.approx(30 / 40)
    assert of["survival"].value == pytest.approx(20 / 30)
    assert "lies between 0.5 and 0.75" in words(found)


def test_runs_whose_end_was_not_seen_bound_success_from_both_sides(tmp_path: Path) -> None:
    """40 items, two runs each: 20 with two successes, 10 with a failure and a cut, 10 with a success and a cut."""
    rows = ["item,success,censored"]
    for i in range(40):
        first, second = ("1", "1") if i < 20 else ("0", "") if i < 30 else ("1", "")
        rows += [f"t{i},{first},0", f"t{i},{second},{int(not second)}"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    of = named(fit(FitSpec((tmp_path / "a.csv",))))
    assert of["success_rate"].value == pytest.approx(30 / 40)
    assert of["success_rate_if_cut_failed"].value == pytest.approx((20 + 10 * 0.5) / 40)
    assert of["success_rate_if_cut_succeeded"].value == pytest.approx((20 + 10 * 0.5 + 10) / 40)
    assert of["pass_hat_k_if_cut_failed"].value == pytest.approx(20 / 40)
    assert of["pass_hat_k_if_cut_succeeded"].value == pytest.approx(30 / 40)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "noisy"
    roll(RollSpec("sums", 1, "noisy-oracle:slip=0.03,recover=0.2", items=40, repeats=2, horizon=24), folder)
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_run_written_out_and_read_back_gives_the_readings_of_measure(run: Path, tmp_path: Path, suffix: str) -> None:
    export_run(run, tmp_path / f"steps{suffix}")
    of = named(fit(FitSpec((tmp_path / f"steps{suffix}",))))
    shared = {r.quantity: r for r in measure_run(run) if r.quantity in of}
    assert len(shared) > 40
    for name, reading in shared.items():
        ours = of[name]
        assert (ours.value, ours.low, ours.high, ours.n) == pytest.approx(
            (reading.value, reading.low, reading.high, reading.n), rel=1e-12, nan_ok=True
        ), name


# --- docs/your-own-logs.md: the time horizon by hand ----------------------------------------------------


def by_hand(path: Path) -> Path:
    """Three models; each runs 20 items at a quarter of its horizon (9 of 10 succeed) and 20 at four times it (1 of 10).

    Two items of one length share a family.
    """
    rows = ["model,released,item,family,minutes,passed"]
    for model, released, horizon in (("a", "2024-01-01", 2), ("b", "2024-07-19", 8), ("c", "2025-02-04", 16)):
        for length, wins in ((horizon / 4, 9), (horizon * 4, 1)):
            for i in range(20):
                item = f"{length:g}min-{i}"
                shared = f"{model},{released},{item},{length:g}min-{i // 2},{length:g}"
                rows += [f"{shared},{int(r < wins)}" for r in range(10)]
    path.write_text("\n".join(rows))
    return path


def test_the_time_horizon_and_its_trend_are_as_worked_by_hand(tmp_path: Path) -> None:
    """Symmetry puts p_50 at the horizon; p_80 follows from tanh(t) = 0.8 - t / 10; the trend from three points."""
    found = found_in(by_hand(tmp_path / "a.csv"), length="minutes", success="passed")
    t = brentq(lambda x: math.tanh(x) - 0.8 + x / 10, 0.1, 2)
    assert t == pytest.approx(0.8893, abs=1e-4)
    for model, horizon in (("a", 2), ("b", 8), ("c", 16)):
        of = named(found, model)
        assert of["time_horizon_50"].value == pytest.approx(horizon, rel=1e-6)
        assert of["time_horizon_80"].value == pytest.approx(horizon * 2 ** (-math.log(4) / t), rel=1e-6)
        assert of["time_horizon_50"].low < horizon < of["time_horizon_50"].high
        assert "family-item-run" in of["time_horizon_50"].method
        assert of["time_horizon_80"].low <= of["time_horizon_80"].value <= of["time_horizon_80"].high
    slope = 0.0075  # residuals (1, -2, 1) / 6 at -200, 0 and 200 days, leverages (5, 2, 5) / 6
    error = math.sqrt(2 * (200 * (1 / 6) / (1 - 5 / 6)) ** 2) / 80_000  # HC3
    trend, doubling = (named(found)[name] for name in ("horizon_trend", "horizon_doubling"))
    assert trend.value == pytest.approx(slope, rel=1e-6)
    assert trend.high - trend.value == pytest.approx(12.7062 * error, rel=1e-4)
    assert doubling.value == pytest.approx(1 / slope, rel=1e-6)


def test_groups_that_share_items_are_compared_in_pairs(tmp_path: Path) -> None:
    """Of 30 items the first agent alone wins 9, the second alone 1: difference 8/30, paired, exact sign test."""
    wins = [(1, 0)] * 9 + [(0, 1)] + [(1, 1)] * 12 + [(0, 0)] * 8
    rows = ["task,agent,passed"] + [
        f"t{i},{name},{w}" for i, pair in enumerate(wins) for name, w in zip("xy", pair, strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    found = fit(FitSpec((tmp_path / "a.csv",), Options(columns={"item": "task", "success": "passed"}), by="agent"))
    of = named(found, "x - y: success")
    assert of["difference"].value == pytest.approx(8 / 30)
    assert of["difference"].method.startswith("paired by item")
    assert of["items_better"].value == pytest.approx(9 / 30)
    assert of["items_worse"].value == pytest.approx(1 / 30)
    two_sided = 2 * sum(math.comb(10, k) for k in range(2)) / 2**10
    assert of["p_difference"].value == pytest.approx(two_sided, rel=1e-9)
    assert "x - y: success differs" in words(found)


def test_the_same_table_measured_in_code_gives_the_same_hazard(tmp_path: Path) -> None:
    path = planted(tmp_path / "a.csv", lambda item, t: 0.1)
    rows = pl.read_csv(path).with_columns(
        item=pl.col("task").str.slice(1).cast(int), rollout="run", t="n", stop=pl.lit(None, pl.String),
        event=pl.when(pl.col("good") == "yes").then(pl.lit("right")).otherwise(pl.lit("slip")),
    )  # fmt: skip
    (ours,) = measure(rows, on_error="stop", names=["hazard"])
    theirs = named(found_in(path))["hazard"]
    assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high), rel=1e-12)
