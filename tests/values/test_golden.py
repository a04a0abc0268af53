"""Golden numbers: published and certified values, and what independent implementations gave (oracles/)."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from deadreckon.instruments import read
from deadreckon.instruments.survival import first_errors
from deadreckon.validation.golden import DATA, Agreement, agreements
from deadreckon.validation.hand import lives, steps, take, values

ORACLES = Path(__file__).with_name("oracles")
AGREEMENTS = agreements()


@pytest.mark.parametrize("one", AGREEMENTS, ids=lambda one: one.name)
def test_the_golden_number_is_met(one: Agreement) -> None:
    assert one.agrees, f"{one.digits:.1f} digits of {one.needed:.1f}: {one.got!r}, not {one.expected!r}"


def test_digits_are_counted() -> None:
    assert Agreement("x", "", 1.0, 1.0 + 1e-9, 8).agrees
    assert not Agreement("x", "", 1.0, 1.0 + 1e-7, 8).agrees


def test_kaplan_meier_is_lifelines_on_the_lung_data() -> None:
    lung = json.loads(DATA.read_text())["lung"]
    peer = json.loads((ORACLES / "lung_lifelines.json").read_text())
    frame = lives(np.array(lung["days"]), np.array(lung["died"], dtype=bool))
    at = np.array(peer["steps"]) - 1
    np.testing.assert_allclose(np.array(values(take(frame, "survival")))[at], peer["survival"], atol=1e-12)
    hazard = np.cumsum(values(take(frame, "hazard")))
    np.testing.assert_allclose(hazard[at], peer["cumulative_hazard"], atol=1e-12)
    assert take(frame, "horizon_50").value == peer["median"]


@pytest.fixture(scope="module")
def peer() -> dict[str, list[float]]:
    held: dict[str, list[float]] = json.loads((ORACLES / "survival_r.json").read_text())
    return held


@pytest.fixture(scope="module")
def competing(peer: dict[str, list[float]]) -> pl.DataFrame:
    ends = {0: ("r", "horizon"), 1: ("s", "broken"), 2: ("r", "done")}
    rows = zip(peer["item"], peer["time"], peer["end"], strict=True)
    return steps(*((int(i), "r" * (int(t) - 1) + ends[int(e)][0], ends[int(e)][1]) for i, t, e in rows))


def test_kaplan_meier_and_hazard_are_rs(peer: dict[str, list[float]], competing: pl.DataFrame) -> None:
    at = np.array(peer["steps"], dtype=int) - 1
    np.testing.assert_allclose(np.array(values(take(competing, "survival")))[at], peer["survival"], atol=1e-12)
    hazard = np.array(peer["errors"]) / np.array(peer["at_risk"])
    np.testing.assert_allclose(np.array(values(take(competing, "hazard")))[at], hazard, atol=1e-12)


def test_the_clustered_standard_error_of_survival_is_rs(peer: dict[str, list[float]], competing: pl.DataFrame) -> None:
    """R's is the infinitesimal jackknife: the influence by item without C/(C-1)."""
    at = np.array(peer["steps"], dtype=int) - 1
    curve = first_errors(read(competing)).curve()
    ours = np.sqrt((curve.influence**2).sum(axis=0))[at]
    np.testing.assert_allclose(ours, peer["clustered_error"], atol=1e-9)
    alone = first_errors(read(competing.with_columns(item=pl.col("item") * 10 + pl.col("rollout")))).curve()
    np.testing.assert_allclose(np.sqrt((alone.influence**2).sum(axis=0))[at], peer["greenwood_error"], atol=1e-9)


def test_aalen_johansen_is_rs(peer: dict[str, list[float]], competing: pl.DataFrame) -> None:
    at = np.array(peer["steps"], dtype=int) - 1
    for name in ("incidence_error", "incidence_done"):
        np.testing.assert_allclose(np.array(values(take(competing, name)))[at], peer[name], atol=1e-12)
