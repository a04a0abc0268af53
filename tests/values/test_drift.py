"""Drift from end to end in a chain whose law is known: step table and instruments against closed forms."""

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from deadreckon.contracts import Ask, Codes, Key, OnError, Privileged, Rows
from deadreckon.instruments import log_loss_identity, measure, read
from deadreckon.models.ngram import fit_ngram
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec
from deadreckon.worlds import load_world
from deadreckon.worlds.markov import Markov, State
from deadreckon.worlds.markov_law import Law, cross_entropy_rate, divergence_rate, divergences, entropies, entropy_rate

SPEC, LEVEL, ORDER = "markov:kind=full,order=2,length=400", 1, 2
HEAT = 0.5  # q = p ** HEAT, normalised


class Heated(Privileged):
    """A model whose law is the world's at another temperature: full support, and every figure in closed form."""

    name, seed, capacity = "heated", None, 4096
    identity: Mapping[str, str] = {"engine": "heated"}

    def law(self, world: Markov, state: State) -> Mapping[str, float]:  # type: ignore[override]
        policy = world.policy(state)
        mass = np.array(list(policy.values())) ** HEAT
        return dict(zip(policy, (mass / mass.sum()).tolist(), strict=True))

    def batch_law(self, world: Markov, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:  # type: ignore[override]
        codes, p = world.batch_policy(rows)
        mass = np.where(p > 0, p, 0.0) ** HEAT
        return codes, mass / mass.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def world() -> Markov:
    found = load_world(SPEC)
    assert isinstance(found, Markov)
    return found


@pytest.fixture(scope="module")
def law(world: Markov) -> Law:
    """The law over the level's own symbols, which come first."""
    law, own = world.law(LEVEL), len(world.legal(world.start(LEVEL, np.random.default_rng(0))))
    return Law(law.p[:, :own], law.after[:, :own])


@pytest.fixture(scope="module")
def heated(law: Law) -> Law:
    mass = law.p**HEAT
    return Law(mass / mass.sum(axis=1, keepdims=True), law.after)


def rolled(world: Markov, rule: OnError, items: int = 200) -> pl.DataFrame:
    spec = RollSpec(SPEC, LEVEL, "heated", items=items, horizon=400, on_error=rule, teach=rule is OnError.REPAIR)
    return compute(Bench(spec, world, Heated()), range(items), 64)


def contexts(world: Markov, table: pl.DataFrame) -> list[int]:
    place = {context: i for i, context in enumerate(world.contexts(LEVEL))}
    return [place["".join(world.restore(state).last)] for state in table["state"]]


def test_every_step_holds_the_closed_form(world: Markov, law: Law, heated: Law) -> None:
    table = rolled(world, OnError.ACCEPT, items=5)
    at = contexts(world, table)
    exact = {
        "kl_pq": divergences(law.p, heated.p),
        "kl_qp": divergences(heated.p, law.p),
        "entropy": entropies(heated.p),
        "right_mass": np.ones(len(law.p)),
    }
    for column, truth in exact.items():
        np.testing.assert_allclose(table[column], truth[at], rtol=0, atol=1e-9)
    assert min(exact["kl_pq"].max(), exact["kl_qp"].max()) > 0.01


def test_a_model_of_text_is_compared_as_exactly_as_an_oracle(world: Markov, law: Law) -> None:
    model = fit_ngram(world, LEVEL, ORDER, transcripts=2, seed=1)
    symbols = [world.write(a) + world.end for a in world.legal(world.start(LEVEL, np.random.default_rng(0)))]
    prompts = ["".join(letter + world.end for letter in context) for context in world.contexts(LEVEL)]
    session = model.session()
    scores = session.score([Ask(p, Key(0, i, 0, 0)) for i, p in enumerate(prompts)], [symbols] * len(prompts))
    q = np.exp(np.array(scores))
    table = compute(Bench(RollSpec(SPEC, LEVEL, "ngram", items=4, horizon=50), world, model), range(4), 3)
    at = contexts(world, table)
    np.testing.assert_allclose(table["kl_pq"], divergences(law.p, q)[at], rtol=0, atol=1e-9)
    np.testing.assert_allclose(table["illegal_mass"], 1 - q.sum(axis=1)[at], rtol=0, atol=1e-9)


def test_sampled_rates_are_the_closed_forms_within_monte_carlo_error(world: Markov, law: Law, heated: Law) -> None:
    free, taught = rolled(world, OnError.ACCEPT), rolled(world, OnError.REPAIR)
    found = {r.quantity: r for t, rule in ((free, "accept"), (taught, "repair")) for r in measure(t, on_error=rule)
             if r.value == r.value}  # fmt: skip
    truths = {
        "kl_reverse_free_running": divergence_rate(heated, law.p),
        "kl_teacher_forced": divergence_rate(law, heated.p),
    }
    for name, truth in truths.items():
        reading = found[name]
        assert abs(reading.value - truth) < 1.5 * (reading.high - reading.low), name
        assert reading.value == pytest.approx(truth, rel=0.03), name
    assert free["entropy"].mean() == pytest.approx(entropy_rate(heated), rel=0.01)


def test_log_loss_is_entropy_plus_divergence(world: Markov, law: Law, heated: Law) -> None:
    """-E_Q log P / n = H(Q) + D(Q || P), sampled against exact; a loss shifted by 0.02 nats is noticed."""
    table = rolled(world, OnError.ACCEPT)
    symbol = {world.write(a): i for i, a in enumerate(world.legal(world.restore(table["state"][0])))}
    loss = -np.log(law.p[contexts(world, table), [symbol[a] for a in table["action"]]])
    assert loss.mean() == pytest.approx(cross_entropy_rate(heated, law.p), rel=0.01)
    identity = log_loss_identity(read(table.with_columns(minus_log_p=pl.Series(loss)), "accept"))
    assert identity.low <= 0 <= identity.high
    off = log_loss_identity(read(table.with_columns(minus_log_p=pl.Series(loss + 0.02)), "accept"))
    assert off.low > 0
