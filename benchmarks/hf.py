"""What does the prefix cache save? The same rollouts with it, re-prompted from scratch, and by transformers' generate.

    .venv/bin/python benchmarks/hf.py [CHECKPOINT]

By default a Llama of a million weights made here (examples/tiny_llama.py, not trained: the cost is the same); 8
rollouts of 100 steps in one batch, one thread, CPU seconds, all in one run. Greedy rollouts must have the same events
and actions; in rollouts drawn at temperature 1 the log-probabilities may differ by 1e-4.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import polars as pl
import tiny_llama
import torch

from deadreckon.contracts import Ask, Reply, TextReader, nan
from deadreckon.models.hf import HFModel
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec

ROLLOUTS, STEPS = 8, 100


class Generate(TextReader):
    """The same checkpoint asked through `generate`: whole prompts, padded on the left; greedy."""

    def __init__(self, model: HFModel):
        self.model, self.name, self.identity, self.seed = model, model.name, model.identity, None
        self.capacity, self.context = model.capacity, model.context

    def length(self, ask: Ask) -> int:
        return self.model.length(ask)

    def session(self) -> "Generate":
        return self

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        prompts = [self.model.words.ids(ask) for ask in asks]
        longest, size = max(map(len, prompts)), max(ask.max_tokens for ask in asks)
        ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
        real = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        out = self.model.network.generate(
            input_ids=ids, attention_mask=real, do_sample=False, max_new_tokens=size, temperature=None,
            stop_strings=["\n"], tokenizer=self.model.words.tokenizer,
        )  # fmt: skip
        texts = [self.model.words.text(p, row[longest:].tolist()) for p, row in zip(prompts, out, strict=True)]
        return [Reply((text.partition("\n")[0],), (nan,), (nan,), 0) for text in texts]


def rolled(bench: Bench) -> tuple[pl.DataFrame, float]:
    start = time.process_time()
    table = compute(bench, range(ROLLOUTS), ROLLOUTS)
    return table, time.process_time() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:]:
            folder = sys.argv[1]
        else:
            tiny_llama.make(Path(folder), 0.0)
        spec = RollSpec(
            "markov:length=128", 1, f"hf:{folder},rows={ROLLOUTS}", items=ROLLOUTS, horizon=STEPS, on_error="skip",
            law=False, prompt="text:shots=2", temperature=0.0,
        )  # fmt: skip
        greedy = Bench.load(spec)
        drawn = Bench.load(RollSpec(**{**spec.json(), "temperature": 1.0}))
        compute(greedy, range(2), 2)
        tables, seconds = {}, {}
        for reuse in (True, False):
            for bench, name in ((greedy, "greedy"), (drawn, "drawn")):
                assert isinstance(bench.model, HFModel)
                bench.model.reuse = reuse
                tables[name, reuse], seconds[name, reuse] = rolled(bench)
        peer, peer_seconds = rolled(Bench(spec, greedy.world, Generate(greedy.model), greedy.prompter))
    same = ["event", "action", "state"]
    kept, scratch = tables["greedy", True], tables["greedy", False]
    far = (tables["drawn", True]["logp"] - tables["drawn", False]["logp"]).abs().max()
    print(f"{kept.height} greedy steps, {kept['action'].n_unique()} different answers")
    print(f"{'greedy':<34} {'CPU s':>8} {'times the cache':>16}")
    rows = [("prefix cache", seconds["greedy", True]), ("from scratch", seconds["greedy", False])]
    for name, used in [*rows, ("transformers generate, from scratch", peer_seconds)]:
        print(f"{name:<34} {used:>8.1f} {used / seconds['greedy', True]:>16.1f}")
    print(f"drawn: {seconds['drawn', True]:.1f} s and {seconds['drawn', False]:.1f} s from scratch, "
          f"{seconds['drawn', False] / seconds['drawn', True]:.1f} times")  # fmt: skip
    print(f"greedy rollouts alike: {kept.select(same).equals(scratch.select(same))}, "
          f"as generate: {kept.select(same).equals(peer.select(same))}")  # fmt: skip
    print(f"drawn alike: {tables['drawn', True].select(same).equals(tables['drawn', False].select(same))}, "
          f"log-probabilities within {far:.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
