"""In every world whose errors can be mended, the planted slip and recovery rates come back through the instruments."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from deadreckon.contracts import OnError
from deadreckon.errors import MissingExtra, MissingProgram
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec
from deadreckon.worlds.markov_law import track

ITEMS = 800
SE = 4.5  # standard errors a reading may lie from what is planted


@pytest.mark.parametrize(
    ("world", "level", "lines"),
    [
        ("arithmetic", 8, 8),
        ("arithmetic:op=sub", 6, 6),
        ("arithmetic:op=mul", 6, 6),
        ("arithmetic:op=div", 8, 8),
        ("grammar", 2, 20),
        ("groups", 2, 16),
        ("machines", 3, 16),
        ("machines:table=late,head=tracked,noise=20", 2, 12),
        ("machines:kind=stack", 2, 12),
        ("machines:kind=stack,program=quine", 1, 8),
        ("groups:group=z120,letters=all,every=4", 4, 16),
        ("retrieval_sums:keys=2", 1, 16),
        ("retrieval_sums:past=10,wrong=50", 2, 16),
    ],
)
def test_planted_slips_and_mends_are_read(world: str, level: int, lines: int) -> None:
    h, g = 0.1, 0.3
    spec = RollSpec(world, level, f"noisy-oracle:slip={h},recover={g}", items=ITEMS, horizon=lines)
    table = compute(Bench.load(spec), range(ITEMS), batch=ITEMS)
    arm = read(table)
    readings = {name: INSTRUMENTS[name](arm) for name in ("error_rate", "recovery_rate", "survival", "occupancy")}
    assert int(table["t"].max()) + 1 == lines  # type: ignore[arg-type]
    on = track(h, g, lines)
    for name, rate, trials in (("error_rate", h, on[:-1].sum()), ("recovery_rate", g, (1 - on[:-1]).sum())):
        assert abs(readings[name].value - rate) < SE * math.sqrt(rate * (1 - rate) / (ITEMS * trials)), name
    for name, share in (("survival", (1 - h) ** lines), ("occupancy", on[-1])):
        assert abs(readings[name].value - share) < SE * math.sqrt(share * (1 - share) / ITEMS), name


@pytest.mark.parametrize("world", ["flows:map=henon", "flows:map=lorenz", "flows:r=3.6", "facts:again=yes,lines=20"])
def test_planted_slips_are_read_and_returns_where_a_right_step_returns(world: str) -> None:
    """Off an attractor, or after a false answer that is asked for again: the recovery rate is 1 - slip_wrong."""
    h, g, lines = 0.1, 0.3, 20
    spec = RollSpec(world, 2, f"noisy-oracle:slip={h},slip_wrong={1 - g}", items=ITEMS, horizon=lines)
    arm = read(compute(Bench.load(spec), range(ITEMS), batch=ITEMS))
    on = track(h, g, lines)
    for name, rate, trials in (("error_rate", h, on[:-1].sum()), ("recovery_rate", g, (1 - on[:-1]).sum())):
        reading = INSTRUMENTS[name](arm)
        assert abs(reading.value - rate) < SE * math.sqrt(rate * (1 - rate) / (ITEMS * trials)), name


@pytest.mark.parametrize(
    ("world", "level", "lines", "rule"),
    [
        ("flows", 2, 20, "accept"),
        ("causal", 2, 12, "accept"),
        ("causal:task=effect", 2, 6, "accept"),
        ("chess", 2, 8, "skip"),  # its slips are illegal
        ("chess:expert=stockfish,nodes=30,notation=san", 1, 6, "accept"),
    ],
)
def test_planted_slips_are_read_where_truth_is_undefined(world: str, level: int, lines: int, rule: str) -> None:
    h = 0.1
    spec = RollSpec(world, level, f"noisy-oracle:slip={h}", items=ITEMS, horizon=lines, on_error=OnError(rule))
    try:
        bench = Bench.load(spec)
    except (MissingExtra, MissingProgram) as missing:
        pytest.skip(str(missing))
    arm = read(compute(bench, range(ITEMS), batch=ITEMS))
    error, survival = INSTRUMENTS["step_error"](arm), INSTRUMENTS["survival"](arm)
    assert abs(error.value - h) < SE * math.sqrt(h * (1 - h) / (ITEMS * lines))
    share = (1 - h) ** lines
    assert abs(survival.value - share) < SE * math.sqrt(share * (1 - share) / ITEMS)
    assert math.isnan(INSTRUMENTS["recovery_rate"](arm).value)


def test_planted_slips_of_experiments_are_read_and_never_recovered_from() -> None:
    h, lines = 0.1, 9
    spec = RollSpec("causal:task=experiment", 3, f"noisy-oracle:slip={h}", items=ITEMS, horizon=lines)
    arm = read(compute(Bench.load(spec), range(ITEMS), batch=ITEMS))
    on = track(h, 0.0, lines)
    error, recovery, survival = (INSTRUMENTS[name](arm) for name in ("error_rate", "recovery_rate", "survival"))
    assert abs(error.value - h) < SE * math.sqrt(h * (1 - h) / (ITEMS * on[:-1].sum()))
    assert recovery.value == 0.0
    assert abs(survival.value - on[-1]) < SE * math.sqrt(on[-1] * (1 - on[-1]) / ITEMS)


@pytest.mark.parametrize("form", ["chain", "cite", "select"])
def test_planted_slips_and_ways_back_of_proofs_are_read(form: str) -> None:
    """A proof ends when it answers, so the steps at risk are counted."""
    h, g, lines = 0.1, 0.3, 8 if form == "select" else 4
    spec = RollSpec(f"proofs:form={form}", 3, f"noisy-oracle:slip={h},recover={g}", items=ITEMS, horizon=3 * lines)
    bench = Bench.load(spec)
    table = compute(bench, range(ITEMS), batch=ITEMS)
    arm = read(table)
    true = [bench.world.true(bench.world.restore(text)) for text in table["state"].to_list()]
    for name, rate, trials in (("error_rate", h, true.count(True)), ("recovery_rate", g, true.count(False))):
        assert abs(INSTRUMENTS[name](arm).value - rate) < SE * math.sqrt(rate * (1 - rate) / trials), name
    curve = INSTRUMENTS["survival"](arm).curve
    assert curve is not None
    share = (1 - h) ** lines
    assert abs(curve.value[curve.x.index(lines)] - share) < SE * math.sqrt(share * (1 - share) / ITEMS)


def test_planted_slips_of_stars_are_read_and_lose_the_goal() -> None:
    h, lines = 0.1, 4
    spec = RollSpec("proofs:kind=star", 4, f"noisy-oracle:slip={h}", items=ITEMS, horizon=lines)
    table = compute(Bench.load(spec), range(ITEMS), batch=ITEMS)
    arm = read(table)
    error, survival = INSTRUMENTS["step_error"](arm), INSTRUMENTS["survival"](arm)
    share = (1 - h) ** lines
    assert abs(error.value - h) < SE * math.sqrt(h * (1 - h) / (ITEMS * (1 - share) / h))
    assert abs(survival.value - share) < SE * math.sqrt(share * (1 - share) / ITEMS)
    stops = table.filter(table["stop"].is_not_null())
    assert {*stops.filter(stops["event"] == "slip")["stop"]} == {"lost"}
    assert {*stops.filter(stops["event"] == "illegal")["stop"]} == {"broken"}


@pytest.mark.parametrize(
    ("world", "level", "lines"),
    [
        ("machines:kind=turing", 1, 16),
        ("facts:docs=mixed", 2, 8),
        ("facts:by=corpus,false=20", 1, 8),
        ("facts:form=tell", 1, 8),
    ],
)
def test_planted_slips_are_read_where_nothing_mends(world: str, level: int, lines: int) -> None:
    """A wrong tape, a false statement that stands: h and the survival it leads to are planted, no recovery."""
    h = 0.1
    spec = RollSpec(world, level, f"noisy-oracle:slip={h}", items=ITEMS, horizon=lines)
    arm = read(compute(Bench.load(spec), range(ITEMS), batch=ITEMS))
    error, survival = INSTRUMENTS["error_rate"](arm), INSTRUMENTS["survival"](arm)
    assert abs(error.value - h) < SE * math.sqrt(h * (1 - h) / (ITEMS * (1 - (1 - h) ** lines) / h))
    share = (1 - h) ** lines
    assert abs(survival.value - share) < SE * math.sqrt(share * (1 - share) / ITEMS)


def test_planted_slips_are_read_for_each_ability_and_a_section_ends_them():
    """Where an ability can fail, it does at the planted rate; in a modular document the mark alone leads back."""
    h, lines = 0.1, 60
    spec = RollSpec("grammar:document=modular", 3, f"noisy-oracle:slip={h}", items=400, horizon=lines)
    bench = Bench.load(spec)
    world = bench.world
    rows = compute(bench, range(400), batch=400).select("state", "action", "event", "true_state").rows()
    tried: Counter[tuple[str, bool]] = Counter()
    back = 0
    for text, action, event, true in rows:
        state = world.restore(text)
        tried[world.ability(state, world.wrong(state)[0]), event == "slip"] += 1
        assert event in ("right", "slip")
        if not world.true(state):
            assert true == (event == "right" and action == "#")
            back += true
    assert back > 50
    for ability in world.abilities:
        slips, all_ = tried[ability, True], tried[ability, True] + tried[ability, False]
        assert all_ > 100
        assert abs(slips - h * all_) < SE * math.sqrt(h * (1 - h) * all_), ability
