"""Publishing: weights in half precision with the card that says what they are and how good."""

from __future__ import annotations

import platform
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, Field
from safetensors.torch import save

import deadreckon
from deadreckon.models.cards import Card, Sizes
from deadreckon.models.gpt import GPT
from deadreckon.rollouts.store import write_atomic
from deadreckon.train.checkpoint import Mark
from deadreckon.train.exam import examine, held_out
from deadreckon.train.recipes import Recipe
from deadreckon.train.sources import Source
from deadreckon.worlds import load_world

ITEMS = 256  # held-out texts of each world


class Graded(BaseModel):
    """`Marks`, as a card holds it: nats per action, error probabilities, null where there is none."""

    world: str
    items: int
    actions: int
    loss: float
    floor: float
    error: float
    error_by_step: list[float]
    n_by_step: list[int]
    belief_error: float | None


class ModelCard(Card):
    """All a reader should know of published weights; the loader's fields first."""

    name: str
    regime: str
    worlds: tuple[str, ...]
    level: int
    recipe: str  # the recipe's TOML
    parameters: int
    steps: int = Field(description="optimisation steps taken; of the recipe's for a graded checkpoint")
    tokens: int = Field(description="symbols read, padding apart")
    cpu_seconds: float
    held_out: tuple[Graded, ...] = Field(description="teacher-forced, on texts of the regime's format without mistakes")
    versions: dict[str, str]
    licence: str = "MIT"
    limits: str


def publish(network: GPT, recipe: Recipe, toml: str, *, mark: Mark, seed: int, path: Path) -> ModelCard:
    """Write weights (as float16) at `path` and the card beside them. StoreError."""
    weights = {name: w.half().contiguous() for name, w in network.state_dict().items()}
    content = save(weights)
    network.load_state_dict({name: w.float() for name, w in weights.items()})
    exam = exam_source(recipe)
    card = ModelCard(
        size=Sizes(**asdict(network.config)),
        alphabet=exam.tokens.alphabet,
        alphabet_hash=exam.tokens.identity,
        seed=seed,
        sha256=sha256(content).hexdigest(),
        name=path.stem,
        regime=recipe.text.regime,
        worlds=recipe.text.worlds,
        level=recipe.text.level,
        recipe=toml,
        parameters=network.config.parameters,
        steps=mark.steps,
        tokens=mark.tokens,
        cpu_seconds=round(mark.seconds, 1),
        held_out=tuple(_graded(network, exam, i) for i in range(len(exam.worlds))),
        versions=versions(),
        limits=recipe.limits,
    )
    write_atomic(path, content)
    write_atomic(path.with_suffix(".json"), card.model_dump_json(indent=1).encode() + b"\n")
    return card


def exam_source(recipe: Recipe) -> Source[object, object]:
    """Held-out texts: the recipe's worlds, each once, in the regime's format but without mistakes."""
    specs = dict.fromkeys(recipe.text.held_out or recipe.text.worlds)
    plain = {"repaired": "clean"}
    text = recipe.text.model_copy(update={"regime": plain.get(recipe.text.regime, recipe.text.regime)})
    return Source([load_world(spec) for spec in specs], text, 0, recipe.size.context, laws=True)


def versions() -> dict[str, str]:
    """What the weights' bytes depend on besides the recipe and the seed."""
    return {
        "deadreckon": deadreckon.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def _graded(network: GPT, exam: Source[object, object], world: int) -> Graded:
    marks = examine(network, held_out(exam, world, ITEMS), exam.worlds[world].name)
    return Graded(
        world=marks.world,
        items=marks.items,
        actions=marks.actions,
        loss=round(marks.loss, 6),
        floor=round(marks.floor, 6),
        error=round(marks.error, 6),
        error_by_step=[round(error, 6) for error in marks.error_by_step],
        n_by_step=list(marks.n_by_step),
        belief_error=None if np.isnan(marks.belief_error) else round(marks.belief_error, 6),
    )
