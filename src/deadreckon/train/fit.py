"""The training loop: Muon on the blocks' matrices, AdamW on the rest, texts made on the fly."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from deadreckon.errors import BadOption
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.seeds import hash64
from deadreckon.train.card import publish
from deadreckon.train.checkpoint import Learner, Mark, load_checkpoint, load_graded, save_checkpoint, save_graded
from deadreckon.train.muon import Muon
from deadreckon.train.progress import Watch
from deadreckon.train.recipes import Fit, Recipe, Text, parse_recipe, recipe_text
from deadreckon.train.sources import Batch, Source
from deadreckon.worlds import load_world

GRADES = {"001": 0.01, "003": 0.03, "010": 0.1, "030": 0.3}  # by name: share of the steps; 1 is the model itself
BRANCH = 0.7  # share of the steps at which a run leaves a checkpoint for runs that differ from there on
BETAS = (0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run leaves: the network and what it cost."""

    network: GPT
    mark: Mark


def identity(recipe: Recipe, seed: int) -> str:
    """A hash of all that decides a run's weights, the machine and libraries apart."""
    silent = {"held_out"} if recipe.text.distilled else {"held_out", "distilled"}
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


def loss(network: GPT, batch: Batch) -> Tensor:
    """Nats over the taught symbols, divided by the number of taught actions."""
    ids = torch.from_numpy(batch.ids)
    taught = torch.from_numpy(batch.taught)[:, 1:]
    logits = network.logits(network.hidden(ids[:, :-1])[taught])  # (taught symbols, vocab)
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
    value = loss(network, batch)
    network.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), fit.clip)
    share = schedule(fit, step)
    learner.muon.step(fit.matrix_rate * share)
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
    grades = {name: max(1, round(share * recipe.fit.steps)) for name, share in GRADES.items()}
    began = time.process_time() - mark.seconds
    with Watch(recipe.fit.steps, console) as watch:
        for step in range(mark.steps, recipe.fit.steps):
            batch = (first if step < recipe.clean_steps else then).batch(step, recipe.fit.rows)
            watch.saw(step, learn(learner, batch, recipe.fit, step), batch.entropy / batch.actions)
            mark = mark.after(step + 1, batch.symbols, time.process_time() - began)
            for name in (name for name, steps in grades.items() if steps == mark.steps):
                save_graded(folder / f"grade-{name}.safetensors", learner, mark)
            if mark.steps == round(BRANCH * recipe.fit.steps):
                save_checkpoint(folder / "branch.safetensors", learner, mark)
            if mark.steps % save_every == 0 or mark.steps == recipe.fit.steps:
                save_checkpoint(folder / "checkpoint.safetensors", learner, mark)
    return Trained(learner.network, mark)


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
    """Publish the graded checkpoints that `train` left in `out`, each in a folder of its own with its card."""
    toml = recipe_text(recipe)
    plan = parse_recipe(toml)
    source = source_of(plan.text, plan.size.context, seed)
    paths = []
    for name in GRADES:
        learner = new_learner(plan, source.tokens.size, seed)
        mark = load_graded(out / f"grade-{name}.safetensors", learner.network)
        path = out / f"grade-{name}" / f"{Path(recipe).stem}-s{seed}-{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        publish(learner.network, plan, toml, mark=mark, seed=seed, path=path)
        paths.append(path)
    return paths
