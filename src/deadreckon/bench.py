"""How fast this machine decodes: each engine's symbols per CPU second, beside the machine's own peak and the reference.

Figures are medians over interleaved runs on one thread, in CPU seconds, which a busy neighbour changes little. A
guard compares ratios, never speeds: a ratio to the reference engine in the same run holds on any machine of a kind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from deadreckon.contracts import Ask, Key, Model, nan
from deadreckon.errors import BadOption
from deadreckon.models.config import GPTConfig
from deadreckon.models.kernel.build import BUILDS, CannotBuild, cpu_name, missing
from deadreckon.models.kernel.library import F32, Library, Network, load, new_jobs
from deadreckon.models.kernel.works import Layout, Works
from deadreckon.models.tokens import Tokenizer

SIZES = {
    "1M": GPTConfig(vocab=64, context=64, layers=5, width=128, head=32),
    "3M": GPTConfig(vocab=64, context=64, layers=4, width=256, head=64),
    "1M, T=256": GPTConfig(vocab=64, context=256, layers=5, width=128, head=32),
}
QUICK = ("1M",)
BATCH = 192  # sequences of a run at the best batch
REFERENCE_ROWS = 512  # the reference's best batch (benchmarks/decoding.py)
MOST_LOST = 0.15  # of a ratio

Run = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One engine at one size and batch: symbols per CPU second, and as shares and ratios."""

    name: str
    symbols_per_second: float
    share_of_peak: float  # of this machine's matmul rate in the engine's dtype; nan without torch
    ratio: float  # to the reference at its best batch, run by run; nan without torch


def weights(config: GPTConfig, seed: int = 0) -> dict[str, F32]:
    """Random weights: speed does not depend on what they say."""
    rng = np.random.default_rng(seed)
    return {
        name: np.full(shape, 2.0, np.float32) if len(shape) == 1 else rng.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in config.shapes().items()
    }


def timed(symbols: int, work: Callable[[], object], threads: int = 1) -> float:
    """Symbols per CPU second of this work; on several threads, per second on the wall."""
    clock = time.process_time if threads == 1 else time.perf_counter
    began = clock()
    work()
    return symbols / (clock() - began)


def kernel_run(library: Library, config: GPTConfig, sequences: int, seconds: float = 0.15, threads: int = 1) -> Run:
    """Free running from the begin symbol to the end of the context, over and over for about so long a run."""
    tokens = Tokenizer([chr(0x4E00 + i) for i in range(config.vocab - 1)])
    works = Works(Network(library, config, weights(config)), tokens, Layout(rows=sequences, threads=threads))
    memory, kind = works.memory(), works.kind(())

    def once() -> None:
        jobs = new_jobs(sequences)
        jobs["item"] = jobs["slot"] = np.arange(sequences)
        jobs["length"], jobs["most"], jobs["temperature"], jobs["kind"] = 1, config.context - 1, 1.0, kind
        works.complete(memory, jobs)

    symbols = sequences * (config.context - 1)
    times = max(1, round(seconds * timed(symbols, once, threads) / symbols))

    def work() -> None:
        for _ in range(times):
            once()

    return lambda: timed(times * symbols, work, threads)


def reference_run(config: GPTConfig, rows: int = REFERENCE_ROWS) -> Run:
    """The same by the engine torch, through its session."""
    torch = import_module("torch")
    network = import_module("deadreckon.models.gpt").GPT(config)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights(config).items()})
    tokens = Tokenizer([chr(0x4E00 + i) for i in range(config.vocab - 1)])
    model: Model = import_module("deadreckon.models.decode").GPTModel(network, tokens, name="", weights="", rows=rows)
    asks = [Ask("", Key(0, i, 0, 0), max_tokens=config.context - 1, stop=()) for i in range(rows)]
    return lambda: timed(rows * (config.context - 1), lambda: model.session().complete(asks))


def peak_runs(threads: int = 1) -> dict[str, Run]:
    """Operations per second of torch's product, (4096, 256) @ (256, 512), best of three; none without torch."""
    if find_spec("torch") is None:
        return {}
    torch, engine = import_module("torch"), import_module("deadreckon.models.engine")
    count = 20 * 2 * 4096 * 256 * 512
    found: dict[str, Run] = {}
    for dtype in ("float32", "bfloat16"):
        a, b = (torch.randn(*shape).to(getattr(torch, dtype)) for shape in ((4096, 256), (512, 256)))
        if dtype == "float32":
            product, matrix = engine.times, engine.laid_out(b)
        else:
            product, matrix = torch.mm, b.T.contiguous()

        def work(a: Any = a, b: Any = matrix, product: Any = product) -> None:
            torch.set_num_threads(threads)
            for _ in range(20):
                product(a, b)
            torch.set_num_threads(1)

        found[dtype] = partial(_best_of_three, count, work, threads)
    return found


def _best_of_three(count: int, work: Callable[[], object], threads: int) -> float:
    return max(timed(count, work, threads) for _ in range(3))


def operations(config: GPTConfig) -> float:
    """Of one symbol at the mean context: two a weight, and attention's 4 layers * width * context / 2."""
    return 2.0 * config.parameters + 2.0 * config.layers * config.width * config.context


def measure(sizes: Sequence[str] = tuple(SIZES), runs: int = 5) -> list[Figure]:
    """Every build that runs here, at batch 1 and at the best batch, and the reference. BadOption: no such size."""
    unknown = set(sizes) - set(SIZES)
    if unknown or runs < 1:
        raise BadOption(f"sizes {', '.join(sizes)}, runs {runs}: choose from {', '.join(SIZES)}, and at least 1 run")
    figures = []
    for size in sizes:
        made = runs_of(size)
        figures += figures_of(size, made, [{name: run() for name, (run, _) in made.items()} for _ in range(runs)])
    return figures


def runs_of(size: str, threads: int = 1) -> dict[str, tuple[Run, str]]:
    """What is measured at this size, with its dtype: the matmul peak of each dtype, the reference, every build.

    The reference runs on one thread alone, as does batch 1.
    """
    config, made = SIZES[size], {f"peak {dtype}": (run, dtype) for dtype, run in peak_runs(threads).items()}
    if made and threads == 1:
        made[f"{size} torch"] = (reference_run(config), "float32")
    for build in BUILDS:
        try:
            library = load(build)
        except CannotBuild:
            continue
        rows = BATCH * 64 // config.context
        made[f"{size} {build.name}"] = (kernel_run(library, config, rows, threads=threads), build.dtype)
        if threads == 1:
            made[f"{size} {build.name}, batch 1"] = (kernel_run(library, config, 1), build.dtype)
    return made


def figures_of(size: str, made: Mapping[str, tuple[Run, str]], rounds: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Medians over the rounds: of speeds, and of shares and ratios round by round."""
    reference, found = f"{size} torch", []
    for name, (_, dtype) in made.items():
        if name.startswith("peak"):
            continue
        peak, work = f"peak {dtype}", operations(SIZES[size])
        share = median(one[name] * work / one[peak] for one in rounds) if peak in made else nan
        ratio = median(one[name] / one[reference] for one in rounds) if reference in made else nan
        found.append(Figure(name, median(one[name] for one in rounds), share, ratio))
    return found


def machine() -> str:
    """Whose ratios these are: the processor's name, and the widest build it runs."""
    widest = next((build.name for build in BUILDS if not missing(build)), "")
    return f"{cpu_name()}, {widest}"


def as_json(figures: Sequence[Figure]) -> str:
    """The figures and whose they are; missing is null."""
    rows = {
        one.name: {
            "symbols_per_cpu_second": round(one.symbols_per_second),
            "share_of_matmul_peak": _or_null(one.share_of_peak),
            "ratio_to_torch": _or_null(one.ratio),
        }
        for one in figures
    }
    return json.dumps({"machine": machine(), "figures": rows}, indent=1)


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 3)


def lost(figures: Sequence[Figure], baseline: Path) -> list[str]:
    """Ratios more than MOST_LOST below those kept for this processor, one line each. BadOption: nothing is kept."""
    try:
        kept = json.loads(baseline.read_text()).get(machine())
    except (OSError, ValueError, AttributeError) as error:
        raise BadOption(f"{baseline} cannot be read as a baseline: {error}") from None
    if not isinstance(kept, dict):
        raise BadOption(f"{baseline} has no ratios for {machine()}: run bench there with --keep and commit the file")
    return [
        f"{one.name}: {one.ratio:.2f} times torch, {kept[one.name]:.2f} is kept"
        for one in figures
        if one.name in kept and not one.ratio >= (1 - MOST_LOST) * kept[one.name]
    ]


def keep(figures: Sequence[Figure], baseline: Path) -> None:
    """Write these ratios as the baseline of this processor, beside those of others.

    Of a ratio that is kept already the lower one stays: what every run so far has reached. To raise it, delete it.
    """
    kept = json.loads(baseline.read_text()) if baseline.exists() else {}
    mine = kept.setdefault(machine(), {})
    for one in figures:
        if not np.isnan(one.ratio):
            mine[one.name] = min(round(one.ratio, 3), mine.get(one.name, np.inf))
    baseline.write_text(json.dumps(kept, indent=1) + "\n")
