"""Stored weights as the network that torch runs: the reference engine, and the one on a GPU."""

from __future__ import annotations

from pathlib import Path

import torch

from deadreckon.errors import BadOption
from deadreckon.models.decode import GPTModel
from deadreckon.models.gpt import GPT
from deadreckon.models.gpu import GPUModel, present
from deadreckon.models.stored import read_weights, shipped_path, trained_path
from deadreckon.models.tokens import Tokenizer


def load_gpt(path: Path, name: str) -> GPTModel:
    """The model whose weights are at `path`, its card beside it. BadWeights."""
    stored = read_weights(path)
    network = GPT(stored.config)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in stored.tensors.items()})
    tokens = Tokenizer(stored.card.alphabet)
    return GPTModel(network.eval(), tokens, name=name, weights=stored.sha256, seed=stored.card.seed)


def load_gpu(path: Path, name: str) -> GPUModel:
    """The same on a GPU. BadWeights; BadOption: torch sees none."""
    if not present():
        raise BadOption("engine=cuda: torch sees no GPU here: use engine=auto")
    return GPUModel(load_gpt(path, name))


def load_shipped(name: str) -> GPTModel:
    """A model that comes with the package, by name ("sums-clean", "sums-clean-s3"). UnknownName, BadWeights."""
    return load_gpt(*shipped_path(name))


def load_trained(place: str) -> GPTModel:
    """A model made by training: the path of its weights, or of the folder that holds one model. BadWeights."""
    return load_gpt(*trained_path(place))
