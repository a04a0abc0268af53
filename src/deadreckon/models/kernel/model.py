"""A small GPT run by the C kernel, as a model of text."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from deadreckon.contracts import Scorer
from deadreckon.models.kernel.build import compiler, compiler_line, cpu_name, source
from deadreckon.models.kernel.session import KernelSession
from deadreckon.models.kernel.works import Works


class KernelModel(Scorer):
    """A network and its tokenizer. The engine, its dtype, source and compiler are part of what its bytes depend on."""

    def __init__(self, works: Works, *, name: str, weights: str, seed: int | None = None):
        """`weights` is the SHA-256 of the weights, `seed` the training seed."""
        self.works, self.name, self.seed, self.capacity = works, name, seed, works.rows
        build = works.network.library.build
        self.identity: Mapping[str, str] = {
            "weights": weights,
            "engine": f"kernel-{build.name}",
            "dtype": build.dtype,
            "kernel": sha256(source().read_bytes()).hexdigest()[:16],
            "compiler": compiler_line(tuple(compiler())),
            "numpy": np.__version__,
            "cpu": cpu_name(),
        }

    def check(self, text: str) -> None:
        """BadText where the text holds symbols outside its alphabet."""
        self.works.tokens.encode(text)

    def session(self) -> KernelSession:
        """Begin work on at most `capacity` rollouts. OutOfMemory."""
        return KernelSession(self.works)
