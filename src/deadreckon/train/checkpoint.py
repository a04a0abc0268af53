"""Checkpoints: weights and optimiser in one safetensors file, replaced whole or not at all.

A run killed at any moment finds either the old file or the new one, and goes on to the same final weights, bit
for bit on the same machine and library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deadreckon.errors import BadWeights, OtherIdentity
from deadreckon.models.gpt import GPT
from deadreckon.rollouts.store import write_atomic
from deadreckon.train.muon import Muon


class Mark(BaseModel):
    """What a checkpoint says of itself."""

    identity: str  # of recipe and seed
    steps: int = 0  # taken
    tokens: int = 0  # symbols read, padding apart
    seconds: float = 0.0  # CPU
    ended: bool = False  # the recipe asks for no further step

    def after(self, symbols: int, seconds: float) -> Mark:
        """The mark one optimisation step later."""
        return Mark(identity=self.identity, steps=self.steps + 1, tokens=self.tokens + symbols, seconds=seconds)


@dataclass(slots=True)
class Learner:
    """A network and what its optimisation remembers."""

    network: GPT
    muon: Muon
    adam: torch.optim.AdamW

    def tensors(self) -> dict[str, Tensor]:
        """All that decides the steps to come, by name."""
        flat = {f"weights.{name}": w.detach() for name, w in self.network.named_parameters()}
        flat |= {f"muon.{i}": m for i, m in enumerate(self.muon.momenta)}
        for number, state in self.adam.state_dict()["state"].items():
            flat |= {f"adam.{number}.{name}": value for name, value in state.items()}
        return flat

    @torch.no_grad()
    def restore(self, flat: Mapping[str, Tensor]) -> None:
        """Inverse of `tensors`. BadWeights: a tensor is missing or of another shape."""
        try:
            for name, w in self.network.named_parameters():
                w.copy_(flat[f"weights.{name}"])
            for i, m in enumerate(self.muon.momenta):
                m.copy_(flat[f"muon.{i}"])
        except (KeyError, RuntimeError) as error:
            raise BadWeights(
                f"checkpoint does not fit the recipe's network ({error}): train into a new folder"
            ) from None
        adam = self.adam.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in flat.items():
            kind, _, rest = name.partition(".")
            if kind == "adam":
                number, _, part = rest.partition(".")
                states.setdefault(int(number), {})[part] = value
        self.adam.load_state_dict({"state": states, "param_groups": adam["param_groups"]})


def save_checkpoint(path: Path, learner: Learner, mark: Mark) -> None:
    """Write the learner as it stands. StoreError."""
    flat = {name: value.contiguous() for name, value in learner.tensors().items()}
    write_atomic(path, save(flat, {"mark": mark.model_dump_json()}))


def save_graded(path: Path, learner: Learner, mark: Mark) -> None:
    """Write the weights alone, as they stand. StoreError."""
    weights = {name: w.detach().contiguous() for name, w in learner.network.named_parameters()}
    write_atomic(path, save(weights, {"mark": mark.model_dump_json()}))


def _read(path: Path) -> tuple[Mark, dict[str, Tensor]]:
    """Mark and tensors. BadWeights: not a training checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            mark = Mark.model_validate(json.loads((file.metadata() or {}).get("mark", "{}")))
            return mark, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise BadWeights(f"{path} is not a training checkpoint ({why}): train into a new folder") from None


def load_checkpoint(path: Path, learner: Learner, identity: str) -> Mark:
    """Restore the learner. BadWeights: not its checkpoint; OtherIdentity: one of another recipe or seed."""
    mark, flat = _read(path)
    if mark.identity != identity:
        raise OtherIdentity(f"{path} belongs to another recipe or seed ({mark.identity}): choose another folder")
    learner.restore(flat)
    return mark


def load_graded(path: Path, network: GPT) -> Mark:
    """Put the weights of a graded checkpoint into the network. BadWeights."""
    mark, flat = _read(path)
    try:
        network.load_state_dict(flat)
    except RuntimeError:
        raise BadWeights(f"{path} does not fit the recipe's network: publish it with its own recipe") from None
    return mark
