"""Plain text: the source word for word, readings worked out by hand, and no verdict anywhere."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import deadreckon
from deadreckon import OnError, RollSpec
from deadreckon.errors import BadOption
from deadreckon.instruments import INSTRUMENTS, entropy_drift, written
from deadreckon.instruments.own_text import NEED_NO_VERDICT, NO_ORACLE
from deadreckon.models.ngram import fit_ngram
from deadreckon.report.draw import draw_replay
from deadreckon.rollouts.export import export_run
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.table import Origin, Step, from_steps
from deadreckon.studies.replays import replays
from deadreckon.worlds.text import BEFORE, BELIEF_END, SYMBOLS, WIDEST, Text

PASSAGE = files("deadreckon.worlds").joinpath("texts/passage.txt").read_text().split()
NGRAM = "ngram:world=text+length=30,level=1,order=5,transcripts=40"
VERDICTS = ("event", "true_state", "goal_open", "belief_right", "kl_pq", "kl_qp", "illegal_mass", "right_mass")


@pytest.fixture(scope="module")
def free() -> pl.DataFrame:
    return deadreckon.roll(RollSpec("text:length=30", 1, NGRAM, items=20))


@pytest.fixture(scope="module")
def taught() -> pl.DataFrame:
    return deadreckon.roll(RollSpec("text:length=30", 1, NGRAM, items=20, on_error=OnError.REPAIR, teach=True))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_oracle_goes_on_as_the_source_does(level: int) -> None:
    world = Text(length=50)
    for seed in range(5):
        state = world.start(level, np.random.default_rng(seed))
        told = world.opening(state).split()
        assert len(told) == BEFORE[level]
        while not world.done(state):
            (word,) = world.policy(state)
            told.append(word)
            state = world.step(state, word)
        assert any(PASSAGE[i : i + len(told)] == told for i in range(len(PASSAGE)))


def test_parts_do_not_overlap_and_are_the_whole() -> None:
    learn, exam = Text(part="learn").words, Text(part="exam").words
    assert [*learn, *exam] == PASSAGE
    assert len(learn) == round(0.8 * len(PASSAGE))


# --- No verdict ---


@pytest.mark.parametrize("model", [NGRAM, "oracle", "noisy-oracle:slip=0.5"])
@pytest.mark.parametrize("scaffold", ["plain", "monologue"])
def test_no_column_holds_a_verdict(model: str, scaffold: str) -> None:
    table = deadreckon.roll(RollSpec("text:length=30", 1, model, scaffold, items=3, horizon=12))
    for name in VERDICTS:
        assert table[name].null_count() == table.height, name
    assert set(table["stop"].drop_nulls()) <= {"horizon", "cut"}
    assert table["entropy"].count() > 0


def test_every_reading_that_needs_a_verdict_says_that_there_is_none(free: pl.DataFrame, taught: pl.DataFrame) -> None:
    for table, rule in ((free, "accept"), (taught, "repair")):
        readings = {reading.quantity: reading for reading in deadreckon.measure(table, on_error=rule)}
        assert len(readings) == len(INSTRUMENTS)
        for name, reading in readings.items():
            if name not in NEED_NO_VERDICT:
                assert math.isnan(reading.value), name
                assert math.isnan(reading.low)
                assert reading.reason == NO_ORACLE
                assert reading.curve is None
        forced = rule == "repair"
        assert math.isnan(readings["entropy_free_running"].value) is forced
        assert math.isnan(readings["entropy_teacher_forced"].value) is not forced


def test_nothing_can_be_repaired_but_the_source_can_be_put_in(taught: pl.DataFrame) -> None:
    with pytest.raises(BadOption, match="no oracle"):
        deadreckon.roll(RollSpec("text", 1, "oracle", items=1, on_error=OnError.REPAIR))
    world = Text(length=30)
    for (_,), rows in taught.group_by("item", maintain_order=True):
        state = world.restore(rows["state"][0])
        assert rows["taken"].to_list() == list(world.words[state.begun : state.begun + 30])


def test_a_rollout_that_writes_no_word_is_cut_there_and_counts_as_nothing() -> None:
    model = fit_ngram(Text(length=30), 1, 5, transcripts=1)
    blank = model.tokens.ids[" "]
    for counts in model.counts.values():
        counts[blank] += 10_000
    world = Text(length=30)

    table = compute(Bench(RollSpec("text:length=30", 1, model.name, items=4), world, model), range(4), 4)
    assert table["stop"].to_list() == ["cut"] * 4
    assert table["fault_code"].to_list() == ["unreadable"] * 4
    reading = INSTRUMENTS["entropy_free_running"](written(table))
    assert math.isnan(reading.value)


def test_reports_and_logs_say_that_nothing_is_judged(free: pl.DataFrame, tmp_path: Path) -> None:
    deadreckon.roll(RollSpec("text:length=30", 1, NGRAM, items=2), tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "log.json")
    for sample in json.loads((tmp_path / "log.json").read_text())["samples"]:
        score = sample["scores"]["error_free"]
        assert math.isnan(score["value"])
        assert len(score["metadata"]["steps"]) == 30
        assert {step["ok"] for step in score["metadata"]["steps"]} == {None}
    (replay, *_) = replays(free, "text:length=30", count=1)
    steps = draw_replay(replay, "r").steps
    assert len(steps) == len(replay.rows) == 30
    assert all("<svg" in step.svg and "Nothing is judged" in step.text for step in steps)
    assert {row.event for row in replay.rows} == {""}
    assert {row.right for row in replay.rows} == {()}


# --- Readings by hand ---


def table_of(words: list[str], entropies: list[list[float]], tokens: list[list[int]], forced: str = "") -> pl.DataFrame:
    """Rollouts of several items, without a verdict."""
    rollouts = []
    for item, (text, row, symbols) in enumerate(zip(words, entropies, tokens, strict=True)):
        steps = [
            Step(t, None, None, None, False, forced, action=word, entropy=h, tokens=n)
            for t, (word, h, n) in enumerate(zip(text.split(), row, symbols, strict=True))
        ]
        rollouts.append((item, 0, [*steps[:-1], steps[-1]._replace(stop="horizon")]))
    return from_steps(Origin("r", "text-v1", 1, "m", None, "plain"), rollouts)


def test_entropies_are_per_symbol_and_their_slope_is_that_of_least_squares() -> None:
    entropies, tokens = [[1.0, 4.0, 3.0], [2.0, 6.0, 8.0]], [[1, 2, 1], [1, 2, 4]]
    arm = written(table_of(["a b c", "d e f"], entropies, tokens))
    mean = INSTRUMENTS["entropy_free_running"](arm)
    assert mean.value == pytest.approx(24 / 11)
    assert mean.curve is not None
    assert mean.curve.value == pytest.approx((3 / 2, 10 / 4, 11 / 5))
    y, w = np.array(entropies) / np.array(tokens), np.array(tokens, float)
    x = np.broadcast_to(np.log([1.0, 2.0, 3.0]), y.shape)
    slope = np.polyfit(x.ravel(), y.ravel(), 1, w=np.sqrt(w.ravel()))[0]  # numpy weighs residuals, not their squares
    assert INSTRUMENTS["entropy_slope"](arm).value == pytest.approx(slope)
    same = written(table_of(["a b c", "d e f"], [[h / 2 for h in row] for row in entropies], tokens), "repair")
    drift = entropy_drift(arm, same)
    assert drift.value == pytest.approx(12 / 11)
    assert drift.curve is not None
    assert drift.curve.value == pytest.approx((0.75, 1.25, 1.1))


def test_repetition_is_one_less_the_share_of_different_windows() -> None:
    """a b c d a b c d a b: 7 windows of four, abcd bcda cdab dabc abcd bcda cdab, 4 of them different; and none."""
    words = ["a b c d a b c d a b", "a b c d e f g h i j"]
    arm = written(table_of(words, [[0.5] * 10] * 2, [[1] * 10] * 2))
    reading = INSTRUMENTS["repetition"](arm)
    assert reading.value == pytest.approx(3 / 14)
    assert reading.curve is not None
    assert reading.curve.value[3:] == pytest.approx((0, 0, 0, 0, 0.5, 0.5, 0.5))
    short = written(table_of(["a b c"], [[0.5] * 3], [[1] * 3]))
    assert INSTRUMENTS["repetition"](short).reason == "no 4 own steps in a row"


def test_windows_do_not_reach_over_forced_steps() -> None:
    """a b c d [a] b c d a b: windows abcd, bcda, cdab of own steps alone, none again."""
    table = table_of(["a b c d a b c d a b"], [[0.5] * 10], [[1] * 10])
    table = table.with_columns(forced=pl.when(pl.col("t") == 4).then(pl.lit("healed")).otherwise(pl.lit("")))
    reading = INSTRUMENTS["repetition"](written(table))
    assert reading.value == 0
    assert reading.curve is not None
    assert sum(not math.isnan(value) for value in reading.curve.value) == 3


# --- Files ---


def test_a_file_of_the_users_is_read_and_what_cannot_be_is_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.txt"
    good.write_text("one  two\n\nthree four " * 30, "utf-8")
    world = Text.from_options({"file": str(good), "length": "20"})
    assert world.words[:5] == ("one", "two", "three", "four", "one")
    assert world.levels == (1, 2)  # level 3 needs 128 words before and 20 after, of 120
    assert world.name != Text(length=20).name
    cases = {
        "missing": (None, "is no file"),
        "short": (b"a few words", "are needed"),
        "latin": (b"\xff\xfe" * 300, "not UTF-8"),
        "wide": (b"x" * (WIDEST + 1) + b" y" * 300, f"at most {WIDEST}"),
        "end": (f"a {BELIEF_END} ".encode() * 300, "holds"),
        "control": (b"a \x1b[31m " * 300, "holds"),
        "many": (" ".join(map(chr, range(0x4E00, 0x4E00 + SYMBOLS))).encode(), "different characters"),
    }
    for name, (content, said) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(BadOption, match=said):
            Text(str(path))
    with pytest.raises(BadOption, match="is no file"):
        Text(str(tmp_path))
    for options in ({"part": "half"}, {"length": "0"}, {"words": "3"}):
        with pytest.raises(BadOption):
            Text.from_options(options)
