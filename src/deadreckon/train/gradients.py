"""The GPT's function with its gradients written out, in float32 or with bfloat16 products.

    hidden(network, tokens, dtype) = network.hidden(tokens)

Autograd keeps and walks one node an operation; here a block is two nodes whose gradients reuse what is there, so a
step passes over memory far less often. Attention is plain `bmm` and softmax: torch's fused kernel is several times
slower on a CPU at these lengths. With bfloat16 the products, and what is between them, are bfloat16; weights,
residual stream, loss and optimisers stay float32. tests/laws/test_gradients.py holds both against autograd.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from deadreckon.errors import BadOption
from deadreckon.models.gpt import EPS, GPT, Block
from deadreckon.models.tokens import BEGIN


def inverse_rms(x: Tensor) -> Tensor:
    """1 / sqrt(mean(x^2) + eps) along the last axis, which is kept."""
    size: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return size.square_().div_(x.shape[-1]).add_(EPS).rsqrt_()


class Norm(torch.autograd.Function):
    """y = x / rms(x), in `dtype`; its gradient is (g - y mean(g y)) / rms(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The value."""
        scale = inverse_rms(x)
        y = (x * scale).to(dtype)
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        """Gradients of the inputs, given the value's."""
        y, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(g, y).unsqueeze(-1).div_(-y.shape[-1])
        return torch.addcmul(g, y, along).mul(scale), None


class MLP(torch.autograd.Function):
    """relu(x up')^2 down': x (N, width), up (4 width, width), down (width, 4 width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, up: Tensor, down: Tensor) -> Tensor:
        """The value."""
        ctx.dtype, up, down = up.dtype, up.to(x.dtype), down.to(x.dtype)
        positive = torch.mm(x, up.T).relu_()
        squared = positive * positive
        ctx.save_for_backward(x, up, down, positive, squared)
        return torch.mm(squared, down.T)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of the inputs, given the value's."""
        x, up, down, positive, squared = ctx.saved_tensors
        g = g.to(x.dtype)
        inner = torch.mm(g, down * 2).mul_(positive)
        return torch.mm(inner, up), torch.mm(inner.T, x).to(ctx.dtype), torch.mm(squared.T, g).T.to(ctx.dtype)


class Linear(torch.autograd.Function):
    """x w': x (N, in), w (out, in)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        """The value."""
        ctx.dtype, w = w.dtype, w.to(x.dtype)
        ctx.save_for_backward(x, w)
        return torch.mm(x, w.T)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the inputs, given the value's."""
        x, w = ctx.saved_tensors
        g = g.to(x.dtype)
        return torch.mm(g, w), torch.mm(g.T, x).to(ctx.dtype)


@lru_cache(maxsize=64)
def unseen(length: int, dtype: torch.dtype) -> Tensor:
    """(T, T): 0 where a position is seen, -inf after it."""
    return torch.full((length, length), -math.inf).triu_(1).to(dtype)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`gpt.rotate` of x (..., T, head), contiguous; cos and sin as `turns` gives them; with -sin, its inverse."""
    a, b = x.chunk(2, dim=-1)
    return torch.mul(x, cos, out=x.new_empty(x.shape)).add_(torch.cat((b, a), dim=-1).mul_(sin))


def turns(network: GPT, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(cos, cos) and (-sin, sin) of the first positions: each (T, head)."""
    cos, sin = network.cos[:length].to(dtype), network.sin[:length].to(dtype)
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


class Attend(torch.autograd.Function):
    """From q, k, v in one map to the mixed values, as `gpt.Attention`: qkv (B * T, 3 width) -> (B * T, width).

    A rotation keeps the rms, so q and k are turned first and normalised after; their gradients are worked out turned
    and then turned back.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The value."""
        heads, (length, head) = len(gain), cos.shape
        parts = qkv.view(-1, length, 3, heads, head).permute(2, 0, 3, 1, 4)  # (3, B, heads, T, head)
        unit = turned(parts[:2], cos, sin)
        scale = inverse_rms(unit)
        unit *= scale  # q and k, normalised
        gains = (gain / math.sqrt(head)).to(qkv.dtype)[:, None, None]
        q, k, v = ((unit[0] * gains).flatten(0, 1), unit[1].flatten(0, 1), parts[2].flatten(0, 1))
        weights = torch.baddbmm(unseen(length, qkv.dtype), q, k.mT).softmax(-1)
        ctx.save_for_backward(unit, scale, gain, gains, q, v, weights, cos, sin)
        mixed = torch.bmm(weights, v).view(-1, heads, length, head)
        return mixed.transpose(1, 2).reshape(len(qkv), -1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Gradients of the inputs, given the value's."""
        unit, scale, gain, gains, q, v, weights, cos, sin = ctx.saved_tensors
        _, batch, heads, length, head = unit.shape
        mixed = g.view(batch, length, heads, head).transpose(1, 2).flatten(0, 1)
        scores = torch.ops.aten._softmax_backward_data(torch.bmm(mixed, v.mT), weights, -1, weights.dtype)
        back = torch.empty_like(unit)  # gradients of q before its gain, and of k
        torch.mul(torch.bmm(scores, unit[1].flatten(0, 1)).view_as(unit[0]), gains, out=back[0])
        torch.bmm(scores.mT, q, out=back[1].flatten(0, 1))
        along = torch.linalg.vecdot(back, unit).unsqueeze(-1)
        of_gain = along[0].sum((0, 2, 3), dtype=gain.dtype) / gain
        back.addcmul_(unit, along, value=-1 / head).mul_(scale)
        full = g.new_empty(batch, length, 3, heads, head)
        parts = full.permute(2, 0, 3, 1, 4)
        parts[:2] = turned(back, cos, -sin)
        parts[2] = torch.bmm(weights.mT, mixed).view(batch, heads, length, head)
        return full.view(batch * length, -1), of_gain, None, None


def hidden(network: GPT, tokens: Tensor, dtype: torch.dtype) -> Tensor:
    """`network.hidden` of tokens (B, T), flat: (B * T, width) in `dtype`. BadOption: T above the context."""
    length = tokens.shape[1]
    if length > network.config.context:
        raise BadOption(f"{length} symbols given, the context is {network.config.context}: shorten the text")
    cos, sin = turns(network, length, dtype)
    x: Tensor = Norm.apply(network.embed(tokens.reshape(-1)), torch.float32)  # type: ignore[no-untyped-call]
    for block in network.blocks:
        assert isinstance(block, Block)
        x = x + _attention(block, Norm.apply(x, dtype), cos, sin)  # type: ignore[no-untyped-call]
        x = x + MLP.apply(Norm.apply(x, dtype), block.mlp.up.weight, block.mlp.down.weight)  # type: ignore[no-untyped-call]
    y: Tensor = Norm.apply(x, dtype)  # type: ignore[no-untyped-call]
    return y


def _attention(block: Block, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    qkv = Linear.apply(x, block.attn.qkv.weight)  # type: ignore[no-untyped-call]
    mixed = Attend.apply(qkv, block.attn.gain, cos, sin)  # type: ignore[no-untyped-call]
    mapped: Tensor = Linear.apply(mixed, block.attn.out.weight)  # type: ignore[no-untyped-call]
    return mapped


def logits(network: GPT, hidden: Tensor) -> Tensor:
    """`network.logits`, float32: (N, width) -> (N, vocab)."""
    found: Tensor = Linear.apply(hidden, network.head.weight).float()  # type: ignore[no-untyped-call]
    found[:, BEGIN] = -math.inf
    return found
