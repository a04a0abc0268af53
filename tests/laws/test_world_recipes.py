"""The recipes of the worlds of the debate learn: a few steps bring the loss down towards the floor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deadreckon.errors import MissingExtra
from deadreckon.train.fit import learn, new_learner, source_of
from deadreckon.train.recipes import parse_recipe, recipe_text
from deadreckon.worlds import load_world

torch.set_num_threads(1)
STEPS = 30


@pytest.mark.parametrize(
    "name",
    [
        "arithmetic-clean",
        "causal-clean",
        "causal-experiment",
        "chess-clean",
        "facts-clean",
        "flows-clean",
        "grammar-clean",
        "groups-clean",
        "machines-clean",
        "markov-clean",
        "proofs-clean",
        "retrieval_sums-clean",
        "text-clean",
    ],
)
def test_thirty_steps_of_a_recipe_bring_the_loss_down(name: str) -> None:
    recipe = parse_recipe(recipe_text(name))
    try:
        [load_world(world) for world in recipe.text.worlds]
    except MissingExtra as missing:
        pytest.skip(str(missing))
    fit = recipe.fit.model_copy(update={"steps": STEPS, "rows": 4})
    source = source_of(recipe.text, recipe.size.context, 0)
    learner = new_learner(recipe, source.tokens.size, 0)
    batches = [source.batch(step, fit.rows) for step in range(STEPS)]
    excess = [learn(learner, batch, fit, step) - batch.entropy / batch.actions for step, batch in enumerate(batches)]
    assert np.mean(excess[-3:]) < 0.8 * excess[0]
    assert min(excess) > -0.5  # nats an action: nothing beats the floor but by the luck of a small batch
