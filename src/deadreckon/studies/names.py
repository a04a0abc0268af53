"""What there is, by name, with a line about each: what `deadreckon list` prints."""

from __future__ import annotations

from collections.abc import Callable

from deadreckon.errors import MissingExtra
from deadreckon.instruments import INSTRUMENTS, OUTCOME_INSTRUMENTS
from deadreckon.instruments.predict import FITS
from deadreckon.logs.readers import format_lines
from deadreckon.models import ABOUT, model_names
from deadreckon.models.cards import shipped_line, shipped_names
from deadreckon.models.engines import engine_lines
from deadreckon.scaffolds import scaffold_lines
from deadreckon.studies import STUDIES
from deadreckon.studies.fit_outcomes import BOUNDED
from deadreckon.train.recipes import parse_recipe, recipe_names, recipe_text
from deadreckon.worlds import EXACT, NEEDS, chess_engine, load_world, world_names
from deadreckon.worlds.chess_position import PLIES

PAIRED = (
    "survival_gap_constant",
    "survival_gap_by_step",
    "survival_gap_mixed",
    "self_conditioning",
    "self_conditioning_first",
    "self_conditioning_ratio",
    "excess_accumulated_error",
    "log_loss_identity",
    "entropy_drift",
    "difference",
    "ratio",
    "effect_size",
    "p_difference",
    "items_better",
    "items_worse",
    "items_equal",
    "hazard_ratio",
    "p_log_rank",
    "p_log_rank_stratified",
    "minimal_detectable_effect",
    "items_for_effect",
    "items_for_width",
    "items_for_rate_width",
    "items_for_no_event",
    "best_repeats",
    "mean_anytime",
    "mean_anytime_bernstein",
    "difference_anytime",
    "e_value_below",
    "p_anytime_below",
    "p_anytime_difference",
    *(f"{kind}_{law}" for kind in ("prediction_error", "log_score", "brier_score") for law in FITS),
    "half_life",
    *(f"{name}_if_cut_{end}" for name in BOUNDED for end in ("failed", "succeeded")),
    "horizon_trend",
    "horizon_doubling",
)


def _worlds() -> dict[str, str]:
    return {name: "; ".join(_world(name)) for name in world_names()}


def _world(name: str) -> list[str]:
    """Levels, what is exact, what it needs under which licence, and the command that brings what is missing."""
    exact, missing = f"exact: {EXACT[name]}" if name in EXACT else "", []
    try:
        world = load_world(name)
        levels = list(world.levels)
        exact = exact or world.rules().partition(". ")[0].rstrip(".")
    except MissingExtra as error:
        levels, missing = list(PLIES) if name == "chess" else [], [str(error)]
    if name == "chess" and chess_engine.program() is None:
        missing.append(f"no {chess_engine.PROGRAM}: {chess_engine.INSTALL}")
    needs = [f"needs {NEEDS[name]}"] if name in NEEDS else []
    known = [f"levels {min(levels)}-{max(levels)}"] if levels else []
    return [*known, *([exact] if exact else []), *needs, *missing]


def _models() -> dict[str, str]:
    kinds = {name: ABOUT[name] for name in model_names()}
    return kinds | {f"shipped:{name}": shipped_line(name) for name in shipped_names()}


def _recipe(name: str) -> str:
    recipe = parse_recipe(recipe_text(name))
    text, size = recipe.text, recipe.size
    return (
        f"{text.regime} text of {' and '.join(text.worlds)}, level {text.level}; {size.layers} layers of {size.width}"
    )


NAMES: dict[str, Callable[[], dict[str, str]]] = {
    "worlds": _worlds,
    "models": _models,
    "engines": engine_lines,
    "scaffolds": scaffold_lines,
    "studies": lambda: dict(STUDIES),
    "formats": format_lines,
    "recipes": lambda: {name: _recipe(name) for name in recipe_names()},
    "readings": lambda: dict.fromkeys([*INSTRUMENTS, *OUTCOME_INSTRUMENTS, *PAIRED], "docs/glossary.md"),
}


def names(kind: str) -> dict[str, str]:
    """Name -> a line about it, for one of NAMES."""
    return NAMES[kind]()
