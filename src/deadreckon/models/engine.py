"""The GPT's arithmetic with a KV cache, in launches of one constant number of rows.

What a row computes depends on its own tokens, their positions and the sizes of the launch alone. Sizes of a launch
are (rows, symbols a row, context bucket); the last two are functions of the row's own place, the first never
changes. So no row's bits depend on its neighbours, on its number, or on how many rows are real. That a launch
treats all its rows alike is a property of the kernels: tests/laws/test_decode.py holds it on the machine at hand.

Same function as `deadreckon.models.gpt.GPT` (agreement within 1e-4 on logits), arranged for the CPU: products by oneDNN
where torch has it (BLAS, which torch calls for float32, uses half the vectors of some CPUs), rotary pairs made
neighbours so that a rotation is one complex product, RMS norms from `vector_norm`, attention as plain `bmm` over pages
of the cache and, at one query a row, `embedding_bag` (the fused CPU kernel is several times slower). A page holds
`FINE` positions of all rows, so that what a launch looks at is read without gaps.
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

FINE, COARSE, SHORT = 16, 32, 64  # contexts are rounded up to a multiple of FINE up to SHORT, then of COARSE

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Logits = NDArray[np.float32]


def bucket(context: Ints) -> Ints:
    """How much of the cache is looked at, for contexts of these many symbols."""
    size = np.where(context <= SHORT, FINE, COARSE)
    return -(-context // size) * size


def has_onednn() -> bool:
    """Whether this build of torch brings oneDNN, and the product of it that the engine calls."""
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found and hasattr(torch.ops.mkldnn, "_linear_pointwise")


ONEDNN = has_onednn()


def laid_out(weight: Tensor) -> Tensor:
    """A matrix (out, in) as `times` reads it."""
    weight = weight.detach().float()
    return weight.contiguous() if ONEDNN else weight.T.contiguous()


def times(x: Tensor, weight: Tensor) -> Tensor:
    """x (n, in), a matrix as it is laid out -> (n, out)."""
    if ONEDNN:
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return found
    return torch.mm(x, weight)


def add_times(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """total + times(x, weight)."""
    return times(x, weight).add_(total) if ONEDNN else torch.addmm(total, x, weight)


def scale(x: Tensor, eps: Tensor) -> Tensor:
    """1 / sqrt(mean(x^2) + eps) along the last axis, which is kept; eps holds `EPS`, of shape (1,)."""
    size = torch.linalg.vector_norm(x, 2, -1, keepdim=True)
    return torch.addcmul(eps, size, size, value=1 / x.shape[-1]).rsqrt_()


def rms(x: Tensor, eps: Tensor) -> Tensor:
    """`gpt.norm`."""
    return x * scale(x, eps)


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's matrices, laid out, and its cache by pages of `FINE` positions, each of all rows, and flat."""

    qkv: Tensor
    gain: Tensor  # (2 * heads, 1): of q, 1 / sqrt(head) included, then ones for k
    out: Tensor
    up: Tensor
    down: Tensor
    keys: Tensor  # (pages, rows * heads, FINE, head): a page is read as one stream of memory
    values: Tensor
    flat_keys: Tensor  # (pages * rows * heads * FINE, head)
    flat_values: Tensor


def as_layer(block: Block, config: GPTConfig, rows: int, pages: int) -> Layer:
    """The block with the halves of q and k interleaved: (x[i], x[i + head/2]) become neighbours."""
    width, heads, head = config.width, config.heads, config.head
    pairs = torch.arange(head).view(2, head // 2).T.reshape(-1)
    qkv = block.attn.qkv.weight.detach().float().view(3, heads, head, width).clone()
    qkv[:2] = qkv[:2][:, :, pairs]
    gain = block.attn.gain.detach().float() / math.sqrt(head)
    matrices = (block.attn.out, block.mlp.up, block.mlp.down)
    size = (pages * rows * heads * FINE, head)
    flat = [torch.from_numpy(np.zeros(size, np.float32)) for _ in range(2)]  # memory nobody has touched costs nothing
    return Layer(
        laid_out(qkv.view(3 * width, width)),
        torch.cat([gain, torch.ones(heads)])[:, None],
        *(laid_out(m.weight) for m in matrices),
        *(cache.view(pages, rows * heads, FINE, head) for cache in flat),
        *flat,
    )


@dataclass(frozen=True, slots=True)
class View:
    """The rows whose context ends at `end`."""

    end: int
    mask: Tensor  # (R * heads, N, end): 0 where seen, else -inf
    uses: Tensor  # (R * heads, 1, 1): whether a row is one of them
    bags: tuple[Tensor, Tensor] | None  # at N = 1: the flat cache's rows of every context, and where each begins


@dataclass(frozen=True, slots=True)
class Places:
    """Where a launch reads and writes: computed once, used by every layer. R rows, N symbols a row."""

    turn: Tensor  # (R * N, 1, head/2): rotations
    write: Tensor  # (R * N * heads,): rows of the flat cache
    views: list[View]


def look(layer: Layer, q: Tensor, view: View) -> Tensor:
    """The weights of the values: q (R * heads, N, head) -> (R * heads, N, end)."""
    scores = torch.cat([torch.bmm(q, page.mT) for page in layer.keys[: view.end // FINE]], dim=-1)
    return scores.add_(view.mask).softmax(-1)


def mix(layer: Layer, weights: Tensor, view: View) -> Tensor:
    """The values, weighted: (R * heads, N, end) -> (R * heads, N, head)."""
    if view.bags is None:
        parts = zip(torch.split(weights, FINE, dim=-1), layer.values, strict=False)
        return torch.stack([torch.bmm(part, page) for part, page in parts]).sum(0)
    at, begins = view.bags  # one query a row: a sum of cache rows, which this kernel fetches ahead of their use
    found = torch.embedding_bag(layer.flat_values, at, begins, mode=0, per_sample_weights=weights.view(-1))
    return found[0][:, None]


class Engine:
    """Weights and cache of one session of `rows` rows."""

    def __init__(self, network: GPT, rows: int):
        """Copies the weights as float32; the cache takes at most 8 * rows * layers * span * width bytes."""
        config = network.config
        self.config, self.rows = config, rows
        self.reach = int(bucket(np.array(config.context)))
        self.span = self.reach + FINE  # the last page takes what nobody reads
        self.layers = [as_layer(b, config, rows, self.span // FINE) for b in network.blocks if isinstance(b, Block)]
        cos, sin = rope_table(GPTConfig(config.vocab, self.span, config.layers, config.width, config.head))
        self.turn = torch.complex(cos, sin)[:, None]
        self.embed = norm(network.embed.weight.detach().float())
        self.head = laid_out(network.head.weight)
        self.first = (torch.arange(rows * config.heads) * FINE).view(rows, 1, config.heads)
        self.eps = torch.tensor([EPS])
        self.bags: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.inference_mode()
    def launch(self, tokens: Ints, start: Ints, last: Ints, real: Bools) -> Logits:
        """Read tokens (R, N) at positions start (R,) onwards; logits (R, vocab) after each row's symbol `last`.

        Rows that are not real, and symbols after `last`, leave garbage at positions that are read by nobody before
        they are written again.
        """
        n = tokens.shape[1]
        places = self._places(start, n, real)
        x = self.embed.index_select(0, torch.from_numpy(tokens.reshape(-1)))
        for layer in self.layers:
            x = add_times(x, self._attend(layer, x, places), layer.out)
            up = times(rms(x, self.eps), layer.up).relu_()
            x = add_times(x, up.square_(), layer.down)
        if n > 1:
            x = x.view(self.rows, n, -1)[torch.arange(self.rows), torch.from_numpy(last)]
        logits = times(rms(x, self.eps), self.head)
        logits[:, BEGIN] = -math.inf
        found: Logits = logits.numpy()
        return found

    def _places(self, start: Ints, n: int, real: Bools) -> Places:
        at = torch.from_numpy(np.minimum(start[:, None] + np.arange(n), self.span - 1))  # (R, N)
        ends = np.minimum(bucket(start + n), self.reach)
        heads, views = self.config.heads, []
        for end in np.unique(ends[real]).tolist():
            unseen = torch.arange(end) > at[:, :, None]  # (R, N, end)
            mask = torch.zeros(unseen.shape).masked_fill_(unseen, -math.inf)
            uses = torch.from_numpy(ends == end)[:, None].expand(self.rows, heads).reshape(-1, 1, 1)
            mask = mask[:, None].expand(-1, heads, -1, -1).reshape(-1, n, end)
            views.append(View(end, mask, uses, self._bags(end) if n == 1 else None))
        return Places(self.turn[at.reshape(-1)], (self.first + self._row(at)[:, :, None]).reshape(-1), views)

    def _row(self, at: Tensor) -> Tensor:
        """The flat cache's row of these positions in the first row's first head."""
        return at // FINE * (self.rows * self.config.heads * FINE) + at % FINE

    def _bags(self, end: int) -> tuple[Tensor, Tensor]:
        if end not in self.bags:
            first = self.first.view(-1, 1)
            at = (first + self._row(torch.arange(end))).reshape(-1)
            self.bags[end] = at.int(), (torch.arange(len(first)) * end).int()
        return self.bags[end]

    def _attend(self, layer: Layer, x: Tensor, places: Places) -> Tensor:
        """Write this layer's keys and values, and mix the values: x (R * N, width) -> (R * N, width)."""
        rows, heads, head = self.rows, self.config.heads, self.config.head
        count, width = x.shape
        qkv = times(rms(x, self.eps), layer.qkv)
        qk = qkv[:, : 2 * width].view(count, 2 * heads, head)
        pairs = torch.view_as_complex((qk * (scale(qk, self.eps) * layer.gain)).view(count, 2 * heads, head // 2, 2))
        layer.flat_keys.index_copy_(0, places.write, torch.view_as_real(pairs[:, heads:] * places.turn).view(-1, head))
        layer.flat_values.index_copy_(0, places.write, qkv[:, 2 * width :].reshape(-1, head))
        q = torch.view_as_real(pairs[:, :heads] * places.turn)
        if count > rows:
            q = q.view(rows, -1, heads, head).transpose(1, 2)
        q, mixed = q.reshape(rows * heads, -1, head), None
        for view in places.views:
            found = mix(layer, look(layer, q, view), view)
            mixed = found if mixed is None else torch.where(view.uses, found, mixed)
        assert mixed is not None
        if count > rows:
            mixed = mixed.view(rows, heads, -1, head).transpose(1, 2)
        return mixed.reshape(count, width)
