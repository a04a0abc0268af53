"""A small network as after training, and symbols for it to read."""

from __future__ import annotations

import torch

from deadreckon.models.gpt import GPT, GPTConfig

CONFIG = GPTConfig(vocab=11, context=24, layers=2, width=64)


def grown(seed: int = 0) -> GPT:
    """A network whose output projections are not zero, as after training."""
    network = GPT(CONFIG, seed)
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for w in network.parameters():
            w.add_(torch.randn(w.shape, generator=source), alpha=0.1)
    return network


def ids(rows: int = 3, length: int = 20) -> torch.Tensor:
    return torch.randint(1, CONFIG.vocab, (rows, length), generator=torch.Generator().manual_seed(1))
