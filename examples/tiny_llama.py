"""Make a LlamaForCausalLM and train it on the text of our worlds: a checkpoint small enough to be made anywhere.

    python examples/tiny_llama.py FOLDER [--seconds 280]

It reads bare transcripts and both shapes of prompt of sums, maps and othello at level 1, without worked examples. The
folder holds what any checkpoint of transformers holds: config.json, model.safetensors, the tokenizer and its chat
template. One thread; the time is CPU seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from deadreckon.contracts import Ask, Key, Message, Reader
from deadreckon.rollouts.prompting import Prompter, load_prompting
from deadreckon.rollouts.transcript import Story, sizes_of, view_of
from deadreckon.scaffolds import load_scaffold
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds import load_world

WORLDS = {"sums": 0.5, "maps:split=train": 0.25, "othello": 0.25}  # and the share of each
CONTEXT = 1024
SPECIAL = ("<|begin|>", "<|user|>", "<|assistant|>", "<|end|>")
BEGIN, USER, ASSISTANT, END = range(4)
TEMPLATE = (
    "{{ '<|begin|>' }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


class Anyone(Reader):
    """Stands for a reader with room for every prompt."""

    context = float("inf")

    def session(self) -> object:  # type: ignore[override]
        raise NotImplementedError

    def length(self, ask: Ask) -> int:
        raise NotImplementedError


class Given(NamedTuple):
    """What is learnt from: a conversation, whose answers count, or a text, which counts after its opening."""

    messages: tuple[Message, ...]
    opening: str
    rest: str


class Texts:
    """Expert transcripts of one world, put into words."""

    def __init__(self, spec: str):
        self.world, self.plain = load_world(spec), load_scaffold("plain")
        self.prompters = [
            Prompter(self.world, 1, self.plain, load_prompting(f"{shape}:shots=0"), 0) for shape in ("text", "chat")
        ]

    def conversation(self, rng: np.random.Generator, *, bare: bool = False) -> Given:
        """A whole rollout of the oracle: as messages, as a text, or as the bare transcript."""
        world, state = self.world, self.world.start(1, rng)
        story, action = Story(world.opening(state)), ""
        while not world.done(state):
            if action:
                story.ends("", action, world.end)
            story.says(world.says(state))
            law = world.policy(state)
            choice = list(law)[int(rng.choice(len(law), p=list(law.values())))]
            action, state = world.write(choice), world.step(state, choice)
        if bare:
            return Given((), story.opening, story.text[len(story.opening) :] + action + world.end)
        prompter = self.prompters[int(rng.random() < 0.6)]
        ask = next(self.plain(view_of(story, Key(0, 0, 0, 0), sizes_of(world))))
        put = prompter.ask(ask, story, Anyone())
        assert put is not None
        if put.messages:
            return Given((*put.messages, Message("assistant", action)), "", "")
        opening = story.opening.replace(world.end, prompter.end)
        head, mark, told = put.prompt.rpartition("Transcript:\n")
        return Given((), head + mark + opening, told[len(opening) :] + action + prompter.end)


def rng_of(spec: str, place: int) -> np.random.Generator:
    return generator(0, hash64("tiny-llama", spec), Purpose.TEXT, place)


def make_tokenizer(texts: dict[str, Texts]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of whole words; digits and direction letters stand alone."""
    given = [world.conversation(rng_of(spec, i)) for spec, world in texts.items() for i in range(40)]
    corpus = [text for one in given for text in (one.opening, one.rest, *(m.text for m in one.messages))]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d|\n| ?[A-Za-z]+| ?[^A-Za-z\d\s]|\s"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=768,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=SPECIAL[BEGIN], eos_token=SPECIAL[END])
    fast.chat_template = TEMPLATE
    return fast


def make_network(vocab: int, seed: int = 0) -> LlamaForCausalLM:
    """About a million weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=BEGIN,
        eos_token_id=END,
        pad_token_id=END,
    )
    network = LlamaForCausalLM(config)
    network.generation_config.do_sample = True  # transformers serve reads the temperature only where this is set
    return network


def example(tokenizer: PreTrainedTokenizerFast, given: Given) -> tuple[list[int], list[int]]:
    """Ids, and labels that are the answers alone."""
    if not given.messages:
        opening, rest = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in given[1:])
        return [*opening, *rest], [*[-100] * len(opening), *rest]
    told = [{"role": message.role, "content": message.text} for message in given.messages]
    ids = tokenizer.apply_chat_template(told, return_dict=False)
    labels, answering = [], False
    for i in ids:
        labels.append(i if answering else -100)
        answering = i == ASSISTANT or (answering and i != END)
    return ids, labels


def batches(
    tokenizer: PreTrainedTokenizerFast, texts: dict[str, Texts], size: int, *, bare: bool
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Batches of one world each, without end."""
    specs, shares = list(WORLDS), list(WORLDS.values())
    place, dice = 1000 + bare * 10**9, np.random.default_rng(0)
    while True:
        spec = specs[int(dice.choice(len(specs), p=shares))]
        rngs = [rng_of(spec, place + i) for i in range(size)]
        some = [example(tokenizer, texts[spec].conversation(rng, bare=bare)) for rng in rngs]
        place += size
        longest = min(CONTEXT, max(len(ids) for ids, _ in some))
        padded = [(ids[:longest] + [END] * (longest - len(ids)), labels[:longest]) for ids, labels in some]
        yield (
            torch.tensor([ids for ids, _ in padded]),
            torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in padded]),
        )


def train(network: LlamaForCausalLM, sources: Sequence[Iterator[tuple[torch.Tensor, ...]]], seconds: float) -> None:
    """AdamW with a schedule over CPU time: half of it on bare transcripts, which are short, then on prompts."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1.0, weight_decay=0.01, betas=(0.9, 0.98))
    began, steps = time.process_time(), 0
    while (done := (time.process_time() - began) / seconds) < 1.0:
        ids, labels = next(sources[done > 0.5])
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (steps + 1) / 50) * (1.0 - done)
        out = network(input_ids=ids, labels=labels)
        optimizer.zero_grad()
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if steps % 50 == 0:
            print(f"{steps} steps, {100 * done:.0f}%, loss {out.loss.item():.3f}", flush=True)


def make(folder: Path, seconds: float) -> None:
    """A checkpoint in the folder; 0 seconds leaves the first weights as they are."""
    torch.set_num_threads(1)
    texts = {spec: Texts(spec) for spec in WORLDS}
    tokenizer = make_tokenizer(texts)
    network = make_network(len(tokenizer))
    if seconds > 0.0:
        sources = batches(tokenizer, texts, 24, bare=True), batches(tokenizer, texts, 8, bare=False)
        train(network.train(), sources, seconds)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=280.0, help="CPU seconds of training")
    given = parser.parse_args()
    make(given.folder, given.seconds)
    print(f"deadreckon roll sums --model hf:{given.folder} --prompt chat:shots=0 --out runs/sums")


if __name__ == "__main__":
    main()
