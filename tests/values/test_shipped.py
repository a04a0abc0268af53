"""The weights that come with the package are what their cards say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from deadreckon.models.cards import shipped_folder, shipped_names
from deadreckon.models.weights import load_shipped
from deadreckon.train.card import ITEMS, ModelCard, exam_source, publish
from deadreckon.train.checkpoint import Mark
from deadreckon.train.exam import examine, held_out
from deadreckon.train.recipes import parse_recipe
from deadreckon.worlds import load_world

torch.set_num_threads(1)
CARDS = sorted(shipped_folder().glob("*.json"))


def card_of(path: Path) -> ModelCard:
    return ModelCard.model_validate_json(path.read_text("utf-8"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_tells_the_recipe_that_made_the_weights(path: Path):
    card = card_of(path)
    recipe = parse_recipe(card.recipe)
    size = recipe.size.model_dump()
    assert {name: getattr(card.size, name) for name in size} == size
    assert (card.name, card.worlds, card.level, card.regime) == (
        path.stem,
        recipe.text.worlds,
        recipe.text.level,
        recipe.text.regime,
    )
    assert tuple(load_world(card.worlds[0]).alphabet) == card.alphabet
    assert card.steps <= recipe.fit.steps
    assert card.tokens > 0
    assert card.licence == "MIT"
    for marks in card.held_out:
        assert marks.items == ITEMS
        assert marks.loss > marks.floor - 0.03  # the floor is exact in the mean, so a loss can only come near it
        assert sum(marks.n_by_step) == marks.actions


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_load(name: str):
    assert load_shipped(name).name == f"shipped:{name}"


def test_what_is_shipped_is_small():
    assert sum(path.stat().st_size for path in shipped_folder().iterdir()) < 20e6


@pytest.mark.parametrize(("name", "world"), [("sums-clean-s0", 0), ("maps-stated-s0", 0)])
def test_the_exam_finds_again_what_the_card_says(name: str, world: int):
    path = shipped_folder() / f"{name}.json"
    said = card_of(path).held_out[world]
    exam = exam_source(parse_recipe(card_of(path).recipe))
    found = examine(load_shipped(name).network, held_out(exam, world, ITEMS), said.world)
    assert found.n_by_step == tuple(said.n_by_step)
    assert found.error == pytest.approx(said.error, abs=2e-5)
    assert found.loss == pytest.approx(said.loss, abs=2e-5)
    assert found.floor == pytest.approx(said.floor, abs=2e-6)


def test_publishing_again_gives_the_same_bytes(tmp_path: Path):
    source = shipped_folder() / "sums-clean-s0.safetensors"
    card = card_of(source.with_suffix(".json"))
    mark = Mark(identity="", steps=card.steps, tokens=card.tokens, seconds=card.cpu_seconds)
    network = load_shipped("sums-clean").network
    path = tmp_path / source.name
    publish(network, parse_recipe(card.recipe), card.recipe, mark=mark, seed=card.seed, path=path)
    assert path.read_bytes() == source.read_bytes()
    assert json.loads(path.with_suffix(".json").read_text())["sha256"] == card.sha256
