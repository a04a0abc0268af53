"""The validation: planted truths are exact, the rule judges as written, counts are the same however they are made."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from deadreckon.contracts import Reading, nan
from deadreckon.errors import UnknownName
from deadreckon.instruments import read
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.hazard import step_error
from deadreckon.instruments.stats import clopper_pearson
from deadreckon.validation import counts, planted, planted_core, runner
from deadreckon.validation.case import Case, replicate
from deadreckon.validation.page import Report, as_json, markdown
from deadreckon.validation.planted import Cell
from deadreckon.validation.relies import sources
from deadreckon.validation.runner import Order
from deadreckon.validation.suite import all_cases, plan
from deadreckon.validation.tally import FAILURES, Row, outcomes, rows

REPETITIONS = 200


@pytest.mark.parametrize("case", [case for case, _ in plan("quick") if case.closed], ids=lambda case: case.topic)
def test_intervals_hold_the_planted_truth(case: Case) -> None:
    found = rows(case, runner.count(case, 1, 0, 60))
    bad = [(row.name, row.verdict, row.share, row.bias) for row in found if row.verdict in FAILURES]
    assert not bad


def naive(arm: Arm) -> tuple[float, float]:
    """The interval that takes every step as independent."""
    low, high = clopper_pearson(float(arm.error.sum()), float(len(arm.error)))
    return float(low), float(high)


def both(cell: Cell, rng: np.random.Generator) -> dict[str, Reading]:
    arm = read(planted.single_answer(cell, rng).forced, "repair")
    ours = step_error(arm)
    low, high = naive(arm)
    return {"ours": ours, "naive": replace(ours, low=low, high=high)}


def test_the_count_catches_intervals_that_take_steps_as_independent() -> None:
    cell = Cell(0.05, 0.0, items=50, rollouts=4, horizon=20, unequal=2.0)
    truth = planted.single_answer_truth(cell)["teacher_forced_error"]
    law = Case("naive", "one", 50, partial(both, cell), {"ours": truth, "naive": truth}, discrete=frozenset({"ours"}))
    ours, steps = rows(law, runner.count(law, 0, 0, REPETITIONS))
    assert ours.verdict not in FAILURES
    assert steps.verdict == "low"


@pytest.mark.parametrize(("correlation", "g"), [(0.0, 0.1), (0.3, 0.1), (0.1, 0.0)])
@pytest.mark.parametrize("censored", [0.0, 0.5])
def test_the_planted_truths_are_what_large_tables_show(correlation: float, g: float, censored: float) -> None:
    cell = Cell(0.05, g, items=4000, rollouts=2, horizon=20, censored=censored)
    case = planted_core.case("chain", cell, correlation)
    readings = case.sample(np.random.default_rng(3))
    for name, truth in case.truth.items():
        reading = readings[name]
        assert reading.low - 1e-9 <= truth <= reading.high + 1e-9 or abs(truth - reading.value) < 0.02, (name, reading)


ROW = Row("law", "cell", 100, "x", "interval", False, 1.0, 2000, 2000, 50, 50, 0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "holds"),
        ({"above": 81}, "low"),
        ({"below": 0, "above": 69}, "high"),
        ({"below": 0, "above": 69, "discrete": True}, "conservative"),
        ({"above": 69, "discrete": True}, "holds"),
        ({"above": 71, "discrete": True}, "low"),
        ({"above": 85, "items": 20}, "holds"),
        ({"above": 91, "items": 20}, "low"),
        ({"below": 0, "above": 10, "items": 20}, "conservative"),
        ({"items": 400, "bias": 0.11}, "biased"),
        ({"items": 399, "bias": 0.11}, "holds"),
        ({"items": 400, "bias": 0.11, "given": 200, "replicates": 200, "below": 5, "above": 5}, "holds"),
        ({"given": 200, "replicates": 200, "below": 10, "above": 10}, "holds"),
        ({"given": 200, "replicates": 200, "below": 20, "above": 20}, "low"),
        ({"given": 100}, "withheld"),
        ({"silent": 1}, "no reason given"),
        ({"kind": "test", "replicates": 10_000, "given": 10_000, "below": 0, "above": 572}, "holds"),
        ({"kind": "test", "replicates": 10_000, "given": 10_000, "below": 0, "above": 573}, "liberal"),
        ({"kind": "test", "replicates": 10_000, "given": 10_000, "below": 0, "above": 427}, "conservative test"),
        ({"kind": "test", "replicates": 10_000, "given": 9_998, "below": 0, "above": 591}, "liberal"),
        ({"given": 1653, "below": 0, "above": 52}, "high"),
        (
            {"kind": "test", "replicates": 10_000, "given": 10_000, "below": 0, "above": 100, "discrete": True},
            "conservative",
        ),
    ],
)
def test_the_rule_is_the_rule(change: dict[str, float], verdict: str) -> None:
    assert replace(ROW, **change).verdict == verdict  # type: ignore[arg-type]


def test_a_bias_is_in_standard_errors_and_whole_numbers_have_none() -> None:
    def row(values: list[float], truth: float) -> Row:
        case = Case("law", "cell", 500, lambda rng: {}, {"x": truth})
        taken = [{"x": Reading("x", "1", v, 0.0, 1.0, 0.95, 9, "")} for v in values]
        return rows(case, outcomes(case, taken))[0]

    assert row([0.5, 1.5], 0.9).bias == pytest.approx(0.1 / np.std([0.5, 1.5], ddof=1))
    assert np.isnan(row([3.0, 4.0], 3.0).bias)
    assert np.isnan(row([0.1, 0.0], 0.0).bias)
    assert np.isnan(row([0.1, float("inf")], 0.5).bias)


def test_an_interval_withheld_without_a_reason_is_seen() -> None:
    case = Case("law", "cell", 60, lambda rng: {}, {"x": 0.5})
    taken = [{"x": Reading("x", "1", nan, nan, nan, 0.95, 9, "", reason=why)} for why in ("few", "")]
    assert rows(case, outcomes(case, taken))[0].verdict == "no reason given"


def test_every_case_has_its_name_and_its_cells_span_the_grid() -> None:
    cases = all_cases()
    assert len({case.key for case in cases}) == len(cases) >= 24
    assert {case.items for case in cases} >= {20, 50, 200, 2000}
    with pytest.raises(UnknownName):
        plan("quick", "geometrie")


def test_counts_are_the_same_for_any_number_of_workers_and_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "CHUNK", 10)
    planned = [(case, 20) for case, _ in plan("quick", "losses")]
    told: list[tuple[int, int]] = []
    one = runner.run(planned, tmp_path / "one", Order(seed=3), 1, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 20)
    assert told[-1] == (20, 20)
    killed = sorted((tmp_path / "one" / counts.COUNTED).rglob("*.npz"))[0]
    killed.unlink()
    again = runner.run(planned, tmp_path / "one", Order(seed=3), 2, lambda done, total: told.append((done, total)))
    assert told[-2:] == [(10, 20), (20, 20)]
    assert again.rows == one.rows
    direct = rows(planned[0][0], runner.count(planned[0][0], 3, 0, 20))
    assert direct == one.rows
    report = Report({"seed": "3"}, one.rows, [], [], one.topics)
    assert "kl_free_running" in markdown(report)
    assert "| losses | 1 | 20 | yes |" in markdown(report)
    assert '"share"' in as_json(report)


def test_a_run_out_of_time_says_what_it_counted_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "CHUNK", 10)
    planned = [(case, 30) for case, _ in plan("quick", "losses")]
    none = runner.run(planned, tmp_path, Order(seed=3, minutes=0), 1, lambda done, total: None)
    assert not none.rows
    assert (none.topics[0].most, none.topics[0].whole) == (0, False)
    runner.run([(planned[0][0], 10)], tmp_path, Order(seed=3), 1, lambda done, total: None)
    some = runner.run(planned, tmp_path, Order(seed=3, minutes=0), 1, lambda done, total: None)
    assert {row.replicates for row in some.rows} == {10}
    assert (some.topics[0].most, some.topics[0].whole) == (10, False)


def test_a_cell_with_a_row_outside_the_rule_is_counted_on_to_the_larger_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "CHUNK", 10)
    planned = [(case, 20) for case, _ in plan("quick", "losses")]
    assert runner.run(planned, tmp_path, Order(seed=3), 1, lambda done, total: None).asked == 20
    monkeypatch.setattr(runner, "FAILURES", frozenset({"holds"}))
    told: list[tuple[int, int]] = []
    on = runner.run(planned, tmp_path, Order(seed=3), 1, lambda done, total: told.append((done, total)))
    assert (on.asked, on.topics[0].most, on.topics[0].whole) == (100, 100, True)
    assert {row.replicates for row in on.rows} == {100}
    assert told[0] == (20, 100)


def test_counts_of_another_seed_or_other_code_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = [(case, 20) for case, _ in plan("quick", "losses")]
    place = counts.open_topics(planned, tmp_path, 3)["losses"]
    assert counts.open_topics(planned, tmp_path, 3)["losses"] == place
    assert counts.open_topics(planned, tmp_path, 4)["losses"].path != place.path
    monkeypatch.setattr(counts, "code_of", lambda cases: "another")
    assert counts.open_topics(planned, tmp_path, 3)["losses"].path != place.path


def test_counts_of_other_code_are_taken_over_only_where_the_first_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "CHUNK", 10)
    monkeypatch.setattr(runner, "FIRST", 10)
    planned = [(case, 30) for case, _ in plan("quick", "losses")]

    def counted(code: str, *, adopt: bool) -> runner.Run:
        monkeypatch.setattr(counts, "code_of", lambda cases: code)
        return runner.run(planned, tmp_path, Order(seed=3, adopt=adopt), 1, lambda done, total: None)

    first = counted("one", adopt=False)
    monkeypatch.setattr(runner, "_by_cost", lambda left, parts: [])  # beyond the first counts nothing is counted
    assert counted("two", adopt=False).topics[0].most == 10
    taken = counted("two", adopt=True)
    assert taken.rows == first.rows
    assert (taken.topics[0].whole, taken.topics[0].adopted) == (True, "one")
    assert ", in part one |" in markdown(Report({}, taken.rows, [], [], taken.topics))
    assert counted("three", adopt=True).topics[0].adopted == "one", "the code that counted, not the one between"
    spoilt = sorted(counts.open_topics(planned, tmp_path, 3)["losses"].path.parent.rglob("*-000000-000010.npz"))
    for file in spoilt:
        with np.load(file) as held:
            np.savez_compressed(file, table=held["table"] + 1e-9, cpu=held["cpu"])
    other = counted("four", adopt=True)
    assert (other.topics[0].most, other.topics[0].adopted) == (10, "")


def test_a_count_relies_on_the_sources_that_run_and_on_no_other() -> None:
    names = {path.name for path in sources(case for case, _ in plan("quick", "losses"))}
    assert {"drift.py", "stats.py", "arm.py", "planted.py", "planted_core.py", "seeds.py", "tally.py"} <= names
    assert not names & {"voting.py", "time_horizon.py", "planted_repeats.py", "bugs.py", "__init__.py"}


def test_replicates_draw_afresh() -> None:
    case = all_cases()[0]
    assert replicate(case, 0, 0).random() == replicate(case, 0, 0).random()
    assert replicate(case, 0, 0).random() != replicate(case, 0, 1).random()
