"""Does a real server give the verdicts that the checkpoint gives in process? Greedy, step by step.

    .venv/bin/python examples/tiny_llama.py tiny
    .venv/bin/python benchmarks/served.py tiny

Starts `transformers serve` (transformers[serving]) on loopback, runs sums, maps and othello through it as a
conversation, and the same spec through `hf:`. Temperature 0 is asked for in each request: this server ignores any
other temperature unless the checkpoint's generation settings sample.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deadreckon.contracts import Ask, ChatReader, Reply, nan
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec

PORT, ITEMS, STEPS, PATIENCE = 8765, 4, 12, 300
WORLDS = ("sums", "maps", "othello")


class Served(ChatReader):
    """A chat endpoint, one request after another."""

    context = float("inf")

    def __init__(self, url: str, model: str):
        self.url, self.model, self.name, self.identity, self.seed, self.capacity = (
            url,
            model,
            f"{model}@{url}",
            {},
            None,
            4,
        )

    def length(self, ask: Ask) -> int:
        return 0

    def session(self) -> "Served":
        return self

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        return [Reply((self._answer(ask),), (nan,), (nan,), 0) for ask in asks]

    def _answer(self, ask: Ask) -> str:
        messages = [{"role": message.role, "content": message.text} for message in ask.messages]
        body = {"model": self.model, "messages": messages, "temperature": ask.temperature, "max_tokens": ask.max_tokens}
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/v1/chat/completions", data, kind)) as answer:
            text: str = json.load(answer)["choices"][0]["message"]["content"]
        return text


@contextmanager
def server(checkpoint: Path) -> Iterator[str]:
    """`transformers serve` on loopback, until the block ends."""
    program = Path(sys.executable).with_name("transformers")
    command = [program, "serve", checkpoint, "--host", "127.0.0.1", "--port", str(PORT), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(PATIENCE):
            try:
                with urllib.request.urlopen(f"{url}/health"):
                    break
            except OSError:
                time.sleep(1.0)
        yield url
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    checkpoint = Path(sys.argv[1]).resolve()
    alike = True
    with server(checkpoint) as url:
        for world in WORLDS:
            spec = RollSpec(
                world, 1, f"hf:{checkpoint}", items=ITEMS, horizon=STEPS, on_error="skip", law=False, temperature=0.0,
                prompt="chat:shots=0",
            )  # fmt: skip
            bench = Bench.load(spec)
            here = compute(bench, range(ITEMS), ITEMS)
            remote = Bench(spec, bench.world, Served(url, str(checkpoint)), bench.prompter)
            there = compute(remote, range(ITEMS), ITEMS)
            same = ["item", "t", "event", "action", "parse", "stop"]
            counts = ", ".join(f"{n} {event}" for event, n in here["event"].value_counts(sort=True).rows())
            equal = here.select(same).equals(there.select(same))
            print(f"{world:<8} {here.height} steps ({counts}): the same verdicts {equal}", flush=True)
            alike &= equal
    sys.exit(not alike)


if __name__ == "__main__":
    main()
