"""A world's demo trains its recipe, runs the model and draws it; a second call goes on from what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deadreckon.cli import app
from deadreckon.errors import UnknownName
from deadreckon.rollouts.store import read_run
from deadreckon.studies import world_demo
from deadreckon.worlds import BUILT_IN

RECIPE = """
limits = "A test."
[text]
worlds = ["groups:every=1"]
level = 1
regime = "clean"
[size]
layers = 1
width = 32
context = 48
[fit]
steps = 3
rows = 4
"""


def test_a_recipe_becomes_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_demo, "ITEMS", 12)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    asked = ["demo", str(recipe), "--out", str(tmp_path / "out"), "--workers", "1"]
    for _ in range(2):
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<svg" in page
    assert "tiny in groups" in page
    identity, table = read_run(tmp_path / "out" / "tiny in groups")
    assert (identity["spec"]["world"], table["item"].n_unique()) == ("groups:every=1", 12)


def test_a_world_names_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert world_demo.recipe_of("groups") == "groups-clean"
    assert world_demo.recipe_of("sums-stated") == "sums-stated"
    with pytest.raises(UnknownName, match="did you mean 'groups-clean'"):
        world_demo.recipe_of("group-clean")
    monkeypatch.setattr(world_demo, "recipe_names", lambda: ["groups-clean"])
    with pytest.raises(UnknownName, match="unknown recipe 'markov-clean'"):
        world_demo.recipe_of("markov")


def test_every_world_of_ours_has_a_recipe() -> None:
    for world in BUILT_IN:
        assert world_demo.recipe_of(world) == f"{world}-clean"
