"""Weights on disk: NAME.safetensors with its card NAME.json. Checked as hostile input before an array is made.

A card says whose weights these are: sizes, alphabet, training seed, SHA-256 of the file. The file's header is read
first; entries, dtypes, shapes and offsets must be the network's own, and the hash the card's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from deadreckon.errors import BadOption, BadWeights, UnknownName
from deadreckon.models.cards import Card, plain, read_card, shipped_files
from deadreckon.models.config import GPTConfig

F32 = NDArray[np.float32]

BYTES = {"F16": 2, "F32": 4}
TYPES = {"F16": "<f2", "F32": "<f4"}
LARGEST_FILE = 4 << 30

Offsets = tuple[int, int]


class Entry(BaseModel):
    """One tensor in a safetensors header."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dtype: str
    shape: list[int]
    data_offsets: list[int]


@dataclass(frozen=True, slots=True)
class Stored:
    """A network's weights as they were stored, in float32, with what their card says."""

    config: GPTConfig
    card: Card
    tensors: dict[str, F32]
    sha256: str


def read_weights(path: Path) -> Stored:
    """The weights at `path`, their card beside them. BadWeights."""
    card = read_card(path.with_suffix(".json"))
    content = _read(path)
    config = _config(path, card, len(content))
    entries, begin = _checked_header(path, content, config.shapes())
    digest = sha256(content).hexdigest()
    if digest != card.sha256:
        raise BadWeights(f"{path} has SHA-256 {digest[:16]}..., its card says {card.sha256[:16]}...: fetch both again")
    tensors = {}
    for key, entry in entries.items():
        values = np.frombuffer(content, TYPES[entry.dtype], prod(entry.shape), begin + entry.data_offsets[0])
        tensors[key] = values.astype(np.float32).reshape(entry.shape)
        if not np.isfinite(tensors[key]).all():
            raise BadWeights(f"{path}: {key} holds values that are not finite: train or fetch the weights again")
    return Stored(config, card, tensors, digest)


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


def _checked_header(path: Path, content: bytes, shapes: dict[str, tuple[int, ...]]) -> tuple[dict[str, Entry], int]:
    """The entries, and where the data begin. BadWeights: not exactly these tensors, without gap or overlap."""
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
        _check_entry(path, key, entry, list(shapes[key]), at)
        at = entry.data_offsets[1]
    if 8 + length + at != len(content):
        raise BadWeights(f"{path} has {len(content)} bytes, its header says {8 + length + at}: fetch it again")
    return entries, 8 + length


def _check_entry(path: Path, key: str, entry: Entry, shape: list[int], at: int) -> None:
    if entry.dtype not in BYTES:
        raise BadWeights(f"{path}: {key} is {entry.dtype[:10]}: weights are stored as F16 or F32")
    if entry.shape != shape:
        raise BadWeights(f"{path}: {key} is {entry.shape}, its card says {shape}: these are another network's weights")
    end = at + BYTES[entry.dtype] * prod(shape)
    if entry.data_offsets != [at, end]:
        raise BadWeights(f"{path}: {key} lies at {entry.data_offsets}, not [{at}, {end}]: fetch the file again")


def shipped_path(name: str) -> tuple[Path, str]:
    """A model that comes with the package ("sums-clean", "sums-clean-s3"): its file, and its spec. UnknownName."""
    by_name = shipped_files()
    if plain(name) not in by_name:
        raise UnknownName("shipped model", name, by_name)
    return by_name[plain(name)], f"shipped:{plain(name)}"


def trained_path(place: str) -> tuple[Path, str]:
    """A model made by training, by the path of its weights or of the folder that holds it alone. BadWeights."""
    path = Path(place)
    if path.is_dir():
        cards = sorted(card for card in path.glob("*.json") if card.with_suffix(".safetensors").exists())
        if len(cards) != 1:
            names = ", ".join(card.stem for card in cards) or "none"
            raise BadWeights(f"{path} holds {len(cards)} models with a card ({names}): give the path of one")
        path = cards[0].with_suffix(".safetensors")
    return path, f"gpt:{place}"
