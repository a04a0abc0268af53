"""How fast does the exact-mode decoder write, against transformers' GPT-2 `generate` and against this machine?

    python benchmarks/decoding.py [--runs 5] [--threads 1]

Both write 63 symbols a row from one begin symbol, at temperature 1, in float32, with a model of 5 blocks of width
128 over 64 symbols (1.0M parameters) and a context of 64; each at its best batch, found by a first sweep. Runs are
interleaved; printed are medians, the ratio run by run, and the share of the roofline: the time one token would take
if its operations ran at the measured float32 matmul rate, or its bytes (weights once a launch, keys and values)
at the measured copy bandwidth, whichever is longer. Speeds are per CPU second, so a busy neighbour
changes them little; `--threads 2` runs two processes of ours, each on one thread, and prints wall time as well.

Measured on two cores of a 2.5 GHz Xeon (AVX-512, no BF16) shared with seven busy processes, three runs:
512 rows 1.63 times transformers at its best batch (1.46 to 1.81), 64 rows 0.98 (0.84 to 1.04). To be
measured again on a quiet machine. The times at 64 and 512 rows fit a cost of 3 ms a launch, whatever its rows.

Needs the extra `bench`: pip install -c constraints.txt 'deadreckon[torch,bench]'
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median

from deadreckon.contracts import Ask, Key
from deadreckon.models.decode import GPTModel
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.tokens import Tokenizer

import torch  # isort: skip  after deadreckon.models, which sets OpenMP's spin count

CONFIG = GPTConfig(vocab=64, context=64, layers=5, width=128, head=32)
SYMBOLS = CONFIG.context - 1
OUR_ROWS = (64, 128, 256, 512)
THEIR_ROWS = (64, 256, 512, 1024)


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per CPU second and per wall second."""

    cpu: float
    wall: float


def timed(tokens: float, work: Callable[[], object]) -> Speed:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Speed(tokens / (time.process_time() - cpu), tokens / (time.perf_counter() - wall))


def our_model(rows: int) -> GPTModel:
    network = GPT(CONFIG, seed=0)
    with torch.no_grad():
        for w in network.parameters():
            if w.ndim == 2:
                w.normal_(0, 0.05)
    alphabet = [chr(0x30 + i) for i in range(CONFIG.vocab - 1)]
    return GPTModel(network, Tokenizer(alphabet), name="bench", weights="", rows=rows)


def ours(model: GPTModel) -> Speed:
    rows = model.capacity
    asks = [Ask("", Key(0, i, 0, 0), max_tokens=SYMBOLS, stop=()) for i in range(rows)]

    def work() -> None:
        replies = model.session().complete(asks)
        assert all(reply.tokens == SYMBOLS for reply in replies)

    return timed(rows * SYMBOLS, work)


def our_process(rows: int) -> None:
    torch.set_num_threads(1)
    ours(our_model(rows))


def ours_in_two(pool: ProcessPoolExecutor, rows: int) -> float:
    """Wall tokens/s of two processes."""
    began = time.perf_counter()
    for done in [pool.submit(our_process, rows) for _ in range(2)]:
        done.result()
    return 2 * rows * SYMBOLS / (time.perf_counter() - began)


def their_model() -> Callable[[int], Speed]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=CONFIG.vocab,
        n_positions=CONFIG.context,
        n_embd=CONFIG.width,
        n_layer=CONFIG.layers,
        n_head=CONFIG.heads,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()

    def run(rows: int) -> Speed:
        ids = torch.zeros(rows, 1, dtype=torch.long)

        def work() -> None:
            mask = torch.ones_like(ids)
            out = model.generate(ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=SYMBOLS)
            assert out.shape == (rows, CONFIG.context)

        return timed(rows * SYMBOLS, work)

    return run


def matmul_rate() -> float:
    """Float32 operations per CPU second of (4096, 256) @ (256, 512) on one thread."""
    a, b = torch.randn(4096, 256), torch.randn(256, 512)
    return max(timed(2 * 4096 * 256 * 512 * 10, lambda: [a @ b for _ in range(10)]).cpu for _ in range(5))


def copy_rate() -> float:
    """Bytes read and written per CPU second copying 64 MB on one thread."""
    a = torch.randn(1 << 24)
    b = torch.empty_like(a)
    return max(timed(8 * len(a), lambda: b.copy_(a)).cpu for _ in range(7))


def roofline(rows: int, operations: float, copied: float) -> float:
    """Most tokens per second of one thread; prints the two bounds."""
    context = CONFIG.context / 2  # mean
    flops = 2 * CONFIG.parameters + 4 * CONFIG.layers * CONFIG.width * context
    read = 4 * (2 * CONFIG.layers * CONFIG.width * context + CONFIG.parameters / rows)
    print(f"per token: {flops / 1e6:.2f} M operations, {read / 1e3:.0f} kB read")
    print(f"one thread: {operations / 1e9:.0f} G float32 operations/s, copies {copied / 1e9:.0f} GB/s")
    print(f"roofline: {operations / flops:,.0f} tokens/s (operations), {copied / read:,.0f} (bytes)")
    return min(operations / flops, copied / read)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--threads", type=int, choices=(1, 2), default=1)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    theirs = their_model()
    their_best = max(THEIR_ROWS, key=lambda rows: theirs(rows).cpu)
    our_best = max(OUR_ROWS, key=lambda rows: ours(our_model(rows)).cpu)
    exact, wide = our_model(OUR_ROWS[0]), our_model(our_best)
    print(f"best batch: ours {our_best}, transformers {their_best}")
    runs = [(ours(exact), ours(wide), theirs(their_best)) for _ in range(args.runs)]
    for name, at in (("ours, 64 rows", 0), (f"ours, {our_best} rows", 1), ("transformers", 2)):
        print(f"{name:20s} {median(run[at].cpu for run in runs):9,.0f} tokens per CPU second")
    for name, at in (("64 rows", 0), (f"{our_best} rows", 1)):
        ratios = sorted(run[at].cpu / run[2].cpu for run in runs)
        print(f"ratio, {name}: {median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f} over {len(ratios)} runs)")
    if args.threads == 2:
        two_processes(args.runs, our_best, lambda: theirs(their_best).wall)
    torch.set_num_threads(1)
    bound = roofline(our_best, matmul_rate(), copy_rate())
    print(f"share of the roofline: {median(run[1].cpu for run in runs) / bound:.0%}")


def two_processes(runs: int, rows: int, theirs: Callable[[], float]) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        ours_in_two(pool, rows)
        pairs = [(ours_in_two(pool, rows), theirs()) for _ in range(runs)]
    print(f"wall, two processes of {rows} rows: {median(a for a, _ in pairs):,.0f} tokens/s")
    print(f"wall, transformers on two threads: {median(b for _, b in pairs):,.0f} tokens/s")
    print(f"ratio: {median(a / b for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
