"""A checkpoint of examples/tiny_llama.py as GGUF, for llama.cpp: the same weights in float32 and the same tokens.

    pip install gguf safetensors
    python examples/tiny_gguf.py FOLDER FILE.gguf

llama.cpp knows no pre-tokenizer like ours. `starcoder`'s also sets digits apart, and no merge of ours crosses where the
two differ, so that texts of our worlds have the same tokens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def add_sizes(out: Any, config: dict[str, Any]) -> None:
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    out.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    out.add_vocab_size(config["vocab_size"])
    out.add_file_type(gguf.LlamaFileType.ALL_F32)


def add_tokenizer(out: Any, folder: Path, config: dict[str, Any]) -> None:
    told = json.loads((folder / "tokenizer.json").read_text())
    special = {token["content"] for token in told["added_tokens"]}
    tokens = sorted(told["model"]["vocab"], key=told["model"]["vocab"].__getitem__)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("starcoder")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    out.add_token_merges([" ".join(merge) for merge in told["model"]["merges"]])
    out.add_bos_token_id(config["bos_token_id"])
    out.add_eos_token_id(config["eos_token_id"])
    out.add_add_bos_token(False)  # the template begins with it
    out.add_chat_template((folder / "chat_template.jinja").read_text())


def interleaved(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rotary pairs side by side, as llama.cpp has them; transformers keeps them half a head apart."""
    return weights.reshape(heads, 2, -1, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)


def add_weights(out: Any, folder: Path, config: dict[str, Any]) -> None:
    weights = {name: value.astype(np.float32) for name, value in load_file(folder / "model.safetensors").items()}
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    out.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    out.add_tensor("output_norm.weight", weights["model.norm.weight"])
    for layer in range(config["num_hidden_layers"]):
        for theirs, name in NAMES.items():
            value = weights[f"model.layers.{layer}.{theirs}.weight"]
            value = interleaved(value, heads[name]) if name in heads else value
            out.add_tensor(f"blk.{layer}.{name}.weight", value)


def main() -> None:
    folder, path = Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text())
    out = gguf.GGUFWriter(path, "llama")
    add_sizes(out, config)
    add_tokenizer(out, folder, config)
    add_weights(out, folder, config)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
