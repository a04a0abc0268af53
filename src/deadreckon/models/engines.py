"""Which engine runs a small GPT: the C kernel in bf16 or fp32, torch, the reference, or torch on a GPU (cuda).

The option `engine` of a model's spec chooses (shipped:sums-clean,engine=bf16), else $DEADRECKON_ENGINE. Unasked it is
the kernel in fp32 where that runs, else torch: the figures printed in the docs are those of either. `auto` is the
fastest that this machine has: cuda, bf16, fp32, torch. What was chosen by name and is not to be had is an error, never
another engine in silence; the engine that ran is in a run's identity.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from deadreckon.contracts import Model
from deadreckon.errors import BadOption, MissingExtra, UnknownName
from deadreckon.models.config import GPTConfig
from deadreckon.models.kernel.build import BUILDS, CannotBuild
from deadreckon.models.kernel.library import Library, Network, fits, load
from deadreckon.models.kernel.model import KernelModel
from deadreckon.models.kernel.works import Layout, Works
from deadreckon.models.stored import read_weights, shipped_path, trained_path
from deadreckon.models.tokens import Tokenizer

KERNELS = ("bf16", "fp32")
GPU = "cuda"
ENGINES = ("auto", GPU, *KERNELS, "torch")
GPU_FILES = ("/dev/nvidia0", "/dev/dxg")  # where a driver shows itself: torch is not asked in vain, it takes a second
UNASKED = ""  # fp32, else torch
TRIED = {UNASKED: ("fp32",), "auto": KERNELS}  # before torch
VARIABLE = "DEADRECKON_ENGINE"

_OPTION = re.compile(r",engine=([^,/]*)$")


def asked(place: str) -> tuple[str, str, str]:
    """A spec's place without its engine option, the option as it was written, and the engine. UnknownName."""
    found = _OPTION.search(place)
    name = found[1] if found else os.environ.get(VARIABLE, UNASKED)
    if name not in (*ENGINES, UNASKED):
        raise UnknownName("engine", name, ENGINES)
    return (place[: found.start()], found[0], name) if found else (place, "", name)


def kernel(name: str) -> Library:
    """The best build of the kernel with this dtype. CannotBuild: none, and why the first was not to be had."""
    reasons = []
    for build in BUILDS:
        if build.name.startswith(name):
            try:
                return load(build)
            except CannotBuild as error:
                reasons.append(str(error))
    raise CannotBuild(reasons[0])


def choose(name: str, config: GPTConfig) -> Library | None:
    """The kernel that runs these sizes, None for torch. BadOption: an engine that is not to be had was named."""
    if name == "torch":
        return None
    if not fits(config):
        why = f"it takes widths in multiples of 32 up to 1024 and heads in multiples of 16, not {config}"
    else:
        for one in TRIED.get(name, (name,)):
            try:
                return kernel(one)
            except CannotBuild as error:
                why = str(error)
    if name in TRIED:
        return None
    raise BadOption(f"engine={name}: the kernel does not run here, {why}: use engine=auto or torch")


def load_stored(path: Path, name: str, engine: str, layout: Layout = Layout()) -> Model:  # noqa: B008  frozen
    """The model whose weights are at `path`, on this engine. BadWeights, BadOption, MissingExtra."""
    if engine == GPU or (engine == "auto" and gpu()):
        return _on_torch("load_gpu", path, name)
    stored = read_weights(path)
    library = choose(engine, stored.config)
    if library is None:
        return _on_torch("load_gpt", path, name)
    works = Works(Network(library, stored.config, stored.tensors), Tokenizer(stored.card.alphabet), layout)
    return KernelModel(works, name=name, weights=stored.sha256, seed=stored.card.seed)


def gpu() -> bool:
    """Whether torch is here and sees a GPU."""
    if find_spec("torch") is None or (os.name == "posix" and not any(Path(file).exists() for file in GPU_FILES)):
        return False
    seen: bool = import_module("deadreckon.models.gpu").present()
    return seen


def _on_torch(load: str, path: Path, name: str) -> Model:
    """By torch, which is imported here and nowhere above: the kernel runs without it."""
    if find_spec("torch") is None:
        raise MissingExtra("the engine torch", "torch")
    load_gpt: Callable[[Path, str], Model] = getattr(import_module("deadreckon.models.weights"), load)
    return load_gpt(path, name)


def load_shipped(place: str) -> Model:
    """A model that comes with the package, by name ("sums-clean", "sums-clean-s3,engine=bf16"). UnknownName, ..."""
    rest, option, engine = asked(place)
    path, name = shipped_path(rest)
    return load_stored(path, name + option, engine)


def load_trained(place: str) -> Model:
    """A model made by training: the path of its weights, or of the folder that holds one model. BadWeights, ..."""
    rest, option, engine = asked(place)
    path, name = trained_path(rest)
    return load_stored(path, name + option, engine)


def engine_lines() -> dict[str, str]:
    """Each engine: whether it runs here, and why or why not; which one `auto` is, and which is used unasked."""
    lines = {GPU: "runs: fp32, each launch a CUDA graph" if gpu() else "does not run here: torch sees no GPU"}
    for name in KERNELS:
        try:
            library = kernel(name)
            lines[name] = f"runs: {library.build.name} kernel, {library.path}"
        except CannotBuild as error:
            lines[name] = f"does not run here: {error}"
    lines["torch"] = (
        "runs: fp32, the reference" if find_spec("torch") else "does not run here: no torch (extra 'torch')"
    )
    best = next((name for name, line in lines.items() if line.startswith("runs")), "none")
    default = os.environ.get(VARIABLE)
    unasked = next((name for name in ("fp32", "torch") if lines[name].startswith("runs")), "none")
    return {
        "auto": f"the fastest that runs here: {best}",
        **lines,
        "used": f"{default} ({VARIABLE})"
        if default
        else f"{unasked}, unless {VARIABLE} or a model's engine= says other",
    }
