"""Recipes: all that decides a training run but its seed, in one small TOML file."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deadreckon.errors import BadOption, UnknownName

Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Regime = Literal["clean", "repaired", "stated", "filler"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Strict):
    """Which texts are imitated."""

    worlds: tuple[str, ...] = Field(min_length=1)  # specs, mixed in equal parts
    held_out: tuple[str, ...] = ()  # specs of the worlds it is examined in; none = the same
    level: Count
    regime: Regime
    distilled: bool = False  # learn the oracle's exact law of each action, not the one drawn: more than the data tell
    mistakes: Share = 0.1  # `repaired`: chance that a step is a mistake, corrected by the next step
    mistakes_by: dict[str, Share] = {}  # `repaired`: the same chance for steps that test one ability of the world
    mask_mistakes: bool = True  # `repaired`: the mistakes themselves are read but not learned
    clean_share: Share = 0.0  # the first share of the steps reads clean text, as a clean run of the same seed does
    actions: Count | None = None  # at most so many actions of a text; None = to its end


class Size(_Strict):
    """The network; its vocabulary is the worlds' alphabet."""

    layers: Count
    width: Count
    head: Count = 32
    context: Count


class Fit(_Strict):
    """The optimisation."""

    steps: Count  # at most, where a run may end earlier
    rows: Count  # texts a step
    stop_error: Share | None = None  # end at the first test whose error per turn is no more: `exam.error_now`
    test_every: Count = 25  # steps between two such tests
    matrix_rate: Rate = 0.02  # Muon: matrices of the blocks
    other_rate: Rate = 0.005  # AdamW: embedding, head, gains
    warmup: Share = 0.02  # share of the steps; then the rates fall linearly to zero
    clip: Rate = 1.0  # largest norm of the whole gradient
    dtype: Literal["float32", "bfloat16"] = "float32"  # of products; bfloat16 is fast where the CPU has it, else slow


class Recipe(_Strict):
    """A training run without its seed."""

    text: Text
    size: Size
    fit: Fit
    limits: str = ""  # what a reader of the model card must know

    @property
    def clean_steps(self) -> int:
        """Steps that read clean text before the regime's own begins."""
        return round(self.text.clean_share * self.fit.steps)

    @property
    def deciding(self) -> Recipe:
        """The recipe with every field that decides no weight at its default."""
        text = self.text.model_dump() | {"held_out": ()}
        if self.text.regime != "repaired":
            text |= {"mistakes": 0.1, "mistakes_by": {}, "mask_mistakes": True}
        return self.model_copy(update={"text": Text.model_validate(text), "limits": ""})

    @property
    def trunk(self) -> Recipe:
        """The clean recipe whose first `clean_steps` steps are this one's: one run of it can serve both."""
        text = self.text.model_copy(update={"regime": "clean", "clean_share": 0.0})
        return self.model_copy(update={"text": text}).deciding


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    folder = files("deadreckon.train") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def recipe_text(name: str) -> str:
    """The TOML of a recipe, by name or by path. UnknownName."""
    if name in recipe_names():
        return (files("deadreckon.train") / "recipes" / f"{name}.toml").read_text("utf-8")
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return path.read_text("utf-8")
    raise UnknownName("recipe", name, recipe_names())


def parse_recipe(toml: str) -> Recipe:
    """A recipe from its text. BadOption names the first field that is wrong."""
    try:
        return Recipe.model_validate(tomllib.loads(toml))
    except tomllib.TOMLDecodeError as error:
        raise BadOption(f"recipe is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadOption(f"recipe field {where} = {first.get('input')!r}: {first['msg']}") from None
