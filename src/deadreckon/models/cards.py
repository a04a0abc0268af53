"""The card beside a model's weights: whose they are. Read without torch."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deadreckon.errors import BadWeights
from deadreckon.models.tokens import Tokenizer

LARGEST_CARD = 1 << 20  # bytes

Size = Annotated[int, Field(ge=1, le=1 << 20)]


class Sizes(BaseModel):
    """The fields of `GPTConfig`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    vocab: Size
    context: Annotated[int, Field(ge=1, le=1 << 13)]
    layers: Annotated[int, Field(ge=1, le=1000)]
    width: Size
    head: Size


class Card(BaseModel):
    """What a loader must know of weights; a card may say more (recipe, tokens, losses) to its readers."""

    model_config = ConfigDict(extra="allow", frozen=True)

    size: Sizes
    alphabet: tuple[str, ...]  # symbols in the order of their ids, from 1
    alphabet_hash: str  # Tokenizer.identity
    seed: int  # of training
    sha256: str  # of the weights' file


def read_card(path: Path) -> Card:
    """The card at this path. BadWeights: missing, not a card, or its alphabet does not have its hash."""
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise BadWeights(f"{path} is over {LARGEST_CARD} bytes: a card is a small JSON file, fetch it again")
        card = Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadWeights(f"no card at {path} ({error.strerror}): weights load with their card beside them") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadWeights(f"{path}: {where}: {first['msg']}: fetch the card again") from None
    found = Tokenizer(card.alphabet).identity
    if found != card.alphabet_hash or len(card.alphabet) + 1 != card.size.vocab:
        raise BadWeights(f"{path}: its alphabet has hash {found}, not {card.alphabet_hash}: fetch the card again")
    return card


def shipped_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(files("deadreckon.models") / "shipped"))


def shipped_files() -> dict[str, Path]:
    """Weights that come with the package, by model: seed 0 under its plain name, others with -s1, -s2, ..."""
    return {plain(path.stem): path for path in sorted(shipped_folder().glob("*.safetensors"))}


def shipped_names() -> list[str]:
    """Models that come with the package."""
    return sorted(shipped_files())


def plain(stem: str) -> str:
    """A file's name without the "-s0" of training seed 0."""
    return re.sub(r"-s0(?![0-9])", "", stem)


def _told(name: str) -> dict[str, object]:
    """What the card of a model of the package says to its readers; nothing where there is no such model."""
    path = shipped_files().get(plain(name))
    return {} if path is None else read_card(path.with_suffix(".json")).model_extra or {}


def shipped_level(name: str) -> int | None:
    """The world's level that a model of the package was trained at, by its card; None: no such model, or not said."""
    level = _told(name).get("level")
    return level if isinstance(level, int) else None


def shipped_line(name: str) -> str:
    """What a model of the package was trained on, by its card."""
    told = _told(name)
    worlds = told.get("worlds")
    where = " and ".join(map(str, worlds)) if isinstance(worlds, list) else "?"
    tokens = told.get("tokens")
    much = f", {tokens / 1e6:.2g}M tokens" if isinstance(tokens, int) else ""
    return f"GPT trained on {told.get('regime', '?')} text of {where}, level {told.get('level', '?')}{much}"
