"""A key-value cache with one slot a rollout, for the attention models of transformers.

Slot r holds the keys and values of its own text in columns 0, 1, ...; the column is the position. What stands behind
the first `read[r]` columns is overwritten when it is read anew, so a slot is cropped by lowering one number, and
texts of different lengths need no padding on the left. A launch reads `size` new tokens in each of some slots; its
shape depends on each slot's own counts alone, so that no slot's bits depend on the others (exact mode).
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from deadreckon.models.draws import F32, Ints

ENDS = 256  # columns in sight of a launch: the first of these doubled that suffices


class Places:
    """Where a launch writes, and how many columns it sees."""

    columns: Tensor  # (rows, size)
    end: int
    last: int  # the highest column

    def __init__(self, rows: int, device: torch.device):
        """Set before each launch."""
        self.each = torch.arange(rows, device=device)[:, None]


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values: (rows, columns, heads, head)."""

    def __init__(self, places: Places):
        """Allocated at the first launch, and made longer when a text outgrows it."""
        super().__init__()
        self.places = places
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: `update` makes room."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write (rows, heads, size, head) into the columns of the launch; all columns in its sight."""
        places = self.places
        self.keys = keys = self._written(self.keys, key_states)
        self.values = values = self._written(self.values, value_states)
        return keys[:, : places.end].transpose(1, 2), values[:, : places.end].transpose(1, 2)

    def _written(self, held: Tensor | None, new: Tensor) -> Tensor:
        rows, heads, _, head = new.shape
        need = max(self.places.end, self.places.last + 1)
        if held is None or held.shape[1] < need:
            longer = new.new_zeros(rows, _end(need), heads, head)
            if held is not None:
                longer[:, : held.shape[1]] = held
            held = longer
        held[self.places.each, self.places.columns] = new.transpose(1, 2)
        return held

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns in sight, from 0; the mask is given with each launch."""
        return self.places.end, 0

    def get_seq_length(self) -> int:
        """0: positions are given with each launch."""
        return 0

    def get_max_length(self) -> int:
        """No limit of its own."""
        return -1


def _end(columns: int) -> int:
    end = ENDS
    while end < columns:
        end *= 2
    return end


class Seen(NamedTuple):
    """What a launch gives: logits (rows, kept, vocab); hidden states (layers + 1, rows, size, width) where asked."""

    logits: F32
    hidden: F32 | None


class SlotEngine:
    """Launches a network over slots."""

    def __init__(self, network: Any, rows: int, context: int):
        """`context`: most tokens of a text; a position behind it is never a real one."""
        self.network, self.rows, self.context = network, rows, context
        self.device = network.device
        self.places = Places(rows, self.device)
        layers = network.config.get_text_config().num_hidden_layers
        self.cache = Cache(layers=[SlotLayer(self.places) for _ in range(layers)])
        names = inspect.signature(network.forward).parameters
        self.cache_name = "cache" if "cache" in names else "past_key_values"
        self.keeps = "logits_to_keep" in names

    def end(self, read: int, size: int) -> int:
        """The columns in sight of a slot with so many read: slots of one launch have it in common."""
        return _end(read + size)

    @torch.inference_mode()
    def launch(self, tokens: Ints, read: Ints, end: int, *, keep: int, hidden: bool = False) -> Seen:
        """Read tokens (rows, size) behind the first read (rows,) of each slot; logits of the last `keep` of them.

        Every row is written. Rows that are not meant to be read write behind what they hold.
        """
        size = tokens.shape[1]
        columns = torch.as_tensor(read[:, None] + np.arange(size), device=self.device)
        self.places.columns, self.places.end, self.places.last = columns, end, int(read.max()) + size - 1
        dtype = self.network.dtype
        unseen = torch.arange(end, device=self.device) > columns[:, None, :, None]
        mask = torch.zeros(unseen.shape, dtype=dtype, device=self.device).masked_fill(unseen, torch.finfo(dtype).min)
        out = self.network(
            input_ids=torch.as_tensor(tokens, device=self.device),
            attention_mask=mask,
            position_ids=columns.clamp(max=self.context - 1),
            use_cache=True,
            output_hidden_states=hidden,
            **{self.cache_name: self.cache},
            **({"logits_to_keep": keep} if self.keeps else {}),
        )
        states = torch.stack(out.hidden_states).float().cpu().numpy() if hidden else None
        return Seen(out.logits[:, -keep:].float().cpu().numpy(), states)


class WholeTexts:
    """Reads whole texts anew each time: for networks whose memory is not keys and values of each token."""

    def __init__(self, network: Any):
        """Padding on the right, which no token sees."""
        self.network = network
        self.keeps = "logits_to_keep" in inspect.signature(network.forward).parameters

    @torch.inference_mode()
    def read(self, texts: list[list[int]], *, hidden: bool = False) -> list[Seen]:
        """Logits after every token of each text, and its hidden states."""
        if not texts:
            return []
        longest = max(map(len, texts))
        ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=self.network.device)
        real = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts], device=ids.device)
        out = self.network(input_ids=ids, attention_mask=real, use_cache=False, output_hidden_states=hidden)
        logits = out.logits.float().cpu().numpy()
        states = torch.stack(out.hidden_states).float().cpu().numpy() if hidden else None
        return [
            Seen(logits[i : i + 1, : len(text)], None if states is None else states[:, i : i + 1, : len(text)])
            for i, text in enumerate(texts)
        ]
