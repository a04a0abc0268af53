"""A small GPT in one file: RoPE, RMS norms, QK-norm with a learned gain, ReLU^2, untied head, no biases.

    x = norm(embed[tokens]);  x += attn(norm(x));  x += mlp(norm(x))  (each block);  logits = head(norm(x))

The family is frozen, so that other engines can rely on it: one norm (RMS, no gain, eps 1e-6), one activation
(ReLU^2), half-split rotary embeddings of base 10000. Sources: Su et al. 2021 (RoPE); Zhang & Sennrich 2019
(RMSNorm); Henry et al. 2020 (QK-norm); So et al. 2021 (ReLU^2).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deadreckon.errors import BadOption
from deadreckon.models.config import EPS as EPS
from deadreckon.models.config import ROPE_BASE
from deadreckon.models.config import GPTConfig as GPTConfig
from deadreckon.models.tokens import BEGIN
from deadreckon.seeds import Purpose, generator, hash64

GAIN = 2.0  # first value of each head's gain on q: scores start within +-GAIN * sqrt(head)


def norm(x: Tensor) -> Tensor:
    """x / sqrt(mean(x^2) + eps) along the last axis; any shape."""
    return F.rms_norm(x, (x.shape[-1],), eps=EPS)


def rope_table(config: GPTConfig) -> tuple[Tensor, Tensor]:
    """cos and sin of position * base^(-2i/head), i < head/2: each (context, head/2)."""
    frequency = ROPE_BASE ** (-torch.arange(0, config.head, 2, dtype=torch.float64) / config.head)
    angle = torch.arange(config.context, dtype=torch.float64)[:, None] * frequency
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, half-split: pairs are (x[i], x[i + head/2]). x (..., T, head), cos and sin (T, head/2)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Attention(nn.Module):
    """Causal self-attention of the last `width` axis; score = gain_h * norm(q).norm(k) / sqrt(head)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.heads, self.head = config.heads, config.head
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)  # rows: all of q, all of k, all of v
        self.gain = nn.Parameter(torch.full((config.heads,), GAIN))
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x (B, T, width), cos and sin (T, head/2) -> (B, T, width)."""
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, self.head).permute(2, 0, 3, 1, 4)
        qk, values = qkv.split([2, 1])
        q, k = rotate(norm(qk), cos, sin).unbind()  # each (B, heads, T, head)
        mixed = F.scaled_dot_product_attention(q * self.gain[:, None, None], k, values[0], is_causal=True)
        mapped: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return mapped


class MLP(nn.Module):
    """down(relu(up(x))^2)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.up = nn.Linear(config.width, 4 * config.width, bias=False)
        self.down = nn.Linear(4 * config.width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        mapped: Tensor = self.down(self.up(x).relu().square())
        return mapped


class Block(nn.Module):
    """One layer: attention, then the MLP, each added to the residual stream."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.attn = Attention(config)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x (B, T, width) -> (B, T, width)."""
        x = x + self.attn(norm(x), cos, sin)
        return x + self.mlp(norm(x))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """Tokens to next-token logits. State dict: embed, blocks.N.{attn.{qkv,gain,out},mlp.{up,down}}, head."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: GPTConfig, seed: int = 0):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = nn.Linear(config.width, config.vocab, bias=False)
        cos, sin = rope_table(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._draw(seed)

    def hidden(self, tokens: Tensor) -> Tensor:
        """What the head reads: (B, T) ids -> (B, T, width)."""
        length = tokens.shape[1]
        if length > self.config.context:
            raise BadOption(f"{length} symbols given, the context is {self.config.context}: shorten the text")
        cos, sin = self.cos[:length], self.sin[:length]
        x = norm(self.embed(tokens))
        for block in self.blocks:
            x = block(x, cos, sin)
        return norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., width) -> (..., vocab), -inf at the begin symbol."""
        logits: Tensor = self.head(hidden)
        logits[..., BEGIN] = -math.inf
        return logits

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) ids, T <= context -> (B, T, vocab) logits of the next symbol. BadOption: T above the context."""
        return self.logits(self.hidden(tokens))

    @torch.no_grad()
    def _draw(self, seed: int) -> None:
        """First weights: N(0, 1/width) maps, N(0, 1) embedding, zero output projections; a pure function of seed."""
        word = generator(seed, hash64("gpt"), Purpose.INIT).integers(2**63)
        source = torch.Generator().manual_seed(int(word))
        self.embed.weight.normal_(0, 1, generator=source)
        self.head.weight.normal_(0, 0.1 / math.sqrt(self.config.width), generator=source)
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attn.qkv.weight.normal_(0, 1 / math.sqrt(self.config.width), generator=source)
            block.mlp.up.weight.normal_(0, 1 / math.sqrt(self.config.width), generator=source)
            block.attn.out.weight.zero_()
            block.mlp.down.weight.zero_()
