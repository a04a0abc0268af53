"""The GPT's arithmetic on a GPU: launches of one constant number of rows, each size recorded once as a CUDA graph.

Same interface and same function as `deadreckon.models.engine.Engine` (agreement within 1e-4 on logits), arranged for a
GPU: the cache never moves, every launch looks at the whole of it under a mask, and a launch is one replay of a graph of
all its kernels, whatever the rows hold. Sizes never change, so what a row computes depends on its own symbols alone.
Products are float32 (torch's default: no TF32). Laws and draws are made on the CPU from the logits, as for every
engine. On the device "cpu" the same launch runs unrecorded: what can be tested where there is no GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deadreckon.models.decode import GPTModel
from deadreckon.models.engine import Bools, Ints, Logits
from deadreckon.models.gpt import GPT, Block, GPTConfig, norm, rope_table
from deadreckon.models.tokens import BEGIN

ROWS = 8192  # a GPU's speed is in its rows
WARM = 3  # launches before a recording: libraries choose their kernels in them


def present() -> bool:
    """Whether torch sees a GPU of CUDA."""
    return torch.cuda.is_available()


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's matrices, (in, out), and its cache, (rows, heads, span, head)."""

    qkv: Tensor
    gain: Tensor  # (heads, 1), 1 / sqrt(head) included
    out: Tensor
    up: Tensor
    down: Tensor
    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Launch:
    """The launch of one size: what it reads and writes never moves."""

    tokens: Tensor  # (rows, n)
    start: Tensor  # (rows,)
    last: Tensor  # (rows,)
    logits: Tensor  # (rows, vocab)
    run: Callable[[], object]


class GraphEngine:
    """Weights and cache of one session of `rows` rows."""

    def __init__(self, network: GPT, rows: int, device: str = "cuda"):
        """Copies the weights as float32; the cache takes 8 * rows * layers * (context + 1) * width bytes."""
        config = network.config
        self.config, self.rows, self.device = config, rows, torch.device(device)
        self.span = config.context + 1  # the last place takes what nobody reads
        self.layers = [self._layer(b) for b in network.blocks if isinstance(b, Block)]
        tables = rope_table(GPTConfig(config.vocab, self.span, config.layers, config.width, config.head))
        self.cos, self.sin = (table.to(self.device) for table in tables)
        self.embed = norm(network.embed.weight.detach().float()).to(self.device)
        self.head = network.head.weight.detach().float().T.contiguous().to(self.device)
        self.launches: dict[int, Launch] = {}

    def _layer(self, block: Block) -> Layer:
        config = self.config
        matrices = (block.attn.qkv, block.attn.out, block.mlp.up, block.mlp.down)
        qkv, out, up, down = (m.weight.detach().float().T.contiguous().to(self.device) for m in matrices)
        gain = block.attn.gain.detach().float().to(self.device)[:, None] / math.sqrt(config.head)
        cache = [torch.zeros(self.rows, config.heads, self.span, config.head, device=self.device) for _ in range(2)]
        return Layer(qkv, gain, out, up, down, *cache)

    @torch.inference_mode()
    def launch(self, tokens: Ints, start: Ints, last: Ints, real: Bools) -> Logits:
        """Read tokens (R, N) at positions start (R,) onwards; logits (R, vocab) after each row's symbol `last`.

        Rows that are not real, and symbols after `last`, leave garbage at positions that are read by nobody before
        they are written again.
        """
        size = tokens.shape[1]
        if size not in self.launches:
            self.launches[size] = self._launch(size)
        launch = self.launches[size]
        for place, given in ((launch.tokens, tokens), (launch.start, start), (launch.last, last)):
            place.copy_(torch.from_numpy(np.ascontiguousarray(given)))
        launch.run()
        found: Logits = launch.logits.cpu().numpy().copy()
        return found

    def _launch(self, size: int) -> Launch:
        """The launch of this size, recorded where the device is a GPU."""
        tokens = torch.full((self.rows, size), BEGIN, device=self.device)
        start = torch.full((self.rows,), self.span - 1, device=self.device)  # the place that nobody reads
        last = torch.zeros(self.rows, dtype=torch.int64, device=self.device)
        logits = torch.zeros(self.rows, self.config.vocab, device=self.device)

        def run() -> None:
            logits.copy_(self._logits(tokens, start, last))

        if self.device.type != "cuda":
            return Launch(tokens, start, last, logits, run)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        return Launch(tokens, start, last, logits, graph.replay)

    def _logits(self, tokens: Tensor, start: Tensor, last: Tensor) -> Tensor:
        """(R, vocab). The whole launch, in operations whose sizes and addresses are always the same."""
        rows, size = tokens.shape
        at = (start[:, None] + torch.arange(size, device=self.device)).clamp(max=self.span - 1)  # (R, N)
        unseen = torch.arange(self.span, device=self.device) > at[:, None, :, None]  # (R, 1, N, span)
        mask = torch.zeros(unseen.shape, device=self.device).masked_fill(unseen, -math.inf)
        write = at[:, None, :, None].expand(-1, self.config.heads, -1, self.config.head)
        turn = self.cos[at][:, :, None, None], self.sin[at][:, :, None, None]  # (R, N, 1, 1, head/2)
        x = self.embed[tokens]
        for layer in self.layers:
            x = x + self._attend(layer, norm(x), turn, mask, write) @ layer.out
            x = x + (norm(x) @ layer.up).relu().square() @ layer.down
        x = x[torch.arange(rows, device=self.device), last]
        logits = norm(x) @ self.head
        logits[:, BEGIN] = -math.inf
        return logits

    def _attend(self, layer: Layer, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor, write: Tensor) -> Tensor:
        """Write this layer's keys and values, and mix the values: (R, N, width) -> (R, N, width)."""
        heads, head = self.config.heads, self.config.head
        qkv = (x @ layer.qkv).view(*x.shape[:2], 3, heads, head)
        a, b = norm(qkv[:, :, :2]).chunk(2, dim=-1)
        cos, sin = turn
        q, k = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).unbind(2)
        layer.keys.scatter_(2, write, k.transpose(1, 2))
        layer.values.scatter_(2, write, qkv[:, :, 2].transpose(1, 2))
        weights = ((q * layer.gain).transpose(1, 2) @ layer.keys.mT + mask).softmax(-1)
        return (weights @ layer.values).transpose(1, 2).flatten(2)


class GPUModel(GPTModel):
    """A GPT and its tokenizer as a model of text, on a GPU."""

    def __init__(self, model: GPTModel, *, rows: int = ROWS, device: str = "cuda"):
        """The same weights as `model`; `device` as torch names it."""
        weights = model.identity["weights"]
        super().__init__(model.network, model.tokens, name=model.name, weights=weights, seed=model.seed, rows=rows)
        self.device = device
        card = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
        named = {"engine": f"torch-fp32-graph-r{rows}", "gpu": card, "cuda": str(torch.version.cuda)}
        self.identity = {**self.identity, **named}

    def engine(self) -> GraphEngine:
        """Weights and cache on the GPU."""
        return GraphEngine(self.network, self.capacity, self.device)
