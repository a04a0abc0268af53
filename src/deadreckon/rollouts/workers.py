"""Worker processes that end with their parent, in silence, and whose death is one clear line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from signal import SIG_DFL, SIGINT, signal
from threading import Thread

from deadreckon.errors import WorkerDied


@contextmanager
def worker_pool(workers: int, load: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Spawned processes, each calls `load` once; what has not begun is cancelled on the way out. WorkerDied."""
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (load,)) as pool:
            try:
                yield pool
            finally:
                pool.shutdown(cancel_futures=True)
    except BrokenProcessPool:
        raise WorkerDied(workers) from None


def _begin(load: Callable[[], None] | None) -> None:
    """Begin as a worker: end in silence with Ctrl-C or with the parent, however that ends."""
    signal(SIGINT, SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    if load is not None:
        load()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
