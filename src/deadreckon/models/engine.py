"""The GPT's arithmetic with a KV cache, in launches of one constant number of rows.

What a row computes depends on its own tokens, their positions and the sizes of the launch alone. Sizes of a launch
are (rows, symbols a row, context bucket); the last two are functions of the row's own place, the first never
changes. So no row's bits depend on its neighbours, on its number, or on how many rows are real. That a launch
treats all its rows alike is a property of the kernels: tests/laws/test_decode.py holds it on the machine at hand.

Same function as `deadreckon.models.gpt.GPT` (agreement within 1e-4 on logits), arranged for the CPU: matrices as
(in, out), rotary pairs made neighbours so that a rotation is one complex product, RMS norms from `vector_norm`,
attention as plain `bmm` (the fused CPU kernel is several times slower at one query a row).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deadreckon.models.gpt import EPS, GPT, Block, GPTConfig, norm, rope_table
from deadreckon.models.tokens import BEGIN

BUCKET = 32  # contexts are rounded up to a multiple of it

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Logits = NDArray[np.float32]


def rms(x: Tensor, eps: Tensor) -> Tensor:
    """`gpt.norm` in four launches; eps holds `EPS`, of shape (1,)."""
    size = torch.linalg.vector_norm(x, 2, -1, keepdim=True)
    return x * torch.addcmul(eps, size, size, value=1 / x.shape[-1]).rsqrt_()


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's matrices, (in, out); `turn` (span, heads, head/2) rotates and scales q."""

    qkv: Tensor
    turn: Tensor
    out: Tensor
    up: Tensor
    down: Tensor


def as_layer(block: Block, config: GPTConfig, turn: Tensor) -> Layer:
    """The block with the halves of q and k interleaved: (x[i], x[i + head/2]) become neighbours."""
    width, heads, head = config.width, config.heads, config.head
    pairs = torch.arange(head).view(2, head // 2).T.reshape(-1)
    qkv = block.attn.qkv.weight.detach().float().view(3, heads, head, width).clone()
    qkv[:2] = qkv[:2][:, :, pairs]
    gain = block.attn.gain.detach().float() / math.sqrt(head)
    matrices = (block.attn.out, block.mlp.up, block.mlp.down)
    return Layer(
        qkv.view(3 * width, width).T.contiguous(),
        turn[:, None, :] * gain[:, None],
        *(m.weight.detach().float().T.contiguous() for m in matrices),
    )


@dataclass(frozen=True, slots=True)
class Places:
    """Where a launch reads and writes: computed once, used by every layer. R rows, N symbols a row."""

    flat: Tensor  # (R * N,) positions
    turn: Tensor  # (R * N, 1, head/2) rotation of k
    write: Tensor  # (R * N * heads,) rows of the flattened cache
    views: list[tuple[int, Tensor, Tensor]]  # context, mask (R * heads, N, context), rows that use it (R * heads, 1, 1)


class Engine:
    """Weights and cache of one session of `rows` rows."""

    def __init__(self, network: GPT, rows: int):
        """Copies the weights as float32; allocates 8 * rows * layers * context * width bytes."""
        config = network.config
        self.config, self.rows = config, rows
        self.span = -(-(config.context + 1) // BUCKET) * BUCKET  # its last position is never read
        cos, sin = rope_table(GPTConfig(config.vocab, self.span, config.layers, config.width, config.head))
        self.turn = torch.complex(cos, sin)
        self.layers = [as_layer(b, config, self.turn) for b in network.blocks if isinstance(b, Block)]
        self.embed = norm(network.embed.weight.detach().float())
        self.head = network.head.weight.detach().float().T.contiguous()
        self.k = torch.zeros(config.layers, rows * config.heads * self.span, config.head)
        self.v = torch.zeros_like(self.k)
        self.first = (torch.arange(rows * config.heads) * self.span).view(rows, 1, config.heads)
        self.eps = torch.tensor([EPS])

    def launch(self, tokens: Ints, start: Ints, last: Ints, real: Bools) -> Logits:
        """Read tokens (R, N) at positions start (R,) onwards; logits (R, vocab) after each row's symbol `last`.

        Rows that are not real, and symbols after `last`, leave garbage at positions that are read by nobody before
        they are written again.
        """
        n = tokens.shape[1]
        with torch.inference_mode():
            places = self._places(start, n, real)
            x = self.embed[torch.from_numpy(tokens.reshape(-1))]
            for i, layer in enumerate(self.layers):
                x = torch.addmm(x, self._attend(i, layer, x, places), layer.out)
                up = (rms(x, self.eps) @ layer.up).relu_()
                x = torch.addmm(x, up.square_(), layer.down)
            if n > 1:
                x = x.view(self.rows, n, -1)[torch.arange(self.rows), torch.from_numpy(last)]
            logits = rms(x, self.eps) @ self.head
            logits[:, BEGIN] = -math.inf
            found: Logits = logits.numpy()
            return found

    def _places(self, start: Ints, n: int, real: Bools) -> Places:
        at = torch.from_numpy(np.minimum(start[:, None] + np.arange(n), self.span - 1))  # (R, N)
        ends = np.minimum(-(-(start + n) // BUCKET) * BUCKET, self.span)
        heads, views = self.config.heads, []
        for end in np.unique(ends[real]).tolist():
            seen = torch.arange(end) <= at[:, :, None]  # (R, N, end)
            mask = torch.zeros(seen.shape).masked_fill_(~seen, -math.inf)
            uses = torch.from_numpy(ends == end)[:, None].expand(self.rows, heads).reshape(-1, 1, 1)
            views.append((end, mask[:, None].expand(-1, heads, -1, -1).reshape(-1, n, end), uses))
        flat = at.reshape(-1)
        return Places(flat, self.turn[flat][:, None], (self.first + at[:, :, None]).reshape(-1), views)

    def _attend(self, i: int, layer: Layer, x: Tensor, places: Places) -> Tensor:
        """Write this layer's keys and values, and mix the values: x (R * N, width) -> (R * N, width)."""
        rows, heads, head = self.rows, self.config.heads, self.config.head
        qkv = (rms(x, self.eps) @ layer.qkv).view(-1, 3, heads, head)
        n = len(qkv) // rows
        pairs = torch.view_as_complex(rms(qkv[:, :2], self.eps).view(-1, 2, heads, head // 2, 2))
        q = torch.view_as_real(pairs[:, 0] * layer.turn.index_select(0, places.flat)).view(rows, n, heads, head)
        q = q.transpose(1, 2).reshape(rows * heads, n, head)
        self.k[i].index_copy_(0, places.write, torch.view_as_real(pairs[:, 1] * places.turn).view(-1, head))
        self.v[i].index_copy_(0, places.write, qkv[:, 2].reshape(-1, head))
        keys, values = (cache[i].view(rows * heads, self.span, head) for cache in (self.k, self.v))
        mixed = torch.empty(0)
        for j, (end, mask, uses) in enumerate(places.views):
            weights = torch.baddbmm(mask, q, keys[:, :end].mT).softmax(-1)
            found = torch.bmm(weights, values[:, :end])
            mixed = torch.where(uses, found, mixed) if j else found
        return mixed.view(rows, heads, n, head).transpose(1, 2).reshape(rows * n, -1)
