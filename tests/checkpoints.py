"""Small checkpoints of transformers with random weights and a tokenizer of bytes, made in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

SPECIAL = ("<s>", "</s>", "<user>", "<assistant>")
BEGIN, END = 0, 1
TEMPLATE = (
    "{{ '<s>' }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
SHARED = {"vocab_size": 260, "bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": END}
LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS: dict[str, Any] = {
    "llama": lambda: LlamaConfig(**SHARED, **LAYERS, num_key_value_heads=2, max_position_embeddings=4096),
    "gemma2": lambda: Gemma2Config(
        **SHARED, **LAYERS, num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8, sliding_window=2048
    ),
    "gpt2": lambda: GPT2Config(**SHARED, n_embd=32, n_layer=2, n_head=4, n_positions=4096),
    "bloom": lambda: BloomConfig(**SHARED, hidden_size=32, n_layer=2, n_head=4),
    "mamba": lambda: MambaConfig(**SHARED, hidden_size=32, num_hidden_layers=2, state_size=4),
}


def byte_tokenizer(*, chat: bool = True) -> PreTrainedTokenizerFast:
    """One id a byte, after the special ones; texts begin with <s>."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {token: i for i, token in enumerate((*SPECIAL, *letters))}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", BEGIN)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    if chat:
        fast.chat_template = TEMPLATE
    return fast


def checkpoint(folder: Path, kind: str = "llama", *, chat: bool = True, scale: float = 8.0) -> Path:
    """A checkpoint in folder/kind; `scale` of its last layer makes its laws far from uniform."""
    torch.manual_seed(len(kind))
    network = AutoModelForCausalLM.from_config(CONFIGS[kind]())
    with torch.no_grad():
        network.get_output_embeddings().weight.mul_(scale)
    network.save_pretrained(folder / kind)
    byte_tokenizer(chat=chat).save_pretrained(folder / kind)
    return folder / kind
