"""One world from nothing: a small model is trained on its text, runs on its own output, and is measured and drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deadreckon.errors import UnknownName
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.studies.describe import describe_runs
from deadreckon.studies.study import StudyResult
from deadreckon.train.fit import train
from deadreckon.train.recipes import parse_recipe, recipe_names, recipe_text
from deadreckon.worlds import load_world, world_names

ITEMS = 200
HORIZON = 100  # at most; texts end before it where the world or the recipe says so


def recipe_of(name: str) -> str:
    """The recipe of a world's name, of a recipe's own, or a TOML file. UnknownName: a world or recipe without one."""
    if name in recipe_names() or Path(name).suffix == ".toml":
        return name
    if f"{name}-clean" in recipe_names():
        return f"{name}-clean"
    raise UnknownName("recipe", f"{name}-clean" if name in world_names() else name, recipe_names())


def demonstrate(name: str, out: Path, *, workers: int = 1, progress: Callable[[int, int], None]) -> StudyResult:
    """Train the world's recipe into OUT/model, run the model into OUT/run, and describe it; all of it resumes.

    Items are those of the held-out world, start states that training does not draw. Errors as `train` and `roll`.
    """
    recipe = recipe_of(name)
    text = parse_recipe(recipe_text(recipe)).text
    world = (text.held_out or text.worlds)[0]
    load_world(world)  # what it needs is missed before a model is trained
    weights = train(recipe, out / "model")
    spec = RollSpec(world, text.level, f"gpt:{weights}", items=ITEMS, horizon=min(text.actions or HORIZON, HORIZON))
    folder = out / f"{Path(recipe).stem} in {spec.world.partition(':')[0]}"
    roll(spec, folder, workers=workers, progress=progress)
    return describe_runs([folder])
