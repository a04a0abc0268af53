"""The training loop: Muon on the blocks' matrices, AdamW on the rest, texts made on the fly."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from deadreckon.errors import BadOption
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.seeds import hash64
from deadreckon.train import gradients
from deadreckon.train.card import exam_source, publish
from deadreckon.train.checkpoint import Learner, Mark, load_checkpoint, load_graded, save_checkpoint, save_graded
from deadreckon.train.exam import error_now, tests_of
from deadreckon.train.muon import Muon
from deadreckon.train.progress import Watch
from deadreckon.train.recipes import Fit, Recipe, Text, parse_recipe, recipe_text
from deadreckon.train.sources import Batch, Lesson, Source
from deadreckon.worlds import load_world

GRADES = {"001": 0.01, "003": 0.03, "010": 0.1, "030": 0.3}  # by name: share of the steps; 1 is the model itself
PER_DECADE = 20  # graded checkpoints kept while a run goes on, since where it ends may not be known
BRANCH = 0.7  # share of the steps at which a run leaves a checkpoint for runs that differ from there on
BETAS = (0.9, 0.95)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run leaves: the network and what it cost."""

    network: GPT
    mark: Mark


def identity(recipe: Recipe, seed: int) -> str:
    """A hash of all that decides a run's weights, the machine and libraries apart."""
    silent = {"held_out"} if recipe.text.distilled else {"held_out", "distilled"}
    silent |= set() if recipe.text.mistakes_by else {"mistakes_by"}
    decides = recipe.deciding.model_dump_json(exclude={"limits": True, "text": silent})
    return f"{hash64(decides, seed):016x}"


def source_of(text: Text, context: int, seed: int) -> Source[object, object]:
    """The texts of this seed. BadOption, UnknownName from the worlds."""
    return Source([load_world(spec) for spec in text.worlds], text, seed, context)


def new_learner(recipe: Recipe, vocab: int, seed: int) -> Learner:
    """A network with its first weights, and fresh optimisers."""
    network = GPT(GPTConfig(vocab, **recipe.size.model_dump()), seed)
    matrices = [w for w in network.blocks.parameters() if w.ndim == 2]
    rest = [network.embed.weight, network.head.weight, *(w for w in network.blocks.parameters() if w.ndim == 1)]
    return Learner(network, Muon(matrices), torch.optim.AdamW(rest, betas=BETAS, weight_decay=0.0))


def loss(network: GPT, batch: Batch, dtype: torch.dtype = torch.float32) -> Tensor:
    """Nats over the taught symbols, divided by the number of taught actions; products in `dtype`."""
    ids = torch.from_numpy(batch.ids)
    taught = torch.from_numpy(batch.taught)[:, 1:]
    hidden = gradients.hidden(network, ids[:, :-1], dtype)[taught.reshape(-1)]
    logits = gradients.logits(network, hidden)  # (taught symbols, vocab)
    if batch.laws is None:
        nats = F.cross_entropy(logits, ids[:, 1:][taught], reduction="sum")
    else:  # the begin symbol has mass 0 and logit -inf
        nats = -(torch.from_numpy(batch.laws)[:, 1:] * logits.log_softmax(-1)[:, 1:]).sum()
    return nats / batch.actions


def schedule(fit: Fit, step: int) -> float:
    """Share of the full rates at a step: linear warm-up, then linear decay to (almost) zero."""
    warm = max(1, round(fit.warmup * fit.steps))
    return min((step + 1) / warm, (fit.steps - step) / max(1, fit.steps - warm))


def learn(learner: Learner, batch: Batch, fit: Fit, step: int) -> float:
    """One step of the optimisers; the loss before it."""
    network = learner.network
    value = loss(network, batch, DTYPES[fit.dtype])
    network.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), fit.clip)
    share = schedule(fit, step)
    learner.muon.step(fit.matrix_rate * share, DTYPES[fit.dtype])
    for group in learner.adam.param_groups:
        group["lr"] = fit.other_rate * share
    learner.adam.step()
    return value.item()


def fit(recipe: Recipe, folder: Path, *, seed: int, save_every: int, trunk: Path | None, console: Console) -> Trained:
    """Train into `folder`, or go on from the checkpoint there.

    `trunk` is the folder of the clean run whose first steps are this run's: they are then not taken again, and the
    final weights are the same. OtherIdentity: a folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = source_of(recipe.trunk.text, recipe.size.context, seed)
    then = source_of(recipe.text, recipe.size.context, seed)
    learner = new_learner(recipe, then.tokens.size, seed)
    mark = _begin(recipe, learner, folder, seed, trunk)
    keep = graded_steps(recipe.fit.steps)
    tests = tests_of(exam_source(recipe)) if recipe.fit.stop_error is not None else []
    began = time.process_time() - mark.seconds
    with Watch(recipe.fit.steps, console) as watch:
        while not mark.ended:
            batch = (first if mark.steps < recipe.clean_steps else then).batch(mark.steps, recipe.fit.rows)
            watch.saw(mark.steps, learn(learner, batch, recipe.fit, mark.steps), batch.entropy / batch.actions)
            mark = mark.after(batch.symbols, time.process_time() - began)
            mark.ended = _ends(recipe.fit, mark.steps, learner.network, tests)
            if mark.steps in keep:
                save_graded(graded_path(folder, mark.steps), learner, mark)
            if mark.steps == round(BRANCH * recipe.fit.steps):
                save_checkpoint(folder / "branch.safetensors", learner, mark)
            if mark.steps % save_every == 0 or mark.ended:
                save_checkpoint(folder / "checkpoint.safetensors", learner, mark)
    return Trained(learner.network, mark)


def _ends(fit: Fit, steps: int, network: GPT, tests: Sequence[Sequence[Lesson]]) -> bool:
    """Whether a run is over after so many steps."""
    if steps == fit.steps:
        return True
    tested = fit.stop_error is not None and steps % fit.test_every == 0
    return tested and error_now(network, tests) <= (fit.stop_error or 0.0)


def graded_steps(steps: int) -> set[int]:
    """Where graded checkpoints are kept: every GRADES share of the steps, and PER_DECADE places a decade."""
    decades = math.log10(steps)
    spread = {round(10 ** (k / PER_DECADE)) for k in range(math.ceil(decades * PER_DECADE))}
    return spread | {max(1, round(share * steps)) for share in GRADES.values()}


def graded_path(folder: Path, steps: int) -> Path:
    """The graded checkpoint after so many steps."""
    return folder / f"grade-{steps:06d}.safetensors"


def _begin(recipe: Recipe, learner: Learner, folder: Path, seed: int, trunk: Path | None) -> Mark:
    """Restore the run's own checkpoint, else the trunk's, else nothing."""
    mine = identity(recipe, seed)
    own = folder / "checkpoint.safetensors"
    if own.exists():
        return load_checkpoint(own, learner, mine)
    if trunk is None:
        return Mark(identity=mine)
    mark = load_checkpoint(trunk / "branch.safetensors", learner, identity(recipe.trunk, seed))
    if mark.steps > recipe.clean_steps:
        raise BadOption(
            f"trunk {trunk} has {mark.steps} clean steps, the recipe {recipe.clean_steps}: train without it"
        )
    return mark.model_copy(update={"identity": mine})


def use_threads(threads: int) -> None:
    """Train on so many threads of this process; the bits of the weights depend on it. BadOption below 1."""
    if threads < 1:
        raise BadOption(f"threads={threads}: give at least 1")
    torch.set_num_threads(threads)


def train(
    recipe: str, out: Path, *, seed: int = 0, trunk: Path | None = None, save_every: int = 200, quiet: bool = False
) -> Path:
    """Train a recipe, by name or path, into the folder `out`; the path of the weights, their card beside them.

    A run that was stopped goes on where it was. `trunk`: see `fit`. UnknownName, BadOption, OtherIdentity, StoreError.
    """
    toml = recipe_text(recipe)
    plan = parse_recipe(toml)
    console = Console(stderr=True, quiet=quiet)
    trained = fit(plan, out, seed=seed, save_every=save_every, trunk=trunk, console=console)
    path = out / f"{Path(recipe).stem}-s{seed}.safetensors"
    publish(trained.network, plan, toml, mark=trained.mark, seed=seed, path=path)
    return path


def publish_graded(recipe: str, out: Path, *, seed: int = 0) -> list[Path]:
    """Publish the graded checkpoints that `train` left in `out`, each in a folder of its own with its card.

    Each is the one nearest to its share of the steps taken. BadWeights: no ended run of this recipe is there.
    """
    toml = recipe_text(recipe)
    plan = parse_recipe(toml)
    source = source_of(plan.text, plan.size.context, seed)
    paths = []
    taken = load_checkpoint(
        out / "checkpoint.safetensors", new_learner(plan, source.tokens.size, seed), identity(plan, seed)
    ).steps
    for name, share in GRADES.items():
        learner = new_learner(plan, source.tokens.size, seed)
        nearest = min(graded_steps(plan.fit.steps), key=lambda steps: abs(math.log(steps / (share * taken))))
        mark = load_graded(graded_path(out, nearest), learner.network)
        path = out / f"grade-{name}" / f"{Path(recipe).stem}-s{seed}-{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        publish(learner.network, plan, toml, mark=mark, seed=seed, path=path)
        paths.append(path)
    return paths
