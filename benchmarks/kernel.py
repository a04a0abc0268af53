"""How fast is the C kernel, against transformers' `generate`, CTranslate2 and this machine's matmul peak?

    python benchmarks/kernel.py [--runs 5] [--size 1M ...] [--threads 2] [--out kernel.json]

Everything writes one context from one begin symbol at temperature 1, with models of the same sizes
(deadreckon.bench.SIZES; theirs are GPT-2s of as many blocks, heads and widths). Seconds are CPU seconds of one thread;
of several threads they are seconds on the wall, at the best batch alone, and the engine torch, which has one thread, is
left out. Peers run at their best batch, found by a first sweep, and at batch 1. Runs are interleaved; printed are
medians per second and ratios run by run. A peer that is not installed is left out. Figures, and the machine they come
from: docs/fast-lane.md.

Needs the extra `bench`: pip install -c constraints.txt 'deadreckon[torch,bench]'
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from deadreckon import bench
from deadreckon.models.config import GPTConfig

import torch  # isort: skip  after deadreckon.models, which sets OpenMP's spin count

BATCHES = (16, 64, 256, 512)
Peer = Callable[[int], float]


def gpt2(config: GPTConfig) -> torch.nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = GPT2Config(
        vocab_size=config.vocab,
        n_positions=config.context,
        n_embd=config.width,
        n_layer=config.layers,
        n_head=config.heads,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(sizes).eval()


def transformers_peer(config: GPTConfig, dtype: torch.dtype, threads: int) -> Peer:
    model, steps = gpt2(config).to(dtype), config.context - 1

    def run(batch: int) -> float:
        ids = torch.zeros(batch, 1, dtype=torch.long)

        def work() -> None:
            mask = torch.ones_like(ids)
            out = model.generate(ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=steps)
            assert out.shape == (batch, config.context)

        torch.set_num_threads(threads)
        found = bench.timed(batch * steps, work, threads)
        torch.set_num_threads(1)
        return found

    return run


def ctranslate2_peer(config: GPTConfig, folder: Path, compute: str, threads: int) -> Peer:
    import ctranslate2

    steps = config.context - 1
    if not (folder / "model.bin").exists():
        convert(config, folder)
    generator = ctranslate2.Generator(
        str(folder), device="cpu", compute_type=compute, intra_threads=threads, inter_threads=1
    )

    def run(batch: int) -> float:
        def work() -> None:
            found = generator.generate_batch(
                [["s0"]] * batch,
                max_length=steps,
                min_length=steps,
                sampling_topk=0,
                include_prompt_in_result=False,
                max_batch_size=batch,
            )
            assert all(len(one.sequences_ids[0]) == steps for one in found)

        return bench.timed(batch * steps, work, threads)

    return run


def convert(config: GPTConfig, folder: Path) -> None:
    """The same GPT-2 as a CTranslate2 model."""
    import ctranslate2
    from ctranslate2.specs import Activation, TransformerDecoderModelSpec

    state = {name: value.detach().numpy() for name, value in gpt2(config).state_dict().items()}
    spec = TransformerDecoderModelSpec.from_config(
        config.layers, config.heads, pre_norm=True, activation=Activation.GELUTanh
    )

    def put(linear: object, name: str, *, transpose: bool = True) -> None:
        weight = state[f"{name}.weight"]
        linear.weight = weight.T.copy() if transpose else weight  # type: ignore[attr-defined]
        linear.bias = state[f"{name}.bias"]  # type: ignore[attr-defined]

    def put_norm(norm: object, name: str) -> None:
        norm.gamma, norm.beta = state[f"{name}.weight"], state[f"{name}.bias"]  # type: ignore[attr-defined]

    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = state["transformer.wte.weight"]
    decoder.position_encodings.encodings = state["transformer.wpe.weight"]
    put_norm(decoder.layer_norm, "transformer.ln_f")
    decoder.projection.weight = state["lm_head.weight"]
    for i, layer in enumerate(decoder.layer):
        at = f"transformer.h.{i}"
        put_norm(layer.self_attention.layer_norm, f"{at}.ln_1")
        put(layer.self_attention.linear[0], f"{at}.attn.c_attn")
        put(layer.self_attention.linear[1], f"{at}.attn.c_proj")
        put_norm(layer.ffn.layer_norm, f"{at}.ln_2")
        put(layer.ffn.linear_0, f"{at}.mlp.c_fc")
        put(layer.ffn.linear_1, f"{at}.mlp.c_proj")
    spec.register_vocabulary([f"s{i}" for i in range(config.vocab)])
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = "s0"
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    assert ctranslate2.contains_model(str(folder))


def peers(config: GPTConfig, folder: Path, threads: int) -> dict[str, Peer]:
    found: dict[str, Peer] = {}
    if find_spec("transformers"):
        found["transformers fp32"] = transformers_peer(config, torch.float32, threads)
        found["transformers bf16"] = transformers_peer(config, torch.bfloat16, threads)
    if find_spec("ctranslate2"):
        for name in ("float32", "int8"):
            found[f"ctranslate2 {name}"] = ctranslate2_peer(config, folder, name, threads)
    return found


def measure(size: str, runs: int, folder: Path, threads: int) -> dict[str, dict[str, float]]:
    """Speeds, shares of the peak, and ratios to every peer, at the best batch and at batch 1."""
    made = bench.runs_of(size, threads)
    for name, peer in peers(bench.SIZES[size], folder, threads).items():
        swept = {batch: max(peer(batch) for _ in range(2)) for batch in BATCHES}
        best = max(swept, key=swept.__getitem__)
        print(f"{size} {name}: best batch {best}", flush=True)
        dtype = "bfloat16" if name.endswith("bf16") else "float32"
        made[f"{size} {name}"] = (lambda peer=peer, best=best: peer(best), dtype)
        if name == "transformers fp32" and threads == 1:
            made[f"{size} {name}, batch 1"] = (lambda peer=peer: peer(1), "float32")
    rounds = [{name: run() for name, (run, _) in made.items()} for _ in range(runs)]
    found = {}
    for one in bench.figures_of(size, made, rounds):
        ours = {"symbols_per_second": round(one.symbols_per_second), "share_of_matmul_peak": one.share_of_peak}
        batch1 = one.name.endswith("batch 1")
        rivals = [name for name in made if not name.startswith("peak") and name.endswith("batch 1") == batch1]
        ratios = {name: median(row[one.name] / row[name] for row in rounds) for name in rivals if name != one.name}
        found[one.name] = {key: round(value, 3) for key, value in (ours | ratios).items()}
        print(f"  {one.name:32s} {one.symbols_per_second:10,.0f}/s {one.share_of_peak:6.1%} of the peak", end="")
        print("".join(f"; {ratio:.2f} x {name.removeprefix(size + ' ')}" for name, ratio in ratios.items()), flush=True)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--size", choices=tuple(bench.SIZES), nargs="+", default=list(bench.SIZES))
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--out", type=Path)
    args = options.parse_args()
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, size in enumerate(args.size):
            found |= measure(size, args.runs, Path(folder) / str(i), args.threads)
    if args.out:
        args.out.write_text(
            json.dumps({"machine": bench.machine(), "threads": args.threads, "figures": found}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
