"""The sizes of the small GPT: what its weights and every engine that runs them agree on. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from deadreckon.errors import BadOption

EPS = 1e-6  # of every norm
ROPE_BASE = 10_000.0


@dataclass(frozen=True, slots=True)
class GPTConfig:
    """Sizes of a GPT: ids, longest input in symbols, blocks, residual width and size of a head."""

    vocab: int
    context: int
    layers: int
    width: int
    head: int = 32

    def __post_init__(self) -> None:
        """BadOption: a size below 1, or heads that do not fill the width."""
        if min(self.vocab, self.context, self.layers, self.width, self.head) < 1:
            raise BadOption(f"{self} has a size below 1: every size is at least 1")
        if self.width % self.head or self.head % 2:
            raise BadOption(f"width {self.width} is not a multiple of an even head size ({self.head}): change one")

    @property
    def heads(self) -> int:
        """Heads in a block."""
        return self.width // self.head

    @property
    def parameters(self) -> int:
        """Learned numbers in all: 12 width^2 and one gain a head in each block, embedding and head."""
        return self.layers * (12 * self.width**2 + self.heads) + 2 * self.vocab * self.width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the weights by its name in a state dict, in its order."""
        width = self.width
        found: dict[str, tuple[int, ...]] = {"embed.weight": (self.vocab, width)}
        for i in range(self.layers):
            found[f"blocks.{i}.attn.gain"] = (self.heads,)
            found[f"blocks.{i}.attn.qkv.weight"] = (3 * width, width)
            found[f"blocks.{i}.attn.out.weight"] = (width, width)
            found[f"blocks.{i}.mlp.up.weight"] = (4 * width, width)
            found[f"blocks.{i}.mlp.down.weight"] = (width, 4 * width)
        found["head.weight"] = (self.vocab, width)
        return found
