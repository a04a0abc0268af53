"""What there is, by name, with a line about each: what `deadreckon list` prints."""

from __future__ import annotations

from collections.abc import Callable

from deadreckon.instruments import INSTRUMENTS
from deadreckon.models import model_names
from deadreckon.models.weights import shipped_names
from deadreckon.scaffolds import scaffold_names
from deadreckon.studies import STUDIES
from deadreckon.train.recipes import recipe_names
from deadreckon.worlds import load_world, world_names

PAIRED = (
    "survival_gap_constant",
    "survival_gap_by_step",
    "survival_gap_mixed",
    "self_conditioning",
    "self_conditioning_first",
    "self_conditioning_ratio",
    "excess_accumulated_error",
    "log_loss_identity",
)


def _worlds() -> dict[str, str]:
    found = {}
    for name in world_names():
        world = load_world(name)
        found[name] = f"levels {', '.join(map(str, world.levels))}; {world.rules().splitlines()[0]}"
    return found


def _models() -> dict[str, str]:
    return dict.fromkeys(model_names(), "") | {f"shipped:{name}": "" for name in shipped_names()}


NAMES: dict[str, Callable[[], dict[str, str]]] = {
    "worlds": _worlds,
    "models": _models,
    "scaffolds": lambda: dict.fromkeys(scaffold_names(), ""),
    "studies": lambda: dict(STUDIES),
    "recipes": lambda: dict.fromkeys(recipe_names(), ""),
    "readings": lambda: dict.fromkeys([*INSTRUMENTS, *PAIRED], "docs/glossary.md"),
}


def names(kind: str) -> dict[str, str]:
    """Name -> a line about it, for one of NAMES."""
    return NAMES[kind]()
