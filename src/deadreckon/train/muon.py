"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024), all matrices of one shape at once.

    M <- mu M + G;  U = NewtonSchulz5(G + mu M);  W <- W - rate * 0.2 sqrt(max(m, n)) * U

The factor gives the update the size that AdamW's has (Liu et al. 2025), so one rate suits every shape. torch's
own Muon works one matrix at a time, and always in bfloat16, which is slow on a CPU without such instructions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
QUINTIC = (3.4445, -4.7750, 2.0315)  # of Jordan's Newton-Schulz iteration
ITERATIONS = 5


def orthogonal(g: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """U V' of each matrix's singular value decomposition U S V', roughly: (n, rows, columns), rows <= columns.

    The iteration runs in `dtype`, which is the result's.
    """
    a, b, c = QUINTIC
    x: Tensor = (g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


class Muon:
    """The optimiser of some matrices. Matrices whose rows are a multiple of their columns move as square ones."""

    def __init__(self, matrices: Sequence[nn.Parameter]):
        self.matrices = list(matrices)
        self.momenta = [torch.zeros_like(w) for w in self.matrices]

    @torch.no_grad()
    def step(self, rate: float, dtype: torch.dtype = torch.float32) -> None:
        """Move every matrix against its gradient; products in `dtype`."""
        pieces: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for w, m in zip(self.matrices, self.momenta, strict=True):
            assert w.grad is not None
            m.mul_(MOMENTUM).add_(w.grad)
            for part, push in zip(_wide(w), _wide(w.grad.add(m, alpha=MOMENTUM)), strict=True):
                pieces.setdefault((part.shape[0], part.shape[1]), []).append((part, push))
        for (_, columns), parts in pieces.items():
            updates = orthogonal(torch.stack([push for _, push in parts]), dtype)
            for (part, _), update in zip(parts, updates, strict=True):
                part.sub_(update, alpha=rate * 0.2 * columns**0.5)


def _wide(w: Tensor) -> tuple[Tensor, ...]:
    """Views of w that are no taller than wide: q, k and v of a fused map apart, a 4:1 map on its side."""
    rows, columns = w.shape
    if rows == 3 * columns:
        return w.chunk(3)
    return (w.mT,) if rows > columns else (w,)
