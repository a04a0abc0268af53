"""Laws of the runner: what a rollout is may depend on its own history and draws, on nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from multiprocessing import active_children
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from deadreckon.contracts import ERRORS, Ask, Model, OnError, Reply, Scorer
from deadreckon.errors import BadOption, WorkerDied
from deadreckon.models import load_model
from deadreckon.rollouts.run import Bench, compute, roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_run
from deadreckon.worlds import load_world

NOISY = "noisy-oracle:slip=0.1,recover=0.3,slip_wrong=0.2"
WORLDS = (
    ("sums", 1),
    ("sums:k=4", 2),
    ("maps", 1),
    ("maps:style=walk", 1),
    ("othello", 1),
    ("markov:kind=full", 1),
    ("markov:kind=ergodic", 2),
    ("markov:kind=absorbing", 1),
)
RULES = [
    (rule, inject, heal)
    for rule, inject, heal in product(OnError, (None, 2), (0, 3))
    if inject is None or rule in (OnError.SKIP, OnError.ACCEPT)
]


def noisy(world: str, level: int, **changes: object) -> RollSpec:
    spec = RollSpec(world, level, NOISY, items=12, repeats=2, horizon=15, seed=3)
    return replace(spec, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("world", "level"), WORLDS)
def test_the_batched_lane_gives_the_plain_loops_table(world: str, level: int) -> None:
    for rule, inject, heal in RULES:
        teach = rule is OnError.REPAIR and heal == 3
        bench = Bench.load(noisy(world, level, on_error=rule, inject=inject, heal=heal, teach=teach))
        plain = compute(bench, range(12), 5, lane=False)
        assert plain.equals(compute(bench, range(12), 64)), (rule, inject, heal)


@pytest.mark.parametrize(("world", "level"), WORLDS)
def test_the_oracle_never_errs(world: str, level: int) -> None:
    table = roll(RollSpec(world, level, "oracle", items=20, horizon=12))
    assert table.filter(pl.col("event") != "right").is_empty()
    assert table["true_state"].drop_nulls().all()


def test_a_smaller_run_is_the_beginning_of_a_larger_one() -> None:
    small, large = (roll(noisy("sums", 1, items=n)).drop("run") for n in (4, 9))
    assert small.equals(large.filter(pl.col("item") < 4))


def test_another_seed_gives_other_rollouts() -> None:
    one, two = (roll(noisy("sums", 1, seed=s)) for s in (1, 2))
    assert one["action"].to_list() != two["action"].to_list()


def test_rule_stop_ends_at_the_first_error_and_rule_accept_goes_on() -> None:
    stop, accept = (roll(noisy("sums", 1, on_error=rule)) for rule in (OnError.STOP, OnError.ACCEPT))
    errors = stop.filter(pl.col("event").is_in(ERRORS))
    assert errors.height > 0
    assert (errors["stop"] == "broken").all()
    assert stop.group_by("item", "rollout").agg(pl.col("event").is_in(ERRORS).sum())["event"].max() == 1
    assert (accept.filter(pl.col("event") == "slip")["stop"].fill_null("") != "broken").all()
    key = ["item", "rollout", "t"]
    shared = stop.join(accept, on=key, suffix="_accept")
    assert shared.height == stop.height
    assert (shared["action"] == shared["action_accept"]).all()


def test_rule_repair_keeps_the_models_attempt_and_the_true_state() -> None:
    table = roll(noisy("sums", 1, on_error=OnError.REPAIR))
    assert table["true_state"].all()
    errors = table.filter(pl.col("event").is_in(ERRORS))
    assert errors.height > 0
    assert (errors["taken"] != errors["action"]).all()
    assert table.filter(~pl.col("event").is_in(ERRORS))["taken"].is_null().all()


def test_taught_contexts_are_the_oracles_whatever_the_model_does() -> None:
    spec = noisy("maps", 1, on_error=OnError.REPAIR, teach=True)
    states = [roll(replace(spec, model=model))["state"].to_list() for model in (NOISY, "noisy-oracle:slip=0.5")]
    assert states[0] == states[1]
    free = roll(replace(spec, teach=False))["state"].to_list()
    assert free != states[0]


def test_rule_skip_leaves_the_state_where_it_was() -> None:
    table = roll(noisy("othello", 1, on_error=OnError.SKIP)).sort("item", "rollout", "t")
    later = table.with_columns(pl.col("state").shift(-1).over("item", "rollout").alias("next"))
    illegal = later.filter((pl.col("event") == "illegal") & pl.col("next").is_not_null())
    assert illegal.height > 0
    assert (illegal["state"] == illegal["next"]).all()


def test_interventions_force_their_steps_and_share_their_prefix() -> None:
    spec = noisy("sums", 1, heal=4)
    healed, injected = roll(replace(spec, heal=5)), roll(replace(spec, inject=4))
    assert healed.filter(pl.col("t") < 5)["forced"].unique().to_list() == ["healed"]
    assert injected.filter(pl.col("t") == 4)["forced"].unique().to_list() == ["injected"]
    assert injected.filter(pl.col("t") == 4)["event"].unique().to_list() == ["slip"]
    assert healed.filter(pl.col("t") > 4)["forced"].unique().to_list() == [""]
    before = [t.filter(pl.col("t") < 4)["action"].to_list() for t in (healed, injected)]
    assert before[0] == before[1]


def test_every_rollout_ends_once_with_a_reason() -> None:
    for world, level in WORLDS:
        table = roll(noisy(world, level))
        ends = table.filter(pl.col("stop").is_not_null()).group_by("item", "rollout").len()
        assert ends.height == 24
        assert ends["len"].max() == 1


def test_scaffolds_run_with_an_oracle_and_vote_lowers_its_error() -> None:
    spec = noisy("sums", 1, items=100, on_error=OnError.REPAIR)
    alone, voted = (roll(replace(spec, scaffold=s))["event"].is_in(ERRORS).mean() for s in ("plain", "vote:k=9"))
    assert isinstance(alone, float)
    assert isinstance(voted, float)
    assert voted < alone / 3
    told = roll(replace(spec, scaffold="monologue", items=10))
    assert told["belief_right"].all()
    assert roll(replace(spec, scaffold="filler", items=4))["tokens"].min() > 1  # type: ignore[operator]


@pytest.mark.parametrize(
    "changes",
    [
        {"items": 0},
        {"horizon": 0},
        {"temperature": -1.0},
        {"temperature": 0.5},  # an oracle has no temperature
        {"inject": 99},
        {"inject": 2, "on_error": OnError.REPAIR},
        {"teach": True},  # under accept
        {"level": 9},
    ],
)
def test_a_value_out_of_range_is_one_clear_error(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(changes))):
        roll(replace(noisy("sums", 1), **changes))  # type: ignore[arg-type]


def test_a_killed_worker_is_one_clear_error_and_the_run_resumes(tmp_path: Path) -> None:
    spec, calls = noisy("sums", 1, items=40, part_items=1), []

    def kill(done: int, _total: int) -> None:
        calls.append(done)
        if len(calls) == 2:
            for child in active_children():
                child.kill()

    with pytest.raises(WorkerDied, match="use fewer workers"):
        roll(spec, tmp_path, workers=2, progress=kill)
    kept = read_run(tmp_path)[1]["item"].n_unique()
    assert 1 <= kept < 40
    assert roll(spec, tmp_path).equals(roll(spec))


class Deaf(Model):
    """A model whose provider fails at the `fails`-th ask of the run, and says "00" before."""

    name, seed, capacity = "deaf", None, 8
    identity: ClassVar[dict[str, str]] = {}

    def __init__(self, fails: int, code: str):
        self.left, self.code = fails, code

    def session(self) -> "Deaf":
        return self

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        self.left -= 1
        fault = self.code if self.left == 0 else ""
        return [Reply(("00",) * ask.n, (-1.0,) * ask.n, (0.5,) * ask.n, ask.n, fault) for ask in asks]


@pytest.mark.parametrize(("code", "stop"), [("http 500", "fault"), ("context", "cut")])
@pytest.mark.parametrize(("fails", "steps", "asks"), [(1, 1, 1), (2, 1, 2), (3, 2, 1)])
def test_a_fault_while_thinking_or_acting_ends_the_rollout_and_is_no_step(
    code: str, stop: str, fails: int, steps: int, asks: int
) -> None:
    spec = RollSpec("sums", 1, "oracle", "monologue", items=1, horizon=5)
    bench = Bench(spec, load_world("sums"), Deaf(fails, code))
    last = compute(bench, range(1), 1).rows(named=True)[-1]
    assert (last["t"], last["event"], last["stop"], last["fault_code"]) == (steps - 1, None, stop, code)
    assert (last["asks"], last["tokens"], last["belief"], last["kl_pq"]) == (asks, asks, None, None)


def test_where_every_action_is_right_nothing_is_injected() -> None:
    table = roll(RollSpec("markov:kind=full", 1, "oracle", items=5, horizon=6, inject=2))
    assert (table["forced"] == "").all()


def test_a_healed_monologue_writes_the_true_state_and_costs_nothing() -> None:
    table = roll(RollSpec("sums", 1, NOISY, "monologue", items=5, horizon=6, heal=3))
    forced = table.filter(pl.col("t") < 3)
    assert set(forced["forced"]) == {"healed"}
    assert forced["belief_right"].all()
    assert forced["logp"].is_null().all()
    assert forced["tokens"].sum() == 0


class Even(Scorer):
    """A model that gives every text it is asked about the same mass."""

    name, seed, capacity = "even", None, 8
    identity: ClassVar[dict[str, str]] = {}

    def session(self) -> "Even":
        return self

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        return [Reply(("?",) * ask.n, (-1.0,) * ask.n, (0.5,) * ask.n, ask.n) for ask in asks]

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[np.ndarray]:
        return [np.full(len(some), np.log(0.25)) for some in texts]


@pytest.mark.parametrize("world", ["sums", "othello"])
def test_the_law_is_recorded_where_one_action_is_drawn_from_it_and_nowhere_else(world: str) -> None:
    spec = RollSpec(world, 1, "oracle", items=2, horizon=2, on_error=OnError.SKIP)
    even = Bench(spec, load_world(world), Even())
    assert compute(even, range(2), 1)["kl_pq"].is_not_null().all()
    for change in ({"temperature": 0.0}, {"scaffold": "vote:k=3"}, {"law": False}):
        assert compute(replace(even, spec=replace(spec, **change)), range(2), 1)["kl_pq"].is_null().all()


@pytest.mark.parametrize(("repeats", "items"), [(1, 4096), (3, 1365), (5000, 1)])
def test_a_part_of_an_oracles_run_is_bounded_in_rollouts(repeats: int, items: int) -> None:
    spec = noisy("sums", 1, repeats=repeats)
    assert spec.parts(load_model(NOISY)) == items
