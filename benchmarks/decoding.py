"""How fast does the exact-mode decoder write, against transformers' GPT-2 `generate` and against this machine?

    python benchmarks/decoding.py [--runs 5] [--threads 1 2]

Both write 63 symbols a row from one begin symbol, at temperature 1, in float32, with a model of 5 blocks of width
128 over 64 symbols (1.0M parameters) and a context of 64; each at its best batch, found by a first sweep. Runs are
interleaved; printed are medians, the ratio run by run, and the share of the roofline: the time one token would take
if its operations ran at the measured float32 matmul rate, or its bytes (weights once a launch, keys and values)
at the measured copy bandwidth, whichever is longer. Speeds are per CPU second, so a busy neighbour
changes them little; `--threads 2` runs two processes of ours, each on one thread, and prints wall time as well.

Measured on two cores of an AVX2 EPYC while other work ran, five runs, `--threads 1 2`:
one thread, per CPU second: 512 rows 1.52 times transformers at its best batch (1.22 to 2.00), 40% of the roofline; 64
rows 1.17 times (0.82 to 1.35), 29%; transformers 26%. Two threads, wall: two processes of 512 rows 2.25 times
transformers on two threads (2.04 to 2.47), 37% of the roofline against 15%.

Needs the extra `bench`: pip install -c constraints.txt 'deadreckon[torch,bench]'
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median

from deadreckon.contracts import Ask, Key
from deadreckon.models.decode import ROWS, GPTModel, cpu_class
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.tokens import Tokenizer

import torch  # isort: skip  after deadreckon.models, which sets OpenMP's spin count

CONFIG = GPTConfig(vocab=64, context=64, layers=5, width=128, head=32)
SYMBOLS = CONFIG.context - 1
OUR_ROWS = (64, 128, 256, 512)
THEIR_ROWS = (128, 256, 512, 1024)


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


@dataclass(frozen=True, slots=True)
class Machine:
    """Float32 operations, and bytes copied (read and written), per second."""

    operations: float
    copied: float

    def most(self, rows: int) -> float:
        """Most tokens per second: by operations or by bytes, whichever bounds more."""
        operations, read = per_token(rows)
        return min(self.operations / operations, self.copied / read)


def per_token(rows: int) -> tuple[float, float]:
    """Operations, and bytes read at the least: keys and values at the mean context, weights once a launch."""
    context = CONFIG.context / 2
    operations = 2 * CONFIG.parameters + 4 * CONFIG.layers * CONFIG.width * context
    return operations, 4 * (2 * CONFIG.layers * CONFIG.width * context + CONFIG.parameters / rows)


def measure(*, wall: bool = False) -> Machine:
    """This machine on one thread, best of seven: (4096, 256) @ (256, 512), and copies of 64 MB."""
    a, b, big = torch.randn(4096, 256), torch.randn(256, 512), torch.randn(1 << 24)
    copy = torch.empty_like(big)
    count = 2 * 4096 * 256 * 512 * 10
    products = [timed(count, lambda: [a @ b for _ in range(10)]) for _ in range(7)]
    copies = [timed(8 * len(big), lambda: copy.copy_(big)) for _ in range(7)]
    rate = max(s.wall if wall else s.cpu for s in products)
    return Machine(rate, max(s.wall if wall else s.cpu for s in copies))


def show_roofline(machine: Machine, rows: int) -> None:
    operations, read = per_token(rows)
    print(f"  {machine.operations / 1e9:.0f} G float32 operations/s, copies {machine.copied / 1e9:.1f} GB/s")
    print(f"  {rows} rows: {operations / 1e6:.2f} M operations and {read / 1e3:.0f} kB a token: at most", end=" ")
    print(f"{machine.operations / operations:,.0f} tokens/s by operations, {machine.copied / read:,.0f} by bytes")


def show(name: str, speeds: Sequence[float], against: Sequence[float], bound: float) -> None:
    """Median speed, its share of the roofline, and the median ratio of runs side by side."""
    ratios = sorted(a / b for a, b in zip(speeds, against, strict=True))
    print(f"  {name:20s} {median(speeds):8,.0f} tokens/s, {median(speeds) / bound:4.0%} of the roofline,", end=" ")
    print(f"{median(ratios):.2f} times transformers ({ratios[0]:.2f} to {ratios[-1]:.2f} over {len(ratios)} runs)")


def one_thread(runs: int, rows: int, their_rows: int, theirs: Callable[[int], Speed]) -> None:
    """Per CPU second of one thread."""
    torch.set_num_threads(1)
    machine, models = measure(), {n: our_model(n) for n in sorted({ROWS, rows})}
    print("one thread, per CPU second:")
    show_roofline(machine, rows)
    speeds: dict[int, list[float]] = {n: [] for n in models}
    peer = []
    for _ in range(runs):
        for n, model in models.items():
            speeds[n].append(ours(model).cpu)
        peer.append(theirs(their_rows).cpu)
    for n, found in speeds.items():
        show(f"ours, {n} rows", found, peer, machine.most(n))
    show(f"theirs, {their_rows} rows", peer, peer, machine.most(their_rows))


def two_threads(runs: int, rows: int, their_rows: int, theirs: Callable[[int], Speed]) -> None:
    """Wall time: two processes of ours, each on one thread; transformers on two threads."""
    with ProcessPoolExecutor(
        2, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        both = [job.result() for job in [pool.submit(measure, wall=True) for _ in range(2)]]
        machine = Machine(sum(m.operations for m in both), sum(m.copied for m in both))
        print("two threads, wall:")
        show_roofline(machine, rows)
        torch.set_num_threads(2)
        in_two(pool, rows)
        pairs = [(in_two(pool, rows), theirs(their_rows).wall) for _ in range(runs)]
    mine, peer = ([pair[i] for pair in pairs] for i in range(2))
    show(f"ours, 2 x {rows} rows", mine, peer, machine.most(rows))
    show(f"theirs, {their_rows} rows", peer, peer, machine.most(their_rows))


def in_two(pool: ProcessPoolExecutor, rows: int) -> float:
    """Wall tokens/s of two processes, each with its own session."""
    began = time.perf_counter()
    for job in [pool.submit(in_process, rows) for _ in range(2)]:
        job.result()
    return 2 * rows * SYMBOLS / (time.perf_counter() - began)


def in_process(rows: int) -> None:
    ours(our_model(rows))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--threads", type=int, choices=(1, 2), nargs="+", default=[1, 2])
    args = options.parse_args()
    torch.set_num_threads(1)
    theirs = their_model()
    their_best = max(THEIR_ROWS, key=lambda rows: max(theirs(rows).cpu for _ in range(2)))
    our_best = max(OUR_ROWS, key=lambda rows: max(ours(our_model(rows)).cpu for _ in range(2)))
    print(f"{cpu_class()}; best batch: ours {our_best}, transformers {their_best}", flush=True)
    for threads in args.threads:
        (one_thread if threads == 1 else two_threads)(args.runs, our_best, their_best, theirs)


if __name__ == "__main__":
    main()
