"""Numbers from a server are those of its law: log-probabilities, KL, masses, and what a run records of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest
from toy_server import Manners, ToyServer, WorldLaw

from deadreckon.contracts import Privileged
from deadreckon.models import load_model
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_spec
from deadreckon.worlds import load_world

POLICY = "noisy-oracle:slip=0.1"


def policy() -> Privileged:
    model = load_model(POLICY)
    assert isinstance(model, Privileged)
    return model


def served(world: str, level: int, options: str, manners: Manners | None = None, **spec: object) -> pl.DataFrame:
    law = WorldLaw(load_world(world), policy(), level, 8)
    with ToyServer(law, manners) as server:
        prompt = "transcript" if "endpoint=completions" in options else "chat"
        fields = {"items": 6, "horizon": 6, "prompt": prompt} | spec
        out = fields.pop("out", None)
        return roll(RollSpec(world, level, f"openai:toy,url={server.url}{options}", **fields), out)  # type: ignore[arg-type]


def test_kl_and_masses_by_echo_are_those_of_the_law() -> None:
    world, model = load_world("maps"), policy()
    table = served("maps", 1, ",endpoint=completions,score=yes")
    assert table.height >= 20
    for row in table.iter_rows(named=True):
        state = world.restore(row["state"])
        p, q = world.policy(state), model.law(world, state)
        assert row["kl_pq"] == pytest.approx(sum(x * math.log(x / q[a]) for a, x in p.items()), abs=1e-9)
        assert row["right_mass"] == pytest.approx(sum(q[a] for a in p), abs=1e-9)
        assert row["illegal_mass"] == pytest.approx(
            sum(x for a, x in q.items() if not world.allows(state, a)), abs=1e-9
        )
        assert row["logp"] == pytest.approx(math.log(q[row["action"]]), abs=1e-9)


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_logp_is_that_of_the_whole_action(endpoint: str) -> None:
    world, model = load_world("sums"), policy()
    for row in served("sums", 1, f",endpoint={endpoint}").iter_rows(named=True):
        law = model.law(world, world.restore(row["state"]))
        assert row["logp"] == pytest.approx(math.log(law[row["action"]]), abs=1e-9)


def test_logp_is_missing_where_it_is_not_that_of_the_draw(tmp_path: Path) -> None:
    hot = served("sums", 1, "", temperature=2.0)
    assert hot["logp"].null_count() == hot.height
    after = served("sums", 1, "", Manners(semantics="post"), temperature=2.0)
    assert after["logp"].null_count() == 0
    lying = served("sums", 1, "", Manners(defects=frozenset(["logprobs_shifted"])), out=tmp_path)
    assert lying["logp"].null_count() == lying.height
    assert read_spec(tmp_path)["identity"]["logprobs"] == "none: chosen token"
    assert json.loads((tmp_path / "contract.json").read_text())["checks"]["chosen token"]["status"] == "fail"


def test_what_the_server_was_found_to_do_is_part_of_the_identity(tmp_path: Path) -> None:
    served("sums", 1, "", Manners(alias="toy-2026-01-01", semantics="post", many=False), out=tmp_path)
    facts = read_spec(tmp_path)["identity"]
    assert {name: facts[name] for name in ("says", "seeds", "samples", "logprobs")} == {
        "says": "toy-2026-01-01",
        "seeds": "taken",
        "samples": "a request each",
        "logprobs": "after temperature",
    }


@pytest.mark.parametrize("many", [True, False])
def test_votes_are_separate_draws_however_they_are_asked_for(many: bool) -> None:
    table = served("sums", 1, "", Manners(many=many), scaffold="vote:k=5", horizon=12)
    shares = set(table["confidence"].to_list())
    assert len(shares) > 1
    assert all(share * 5 == pytest.approx(round(share * 5)) for share in shares)


def test_a_run_is_drawn_by_its_seed_alone() -> None:
    spec = {"world": "markov:kind=ergodic", "level": 1, "options": ",endpoint=completions", "law": False}
    once, again, other = (served(**spec, seed=seed) for seed in (0, 0, 1))  # type: ignore[arg-type]
    assert once["action"].equals(again["action"])
    assert not once["action"].equals(other["action"])
