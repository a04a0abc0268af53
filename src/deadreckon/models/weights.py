"""Weights on disk: NAME.safetensors with its card NAME.json. Checked as hostile input before a tensor is made.

A card says whose weights these are: sizes, alphabet, training seed, SHA-256 of the file. The file's header is read
first; entries, dtypes, shapes and offsets must be the network's own, and the hash the card's.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load

from deadreckon.errors import BadOption, BadWeights, UnknownName
from deadreckon.models.decode import GPTModel
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.tokens import Tokenizer

BYTES = {"F16": 2, "F32": 4}
LARGEST_CARD = 1 << 20  # bytes
LARGEST_FILE = 4 << 30

Size = Annotated[int, Field(ge=1, le=1 << 20)]
Offsets = tuple[int, int]


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


class Entry(BaseModel):
    """One tensor in a safetensors header."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dtype: str
    shape: list[int]
    data_offsets: list[int]


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


def load_gpt(path: Path, name: str) -> GPTModel:
    """The model whose weights are at `path`, its card beside it. BadWeights."""
    card = read_card(path.with_suffix(".json"))
    content = _read(path)
    network = GPT(_config(path, card, len(content)))
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    _check_header(path, content, shapes)
    digest = sha256(content).hexdigest()
    if digest != card.sha256:
        raise BadWeights(f"{path} has SHA-256 {digest[:16]}..., its card says {card.sha256[:16]}...: fetch both again")
    tensors = {key: value.float() for key, value in load(content).items()}
    bad = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
    if bad:
        raise BadWeights(f"{path}: {bad[0]} holds values that are not finite: train or fetch the weights again")
    network.load_state_dict(tensors)
    tokens = Tokenizer(card.alphabet)
    return GPTModel(network.eval(), tokens, name=name, weights=digest, seed=card.seed)


def _config(path: Path, card: Card, size: int) -> GPTConfig:
    """The card's sizes, believed only where the file is long enough for them."""
    try:
        config = GPTConfig(**card.size.model_dump())
    except BadOption as error:
        raise BadWeights(f"{path.with_suffix('.json')}: {error}") from None
    if size < min(BYTES.values()) * config.parameters:
        raise BadWeights(f"{path} has {size} bytes, its card says {config.parameters} weights: fetch both again")
    return config


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise BadWeights(f"{path} has {size} bytes, more than {LARGEST_FILE}: this is not one of our small models")
        return path.read_bytes()
    except OSError as error:
        raise BadWeights(f"no weights at {path} ({error.strerror}): give the path of a .safetensors file") from None


def _check_header(path: Path, content: bytes, shapes: dict[str, list[int]]) -> None:
    """BadWeights where the header is not exactly that of these tensors, laid out without gap or overlap."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or 8 + length > len(content):
        raise BadWeights(f"{path} is no safetensors file, or cut short at {len(content)} bytes: fetch it again")
    try:
        header = json.loads(content[8 : 8 + length])
        header.pop("__metadata__", None)
        entries = {key: Entry.model_validate(value) for key, value in header.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise BadWeights(f"{path}: its safetensors header cannot be read: fetch it again") from None
    if entries.keys() != shapes.keys():
        odd = min(entries.keys() ^ shapes.keys())
        raise BadWeights(
            f"{path}: tensor {odd[:60]!r} is not in both file and card: these are another network's weights"
        )
    at = 0
    for key, entry in sorted(entries.items(), key=lambda pair: pair[1].data_offsets):
        _check_entry(path, key, entry, shapes[key], at)
        at = entry.data_offsets[1]
    if 8 + length + at != len(content):
        raise BadWeights(f"{path} has {len(content)} bytes, its header says {8 + length + at}: fetch it again")


def _check_entry(path: Path, key: str, entry: Entry, shape: list[int], at: int) -> None:
    if entry.dtype not in BYTES:
        raise BadWeights(f"{path}: {key} is {entry.dtype[:10]}: weights are stored as F16 or F32")
    if entry.shape != shape:
        raise BadWeights(f"{path}: {key} is {entry.shape}, its card says {shape}: these are another network's weights")
    end = at + BYTES[entry.dtype] * torch.Size(shape).numel()
    if entry.data_offsets != [at, end]:
        raise BadWeights(f"{path}: {key} lies at {entry.data_offsets}, not [{at}, {end}]: fetch the file again")


def shipped_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(files("deadreckon.models") / "shipped"))


def shipped_names() -> list[str]:
    """Models that come with the package: seed 0 under its plain name, others with -s1, -s2, ..."""
    return sorted({_plain(path.stem) for path in shipped_folder().glob("*.safetensors")})


def _plain(stem: str) -> str:
    return re.sub(r"-s0(?![0-9])", "", stem)


def load_shipped(name: str) -> GPTModel:
    """A model that comes with the package, by name ("sums-clean", "sums-clean-s3"). UnknownName, BadWeights."""
    by_name = {_plain(path.stem): path for path in shipped_folder().glob("*.safetensors")}
    if _plain(name) not in by_name:
        raise UnknownName("shipped model", name, by_name)
    return load_gpt(by_name[_plain(name)], f"shipped:{_plain(name)}")


def shipped_level(name: str) -> int | None:
    """The world's level that a model of the package was trained at, by its card; None: no such model, or not said."""
    path = shipped_folder() / f"{_plain(name)}-s0.json"
    level = (read_card(path).model_extra or {}).get("level") if path.exists() else None
    return level if isinstance(level, int) else None


def load_trained(place: str) -> GPTModel:
    """A model made by training: the path of its weights, or of the folder that holds one model. BadWeights."""
    path = Path(place)
    if path.is_dir():
        cards = sorted(card for card in path.glob("*.json") if card.with_suffix(".safetensors").exists())
        if len(cards) != 1:
            names = ", ".join(card.stem for card in cards) or "none"
            raise BadWeights(f"{path} holds {len(cards)} models with a card ({names}): give the path of one")
        path = cards[0].with_suffix(".safetensors")
    return load_gpt(path, f"gpt:{place}")
